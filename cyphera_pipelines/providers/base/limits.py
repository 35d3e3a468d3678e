"""Whoever keeps a client to the provider's rate limits, and what the provider says of them."""

from dataclasses import dataclass
from enum import StrEnum
from types import TracebackType
from typing import Protocol, Self


class LimitScope(StrEnum):
    """Which limit a request ran into: the account's, the endpoint's, or one of the object that it was about."""

    ACCOUNT = "account"
    ENDPOINT = "endpoint"
    OBJECT = "object"


@dataclass(frozen=True)
class LimitMet:
    """What a provider said in refusing a request for its limits.

    It does not want to be asked for `pause` seconds. `of_concurrency`: too many requests were on their way at once;
    otherwise they came too fast.
    """

    scope: LimitScope = LimitScope.ENDPOINT
    pause: float = 0.0
    of_concurrency: bool = False


class Turn(Protocol):
    """One request's turn. A context manager: the request is made inside, after `seconds_left` has returned 0 once."""

    def seconds_left(self) -> float:
        """How long to wait before asking again; 0 if the request is to be made now."""
        ...

    def refused(self, met: LimitMet, /) -> None:
        """The provider refused the request for its limits."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None: ...


class Limits(Protocol):
    """Whoever keeps a client to the provider's rate limits."""

    def turn(self, endpoint: str, /, *, is_write: bool = False) -> Turn:
        """A turn at the endpoint, to wait for. Reads that wait let writes pass."""
        ...


class Unlimited:
    """No limits at all: for a few requests."""

    def turn(self, _endpoint: str, /, *, is_write: bool = False) -> Turn:  # noqa: ARG002
        """One that is due."""
        return _DueTurn()


class _DueTurn:
    def seconds_left(self) -> float:
        """At once."""
        return 0.0

    def refused(self, _met: LimitMet, /) -> None:
        """The retries wait anyway."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        """Nothing to give back."""
