"""How fast a provider may be asked."""

from dataclasses import dataclass

LOWEST_RATE, HIGHEST_RATE = 0.01, 100_000.0
"""Requests per second. Outside of these a rate is a mistake."""


@dataclass(frozen=True)
class RateLimits:
    """Requests that an account may make within any `per_seconds`: in all, and at each endpoint.

    A provider that counts by the minute lets a whole minute's worth through at once. `at_once` is how many may be on
    their way at the same time; None where the provider does not say.
    """

    account: float
    endpoint: float
    per_seconds: float = 1.0
    at_once: int | None = None

    @property
    def endpoint_rate(self) -> float:
        """Requests per second at one endpoint, in the long run."""
        return min(self.endpoint, self.account) / self.per_seconds
