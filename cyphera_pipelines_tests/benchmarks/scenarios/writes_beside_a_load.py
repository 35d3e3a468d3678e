"""A first load in one process and writes from another, of one account whose limits are those of Stripe's test mode.

First the load alone, then with the writes: what both take, how long the writes wait, and how many requests are refused.
"""

import random
import time
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event

from cyphera_pipelines.model.source import Source
from cyphera_pipelines.model.writes import WriteState
from cyphera_pipelines.operations.asked import Asked
from cyphera_pipelines.operations.carrying_out import carry_out
from cyphera_pipelines.providers.base import CustomerRequest, ObjectKind, Operation
from cyphera_pipelines.sandbox import SandboxOptions
from cyphera_pipelines_tests.benchmarks.figures import Result
from cyphera_pipelines_tests.benchmarks.scenarios.live_limits import LATENCY_MS
from cyphera_pipelines_tests.benchmarks.workbench import BenchmarkError, Workbench

RATE = 25
WRITES_PER_SECOND = 4.0
WRITERS = 16
LARGEST_SCALE = 0.1
"""Two loads at 25 requests per second: a tenth of the account takes some ten seconds each."""


def run(bench: Workbench) -> Result:
    """Load an account of its own twice, each time into a workspace of its own."""
    account = bench.open_account("written", min(LARGEST_SCALE, bench.scale))
    contents, result = bench.contents(account), Result("writes_beside_a_load")
    limits = SandboxOptions(latency_ms=LATENCY_MS, account_rate=RATE, endpoint_rate=RATE)
    rates = {"account": float(RATE), "endpoint": float(RATE)}

    alone = bench.new_source(account.api_key, rate_limits=rates)
    bench.behave(limits)
    measures = bench.sync(alone, title="Loading alone", requests=contents.all_requests)
    counters = bench.sandbox.counters()
    result.add("load alone / floor", measures.consumption.wall / (counters["total"] / RATE))
    result.add("load alone: refused with 429", counters["by_status"].get("429", 0))

    written = bench.new_source(account.api_key, rate_limits=rates)
    bench.behave(limits)
    is_over, waited = Event(), list[float]()
    with ThreadPoolExecutor(1) as beside:
        writing = beside.submit(_write, bench, written, is_over, waited)
        try:
            measures = bench.sync(written, title="Loading beside writes", requests=contents.all_requests)
        finally:
            is_over.set()
        writing.result()
    counters = bench.sandbox.counters()
    waited.sort()
    result.add("load beside writes / floor of both", measures.consumption.wall / (counters["total"] / RATE))
    result.add("writes", len(waited))
    result.add("a write takes, median", waited[len(waited) // 2], "s")
    result.add("a write takes, 95 %", waited[int(len(waited) * 0.95)], "s")
    result.add("a write takes, at most", waited[-1], "s")
    result.add("refused with 429", counters["by_status"].get("429", 0))
    result.notes.append(f"{counters['total']:,} requests at {RATE}/s, each answered after {LATENCY_MS} ms")
    return result


def _write(bench: Workbench, source: Source, is_over: Event, waited: list[float]) -> None:
    """Make customers at random moments until it is over, and note how many seconds each took."""
    dice = random.Random(1)

    def make(number: int) -> float:
        began = time.monotonic()
        asked = Asked(ObjectKind.CUSTOMERS, Operation.CREATE, None, CustomerRequest(name=f"Customer {number}"))
        write = carry_out(bench.database, bench.keyring, source, asked, f"beside {number}").write
        if write.state is not WriteState.DONE:
            raise BenchmarkError(f"Write {number} is {write.state}: {write.problem}")
        return time.monotonic() - began

    with ThreadPoolExecutor(WRITERS) as writers:
        asked_for = list[Future[float]]()
        while not is_over.wait(dice.expovariate(WRITES_PER_SECOND)):
            asked_for.append(writers.submit(make, len(asked_for)))
        waited.extend(each.result() for each in asked_for)
