"""Rate limits, as Stripe's: token buckets per account and per endpoint of an account."""

import time
from typing import Literal

from cyphera_pipelines.sandbox.options import SandboxOptions

LimitReason = Literal["global-rate", "endpoint-rate"]


class TokenBucket:
    """Fills at `rate` tokens per second up to `burst`; a request takes one. Times are monotonic seconds."""

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = burst
        self._filled_at = now

    def ready(self, now: float) -> bool:
        """Fill up to `now` and return whether there is a token."""
        self._tokens = min(self._burst, self._tokens + (now - self._filled_at) * self._rate)
        self._filled_at = now
        return self._tokens >= 1

    def take(self) -> None:
        """Take a token."""
        self._tokens -= 1


class RateLimits:
    """The buckets of all accounts, made when first needed."""

    def __init__(self, options: SandboxOptions) -> None:
        self.set(options)

    def set(self, options: SandboxOptions) -> None:
        """Apply other rates; all buckets start full."""
        self._options = options
        self._buckets: dict[tuple[str, str], TokenBucket] = {}

    def _bucket(self, account_key: str, endpoint: str, rate: float | None, now: float) -> TokenBucket | None:
        if rate is None:
            return None
        key = (account_key, endpoint)
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = TokenBucket(rate, self._options.burst or max(rate, 1.0), now)
        return bucket

    def exceeded(self, account_key: str, endpoint: str) -> LimitReason | None:
        """Count one request against the limits and return which limit it breaks, if any. A refused request is free."""
        options = self._options
        if options.account_rate is None and options.endpoint_rate is None and not options.endpoint_rates:
            return None
        now = time.monotonic()
        of_account = self._bucket(account_key, "", options.account_rate, now)
        rate = options.endpoint_rates.get(endpoint, options.endpoint_rate)
        of_endpoint = self._bucket(account_key, endpoint, rate, now)
        if of_account is not None and not of_account.ready(now):
            return "global-rate"
        if of_endpoint is not None and not of_endpoint.ready(now):
            return "endpoint-rate"
        for bucket in (of_account, of_endpoint):
            if bucket is not None:
                bucket.take()
        return None
