"""The same load as the `stripe` package makes it easiest: its own pagination, an upsert per page. For the ratio.

A quarter of the account is enough to know what a row costs.
"""

from cyphera_pipelines_tests.benchmarks.consumption import Consumption
from cyphera_pipelines_tests.benchmarks.dataset import FULL_SIZE
from cyphera_pipelines_tests.benchmarks.figures import Result
from cyphera_pipelines_tests.benchmarks.scenarios.first_load import MICROSECONDS
from cyphera_pipelines_tests.benchmarks.workbench import BenchmarkError, Workbench

PART = 0.25


def run(bench: Workbench) -> Result:
    """Load a smaller account of the same kind into tables of its own."""
    result = Result("sdk_baseline")
    account = bench.open_account("baseline", bench.scale * PART)
    contents = bench.contents(account)
    bench.behave()
    printed = bench.run(
        "sdk_process",
        account.api_key,
        bench.sandbox.url,
        bench.database.psql_url,
        str(bench.home),
        title="Loading with the stripe package",
        requests=sum(contents.fewest_requests[f"GET /v1/{collection}"] for collection in FULL_SIZE),
    )
    if printed["rows"] != contents.embedded_rows:
        raise BenchmarkError(f"The baseline should have loaded {contents.embedded_rows} and loaded {printed['rows']}.")
    taken, rows = Consumption(**printed["consumption"]), sum(printed["rows"].values())
    client, server = taken.client_cpu / rows * MICROSECONDS, taken.server_cpu / rows * MICROSECONDS
    result.add("rows", rows)
    result.add("rows lost: beyond ten, and tiers", contents.total_rows - rows)
    result.add("client CPU per row", client, "us")
    result.add("Postgres CPU per row", server, "us")
    result.add("rows per second", rows / taken.wall)
    ours = bench.results.get("first_load")
    if ours is not None:
        result.add("client CPU / first_load's", client / ours.value("client CPU per row"))
        result.add("Postgres CPU / first_load's", server / ours.value("Postgres CPU per row"))
        result.add("first_load's rows per second / its own", ours.value("rows per second") / (rows / taken.wall))
    return result
