"""The least time in which a provider's limits allow so many requests."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cyphera_pipelines.sandbox import SandboxOptions

_FOR_EVER = 1e9


@dataclass(frozen=True)
class Change:
    """From so many seconds after the first request on other options apply. Only their rates count here."""

    at: float
    options: SandboxOptions


def least_seconds(requests: Mapping[str, int], options: SandboxOptions, changes: Sequence[Change] = ()) -> float:
    """The time for so many requests by endpoint, each answered at once: bursts are there at the beginning.

    A limit by windows has as its burst what a second allows. Endpoints with rates of their own are left out of account.
    """
    eras = [Change(0.0, options), *changes]
    of_endpoint = [(era.at, era.options.endpoint_rate) for era in eras]
    of_account = [(era.at, era.options.account_rate) for era in eras]
    busiest = _seconds(max(requests.values()), of_endpoint, _burst(options, options.endpoint_rate, at_endpoint=True))
    return max(busiest, _seconds(sum(requests.values()), of_account, _burst(options, options.account_rate)))


def _burst(options: SandboxOptions, rate: float | None, *, at_endpoint: bool = False) -> float:
    of_endpoint = options.endpoint_burst if at_endpoint else None
    return (rate if options.limiter == "window" else of_endpoint or options.burst or rate) or 0.0


def _seconds(count: float, rates: list[tuple[float, float | None]], burst: float) -> float:
    left = count - burst
    ends = [*(begins for begins, _rate in rates[1:]), _FOR_EVER]
    for (begins, rate), end in zip(rates, ends, strict=True):
        if rate is None:
            return begins
        if left <= rate * (end - begins):
            return begins + max(0.0, left / rate)
        left -= rate * (end - begins)
    raise ValueError("these limits never allow so many requests")
