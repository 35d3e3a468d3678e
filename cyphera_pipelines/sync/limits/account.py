"""All limits of an account: one for the account and one for each endpoint, shared by everything that calls it.

What a provider publishes is a rate; how much may come at once, and whether somebody else uses the same limits, shows in
what it refuses. `Allowance`, `Window` and `LearnedRate` learn from that, in this process.
"""

import hashlib
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from cyphera_pipelines.model.limits import RateLimits
from cyphera_pipelines.providers.base import LimitMet, LimitScope
from cyphera_pipelines.sync.limits.allowance import Allowance, Burst, Taken
from cyphera_pipelines.sync.limits.places import Places
from cyphera_pipelines.sync.limits.window import Window

LOOK_AGAIN = 1.0
"""Seconds after which a request that waits asks how long still: the rate may have recovered."""
LOOK_FOR_PLACE = 0.02
MOST_ACCOUNTS = 1_024
"""Accounts that are remembered; of the others it has to be learned anew what they allow."""


@dataclass
class _Limit:
    """A limit of the provider's, and who waits for a turn at it."""

    allowance: Allowance | Window
    places: Places = field(default_factory=Places)
    waiting: deque["AccountTurn"] = field(default_factory=deque)

    def seconds_left(self, now: float) -> float:
        return self.allowance.seconds_left(now) or (0.0 if self.places.is_one_free else LOOK_FOR_PLACE)


@dataclass(frozen=True)
class _Place:
    """What a request holds of one limit while it is on its way."""

    limit: _Limit
    taken: Taken
    number: int


class AccountLimits:
    """All limits of one account. Safe to use from several threads."""

    def __init__(self, published: RateLimits, clock: Callable[[], float] = time.monotonic) -> None:
        self._published = published
        self._clock = clock
        self._lock = threading.Lock()
        self._account = _Limit(self._allowance(published.account, Burst()), Places(published.at_once))
        self._burst_of_endpoints = Burst()
        self._endpoints: dict[str, _Limit] = {}
        self._waiting_writes = deque[AccountTurn]()

    def turn(self, endpoint: str, /, *, is_write: bool = False) -> "AccountTurn":
        """A turn at the endpoint, to wait for. Writes go first: somebody waits for them."""
        return AccountTurn(self, endpoint, is_write=is_write)

    def _allowance(self, requests: float, burst: Burst) -> Allowance | Window:
        """A provider that counts by the second is asked evenly, any other as soon as it allows it."""
        while_ = self._published.per_seconds
        return Allowance(requests, burst) if while_ <= 1.0 else Window(requests, while_)

    def rate_of(self, endpoint: str) -> float:
        """The endpoint's present rate, in requests per second."""
        with self._lock:
            now = self._clock()
            return min(limit.allowance.rate_at(now) for limit in self._limits_of(endpoint))

    def _limits_of(self, endpoint: str) -> tuple[_Limit, _Limit]:
        if endpoint not in self._endpoints:
            self._endpoints[endpoint] = _Limit(self._allowance(self._published.endpoint, self._burst_of_endpoints))
        return self._endpoints[endpoint], self._account

    def _seconds_left(self, turn: "AccountTurn") -> float:
        """Turns at one endpoint are given in order, writes first; a queue there does not hold back those at others.

        A write that waits for nothing but the account holds back everybody's reads.
        """
        with self._lock:
            now = self._clock()
            limits = self._limits_of(turn.endpoint)
            at_endpoint = limits[0]
            if not turn.is_waiting:
                self._join_queue(turn, at_endpoint.waiting)
            ahead = at_endpoint.waiting.index(turn)
            left = max(limit.seconds_left(now) for limit in limits)
            if ahead:
                left += ahead * at_endpoint.allowance.gap(now)
            if not turn.is_write and self._is_write_next(now):
                left = max(left, LOOK_FOR_PLACE)
            if left > 0:
                return min(left, LOOK_AGAIN)
            self._leave_queue(turn)
            turn.places = tuple(_Place(limit, limit.allowance.take(now), limit.places.take()) for limit in limits)
            return 0.0

    def _refused(self, turn: "AccountTurn", met: LimitMet) -> None:
        with self._lock:
            now = self._clock()
            turn.is_refused = True
            at_endpoint, at_account = turn.places
            place = at_account if met.scope is LimitScope.ACCOUNT else at_endpoint
            if met.scope is LimitScope.OBJECT:
                return
            place.limit.allowance.pause_until(now + met.pause)
            if met.of_concurrency:
                place.limit.places.refused(place.number)
            else:
                place.limit.allowance.refused(place.taken, now)

    def _end(self, turn: "AccountTurn") -> None:
        with self._lock:
            now = self._clock()
            self._leave_queue(turn)
            for place in turn.places:
                place.limit.places.give_back()
                place.limit.allowance.ended(place.taken, now)
                if not turn.is_refused:
                    place.limit.places.accepted()
                    place.limit.allowance.accepted(place.taken, now)

    def _join_queue(self, turn: "AccountTurn", waiting: deque["AccountTurn"]) -> None:
        turn.is_waiting = True
        if turn.is_write:
            waiting.insert(sum(each.is_write for each in waiting), turn)
            self._waiting_writes.append(turn)
        else:
            waiting.append(turn)

    def _leave_queue(self, turn: "AccountTurn") -> None:
        if turn.is_waiting:
            self._endpoints[turn.endpoint].waiting.remove(turn)
            if turn.is_write:
                self._waiting_writes.remove(turn)
            turn.is_waiting = False

    def _is_write_next(self, now: float) -> bool:
        return any(self._endpoints[each.endpoint].seconds_left(now) == 0 for each in self._waiting_writes)


class AccountTurn:
    """See `Turn`."""

    def __init__(self, limits: AccountLimits, endpoint: str, *, is_write: bool = False) -> None:
        self.endpoint = endpoint
        self.is_write = is_write
        self.is_waiting = False
        self.is_refused = False
        self.places: tuple[_Place, ...] = ()
        self._limits = limits

    def seconds_left(self) -> float:
        """See `Turn`."""
        return self._limits._seconds_left(self)

    def refused(self, met: LimitMet, /) -> None:
        """See `Turn`."""
        self._limits._refused(self, met)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None:
        self._limits._end(self)


@dataclass(frozen=True)
class _AccountKey:
    address: str
    key_digest: bytes
    published: RateLimits


_accounts: OrderedDict[_AccountKey, AccountLimits] = OrderedDict()
_accounts_lock = threading.Lock()


def account_limits(opens: str, address: str, published: RateLimits) -> AccountLimits:
    """The process's one set of limits for the account at the address that `opens`, a key and all, leads to."""
    place = _AccountKey(address, hashlib.sha256(opens.encode()).digest(), published)
    with _accounts_lock:
        if place not in _accounts:
            _accounts[place] = AccountLimits(published)
        _accounts.move_to_end(place)
        while len(_accounts) > MOST_ACCOUNTS:
            _accounts.popitem(last=False)
        return _accounts[place]
