"""How close to a provider's limits we come, in virtual time: seconds over the floor, and requests refused."""

from collections.abc import Callable

import pytest

from cyphera_pipelines.model.limits import RateLimits
from cyphera_pipelines.sandbox import SandboxOptions
from cyphera_pipelines.sync.limits.division import ROOM_FOR_WRITES
from cyphera_pipelines_tests.least_seconds import Change, least_seconds
from cyphera_pipelines_tests.sync.limits.simulation import (
    FIRST_LOAD,
    PUBLISHED,
    Board,
    Client,
    Outcome,
    Provider,
    Writer,
    load,
)

SEEDS = range(3)
WITHOUT_LIMITS = SandboxOptions(latency_ms=100)


def limited(**changed: object) -> SandboxOptions:
    """Stripe's live limits at 100 ms and 50 % jitter, applied when a request comes in."""
    usual = {"latency_ms": 100, "latency_jitter_ms": 50, "account_rate": 100, "endpoint_rate": 25}
    return SandboxOptions.model_validate({**usual, "limited_on_arrival": True, **changed})


def worst(
    options: SandboxOptions, changes: tuple[Change, ...] = (), arrives_within: float = 0.0
) -> tuple[float, float]:
    """The largest ratio of the time taken to the floor, and the largest share of requests refused, of several runs."""
    at_once = 24 if options.latency_ms > 300 else 16
    outcomes = [
        load(options, changes=changes, at_once=at_once, seed=seed, arrives_within=arrives_within) for seed in SEEDS
    ]
    least = least_seconds(FIRST_LOAD, options, changes)
    return max(outcome.seconds for outcome in outcomes) / least, max(outcome.share_refused for outcome in outcomes)


@pytest.mark.slow
@pytest.mark.parametrize("latency", [20, 100, 400])
@pytest.mark.parametrize("on_arrival", [True, False], ids=["before-jitter", "after-jitter"])
@pytest.mark.parametrize("burst", [5, 20, 100])
def test_bursts_and_jitter(burst: int, on_arrival: bool, latency: int) -> None:
    options = limited(
        endpoint_burst=burst, limited_on_arrival=on_arrival, latency_ms=latency, latency_jitter_ms=latency / 2
    )
    ratio, refused = worst(options)
    # 200 ms of jitter are as long as it takes five requests to come.
    assert ratio <= (1.10 if on_arrival or latency < 400 else 1.15)
    assert refused <= 0.005


@pytest.mark.parametrize("latency", [20, 100, 400])
@pytest.mark.parametrize("jitter", [0, 0.5])
def test_no_burst_at_endpoints(jitter: float, latency: int) -> None:
    ratio, refused = worst(limited(endpoint_burst=1, latency_ms=latency, latency_jitter_ms=latency * jitter))
    assert ratio <= 1.11
    assert refused <= (0.005 if latency < 400 else 0.008)


@pytest.mark.parametrize("burst", [5, 20, 100])
def test_a_burst_makes_up_for_an_uneven_way_to_the_provider(burst: int) -> None:
    ratio, refused = worst(limited(endpoint_burst=burst), arrives_within=0.03)
    assert ratio <= 1.10
    assert refused <= 0.005


@pytest.mark.parametrize("arrives_within", [0.01, 0.03])
def test_without_a_burst_an_uneven_way_costs_about_what_it_must(arrives_within: float) -> None:
    """Two requests that leave at a distance d arrive nearer than the limit's 1/rate with (1 - x)^2 / 2 of likelihood.

    Here x is (d - 1/rate) / `arrives_within`: fewer than 0.5 % are refused from x = 0.9 on, whatever is learned.
    """
    ratio, refused = worst(limited(endpoint_burst=1), arrives_within=arrives_within)
    assert ratio <= 1.2 * (1.0 + 0.9 * arrives_within * 25)
    assert refused <= 0.02


def test_no_burst_for_the_account_either() -> None:
    ratio, refused = worst(limited(burst=1))
    assert ratio <= 1.20
    assert refused <= 0.01


def test_jitter_before_a_limit_without_burst_costs_rate_rather_than_refusals() -> None:
    """No client could do both: of requests that arrive at random, every other one comes too early."""
    ratio, refused = worst(limited(endpoint_burst=1, limited_on_arrival=False))
    assert ratio <= 2.5
    assert refused <= 0.02


@pytest.mark.parametrize("latency", [20, 100, 400])
def test_a_window_of_a_second(latency: int) -> None:
    ratio, refused = worst(limited(limiter="window", latency_ms=latency))
    assert ratio <= 1.16
    assert refused <= 0.01


@pytest.mark.slow
@pytest.mark.parametrize("burst", [1, 5, 20, 100])
@pytest.mark.parametrize("rate", [20, 15, 12.5, 10])
def test_a_limit_that_falls(rate: float, burst: int) -> None:
    lower = limited(endpoint_burst=burst, endpoint_rate=rate)
    ratio, refused = worst(limited(endpoint_burst=burst), (Change(15, lower),))
    assert ratio <= (1.25 if burst == 1 else 1.10)
    assert refused <= 0.01


@pytest.mark.slow
@pytest.mark.parametrize("burst", [1, 5, 20, 100])
@pytest.mark.parametrize("rate", [15, 12.5])
def test_a_limit_that_falls_and_comes_back(rate: float, burst: int) -> None:
    """Whether a limit has come back shows only to who tries, and whoever tries in vain is refused."""
    lower, usual = limited(endpoint_burst=burst, endpoint_rate=rate), limited(endpoint_burst=burst)
    ratio, refused = worst(usual, (Change(10, lower), Change(25, usual)))
    assert ratio <= 1.32
    assert refused <= 0.009


@pytest.mark.parametrize("burst", [1, 5, 20, 100])
def test_a_limit_that_is_lower_from_the_start_and_rises(burst: int) -> None:
    ratio, refused = worst(
        limited(endpoint_burst=burst, endpoint_rate=15), (Change(15, limited(endpoint_burst=burst)),)
    )
    assert ratio <= 1.25
    # Seven endpoints each find out for themselves.
    assert refused <= 0.015


def test_without_refusals_it_is_no_slower_than_the_published_rate() -> None:
    published = max(FIRST_LOAD.values()) / 25
    for seed in SEEDS:
        outcome = load(WITHOUT_LIMITS, seed=seed)
        assert outcome.seconds <= published + 1.0
        assert outcome.refused.total() == 0


def test_one_slow_endpoint_does_not_slow_the_others() -> None:
    usual = load(limited(endpoint_burst=5))
    slow = load(limited(endpoint_burst=5, endpoint_rates={"lines": 10}))
    assert slow.ended["invoices"] <= 1.05 * usual.ended["invoices"]
    assert slow.ended["lines"] <= 1.10 * FIRST_LOAD["lines"] / 10
    assert slow.share_refused <= 0.0075


@pytest.mark.parametrize("retry_after", [None, 1])
def test_a_storm_slows_and_ends(retry_after: float | None) -> None:
    usual = limited(endpoint_burst=5)
    storm = limited(endpoint_burst=5, endpoint_rate=1e-6, retry_after=retry_after)
    began, ended = 10.0, 70.0
    for seed in SEEDS:
        outcome = load(usual, changes=(Change(began, storm), Change(ended, usual)), seed=seed)
        left = least_seconds(FIRST_LOAD, usual) - began
        assert outcome.seconds <= ended + left + 12.0
        last_half = [moment for moment in outcome.refused_at if began + 30.0 <= moment < ended]
        assert len(last_half) <= 4 * 30  # as many endpoints are busy, a request each second or two


def together(options: SandboxOptions, clients: int, seed: int) -> list[Outcome]:
    provider = Provider(options, seed=seed)
    running = [Client(provider, FIRST_LOAD) for _ in range(clients)]
    provider.run(lambda: all(client.is_done for client in running))
    return [client.outcome for client in running]


@pytest.mark.parametrize("clients", [2, 4])
def test_processes_that_do_not_know_of_each_other_settle(clients: int) -> None:
    options = limited(endpoint_burst=5)
    for seed in SEEDS:
        outcomes = together(options, clients, seed)
        least = max(FIRST_LOAD.values()) * clients / 25
        assert max(outcome.seconds for outcome in outcomes) <= 1.35 * least
        assert sum(outcome.refused.total() for outcome in outcomes) <= 0.03 * sum(o.requests for o in outcomes)
        # None of them starves.
        assert min(outcome.seconds for outcome in outcomes) >= 0.5 * max(outcome.seconds for outcome in outcomes)


@pytest.mark.parametrize("clients", [2, 4])
def test_processes_that_tell_each_other_share(clients: int) -> None:
    options = limited(endpoint_burst=5)
    for seed in SEEDS:
        provider = Provider(options, seed=seed)
        board = Board(provider)
        running = [Client(provider, FIRST_LOAD, board=board) for _ in range(clients)]
        provider.run(lambda running=running: all(client.is_done for client in running))  # type: ignore[misc]
        outcomes = [client.outcome for client in running]
        least = max(FIRST_LOAD.values()) * clients / 25
        assert max(outcome.seconds for outcome in outcomes) <= 1.12 * least
        assert min(outcome.seconds for outcome in outcomes) >= 0.95 * max(outcome.seconds for outcome in outcomes)
        assert sum(outcome.refused.total() for outcome in outcomes) <= 0.005 * sum(o.requests for o in outcomes)


TEST_MODE = RateLimits(account=25, endpoint=25)


@pytest.mark.parametrize("burst", [5, 25])
@pytest.mark.parametrize("rates", [(2.0,), (4.0, 4.0), (15.0,)], ids=str)
@pytest.mark.parametrize(
    ("account_rate", "published", "endpoint"),
    [(100, PUBLISHED, "lines"), (25, TEST_MODE, "one of customers")],
    ids=["at one endpoint", "at one account"],
)
def test_writes_of_other_processes_go_first(
    account_rate: float, published: RateLimits, endpoint: str, rates: tuple[float, ...], burst: int
) -> None:
    options = limited(account_rate=account_rate, burst=burst, endpoint_burst=burst)
    for seed in SEEDS[:2]:
        reader, writers = beside_writes(options, published, endpoint, rates, seed)
        waited = sorted(seconds for writer in writers for seconds in writer.waited)
        made = sum(writer.outcome.requests for writer in writers)
        refused = sum(writer.outcome.refused.total() for writer in writers)
        assert waited[int(len(waited) * 0.95)] <= 0.6
        assert waited[-1] <= 1.2
        # Those of the first second, before the reader has heard of them, and what comes unevenly.
        assert refused <= 4 + 0.03 * made
        assert reader.share_refused <= 0.005
        # What the writes leave is used, but for the room that is kept for more of them.
        rate = min(account_rate, 25) if endpoint == "lines" else account_rate
        wanted = FIRST_LOAD["lines"] if endpoint == "lines" else sum(FIRST_LOAD.values())
        kept = ROOM_FOR_WRITES * sum(rates) * min(WRITES_FOR, reader.seconds)
        assert reader.seconds <= 1.35 * (wanted + kept) / rate


WRITES_FOR = 60.0


def beside_writes(
    options: SandboxOptions,
    published: RateLimits,
    endpoint: str,
    rates: tuple[float, ...],
    seed: int,
    is_away: Callable[[float], bool] = lambda _now: False,
) -> tuple[Outcome, list[Writer]]:
    """A first load, and processes that write so many times per second at an endpoint, for a minute."""
    provider = Provider(options, seed=seed)
    board = Board(provider, is_away)
    reader = Client(provider, FIRST_LOAD, published=published, board=board)
    writers = [Writer(provider, endpoint, rate, WRITES_FOR, published=published, board=board) for rate in rates]
    provider.run(lambda: all(each.is_done for each in [reader, *writers]))
    return reader.outcome, writers


def test_where_nothing_is_heard_any_more_all_go_on_and_get_through() -> None:
    options = limited(account_rate=25, burst=25, endpoint_burst=25)
    for seed in SEEDS:
        reader, writers = beside_writes(
            options, TEST_MODE, "one of customers", (2.0,), seed, is_away=lambda now: 10.0 < now < 40.0
        )
        assert reader.seconds <= 1.25 * (sum(FIRST_LOAD.values()) + 2.0 * WRITES_FOR) / 25
        assert sum(writer.outcome.refused.total() for writer in writers) <= 0.1 * 2.0 * WRITES_FOR
        assert reader.share_refused <= 0.01


@pytest.mark.parametrize("options", [limited(endpoint_concurrency=4), limited(account_concurrency=8)])
def test_too_many_at_once_for_the_provider(options: SandboxOptions) -> None:
    options = options.model_copy(update={"latency_ms": 400})
    most = options.endpoint_concurrency or options.account_concurrency or 0
    wanted = max(FIRST_LOAD.values()) if options.endpoint_concurrency else sum(FIRST_LOAD.values())
    for seed in SEEDS:
        outcome = load(options, at_once=24, seed=seed)
        assert outcome.seconds <= 1.4 * wanted * 0.425 / most
        assert outcome.share_refused <= 0.03  # most of them at first, when nothing is known
