"""A provider with the sandbox's limits, and clients that keep to them as we do, in virtual time."""

import heapq
import itertools
import random
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from cyphera_pipelines.model.limits import RateLimits
from cyphera_pipelines.providers.base import LimitMet, LimitScope
from cyphera_pipelines.sandbox import SandboxOptions
from cyphera_pipelines.sandbox import limits as sandbox_limits
from cyphera_pipelines.sync.limits.account import OTHERS_ARE_KNOWN_FOR, AccountLimits, AccountTurn
from cyphera_pipelines.sync.limits.demand import Wanted
from cyphera_pipelines.sync.limits.sharing import FIRST_LOOK_AFTER, LOOK_EVERY
from cyphera_pipelines_tests.least_seconds import Change

PUBLISHED = RateLimits(account=100, endpoint=25)
FIRST_LOAD = {
    "customers": 200, "products": 2, "prices": 6, "subscriptions": 200, "invoices": 600, "lines": 965, "items": 222
}  # fmt: skip
"""Requests by endpoint, as a first load of the benchmark's account makes them."""
WAKES_WITHIN = 0.004
"""Seconds by which a thread wakes up too late at most: others hold the interpreter's lock."""
LONGEST = 10_000.0


@dataclass
class Outcome:
    """How it went: seconds until the last request got through, and the requests made and refused."""

    seconds: float = 0.0
    requests: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    refused_at: list[float] = field(default_factory=list)
    ended: dict[str, float] = field(default_factory=dict)
    most_on_their_way: Counter[str] = field(default_factory=Counter)

    @property
    def share_refused(self) -> float:
        """Of all requests that were made."""
        return sum(self.refused.values()) / self.requests


class Provider:
    """The limits of one account, and what happens when: everybody's clock is `now`.

    A request reaches the limits at some moment within `arrives_within` seconds after it left.
    """

    def __init__(
        self, options: SandboxOptions, changes: Sequence[Change] = (), seed: int = 0, arrives_within: float = 0.0
    ) -> None:
        self.now = 0.0
        self.arrives_within = arrives_within
        self.options = options
        self.random = random.Random(seed)
        self.limits = sandbox_limits.RateLimits(options, lambda: self.now)
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        for change in changes:
            self.after(change.at, lambda options=change.options: self._change(options))  # type: ignore[misc]

    def after(self, seconds: float, what: Callable[[], None]) -> None:
        """Let something happen later."""
        heapq.heappush(self._events, (self.now + seconds, next(self._numbers), what))

    def run(self, is_over: Callable[[], bool]) -> None:
        """Let everything happen in its order until it is over."""
        while not is_over():
            self.now, _, happen = heapq.heappop(self._events)
            assert self.now < LONGEST, "it does not come to an end"
            happen()

    def latency(self) -> float:
        """Seconds that one answer takes."""
        jitter = self.random.random() * self.options.latency_jitter_ms
        return (self.options.latency_ms + jitter) / 1_000

    def _change(self, options: SandboxOptions) -> None:
        self.options = options
        self.limits.change(options)


class Board:
    """Where processes tell each other what they want, as through Postgres; nobody hears anything while it `is_away`."""

    def __init__(self, provider: Provider, is_away: Callable[[float], bool] = lambda _now: False) -> None:
        self._is_away = is_away
        self._provider = provider
        self._told: dict[AccountLimits, tuple[float, dict[str, Wanted]]] = {}

    def join(self, limits: AccountLimits) -> None:
        """Look when it first asks, at once if that is to write, and every `LOOK_EVERY` from then on."""

        def begin(is_write: bool) -> None:
            limits.tell_of_asking(lambda _is_write: None)
            self._provider.after(0.01 if is_write else FIRST_LOOK_AFTER, lambda: self._look(limits))

        limits.tell_of_asking(begin)

    def _look(self, limits: AccountLimits) -> None:
        now = self._provider.now
        if not self._is_away(now):
            self._told[limits] = (now, limits.wanted())
            fresh = [(whose, told) for whose, (at, told) in self._told.items() if at > now - OTHERS_ARE_KNOWN_FOR]
            limits.divide([told for whose, told in fresh if whose is not limits])
        self._provider.after(LOOK_EVERY * (1 + 0.2 * self._provider.random.random()), lambda: self._look(limits))


class Client:
    """A process that has so many requests to make at each endpoint, some at once."""

    def __init__(
        self,
        provider: Provider,
        requests: dict[str, int],
        at_once: int = 16,
        *,
        published: RateLimits = PUBLISHED,
        board: Board | None = None,
    ) -> None:
        self.outcome = Outcome()
        self.limits = AccountLimits(published, lambda: provider.now)
        if board is not None:
            board.join(self.limits)
        self._provider = provider
        self._to_begin, self._to_end = dict(requests), dict(requests)
        self._on_their_way: Counter[str] = Counter()
        for endpoint in requests:
            for _worker in range(at_once):
                provider.after(provider.random.random() * 0.01, lambda endpoint=endpoint: self._begin(endpoint))  # type: ignore[misc]

    @property
    def is_done(self) -> bool:
        """Whether every request got through."""
        return not any(self._to_end.values())

    def _begin(self, endpoint: str) -> None:
        if self._to_begin.get(endpoint):
            self._to_begin[endpoint] -= 1
            self._attempt(endpoint)

    def _attempt(self, endpoint: str) -> None:
        turn = self._turn(endpoint)
        turn.__enter__()
        self._wait(turn)

    def _turn(self, endpoint: str) -> AccountTurn:
        return self.limits.turn(endpoint)

    def _wait(self, turn: AccountTurn) -> None:
        left = turn.seconds_left()
        if left > 0:
            late = self._provider.random.random() * WAKES_WITHIN
            self._provider.after(left + late, lambda: self._wait(turn))
            return
        provider, outcome, endpoint = self._provider, self.outcome, turn.endpoint
        outcome.requests += 1
        self._on_their_way[endpoint] += 1
        outcome.most_on_their_way |= self._on_their_way
        on_its_way = provider.limits.on_its_way("account", endpoint)
        on_its_way.__enter__()
        reason: str | None = None

        def count() -> None:
            nonlocal reason
            reason = provider.limits.exceeded("account", endpoint)

        def answer() -> None:
            if not provider.options.limited_on_arrival:
                count()
            on_its_way.__exit__(None, None, None)
            self._answered(turn, reason)

        latency = provider.latency()
        if provider.options.limited_on_arrival:
            provider.after(min(latency, provider.random.random() * provider.arrives_within), count)
        provider.after(latency, answer)

    def _answered(self, turn: AccountTurn, reason: str | None) -> None:
        provider, outcome, endpoint = self._provider, self.outcome, turn.endpoint
        self._on_their_way[endpoint] -= 1
        if reason is not None:
            scope = LimitScope.ACCOUNT if reason.startswith("global") else LimitScope.ENDPOINT
            pause = provider.options.retry_after or 0.0
            turn.refused(LimitMet(scope, pause, of_concurrency=reason.endswith("concurrency")))
            outcome.refused[reason] += 1
            outcome.refused_at.append(provider.now)
            provider.after(max(pause, 0.25 * (1 + provider.random.random())), lambda: self._attempt(endpoint))
        else:
            self._to_end[endpoint] -= 1
            outcome.seconds = outcome.ended[endpoint] = provider.now
            provider.after(0.0, lambda: self._begin(endpoint))
        turn.__exit__(None, None, None)


class Writer(Client):
    """A process that writes now and then: each write comes by itself, and somebody waits for it.

    `waited` is how long each took from when it was asked for, in seconds, without the way to the provider and back.
    """

    def __init__(
        self,
        provider: Provider,
        endpoint: str,
        per_second: float,
        seconds: float,
        *,
        published: RateLimits = PUBLISHED,
        board: Board | None = None,
    ) -> None:
        super().__init__(provider, {}, published=published, board=board)
        self.waited: list[float] = []
        moment, self._asked_at = 0.0, deque[float]()
        self._to_come = 0
        while (moment := moment + provider.random.expovariate(per_second)) < seconds:
            self._to_come += 1
            provider.after(moment, lambda: self._ask(endpoint))

    @property
    def is_done(self) -> bool:
        """See `Client`."""
        return not self._to_come and super().is_done

    def _ask(self, endpoint: str) -> None:
        self._to_come -= 1
        self._to_end[endpoint] = self._to_end.get(endpoint, 0) + 1
        self._asked_at.append(self._provider.now)
        self._attempt(endpoint)

    def _turn(self, endpoint: str) -> AccountTurn:
        return self.limits.turn(endpoint, is_write=True)

    def _answered(self, turn: AccountTurn, reason: str | None) -> None:
        if reason is None:
            options = self._provider.options
            on_the_way = (options.latency_ms + options.latency_jitter_ms / 2) / 1_000
            self.waited.append(max(0.0, self._provider.now - self._asked_at.popleft() - on_the_way))
        super()._answered(turn, reason)


def load(
    options: SandboxOptions,
    *,
    requests: dict[str, int] | None = None,
    changes: Sequence[Change] = (),
    at_once: int = 16,
    seed: int = 0,
    arrives_within: float = 0.0,
) -> Outcome:
    """Let one client make all its requests."""
    provider = Provider(options, changes, seed, arrives_within)
    client = Client(provider, requests or FIRST_LOAD, at_once)
    provider.run(lambda: client.is_done)
    return client.outcome
