"""All limits of an account: one for the account and one for each endpoint, shared by everything that calls it.

What a provider publishes is a rate; how much may come at once, and whether somebody else uses the same limits, shows in
what it refuses. `Allowance`, `Window` and `LearnedRate` learn from that, in this process. Of other processes of ours
`sharing` tells, and `division` says which part of each limit is this process's own.
"""

import hashlib
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from cyphera_pipelines.model.limits import RateLimits
from cyphera_pipelines.providers.base import LimitMet, LimitScope
from cyphera_pipelines.sync.limits.allowance import Allowance, Burst, Taken
from cyphera_pipelines.sync.limits.demand import Demand, Wanted
from cyphera_pipelines.sync.limits.division import requests_of_all, share_of, total
from cyphera_pipelines.sync.limits.places import Places
from cyphera_pipelines.sync.limits.window import Window

LOOK_AGAIN = 1.0
"""Seconds after which a request that waits asks how long still: the rate may have recovered."""
LOOK_FOR_PLACE = 0.02
OTHERS_ARE_KNOWN_FOR = 5.0
"""Seconds after which nobody is believed any more to want what he was last heard to want."""
LEAST_WANTED = 0.005
"""Requests per second that are nothing to speak of."""
FEW_READS = 0.08
"""Of an endpoint's rate: who reads less, as one who looks whether anything has changed, is in nobody's way."""
ACCOUNT = ""
"""What the account's own limit is called, beside its endpoints'."""
MOST_ACCOUNTS = 1_024
"""Accounts that are remembered; of the others it has to be learned anew what they allow."""


@dataclass
class _Limit:
    """A limit of the provider's, and who waits for a turn at it."""

    allowance: Allowance | Window
    places: Places = field(default_factory=Places)
    waiting: deque["AccountTurn"] = field(default_factory=deque)

    def divide(self, own: Wanted, others: Sequence[Wanted], now: float) -> None:
        rate = self.allowance.rate_at(now)
        self.allowance.share = self.places.share = share_of(rate, own, others) if others else 1.0
        self.allowance.requests_of_all = requests_of_all(rate, own, others) if others else 1.0

    def seconds_left(self, now: float, *, is_write: bool) -> float:
        return self.allowance.seconds_left(now, is_write=is_write) or (
            0.0 if self.places.is_one_free else LOOK_FOR_PLACE
        )


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
        self._demands: dict[str, Demand] = {}
        self._others: Sequence[Mapping[str, Wanted]] = ()
        self._others_heard_of = float("-inf")
        self._on_asking: Callable[[bool], None] = _tell_nobody
        self._waiting_writes = deque[AccountTurn]()

    def turn(self, endpoint: str, /, *, is_write: bool = False) -> "AccountTurn":
        """A turn at the endpoint, to wait for. Writes go first: somebody waits for them."""
        return AccountTurn(self, endpoint, is_write=is_write)

    def tell_of_asking(self, on_asking: Callable[[bool], None]) -> None:
        """Call this whenever somebody has asked for a turn, with whether it is to write."""
        self._on_asking = on_asking

    def wanted(self) -> dict[str, Wanted]:
        """Requests per second by endpoint, and at the `ACCOUNT`, that are made of late or wait.

        Nothing where there are no writes, and so few reads that nobody has to know.
        """
        with self._lock:
            found = self._wanted(self._clock())
            whole = found.get(ACCOUNT, Wanted())
            is_little = whole.writes <= 0 and whole.reads < FEW_READS * self._published.endpoint_rate
            return {} if is_little else found

    def divide(self, others: Sequence[Mapping[str, Wanted]]) -> None:
        """Leave to others what is theirs, each of whom told what he `wanted`, for `OTHERS_ARE_KNOWN_FOR` seconds."""
        with self._lock:
            self._others, self._others_heard_of = others, self._clock()
            self._set_shares(self._others_heard_of)

    def _wanted(self, now: float) -> dict[str, Wanted]:
        found = dict[str, Wanted]()
        most = self._published.endpoint_rate
        for endpoint, demand in self._demands.items():
            made, waiting = demand.at(now), self._endpoints[endpoint].waiting
            writing = sum(each.is_write for each in waiting)
            reads, writes = made.reads + len(waiting) - writing, made.writes + writing
            if reads + writes >= LEAST_WANTED:
                found[endpoint] = Wanted(min(most, _unless_small(reads)), min(most, _unless_small(writes)))
        if found:
            whole, most = total(found.values()), self._published.account / self._published.per_seconds
            found[ACCOUNT] = Wanted(min(most, whole.reads), min(most, whole.writes))
        return found

    def _set_shares(self, now: float) -> None:
        own = self._wanted(now) if self._others else {}
        for name, limit in [(ACCOUNT, self._account), *self._endpoints.items()]:
            others = [each[name] for each in self._others if name in each]
            limit.divide(own.get(name, Wanted()), others, now)

    def _forget_others(self, now: float) -> None:
        """Of whom nothing was heard for long: whoever cannot hear of others goes by what the provider refuses."""
        if self._others and now > self._others_heard_of + OTHERS_ARE_KNOWN_FOR:
            self._others = ()
            self._set_shares(now)

    def _allowance(self, requests: float, burst: Burst) -> Allowance | Window:
        """A provider that counts by the second is asked evenly, any other as soon as it allows it."""
        while_ = self._published.per_seconds
        return Allowance(requests, burst) if while_ <= 1.0 else Window(requests, while_)

    def rate_of(self, endpoint: str) -> float:
        """The endpoint's present rate, in requests per second, whoever makes them."""
        with self._lock:
            now = self._clock()
            return min(limit.allowance.rate_at(now) for limit in self._limits_of(endpoint))

    def own_rate_of(self, endpoint: str) -> float:
        """The part of it that is this process's own, in requests per second."""
        with self._lock:
            now = self._clock()
            limits = self._limits_of(endpoint)
            return min(limit.allowance.rate_at(now) * limit.allowance.share for limit in limits)

    def _limits_of(self, endpoint: str) -> tuple[_Limit, _Limit]:
        if endpoint not in self._endpoints:
            self._endpoints[endpoint] = _Limit(self._allowance(self._published.endpoint, self._burst_of_endpoints))
            self._demands[endpoint] = Demand(self._published.per_seconds)
        return self._endpoints[endpoint], self._account

    def _seconds_left(self, turn: "AccountTurn") -> float:
        """Turns at one endpoint are given in order, writes first; a queue there does not hold back those at others.

        A write that waits for nothing but the account holds back everybody's reads.
        """
        with self._lock:
            now = self._clock()
            self._forget_others(now)
            limits = self._limits_of(turn.endpoint)
            at_endpoint = limits[0]
            if not turn.is_waiting:
                self._join_queue(turn, at_endpoint.waiting)
            ahead = at_endpoint.waiting.index(turn)
            left = max(limit.seconds_left(now, is_write=turn.is_write) for limit in limits)
            if ahead:
                left += ahead * at_endpoint.allowance.gap(now)
            if not turn.is_write and self._is_write_next(now):
                left = max(left, LOOK_FOR_PLACE)
            if left > 0:
                return min(left, LOOK_AGAIN)
            self._leave_queue(turn)
            self._demands[turn.endpoint].count(now, is_write=turn.is_write)
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
        return any(
            self._endpoints[each.endpoint].seconds_left(now, is_write=True) == 0 for each in self._waiting_writes
        )


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
        left = self._limits._seconds_left(self)
        self._limits._on_asking(self.is_write)
        return left

    def refused(self, met: LimitMet, /) -> None:
        """See `Turn`."""
        self._limits._refused(self, met)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None:
        self._limits._end(self)


def _unless_small(rate: float) -> float:
    return rate if rate >= LEAST_WANTED else 0.0


def _tell_nobody(_is_write: bool) -> None:
    """Nobody has asked to hear of it."""


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
