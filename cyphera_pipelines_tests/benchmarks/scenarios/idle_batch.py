"""A thousand sources at rest: in one batch run, against a run for each of them."""

from cyphera_pipelines.sandbox import SandboxOptions
from cyphera_pipelines.store.sources import find_source_of
from cyphera_pipelines_tests.benchmarks.consumption import Consumption
from cyphera_pipelines_tests.benchmarks.figures import Result
from cyphera_pipelines_tests.benchmarks.resting_sources import add_resting_sources
from cyphera_pipelines_tests.benchmarks.scenarios.live_limits import LATENCY_MS
from cyphera_pipelines_tests.benchmarks.workbench import BenchmarkError, Workbench

SOURCES = 1_000
ONE_BY_ONE = 50


def run(bench: Workbench) -> Result:
    """All of them in one process, then some of them in one each."""
    result, sources = Result("idle_batch"), max(1, round(SOURCES * bench.scale))
    alone = max(1, round(ONE_BY_ONE * bench.scale))
    bench.behave(SandboxOptions(latency_ms=LATENCY_MS))
    workspaces = add_resting_sources(bench, sources, within=0.0)
    # Dagster makes its tables with the first run.
    bench.run("run_process", "batch", title=f"{sources:,} sources: the first batch run", requests=2 * sources)
    _make_due(bench)
    bench.sandbox.reset_counters()
    printed = bench.run("run_process", "batch", title=f"{sources:,} sources: a batch run", requests=2 * sources)
    requests = bench.sandbox.counters()["total"]
    together, rows = Consumption(**printed["consumption"]), printed["dagster_rows"]
    each = Consumption()
    rows_of_one = 0
    for workspace in workspaces[:alone]:
        source = find_source_of(bench.database, workspace, "stripe")
        if source is None:
            raise BenchmarkError("A source is gone.")
        printed = bench.run("run_process", source.key, title="A run of one source", requests=2)
        taken = Consumption(**printed["consumption"])
        each.client_cpu += taken.client_cpu / alone
        each.server_cpu += taken.server_cpu / alone
        each.wall += taken.wall / alone
        rows_of_one += printed["dagster_rows"]
    in_batch = (together.client_cpu + together.server_cpu) / sources
    result.add("sources in the batch", sources)
    result.add("runs of one source", alone)
    result.add("requests per source", requests / sources, target=2)
    result.add("wall of the batch", together.wall, "s")
    result.add("wall of a run of one", each.wall, "s")
    result.add("CPU per source in the batch", in_batch * 1e3, "ms")
    result.add("CPU per source in runs of one", (each.client_cpu + each.server_cpu) * 1e3, "ms")
    result.add("times less CPU", (each.client_cpu + each.server_cpu) / in_batch)
    result.add("Dagster rows of the batch", rows)
    result.add("Dagster rows of a run of one", rows_of_one / alone)
    result.notes.append(
        "CPU is that of the run's process, its imports too, and of Postgres. What the daemon takes to launch a run is "
        "left out: it is the same for a batch and for a run of one. The batch's Dagster rows are its own, whatever the "
        "number of its sources."
    )
    return result


def _make_due(bench: Workbench) -> None:
    with bench.database.control() as connection:
        connection.exec_driver_sql("UPDATE sync.source_schedules SET due_at = now()")
