"""Webhooks that are applied as they come: how many a second, and how long each takes until its row is committed."""

import statistics

from pydantic import SecretStr
from sqlalchemy import text

from cyphera_pipelines.model.configuration import Credentials
from cyphera_pipelines.model.sessions import SyncRequest
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.sandbox import SandboxServer
from cyphera_pipelines.store.configurations import create_configuration
from cyphera_pipelines.store.sources import find_source
from cyphera_pipelines.store.workspaces import create_workspace
from cyphera_pipelines.sync.engine import SyncJob, run_sync
from cyphera_pipelines.sync.request import open_session
from cyphera_pipelines_tests.benchmarks.api_load import running_api
from cyphera_pipelines_tests.benchmarks.figures import Result
from cyphera_pipelines_tests.benchmarks.workbench import NO_LIMITS, Workbench
from cyphera_pipelines_tests.webhook_load import change_account, deliver, load_accounts, of_each, path_of
from cyphera_pipelines_tests.webhooks import SECRET

SOURCES, EVENTS, SECONDS_AT_A_RATE, RATE = 20, 500, 20, 100
CONNECTIONS = 32
IN_A_BURST = 200
"""Connections over which all come at once: whoever sends so many does not wait for their answers one by one."""
API_PROCESSES = 1


def run(workbench: Workbench) -> Result:
    """10,000 events of 20 sources as fast as they are answered, twice; then some more at 100 a second."""
    result = Result("webhooks")
    accounts = load_accounts(SOURCES)
    with SandboxServer(accounts) as sandbox, running_api(API_PROCESSES) as port:
        sources = [_loaded(workbench, account.api_key, sandbox.url) for account in accounts]
        paths = [path_of(source.configuration_id) for source in sources]
        events = [change_account(sandbox, account, round(EVENTS * workbench.scale) or 1) for account in accounts]
        fast = deliver(port, of_each(paths, events), connections=CONNECTIONS)
        transactions = _transactions(workbench)
        again = [change_account(sandbox, account, round(EVENTS * workbench.scale) or 1) for account in accounts]
        burst = deliver(port, of_each(paths, again), connections=IN_A_BURST)
        transactions_of_burst = _transactions(workbench) - transactions
        each = round(SECONDS_AT_A_RATE * RATE / SOURCES * workbench.scale) or 1
        more = [change_account(sandbox, account, each) for account in accounts]
        slow = deliver(port, of_each(paths, more), connections=CONNECTIONS, per_second=RATE)
    result.add(f"events per second, {CONNECTIONS} connections", len(fast.seconds) / fast.took)
    result.add(f"events per second, {IN_A_BURST} connections", len(burst.seconds) / burst.took)
    result.add(f"events per transaction, {CONNECTIONS} connections", len(fast.seconds) / transactions)
    result.add(f"events per transaction, {IN_A_BURST} connections", len(burst.seconds) / transactions_of_burst)
    both = fast.outcomes["applied"] + burst.outcomes["applied"]
    result.add("applied at once", both / (len(fast.seconds) + len(burst.seconds)) * 100, "%")
    percentiles = statistics.quantiles(slow.seconds, n=100)
    result.add(f"p50 at {RATE}/s", percentiles[49] * 1000, "ms")
    result.add(f"p99 at {RATE}/s", percentiles[98] * 1000, "ms", target=50.0)
    result.notes.append(
        f"{SOURCES} sources, {API_PROCESSES} API process; Postgres and whoever signs and sends share the machine. "
        "Aim: 500 events per second at least."
    )
    result.notes.append(
        f"Answers: {dict(fast.outcomes)}, in the burst {dict(burst.outcomes)}, then {dict(slow.outcomes)}."
    )
    return result


def _transactions(workbench: Workbench) -> int:
    """In how many transactions the events came into the inbox so far."""
    with workbench.database.control() as connection:
        statement = text("SELECT count(DISTINCT CAST(xmin AS text)) FROM sync.webhook_events")
        return int(connection.execute(statement).scalar_one())


def _loaded(workbench: Workbench, api_key: str, base_url: str) -> Source:
    database, keyring, name = workbench.database, workbench.keyring, api_key.removeprefix("sk_test_").replace("_", "-")
    credentials = Credentials(api_key=SecretStr(api_key), base_url=base_url, webhook_secret=SecretStr(SECRET))
    workspace = create_workspace(database, name)
    metadata = {"rate_limits": NO_LIMITS}
    create_configuration(database, keyring, workspace, "stripe", credentials, is_test_mode=True, metadata=metadata)
    source, request = find_source(database, f"{name}:stripe"), SyncRequest()
    run_sync(SyncJob(database, keyring, source, open_session(database, source, request), request))
    return source
