"""How fast a provider may be asked."""

from dataclasses import dataclass


@dataclass(frozen=True)
class RateLimits:
    """Requests per second that an account may make: in all, and at each endpoint."""

    account: float
    endpoint: float
