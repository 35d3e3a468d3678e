"""The same lists with as little work as there can be: what a machine takes for answers and rows by themselves.

Nothing is expanded, and of nested lists only what comes embedded is there: fewer rows than a sync brings.

It is a yardstick: a first load's seconds are those of one machine, their ratios to this load's hold on others too.
"""

from cyphera_pipelines_tests.benchmarks.consumption import Consumption
from cyphera_pipelines_tests.benchmarks.dataset import FULL_SIZE
from cyphera_pipelines_tests.benchmarks.figures import Result
from cyphera_pipelines_tests.benchmarks.scenarios.first_load import MICROSECONDS
from cyphera_pipelines_tests.benchmarks.workbench import BenchmarkError, Workbench


def run(bench: Workbench) -> Result:
    """Load the account into tables of two texts."""
    account, result = bench.account, Result("bare_loader")
    contents = bench.contents(account)
    bench.behave()
    printed = bench.run(
        "bare_process",
        account.api_key,
        bench.sandbox.url,
        bench.database.psql_url,
        str(bench.home),
        title="Loading ids and JSON only",
        requests=sum(contents.fewest_requests[f"GET /v1/{collection}"] for collection in FULL_SIZE),
    )
    if printed["rows"] != contents.embedded_rows:
        raise BenchmarkError(f"It should have loaded {contents.embedded_rows} and loaded {printed['rows']}.")
    taken, rows = Consumption(**printed["consumption"]), sum(printed["rows"].values())
    client, server = taken.client_cpu / rows * MICROSECONDS, taken.server_cpu / rows * MICROSECONDS
    result.add("rows", rows)
    result.add("client CPU per row", client, "us")
    result.add("Postgres CPU per row", server, "us")
    result.add("wall / (client + Postgres CPU)", taken.wall / (taken.client_cpu + taken.server_cpu))
    result.add("rows per second", rows / taken.wall)
    ours = bench.results.get("first_load")
    if ours is not None:
        # From the times that the aims were set by: 14 and 16 s where a bare loader took 5 and 9.5.
        result.add("first_load's client CPU per row / its own", ours.value("client CPU per row") / client, target=2.8)
        if server:  # the system counts it in hundredths of a second
            ratio = ours.value("Postgres CPU per row") / server
            result.add("first_load's Postgres CPU per row / its own", ratio, target=1.7)
        result.add("first_load's rows per second / its own", ours.value("rows per second") / (rows / taken.wall))
    return result
