"""A first load with nothing in its way: no latency, no limits. What a row costs."""

import os

from cyphera_pipelines_tests.benchmarks.consumption import process_cpu
from cyphera_pipelines_tests.benchmarks.dataset import Contents
from cyphera_pipelines_tests.benchmarks.figures import Result
from cyphera_pipelines_tests.benchmarks.workbench import NO_LIMITS, Workbench

MICROSECONDS = 1e6
MEGABYTE = 1e6


def run(bench: Workbench) -> Result:
    """Load the account into empty tables."""
    account, result = bench.account, Result("first_load")
    contents = bench.contents(account)
    source = bench.new_source(account.api_key, rate_limits=NO_LIMITS)
    bench.behave()
    sandbox_before = process_cpu(bench.sandbox.pid)
    measures = bench.sync(source, title="The first load", requests=contents.all_requests, profile=bench.profile)
    sandbox_cpu = process_cpu(bench.sandbox.pid) - sandbox_before
    taken, counters = measures.consumption, bench.sandbox.counters()
    rows = bench.expect_rows(source, contents.rows)
    bench.loaded_source = source
    result.add("rows", rows)
    result.add("client CPU per row", taken.client_cpu / rows * MICROSECONDS, "us", target=55)
    result.add("Postgres CPU per row", taken.server_cpu / rows * MICROSECONDS, "us", target=70)
    result.add("of it background helpers", taken.background_cpu / rows * MICROSECONDS, "us")
    both = taken.client_cpu + taken.server_cpu
    result.add("client CPU", taken.client_cpu, "s", target=14)
    result.add("Postgres CPU", taken.server_cpu, "s", target=16)
    result.add("wall", taken.wall, "s")
    result.add("wall / (client + Postgres CPU)", taken.wall / both, target=0.6)
    result.add("the sandbox's own CPU", sandbox_cpu, "s")
    result.add("share of the machine that was at work", (both + sandbox_cpu) / taken.wall / (os.cpu_count() or 1))
    result.add("rows per second", rows / taken.wall)
    result.add("peak memory", taken.peak_memory / MEGABYTE, "MB", target=250)
    result.add("requests", counters["total"])
    result.add("page requests / fewest possible", requests_ratio(contents, counters["by_endpoint"]))
    return result


def requests_ratio(contents: Contents, made: dict[str, int]) -> float:
    """How many pages were asked for, in proportion to what the account has."""
    pages = sum(count for endpoint, count in made.items() if endpoint in contents.fewest_requests)
    return pages / contents.all_requests
