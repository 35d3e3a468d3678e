"""A thousand sources in which nothing happened, synced as a scheduled batch would: one process, many at once."""

from cyphera_pipelines.sandbox import SandboxAccount, SandboxOptions
from cyphera_pipelines_tests.benchmarks.consumption import Consumption
from cyphera_pipelines_tests.benchmarks.figures import Result
from cyphera_pipelines_tests.benchmarks.scenarios.live_limits import LATENCY_MS
from cyphera_pipelines_tests.benchmarks.server_writes import CONTROL, SYNCED, observed_writes
from cyphera_pipelines_tests.benchmarks.workbench import BenchmarkError, Workbench

SOURCES = 1_000
FIRST_SYNCS_AT_ONCE = 8
AT_ONCE = 32
_REQUESTS_OF_A_FIRST_SYNC = 8
_REQUESTS_OF_A_DELTA = 3


def run(bench: Workbench) -> Result:
    """Sync each source once for its watermark, then measure the next round."""
    result, sources = Result("idle_sources"), max(1, round(SOURCES * bench.scale))
    keys = [_new_idle_source(bench, number) for number in range(sources)]
    bench.behave()
    _sync_all(bench, keys, "first", FIRST_SYNCS_AT_ONCE, _REQUESTS_OF_A_FIRST_SYNC)
    bench.behave(SandboxOptions(latency_ms=LATENCY_MS))
    with observed_writes(bench.database, bench.home) as writes:
        taken = _sync_all(bench, keys, "delta", AT_ONCE, _REQUESTS_OF_A_DELTA)
    requests = bench.sandbox.counters()["total"]
    result.add("sources", sources)
    result.add("at once", AT_ONCE)
    result.add("wall", taken.wall, "s")
    result.add("wall per source", taken.wall / sources * 1e3, "ms")
    result.add("requests", requests)
    result.add("requests per source", requests / sources, target=2)
    result.add("rows written", writes.rows.get(SYNCED, 0), target=0)
    result.add("session, event and cursor rows per source", writes.rows.get(CONTROL, 0) / sources)
    result.add("client CPU per source", taken.client_cpu / sources * 1e3, "ms")
    result.add("Postgres CPU per source", taken.server_cpu / sources * 1e3, "ms")
    return result


def _new_idle_source(bench: Workbench, number: int) -> str:
    account = SandboxAccount(
        api_key=f"sk_live_idle_{number}",
        account_id=f"acct_idle{number}",
        seed=number,
        customers=1,
        products=1,
        prices=1,
        subscriptions=1,
        invoices=1,
    )
    bench.sandbox.put_account(account)
    return bench.new_source(account.api_key).key


def _sync_all(bench: Workbench, keys: list[str], what: str, at_once: int, requests: int) -> Consumption:
    title = f"{len(keys):,} sources: {what} sync"
    listed = bench.home / "idle_sources"
    listed.write_text("\n".join(keys))
    printed = bench.run("batch_process", what, str(at_once), str(listed), title=title, requests=len(keys) * requests)
    if printed["statuses"] != {"completed": len(keys)}:
        raise BenchmarkError(f"Of {len(keys)} {what} syncs these ended so: {printed['statuses']}. {printed['error']}")
    return Consumption(**printed["consumption"])
