"""What the sending of webhooks asks of a provider's endpoints, and of what is sent to them."""

from collections.abc import Mapping
from typing import Protocol, TypeVar


class Endpoint(Protocol):
    """Where events go."""

    @property
    def id(self) -> str:
        """Its id, which no other endpoint of the sandbox has."""
        ...

    @property
    def url(self) -> str:
        """Its address, on this machine."""
        ...

    @property
    def is_enabled(self) -> bool:
        """Whether anything is sent to it."""
        ...

    def headers_for(self, body: bytes, at: int) -> Mapping[str, str]:
        """Return the headers with which a body is sent `at` (Unix seconds)."""
        ...


E = TypeVar("E", bound=Endpoint)
E_contra = TypeVar("E_contra", bound=Endpoint, contravariant=True)
E_co = TypeVar("E_co", bound=Endpoint, covariant=True)


class Endpoints(Protocol[E_co]):
    """The endpoints of one account."""

    def find(self, identifier: str) -> E_co | None:
        """Return the endpoint as it is now; None if it was deleted or never was."""
        ...

    def number_of(self, identifier: str) -> int | None:
        """Return the place of an endpoint in its account, deleted or not; None if there never was one of this id."""
        ...


class Happening(Protocol[E_contra]):
    """A provider event on its way. `at` is when it was made, of `time.monotonic`."""

    @property
    def event_id(self) -> str:
        """The event's id."""
        ...

    @property
    def at(self) -> float:
        """When it was made."""
        ...

    def body_for(self, endpoint: E_contra) -> bytes:
        """Return what an endpoint is sent."""
        ...

    def wanted_by(self, endpoints: int) -> None:
        """So many endpoints are to get it."""
        ...

    def arrived(self) -> None:
        """One endpoint less waits for it."""
        ...
