"""Rate limits, as Stripe's, per account and per endpoint of an account; how Stripe counts is not known: two ways."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal, Protocol

from cyphera_pipelines.sandbox.options import Limiter, SandboxOptions

_OF_MINUTES = "per minute"
"""What the limit of an account's minutes goes by, where others have an endpoint."""
LimitReason = Literal["global-rate", "endpoint-rate", "global-concurrency", "endpoint-concurrency"]


class RequestLimit(Protocol):
    """Lets through so many requests per second. Times are seconds of any steady clock."""

    def change(self, rate: float, burst: float, now: float) -> None:
        """From now on it is another limit; what was used stays used."""
        ...

    def ready(self, now: float) -> bool:
        """Whether a request may come now."""
        ...

    def take(self) -> None:
        """One has come."""
        ...


class TokenBucket:
    """Fills at `rate` tokens per second up to `burst`; a request takes one."""

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = burst
        self._filled_at = now

    def change(self, rate: float, burst: float, now: float) -> None:
        """See `RequestLimit`."""
        self.ready(now)
        self._tokens = max(0.0, min(burst, self._tokens + burst - self._burst))
        self._rate, self._burst = rate, burst

    def ready(self, now: float) -> bool:
        """Fill up to `now` and return whether there is a token."""
        self._tokens = min(self._burst, self._tokens + (now - self._filled_at) * self._rate)
        self._filled_at = now
        return self._tokens >= 1

    def take(self) -> None:
        """Take a token."""
        self._tokens -= 1


class FixedWindow:
    """Lets `rate` requests through in each whole second (or so many) of the clock; there is no other burst."""

    def __init__(self, rate: float, _burst: float, _now: float, seconds: int = 1) -> None:
        self._rate = rate
        self._seconds = seconds
        self._window = 0
        self._taken = 0

    def change(self, rate: float, _burst: float, _now: float) -> None:
        """See `RequestLimit`."""
        self._rate = rate

    def ready(self, now: float) -> bool:
        """See `RequestLimit`."""
        window = int(now) // self._seconds
        if window != self._window:
            self._window, self._taken = window, 0
        return self._taken < self._rate

    def take(self) -> None:
        """See `RequestLimit`."""
        self._taken += 1


_LIMITS: dict[Limiter, Callable[[float, float, float], RequestLimit]] = {"bucket": TokenBucket, "window": FixedWindow}


class RateLimits:
    """The limits of all accounts, made when first needed."""

    def __init__(self, options: SandboxOptions, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._on_their_way: Counter[tuple[str, str]] = Counter()
        self.set(options)

    def set(self, options: SandboxOptions) -> None:
        """Apply other rates; nothing counts as used."""
        self._options = options
        self._limits: dict[tuple[str, str], RequestLimit] = {}

    def change(self, options: SandboxOptions) -> None:
        """Apply other rates; what was used of them stays used."""
        if options.limiter != self._options.limiter:
            self.set(options)
            return
        self._options, now = options, self._clock()
        for key, limit in list(self._limits.items()):
            rate, burst = self._rate_and_burst(key[1])
            if key[1] == _OF_MINUTES:
                rate = options.account_per_minute
            if rate is None:
                del self._limits[key]
            else:
                limit.change(rate, burst, now)

    @contextmanager
    def on_its_way(self, account_key: str, endpoint: str) -> Iterator[None]:
        """Count a request among those that are not answered yet."""
        keys = ((account_key, ""), (account_key, endpoint))
        self._on_their_way.update(keys)
        try:
            yield
        finally:
            self._on_their_way.subtract(keys)

    def exceeded(self, account_key: str, endpoint: str) -> LimitReason | None:
        """Count one request against the limits and return which limit it breaks, if any. A refused request is free."""
        options = self._options
        if options.has_no_limits:
            return None
        now = self._clock()
        if self._is_beyond(options.account_concurrency, account_key, ""):
            return "global-concurrency"
        if self._is_beyond(options.endpoint_concurrency, account_key, endpoint):
            return "endpoint-concurrency"
        of_account, of_endpoint = self._limit(account_key, "", now), self._limit(account_key, endpoint, now)
        of_minutes = self._minutes(account_key)
        for limit in (of_account, of_minutes):
            if limit is not None and not limit.ready(now):
                return "global-rate"
        if of_endpoint is not None and not of_endpoint.ready(now):
            return "endpoint-rate"
        for limit in (of_account, of_minutes, of_endpoint):
            if limit is not None:
                limit.take()
        return None

    def _is_beyond(self, most: int | None, account_key: str, endpoint: str) -> bool:
        return most is not None and self._on_their_way[account_key, endpoint] > most

    def _limit(self, account_key: str, endpoint: str, now: float) -> RequestLimit | None:
        rate, burst = self._rate_and_burst(endpoint)
        if rate is None:
            return None
        key = (account_key, endpoint)
        if key not in self._limits:
            self._limits[key] = _LIMITS[self._options.limiter](rate, burst, now)
        return self._limits[key]

    def _minutes(self, account_key: str) -> RequestLimit | None:
        most, key = self._options.account_per_minute, (account_key, _OF_MINUTES)
        if most is None:
            return None
        if key not in self._limits:
            self._limits[key] = FixedWindow(most, 0.0, 0.0, seconds=60)
        return self._limits[key]

    def _rate_and_burst(self, endpoint: str) -> tuple[float | None, float]:
        """Of an endpoint, or of the account if that is empty."""
        options = self._options
        if not endpoint:
            rate, burst = options.account_rate, options.burst
        else:
            rate, burst = options.endpoint_rates.get(endpoint, options.endpoint_rate), options.endpoint_burst
        return rate, burst or options.burst or max(rate or 0.0, 1.0)
