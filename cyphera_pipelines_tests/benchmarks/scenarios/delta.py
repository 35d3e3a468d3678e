"""What is new since the last sync: 500 changes, applied from the provider's events at 100 ms latency."""

from cyphera_pipelines.sandbox import SandboxOptions
from cyphera_pipelines_tests.benchmarks.figures import Result
from cyphera_pipelines_tests.benchmarks.row_counts import count_rows
from cyphera_pipelines_tests.benchmarks.scenarios.live_limits import LATENCY_MS
from cyphera_pipelines_tests.benchmarks.workbench import BenchmarkError, Workbench

CREATED = {"customers": 40, "subscriptions": 40, "invoices": 60}
UPDATED = {"customers": 80, "subscriptions": 80, "invoices": 160}
DELETED = {"customers": 20, "subscriptions": 10, "invoices": 10}
"""Together 500. A deleted subscription is a canceled one: its row stays."""


def run(bench: Workbench) -> Result:
    """Change the account, then sync the changes."""
    result, source = Result("delta"), bench.loaded_source
    before = count_rows(bench.database, source)
    changes = bench.sandbox.apply_changes(bench.account.account_id, create=CREATED, update=UPDATED, delete=DELETED)
    bench.behave(SandboxOptions(latency_ms=LATENCY_MS))
    measures = bench.sync(source, "--delta", title="Applying the changes", requests=len(changes) // 50)
    after, counts = count_rows(bench.database, source), measures.changed_rows()
    for table, created in CREATED.items():
        gone = 0 if table == "subscriptions" else DELETED[table]
        if after[table] - before[table] != created - gone:
            raise BenchmarkError(f"{table} had {before[table]} rows and after the changes it has {after[table]}.")
    result.add("changes", len(changes))
    result.add("objects changed", len({(change.collection, change.object_id) for change in changes}))
    result.add("requests", bench.sandbox.counters()["total"])
    result.add("wall", measures.consumption.wall, "s")
    result.add("rows written", counts["created"] + counts["updated"] + counts["deleted"])
    result.notes.append(", ".join(f"{count:,} rows {what}" for what, count in counts.items()))
    return result
