"""A million invoices: memory must be bounded by configuration and not by the account's size.

It takes a quarter of an hour. The sandbox generates what it is asked for and forgets it; its own memory is shown too.
"""

from typing import Any

import psutil

from cyphera_pipelines.sandbox import SandboxAccount
from cyphera_pipelines_tests.benchmarks.dataset import benchmark_account
from cyphera_pipelines_tests.benchmarks.figures import Result
from cyphera_pipelines_tests.benchmarks.scenarios.first_load import MEGABYTE
from cyphera_pipelines_tests.benchmarks.workbench import NO_LIMITS, Workbench

INVOICES = 1_000_000
TENTHS = 10
_SANDBOX_CACHE_MEGABYTES = 32


def run(bench: Workbench) -> Result:
    """Load the account without keeping its objects in the sandbox."""
    result, account = Result("million_invoices"), _account(bench.scale)
    bench.sandbox.put_account(account)
    with bench.console.status("Counting what is in the account"):
        contents = bench.contents(account)
    source = bench.new_source(account.api_key, rate_limits=NO_LIMITS)
    bench.behave()
    memory: list[tuple[int, int]] = []
    sandbox_memory = [0]

    def look(process_id: int, counters: dict[str, Any]) -> None:
        memory.append((counters["total"], psutil.Process(process_id).memory_info().rss))
        sandbox_memory.append(psutil.Process(bench.sandbox.pid).memory_info().rss)

    fewest = contents.all_requests
    measures = bench.sync(source, title=f"Loading {account.invoices:,} invoices", requests=fewest, on_look=look)
    rows = bench.expect_rows(source, contents.rows)
    result.add("rows", rows)
    result.add("wall", measures.consumption.wall, "s")
    result.add("peak memory", measures.consumption.peak_memory / MEGABYTE, "MB", target=250)
    for tenth in range(1, TENTHS + 1):
        seen = [resident for requests, resident in memory if requests <= fewest * tenth / TENTHS]
        if seen:
            result.add(f"memory at {tenth * 100 // TENTHS} % of the requests", seen[-1] / MEGABYTE, "MB")
    result.add("sandbox's most memory", max(sandbox_memory) / MEGABYTE, "MB")
    return result


def _account(scale: float) -> SandboxAccount:
    account = benchmark_account("million", scale, cache_megabytes=_SANDBOX_CACHE_MEGABYTES)
    return account.model_copy(update={"invoices": max(1, round(INVOICES * scale))})
