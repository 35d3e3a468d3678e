"""A first load as at Stripe: 100 ms latency and its live limits, enforced with 429s. How close to the floor it comes.

The floor is the time that the busiest endpoint needs for its fewest possible requests at the rate it allows, or the
account for all of them.
"""

import time
from typing import Any

from cyphera_pipelines.sandbox import SandboxOptions
from cyphera_pipelines_tests.benchmarks.dataset import Contents
from cyphera_pipelines_tests.benchmarks.figures import Result
from cyphera_pipelines_tests.benchmarks.scenarios.first_load import MEGABYTE, requests_ratio
from cyphera_pipelines_tests.benchmarks.workbench import Workbench

LATENCY_MS = 100
ACCOUNT_RATE = 100
ENDPOINT_RATE = 25


def run(bench: Workbench) -> Result:
    """Load the account into a workspace of its own."""
    account, result = bench.account, Result("live_limits")
    contents = bench.contents(account)
    source = bench.new_source(account.api_key)
    bench.behave(SandboxOptions(latency_ms=LATENCY_MS, account_rate=ACCOUNT_RATE, endpoint_rate=ENDPOINT_RATE))
    busiest = max(contents.fewest_requests, key=contents.fewest_requests.__getitem__)
    seen: list[tuple[float, int]] = []

    def look(_process_id: int, counters: dict[str, Any]) -> None:
        if counters["total"]:
            seen.append((time.monotonic(), counters["by_endpoint"].get(busiest, 0)))

    title = "Loading at Stripe's live limits"
    measures = bench.sync(source, title=title, requests=contents.all_requests, on_look=look)
    counters, floor = bench.sandbox.counters(), floor_seconds(contents)
    result.add("rows", bench.expect_rows(source, contents.rows))
    result.add("wall", measures.consumption.wall, "s")
    result.add("floor", floor, "s")
    result.add("wall / floor", measures.consumption.wall / floor, target=1.15)
    result.add("peak memory", measures.consumption.peak_memory / MEGABYTE, "MB", target=250)
    result.add("requests refused with 429", counters["by_status"].get("429", 0))
    result.add("page requests / fewest possible", requests_ratio(contents, counters["by_endpoint"]))
    made = counters["by_endpoint"].get(busiest, 0)
    result.notes.append(
        f"the busiest endpoint is {busiest}: {contents.fewest_requests[busiest]:,} requests at least, {made:,} made"
    )
    if seen:
        begun = next((moment for moment, answered in seen if answered), seen[-1][0]) - seen[0][0]
        rest = seen[-1][0] - next(moment for moment, answered in seen if answered == seen[-1][1])
        result.notes.append(
            f"looked at four times a second, {busiest} answered first {begun:.1f} s after the sync's first request, "
            f"and last {rest:.1f} s before the process ended"
        )
    return result


def floor_seconds(contents: Contents) -> float:
    """The least time that Stripe's limits allow."""
    fewest = contents.fewest_requests
    return max(max(fewest.values()) / ENDPOINT_RATE, sum(fewest.values()) / ACCOUNT_RATE)
