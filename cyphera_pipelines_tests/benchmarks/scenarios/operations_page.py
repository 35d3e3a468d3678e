"""What the operations page takes with 10,000 sources and a million sessions: time, statements and bytes of each view.

The rows are made in the database; the pages are asked for over HTTP, by one who is signed in, one after the other.
"""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import Engine, event, text

from cyphera_pipelines.api.in_thread import serving
from cyphera_pipelines.settings import Settings
from cyphera_pipelines.store.operator_keys import create_operator_key
from cyphera_pipelines_tests.benchmarks.consumption import measured
from cyphera_pipelines_tests.benchmarks.figures import Result
from cyphera_pipelines_tests.benchmarks.workbench import BenchmarkError, Workbench
from cyphera_pipelines_tests.ops.conftest import forms_of

SOURCES, SESSIONS_OF_EACH = 10_000, 100
TIMES = 40
"""How often each view is asked for."""
LONGEST_MS, MOST_STATEMENTS = 200.0, 6
VIEWS = {
    "all, worst first": "",
    "one state": "?state=late",
    "syncing now": "?state=syncing",
    "webhooks given up": "?state=webhooks_dead",
    "rows that differ": "?state=drift",
    "a search that finds some": "?q=page-77",
    "a search that finds nothing": "?q=nobody-is-called-this",
}
_MINE = "workspace_id IN (SELECT id FROM sync.workspaces WHERE slug LIKE 'page-%')"
_PROGRESS = """
    jsonb_build_object('entities', jsonb_object_agg(entity, jsonb_build_object('estimated', 100, 'fetched', 100,
        'created', 7, 'updated', 2, 'unchanged', 91, 'deleted', 0, 'failed', 0, 'flagged', 0, 'done', true, 'requests',
        1, 'error', null, 'children', '{}'::jsonb)))
"""
_MAKE = (
    "INSERT INTO sync.workspaces (slug, name) SELECT 'page-' || at, 'Page ' || at FROM generate_series(1, :sources) at",
    "INSERT INTO sync.workspace_payment_configurations (workspace_id, provider_name, is_test_mode, configuration) "
    "SELECT id, 'stripe', false, '' FROM sync.workspaces WHERE slug LIKE 'page-%'",
    """
    INSERT INTO sync.source_schedules (workspace_id, provider_name, due_at, fresh_at, last_failure, failing_since,
        failures, paused_at, paused_kind)
    SELECT id, 'stripe', now() + random() * interval '15 minutes',
        CASE WHEN chance > 0.02 THEN now() - power(chance, 8) * interval '3 hours' END,
        CASE WHEN chance > 0.95 THEN 'Stripe cannot be reached: the connection timed out.' END,
        CASE WHEN chance > 0.95 THEN now() - chance * interval '1 hour' END,
        CASE WHEN chance > 0.95 THEN 3 ELSE 0 END,
        CASE WHEN chance BETWEEN 0.02 AND 0.05 THEN now() - interval '1 day' END,
        CASE WHEN chance BETWEEN 0.02 AND 0.05 THEN 'person' END
    FROM (SELECT id, random() AS chance FROM sync.workspaces WHERE slug LIKE 'page-%') AS workspace
    """,
    f"""
    INSERT INTO sync.payment_sync_sessions (workspace_id, provider_name, session_type, status, entity_types, progress,
        created_at, started_at, updated_at, completed_at)
    SELECT workspace.id, 'stripe', 'delta_sync',
        CASE WHEN at = 0 AND random() < 0.01 THEN 'running' WHEN random() < 0.05 THEN 'failed' ELSE 'completed' END,
        '{{customers,products,prices,subscriptions,invoices}}', progress.counts,
        now() - at * interval '15 minutes', now() - at * interval '15 minutes', now() + interval '1 hour',
        now() - at * interval '15 minutes'
    FROM sync.workspaces AS workspace, generate_series(0, :sessions - 1) AS at, (
        SELECT {_PROGRESS} AS counts
        FROM unnest('{{customers,products,prices,subscriptions,invoices}}'::text[]) AS entity
    ) AS progress
    WHERE workspace.slug LIKE 'page-%'
    """,
)
_MAKE_TROUBLE = (
    """
    INSERT INTO sync.webhook_events (workspace_id, provider_name, livemode, external_id, event_type, entity_type,
        payload, attempts, last_error, handled_at, dead_at)
    SELECT id, 'stripe', true, 'evt_' || at, 'customer.updated', 'customers', '{}', (at = 1)::integer * 10, 'No.',
        CASE WHEN at > 1 THEN now() END, CASE WHEN at = 1 THEN now() END
    FROM (SELECT id FROM sync.workspaces WHERE slug LIKE 'page-%' AND random() < 0.05) AS workspace,
        generate_series(1, 100) AS at
    """,
    """
    INSERT INTO sync.verifications (workspace_id, provider_name, livemode, entity_type, verified_at, rows_checked,
        open_differences, unmappable)
    SELECT id, 'stripe', true, entity, now(), 1000, CASE WHEN random() < 0.02 THEN 7 ELSE 0 END, 0
    FROM sync.workspaces, unnest('{customers,products,prices,subscriptions,invoices}'::text[]) AS entity
    WHERE slug LIKE 'page-%'
    """,
)
"""One source in twenty has a webhook that was given up, and about one in ten rows that differ."""
_FORGET = (
    "webhook_events",
    "verifications",
    "payment_sync_sessions",
    "source_schedules",
    "workspace_payment_configurations",
)


@dataclass
class Statements:
    """How many statements this process has sent."""

    sent: int = 0


def run(bench: Workbench) -> Result:
    """Make the rows, sign in, and ask for each view again and again."""
    result, sources = Result("operations_page"), max(60, round(SOURCES * bench.scale))
    with bench.console.status(f"Making {sources:,} sources with {SESSIONS_OF_EACH} sessions each"):
        _in_turn(bench, _MAKE + _MAKE_TROUBLE, {"sources": sources, "sessions": SESSIONS_OF_EACH})
        with bench.database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE sync.payment_sync_sessions"))
            connection.execute(text("ANALYZE"))
    result.add("sources", sources)
    result.add("sessions", sources * SESSIONS_OF_EACH)
    _row, key = create_operator_key(bench.database, "benchmark")
    with (
        serving(Settings(home=bench.home), bench.keyring) as url,
        httpx.Client(base_url=url, timeout=60, follow_redirects=True) as browser,
        _counting_statements() as statements,
    ):
        hidden = forms_of(browser.get("/ops/sign-in").text)[0].hidden
        if browser.post("/ops/sign-in", data={**hidden, "key": key.as_text()}).url.path != "/ops":
            raise BenchmarkError("Nobody could sign in to the operations page.")
        views = VIEWS | {"the second page": _next_of(browser.get("/ops").text)}
        for name, view in views.items():
            _ask(result, name, partial(browser.get, f"/ops{view}"), statements, bench.home)
    _in_turn(bench, [f"DELETE FROM sync.{table} WHERE {_MINE}" for table in _FORGET], {})
    _in_turn(bench, ["DELETE FROM sync.workspaces WHERE slug LIKE 'page-%'"], {})
    return result


def _ask(result: Result, name: str, ask: Callable[[], httpx.Response], statements: Statements, home: Path) -> None:
    took, size = list[float](), 0
    ask()
    before = statements.sent
    with measured(home) as consumption:
        for _ in range(TIMES):
            began = time.perf_counter()
            answer = ask()
            took.append((time.perf_counter() - began) * 1e3)
            if answer.status_code != httpx.codes.OK:
                raise BenchmarkError(f"The page answered {answer.status_code}.")
            size = len(answer.content)
    result.add(f"{name}: p95", sorted(took)[math.ceil(0.95 * TIMES) - 1], "ms", target=LONGEST_MS)
    result.add(f"{name}: median", sorted(took)[TIMES // 2], "ms")
    result.add(f"{name}: CPU of the API and its client", consumption.client_cpu / TIMES * 1e3, "ms")
    result.add(f"{name}: CPU of Postgres", consumption.server_cpu / TIMES * 1e3, "ms")
    result.add(f"{name}: statements", (statements.sent - before) / TIMES, target=MOST_STATEMENTS)
    result.add(f"{name}: size", size / 1_000, "kB")


def _next_of(html: str) -> str:
    """The address of the next page, below /ops."""
    return html.partition('rel="next" href="/ops')[2].partition('"')[0].replace("&amp;", "&")


@contextmanager
def _counting_statements() -> Iterator[Statements]:
    statements = Statements()

    def count(*_arguments: Any) -> None:
        statements.sent += 1

    event.listen(Engine, "before_cursor_execute", count)
    try:
        yield statements
    finally:
        event.remove(Engine, "before_cursor_execute", count)


def _in_turn(bench: Workbench, made: list[str] | tuple[str, ...], values: dict[str, int]) -> None:
    with bench.database.control() as connection:
        for statement in made:
            wanted = {name: value for name, value in values.items() if f":{name}" in statement}
            connection.execute(text(statement.replace("::", "\\:\\:")), wanted)
