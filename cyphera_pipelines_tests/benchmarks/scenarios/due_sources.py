"""Ten thousand sources that are due within an hour: how late is each looked at?

A smaller scale is the same load for a shorter time: 0.1 is a thousand sources in six minutes.
"""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import text

from cyphera_pipelines.sandbox import SandboxOptions
from cyphera_pipelines_tests.benchmarks.consumption import Consumption
from cyphera_pipelines_tests.benchmarks.figures import Result
from cyphera_pipelines_tests.benchmarks.resting_sources import add_resting_sources
from cyphera_pipelines_tests.benchmarks.scenarios.live_limits import LATENCY_MS
from cyphera_pipelines_tests.benchmarks.workbench import BenchmarkError, Workbench

SOURCES = 10_000
WINDOW = 3_600.0
LEAST_WINDOW = 10.0
BATCH_SECONDS = 300.0
GAP = 8.0
"""Seconds from the end of a batch to the next one's first claim: the sensor's look, and the launch of a run."""
MINUTES = 60


def run(bench: Workbench) -> Result:
    """Real claims and real looks, in a process as a batch run's."""
    result, sources = Result("due_sources"), max(1, round(SOURCES * bench.scale))
    window = max(WINDOW * bench.scale, LEAST_WINDOW)
    bench.behave(SandboxOptions(latency_ms=LATENCY_MS))
    added = add_resting_sources(bench, sources, within=window)
    printed = bench.run(
        "due_process",
        str(window + 4 * GAP),
        str(BATCH_SECONDS),
        str(GAP),
        title=f"{sources:,} sources are due within {window:g} s",
        requests=2 * sources,
    )
    waits, taken = sorted(printed["waits"]), Consumption(**printed["consumption"])
    # A few are due again, by the next place that they have.
    if printed["unchanged"] < sources:
        raise BenchmarkError(f"Of {sources} sources {printed['unchanged']} were looked at and found at rest.")
    result.add("sources", sources)
    result.add("due within", window, "s")
    for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99)):
        result.add(f"delay {name}", waits[int(share * (len(waits) - 1))], "s", target=60 if name == "p99" else None)
    result.add("delay max", waits[-1], "s")
    result.add("load by minute, max/mean", _max_to_mean(bench, added, window), target=1.5)
    result.add("runs an hour, one after the other", 3_600.0 / (BATCH_SECONDS + GAP), target=60)
    result.add("client CPU per source", taken.client_cpu / sources * 1e3, "ms")
    result.add("Postgres CPU per source", taken.server_cpu / sources * 1e3, "ms")
    result.notes.append(
        "The load is that of 10,000 hourly sources. Minutes are sixtieths of the time in which they were due."
    )
    return result


def _max_to_mean(bench: Workbench, workspaces: Sequence[UUID], window: float) -> float:
    """Of the sixtieths of the window: the sources that were looked at in the busiest, to the mean."""
    statement = (
        "SELECT count(*) FROM sync.source_schedules WHERE workspace_id = ANY (:workspaces) GROUP BY "
        "floor(extract(epoch FROM checked_at) / :minute)"
    )
    with bench.database.control() as connection:
        counts = connection.execute(text(statement), {"workspaces": workspaces, "minute": window / MINUTES}).scalars()
        by_minute = [int(count) for count in counts]
    return max(by_minute) / (sum(by_minute) / max(len(by_minute), MINUTES))
