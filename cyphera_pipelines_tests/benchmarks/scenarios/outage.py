"""A provider is down for 10,000 sources at once, and comes back: what the looks that tell of it take.

A receiver on loopback takes the messages of one channel of the deployment, which is told at once, as is the end.
"""

import time

from sqlalchemy import text

from cyphera_pipelines.alerts.channels import Wanted, add
from cyphera_pipelines.alerts.looking import Look, look
from cyphera_pipelines.model.alert_channels import ChannelKind
from cyphera_pipelines.model.alerts import AlertCause, AlertRule
from cyphera_pipelines.settings import Settings
from cyphera_pipelines.store.alert_channels import remove_channel
from cyphera_pipelines.store.alert_rules import forget_rule, set_rule
from cyphera_pipelines_tests.benchmarks.figures import Result
from cyphera_pipelines_tests.benchmarks.workbench import BenchmarkError, Workbench
from cyphera_pipelines_tests.receiver import Receiver, receiving

SOURCES = 10_000
WITHIN = 60.0
_MINE = "workspace_id IN (SELECT id FROM sync.workspaces WHERE slug LIKE 'outage-%')"
_MAKE = (
    "INSERT INTO sync.workspaces (slug, name) SELECT 'outage-' || at, at::text FROM generate_series(1, :sources) AS at",
    "INSERT INTO sync.workspace_payment_configurations (workspace_id, provider_name, is_test_mode, configuration) "
    "SELECT id, 'stripe', false, '' FROM sync.workspaces WHERE slug LIKE 'outage-%'",
    "INSERT INTO sync.source_schedules (workspace_id, provider_name, due_at, fresh_at) "
    "SELECT id, 'stripe', now() + interval '1 hour', now() FROM sync.workspaces WHERE slug LIKE 'outage-%'",
    "ANALYZE sync.source_schedules",
)
_FAIL = f"""
    UPDATE sync.source_schedules SET failures = 3, failing_since = now(),
        last_failure = 'Stripe cannot be reached: the connection timed out.', last_failure_code = 'provider-unreachable'
    WHERE {_MINE}
"""
_RECOVER = f"""
    UPDATE sync.source_schedules SET failures = 0, failing_since = NULL, last_failure = NULL, last_failure_code = NULL,
        fresh_at = now()
    WHERE {_MINE}
"""
_FORGET = ("alerts", "source_schedules", "workspace_payment_configurations")


def run(bench: Workbench) -> Result:
    """Make the sources, let all of them fail, let nothing change, and let all of them recover."""
    result, sources = Result("outage"), max(20, round(SOURCES * bench.scale))
    settings = Settings(home=bench.home, alerts_to_private_addresses=True)
    _execute(bench, *_MAKE, sources=sources)
    result.add("sources", sources)
    with receiving() as receiver:
        set_rule(bench.database, None, AlertRule(AlertCause.FAILED, all_clear_after=0))
        wanted = Wanted("the benchmark's", ChannelKind.WEBHOOK, receiver.url)
        channel = add(bench.database, bench.keyring, settings, None, wanted).channel
        _look(bench, settings, result, "nothing is wrong", receiver, [])
        _execute(bench, _FAIL)
        _look(bench, settings, result, "all fail", receiver, ["digest"])
        _look(bench, settings, result, "all fail still", receiver, [])
        _execute(bench, _RECOVER)
        _look(bench, settings, result, "all have recovered", receiver, ["digest_all_clear"])
        _look(bench, settings, result, "nothing is wrong any more", receiver, [])
        result.add("messages", len(receiver.received), target=2)
        remove_channel(bench.database, None, channel.id)
        forget_rule(bench.database, None, AlertCause.FAILED)
    _execute(bench, *(f"DELETE FROM sync.{table} WHERE {_MINE}" for table in _FORGET))
    _execute(bench, "DELETE FROM sync.workspaces WHERE slug LIKE 'outage-%'")
    return result


def _look(
    bench: Workbench, settings: Settings, result: Result, state: str, receiver: Receiver, expected: list[str]
) -> None:
    """Looks, as the sensor makes them one after the other, until one more has nothing to tell."""
    before, looks, longest = len(receiver.received), list[Look](), 0.0
    while not looks or looks[-1].written:
        began = time.monotonic()
        looks.append(look(bench.database, bench.keyring, settings, within=WITHIN))
        longest = max(longest, time.monotonic() - began)
    told = [each.event["kind"] for each in receiver.received[before:]]
    if told != expected:
        raise BenchmarkError(f"While {state}, {told} was told, and not {expected}.")
    result.add(f"{state}: the longest look", longest * 1e3, "ms")


def _execute(bench: Workbench, *statements: str, **values: int) -> None:
    with bench.database.control() as connection:
        for statement in statements:
            wanted = {name: value for name, value in values.items() if f":{name}" in statement}
            connection.execute(text(statement.replace("::", "\\:\\:")), wanted)
