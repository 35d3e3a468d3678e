"""How often, and after which waits, one request is made again."""

from dataclasses import dataclass, field

from cyphera_pipelines.providers.base import RetryKind

_FIRST_WAIT = 0.25
_MOST_DOUBLINGS = 10
LONGEST_AFTER_RATE_LIMIT = 4.0
"""Seconds. The account's buckets slow down by themselves: a request that waits longer only leaves its turn unused."""


@dataclass
class Patience:
    """The failed attempts of one request, rate limits apart from all others.

    A rate limit says nothing of the provider's health, and a busy account meets many. So they are waited out for
    `rate_limit_seconds` from the first one on, while all other failures together may be `attempts` many, and
    `attempts_at_one_size` of them unreadable bodies: for those, the caller can ask for less, which helps sooner than
    asking for the same again. `attempts_too_late` of them may be late answers: each has taken long. Waits grow with the
    failures of their own count, up to `longest_wait` seconds.
    """

    attempts: int
    attempts_at_one_size: int
    attempts_too_late: int
    rate_limit_seconds: float
    longest_wait: float
    _failures: int = field(default=0, init=False)
    _unreadable: int = field(default=0, init=False)
    _late: int = field(default=0, init=False)
    _rate_limits: int = field(default=0, init=False)
    _rate_limited_since: float = field(default=0.0, init=False)

    def wait_after(self, kind: RetryKind, now: float) -> float | None:
        """Count a failed attempt. Return the most seconds to wait for the next one; None if there should be none.

        `now` is in seconds on any clock that never goes back.
        """
        if kind is RetryKind.RATE_LIMITED:
            return self._wait_after_rate_limit(now)
        self._failures += 1
        self._unreadable += kind is RetryKind.BODY_UNREADABLE
        self._late += kind is RetryKind.ANSWER_LATE
        is_over = self._unreadable >= self.attempts_at_one_size or self._late >= self.attempts_too_late
        if is_over or self._failures >= self.attempts:
            return None
        return self._growing(self._failures)

    def _wait_after_rate_limit(self, now: float) -> float | None:
        if self._rate_limits == 0:
            self._rate_limited_since = now
        self._rate_limits += 1
        if now - self._rate_limited_since >= self.rate_limit_seconds:
            return None
        return min(LONGEST_AFTER_RATE_LIMIT, self._growing(self._rate_limits))

    def _growing(self, count: int) -> float:
        return min(self.longest_wait, _FIRST_WAIT * 2.0 ** min(count, _MOST_DOUBLINGS))
