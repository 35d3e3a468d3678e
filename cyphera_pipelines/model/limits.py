"""How fast a provider may be asked."""

from dataclasses import dataclass

LOWEST_RATE, HIGHEST_RATE = 0.01, 100_000.0
"""Requests per second. Outside of these a rate is a mistake."""


@dataclass(frozen=True)
class RateLimits:
    """Requests per second that an account may make: in all, and at each endpoint."""

    account: float
    endpoint: float
