"""First loads at limits of which only the rates are published: bursts, jitter, other ways of counting, and changes.

Each is shown beside the least time that its limits allow, bursts included, for the fewest possible requests; and before
them what the same load takes at the same latency with no limit, since no limiter can be faster than the machine.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cyphera_pipelines.sandbox import SandboxOptions
from cyphera_pipelines_tests.benchmarks.figures import Result
from cyphera_pipelines_tests.benchmarks.scenarios.live_limits import ACCOUNT_RATE, ENDPOINT_RATE, LATENCY_MS
from cyphera_pipelines_tests.benchmarks.workbench import NO_LIMITS, Watcher, Workbench
from cyphera_pipelines_tests.least_seconds import Change, least_seconds

PERCENT = 100.0


def limited(**changed: object) -> SandboxOptions:
    """Stripe's live limits, applied when a request comes in; answers then take 100 ms and up to half as much again."""
    usual = {"latency_ms": LATENCY_MS, "account_rate": ACCOUNT_RATE, "endpoint_rate": ENDPOINT_RATE}
    latency = {"latency_jitter_ms": LATENCY_MS / 2, "limited_on_arrival": True}
    return SandboxOptions.model_validate({**usual, **latency, **changed})


@dataclass(frozen=True)
class Case:
    """Limits, and what becomes of them so many seconds after the first request."""

    name: str
    options: SandboxOptions
    changes: Sequence[Change] = ()


BURST_5 = limited(endpoint_burst=5)
CASES = (
    *(Case(f"burst {burst}", limited(endpoint_burst=burst)) for burst in (1, 5, 20, 100)),
    Case("burst 5, requests bunched by jitter", limited(endpoint_burst=5, limited_on_arrival=False)),
    Case("burst 5 at 20 ms", limited(endpoint_burst=5, latency_ms=20, latency_jitter_ms=10)),
    Case("burst 5 at 400 ms", limited(endpoint_burst=5, latency_ms=400, latency_jitter_ms=200)),
    Case("windows of a second", limited(limiter="window")),
    Case("limit falls to 15", BURST_5, (Change(15, limited(endpoint_burst=5, endpoint_rate=15)),)),
    Case(
        "limit falls to 15 and comes back",
        BURST_5,
        (Change(10, limited(endpoint_burst=5, endpoint_rate=15)), Change(25, BURST_5)),
    ),
)


def run(bench: Workbench) -> Result:
    """Load the account once for each case, always into a workspace of its own."""
    result = Result("unknown_limits")
    contents = bench.contents(bench.account)
    unlimited = _seconds_without_limits(bench)
    result.add("without any limit: wall", unlimited, "s")
    for case in CASES:
        # A key of its own would not help: what was learned is known to a process only, and each sync has its own.
        source = bench.new_source(bench.account.api_key)
        bench.behave(case.options)
        title = f"Loading at unknown limits: {case.name}"
        measures = bench.sync(source, title=title, requests=contents.all_requests, on_look=_changing(bench, case))
        bench.expect_rows(source, contents.rows)
        counters = bench.sandbox.counters()
        wall, floor = measures.consumption.wall, least_seconds(contents.fewest_requests, case.options, case.changes)
        cpu = measures.consumption.client_cpu + measures.consumption.server_cpu
        refused = counters["by_status"].get("429", 0)
        if floor:  # a small account fits into a burst
            result.add(f"{case.name}: wall / floor", wall / floor, target=1.10)
        result.add(f"{case.name}: refused", PERCENT * refused / counters["total"], "%", target=0.5)
        result.notes.append(
            f"{case.name}: {wall:.1f} s, floor {floor:.1f} s, without any limit {unlimited:.1f} s, "
            f"{cpu:.1f} s of CPU, {refused} of {counters['total']:,} requests refused"
        )
    return result


def _seconds_without_limits(bench: Workbench) -> float:
    """What the machine takes for the load by itself: neither the provider nor we hold it back."""
    source = bench.new_source(bench.account.api_key, rate_limits=NO_LIMITS)
    bench.behave(SandboxOptions(latency_ms=LATENCY_MS, latency_jitter_ms=LATENCY_MS / 2))
    requests = bench.contents(bench.account).all_requests
    return bench.sync(source, title="Loading without any limit", requests=requests).consumption.wall


def _changing(bench: Workbench, case: Case) -> Watcher:
    """Whoever looks four times a second at what was asked for also sees to the changes."""
    changes = list(case.changes)
    began: list[float] = []

    def look(_process_id: int, counters: dict[str, Any]) -> None:
        if counters["total"] and not began:
            began.append(time.monotonic())
        while began and changes and time.monotonic() - began[0] >= changes[0].at:
            bench.sandbox.change_options(**changes.pop(0).options.model_dump(mode="json"))

    return look
