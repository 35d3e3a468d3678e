"""A provider that counts by the minute, in virtual time: what reaches it when, and how long everything takes."""

import heapq
import itertools
import math
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cyphera_pipelines.model.limits import RateLimits
from cyphera_pipelines.providers.base import LimitMet, LimitScope
from cyphera_pipelines.sync.limits.account import AccountLimits, AccountTurn

MINUTE = 60.0
PUBLISHED = RateLimits(account=150, endpoint=150, per_seconds=MINUTE, at_once=10)
WAKES_WITHIN = 0.004
WAITS_LONGEST_ON_THE_WAY = 0.9
SEEDS = range(3)


@dataclass
class Provider:
    """Counts what arrives in the last minute, or in each minute of its clock. Refusals count too."""

    allows: float = 150.0
    is_sliding: bool = True
    tells_pause: bool = False
    now: float = 0.0
    arrived: deque[float] = field(default_factory=deque)
    most_in_a_minute: int = 0
    on_their_way: int = 0
    most_on_their_way: int = 0
    refused: int = 0

    def refuses(self) -> LimitMet | None:
        self.arrived.append(self.now)
        began = self.now - MINUTE if self.is_sliding else MINUTE * math.floor(self.now / MINUTE)
        while self.arrived[0] < began or (self.is_sliding and self.arrived[0] == began):
            self.arrived.popleft()
        self.most_in_a_minute = max(self.most_in_a_minute, len(self.arrived))
        if len(self.arrived) <= self.allows:
            return None
        self.refused += 1
        pause = MINUTE - self.now % MINUTE if self.tells_pause else 0.0
        return LimitMet(LimitScope.ACCOUNT, pause)


class Run:
    """Clients' workers with so many requests at each endpoint, each on the way for some part of its latency."""

    def __init__(
        self, provider: Provider, requests: dict[str, int], *, clients: int = 1, latency: float = 0.2, seed: int = 0
    ) -> None:
        self.provider, self.random, self.latency = provider, random.Random(seed), latency
        self.requests, self.through, self.left = 0, 0, requests.copy()
        self.wanted = sum(requests.values())
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self.clients = [AccountLimits(PUBLISHED, lambda: provider.now) for _client in range(clients)]
        self.writes_waited = list[float]()
        for limits in self.clients:
            for endpoint in requests:
                for _worker in range(4):
                    self._after(self.random.random() * 0.01, lambda limits=limits, at=endpoint: self._begin(limits, at))  # type: ignore[misc]

    def seconds(self) -> float:
        """Let everything happen; how long it took."""
        while self.through < self.wanted:
            self.provider.now, _, happen = heapq.heappop(self._events)
            assert self.provider.now < 100_000, "it does not come to an end"
            happen()
        return self.provider.now

    def write_after(self, seconds: float, limits: AccountLimits) -> None:
        """Let somebody want to write then. `writes_waited` is how many seconds each waited until it could leave."""

        def ask() -> None:
            self.left["writes"] = self.left.get("writes", 0)
            self.wanted += 1
            self._wait(limits, limits.turn("writes", is_write=True), since=self.provider.now)

        self._after(seconds, ask)

    def _after(self, seconds: float, what: Callable[[], None]) -> None:
        heapq.heappush(self._events, (self.provider.now + seconds, next(self._numbers), what))

    def _begin(self, limits: AccountLimits, endpoint: str) -> None:
        if self.left[endpoint]:
            self.left[endpoint] -= 1
            self._wait(limits, limits.turn(endpoint))

    def _wait(self, limits: AccountLimits, turn: AccountTurn, since: float = 0.0) -> None:
        left = turn.seconds_left()
        if left > 0:
            self._after(left + self.random.random() * WAKES_WITHIN, lambda: self._wait(limits, turn, since))
            return
        if turn.is_write:
            self.writes_waited.append(self.provider.now - since)
        self.requests += 1
        self.provider.on_their_way += 1
        self.provider.most_on_their_way = max(self.provider.most_on_their_way, self.provider.on_their_way)
        there = self.random.random() * self.latency * WAITS_LONGEST_ON_THE_WAY

        def arrive() -> None:
            met = self.provider.refuses()
            self._after(self.latency - there, lambda: self._answer(limits, turn, met))

        self._after(there, arrive)

    def _answer(self, limits: AccountLimits, turn: AccountTurn, met: LimitMet | None) -> None:
        self.provider.on_their_way -= 1
        if met is None:
            self.through += 1
            self._after(0.0, lambda: self._begin(limits, turn.endpoint))
        else:
            turn.refused(met)
            self._after(0.5 * (1 + self.random.random()), lambda: self._wait(limits, limits.turn(turn.endpoint)))
        turn.__exit__(None, None, None)


FIRST_LOAD = {"customers": 400, "subscriptions": 300, "invoices": 900, "items": 3, "item_prices": 5}


@pytest.mark.parametrize("latency", [0.02, 0.2, 1.0])
@pytest.mark.parametrize("is_sliding", [True, False], ids=["last-minute", "clock-minute"])
def test_a_whole_minutes_worth_goes_at_once_and_never_more(latency: float, is_sliding: bool) -> None:
    for seed in SEEDS:
        provider = Provider(is_sliding=is_sliding)
        run = Run(provider, FIRST_LOAD, latency=latency, seed=seed)
        seconds = run.seconds()
        # What is left over from whole minutes' worths goes at once.
        least = MINUTE * ((run.wanted - 1) // 150)
        assert provider.refused == 0
        assert provider.most_in_a_minute <= 150
        assert provider.most_on_their_way <= 10
        assert run.requests == run.wanted
        assert seconds <= 1.1 * least


@settings(max_examples=40)
@given(
    requests=st.dictionaries(st.sampled_from("abcde"), st.integers(1, 250), min_size=1),
    latency=st.floats(0.001, 3.0),
    seed=st.integers(0, 10_000),
)
def test_no_minute_ever_holds_more(requests: dict[str, int], latency: float, seed: int) -> None:
    provider = Provider()
    run = Run(provider, requests, latency=latency, seed=seed)
    run.seconds()
    assert provider.most_in_a_minute <= 150
    assert provider.refused == 0


@pytest.mark.parametrize("tells_pause", [True, False], ids=["with-retry-after", "without"])
def test_a_lower_limit_than_the_published_one_is_learned(tells_pause: bool) -> None:
    """Somebody else uses up a third of it."""
    for seed in SEEDS:
        provider = Provider(allows=100.0, tells_pause=tells_pause)
        run = Run(provider, FIRST_LOAD, seed=seed)
        seconds = run.seconds()
        assert run.requests <= 1.05 * run.wanted + 10
        assert seconds <= 1.6 * MINUTE * (run.wanted / 100)


def test_processes_that_do_not_know_of_each_other_come_to_an_end() -> None:
    provider = Provider()
    run = Run(provider, FIRST_LOAD, clients=2)
    seconds = run.seconds()
    assert run.requests <= 1.15 * run.wanted
    assert seconds <= 2.0 * MINUTE * (run.wanted / 150)


@pytest.mark.parametrize("is_sliding", [True, False], ids=["last-minute", "clock-minute"])
@pytest.mark.parametrize("writer", [0, 1], ids=["of the same process", "of a process that nobody has heard of"])
def test_the_first_write_in_minutes_finds_room_in_a_window_that_a_sync_uses_up(writer: int, is_sliding: bool) -> None:
    for seed in SEEDS:
        provider = Provider(is_sliding=is_sliding)
        run = Run(provider, FIRST_LOAD, seed=seed)
        clients = [*run.clients, AccountLimits(PUBLISHED, lambda: provider.now)]  # noqa: B023
        # Long after the window's worth went at once, and long before it is allowed again.
        for moment in (30.0, 150.0, 275.0, 400.0):
            run.write_after(moment, clients[writer])
        run.seconds()
        assert len(run.writes_waited) == 4
        assert max(run.writes_waited) <= WAKES_WITHIN + 0.02
        assert provider.refused == 0
        assert provider.most_in_a_minute <= 150


def test_a_limit_of_less_than_one_a_window_is_one_in_a_longer_one() -> None:
    now = 0.0
    limits = AccountLimits(RateLimits(account=0.5, endpoint=0.5, per_seconds=MINUTE), lambda: now)
    with limits.turn("invoices") as turn:
        assert turn.seconds_left() == 0
    now = 119.0
    with limits.turn("invoices") as turn:
        assert turn.seconds_left() > 0
        now = 120.0
        assert turn.seconds_left() == 0
