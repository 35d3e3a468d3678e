"""A full re-sync of an account in which nothing changed: it should write nothing."""

from cyphera_pipelines_tests.benchmarks.figures import Result
from cyphera_pipelines_tests.benchmarks.scenarios.first_load import MICROSECONDS
from cyphera_pipelines_tests.benchmarks.server_writes import CATALOG, CONTROL, REST, SYNCED, observed_writes, tidy
from cyphera_pipelines_tests.benchmarks.workbench import Workbench

KILOBYTE = 1e3


def run(bench: Workbench) -> Result:
    """List everything anew."""
    result, contents = Result("unchanged"), bench.contents(bench.account)
    source = bench.loaded_source
    bench.behave()
    tidy(bench.database)
    with observed_writes(bench.database, bench.home) as writes:
        measures = bench.sync(source, "--full", title="Listing it all again", requests=contents.all_requests)
    taken, rows = measures.consumption, bench.expect_rows(source, contents.rows)
    result.add("rows compared", sum(measures.changed_rows().values()))
    result.add("rows written", writes.rows.get(SYNCED, 0), target=0)
    result.add("session, event and cursor rows written", writes.rows.get(CONTROL, 0))
    result.add("WAL of synced tables", writes.wal_bytes.get(SYNCED, 0) / KILOBYTE, "kB", target=0)
    result.add("WAL of sessions, events, cursors", writes.wal_bytes.get(CONTROL, 0) / KILOBYTE, "kB")
    result.add("WAL of the catalog (staging tables)", writes.wal_bytes.get(CATALOG, 0) / KILOBYTE, "kB")
    result.add("WAL of commits and checkpoints", writes.wal_bytes.get(REST, 0) / KILOBYTE, "kB")
    result.add("client CPU per row", taken.client_cpu / rows * MICROSECONDS, "us")
    result.add("Postgres CPU per row", taken.server_cpu / rows * MICROSECONDS, "us")
    result.add("wall", taken.wall, "s")
    return result
