"""Keeping to a provider's rate limits: a bucket per account, and one per endpoint of an account.

The buckets are shared by everything in the process that calls the same account. They start at the published rates,
halve when the provider objects all the same, and climb back slowly.
"""

import hashlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from cyphera_pipelines.model.limits import RateLimits
from cyphera_pipelines.providers.base import LimitScope

BURST_SECONDS = 0.2
LOWEST_RATE = 0.5
RECOVERY_PER_SECOND = 0.05
HALVE_AT_MOST_EVERY = 1.0


class RateBucket:
    """Turns at `rate` per second, with a burst of what a fifth of a second allows. Not safe for threads by itself.

    Times are seconds of any steady clock.
    """

    def __init__(self, rate: float) -> None:
        self._published = rate
        self._rate = rate
        self._next_turn = 0.0
        self._halved_at = float("-inf")
        self._recovered_at = 0.0

    def reserve(self, now: float) -> float:
        """Take the next turn and return when it is: `now` or later."""
        self._recover(now)
        turn = max(self._next_turn, now - BURST_SECONDS)
        self._next_turn = turn + 1.0 / self._rate
        return max(turn, now)

    def slow_down(self, now: float, pause: float) -> None:
        """The provider said it was too much: halve the rate, at most once a second, and give no turn for `pause`."""
        self._recover(now)
        if now - self._halved_at >= HALVE_AT_MOST_EVERY:
            self._rate = max(LOWEST_RATE, self._rate / 2)
            self._halved_at = now
        self._next_turn = max(self._next_turn, now + pause)

    def rate_at(self, now: float) -> float:
        """The present rate."""
        self._recover(now)
        return self._rate

    def _recover(self, now: float) -> None:
        since = max(0.0, now - self._recovered_at)
        self._rate = min(self._published, self._rate + self._published * RECOVERY_PER_SECOND * since)
        self._recovered_at = max(self._recovered_at, now)


class AccountLimits:
    """All buckets of one account. Safe to use from several threads."""

    def __init__(self, published: RateLimits, clock: Callable[[], float] = time.monotonic) -> None:
        self._published = published
        self._clock = clock
        self._lock = threading.Lock()
        self._account = RateBucket(published.account)
        self._endpoints: dict[str, RateBucket] = {}

    def seconds_to_wait(self, endpoint: str) -> float:
        """Take a turn at the endpoint and return how long to wait for it."""
        with self._lock:
            now = self._clock()
            turn = self._bucket(endpoint).reserve(now)
            # The account's turn is taken as of now: a queue at one endpoint must not hold back the others.
            return max(turn, self._account.reserve(now)) - now

    def slow_down(self, endpoint: str, scope: LimitScope, pause: float) -> None:
        """The provider objected to a request at the endpoint; `scope` says to which limit."""
        with self._lock:
            bucket = self._account if scope is LimitScope.ACCOUNT else self._bucket(endpoint)
            bucket.slow_down(self._clock(), pause)

    def rate_of(self, endpoint: str) -> float:
        """The endpoint's present rate, in requests per second."""
        with self._lock:
            now = self._clock()
            return min(self._bucket(endpoint).rate_at(now), self._account.rate_at(now))

    def _bucket(self, endpoint: str) -> RateBucket:
        if endpoint not in self._endpoints:
            self._endpoints[endpoint] = RateBucket(self._published.endpoint)
        return self._endpoints[endpoint]


@dataclass(frozen=True)
class _AccountKey:
    address: str
    key_digest: bytes
    published: RateLimits


_accounts: dict[_AccountKey, AccountLimits] = {}
_accounts_lock = threading.Lock()


def account_limits(opens: str, address: str, published: RateLimits) -> AccountLimits:
    """The process's one set of buckets for the account at the address that `opens`, a key and all, leads to."""
    place = _AccountKey(address, hashlib.sha256(opens.encode()).digest(), published)
    with _accounts_lock:
        if place not in _accounts:
            _accounts[place] = AccountLimits(published)
        return _accounts[place]
