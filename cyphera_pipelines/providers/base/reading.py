"""What is read of an account in order to keep its tables: pages of entities, and what changed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.rows import MappedObject, UnmappableObject
from cyphera_pipelines.providers.base.accounts import ProviderAccount

BELIEVED_WITHIN = 300.0
"""Seconds by which a provider's time may differ from ours: one that is farther off is not gone by."""


@dataclass(frozen=True)
class Interval:
    """The objects to list, by their moment on the entity's axis: `[gte, lt)`, in seconds since 1970; None is no bound.

    An entity without an axis is always listed without bounds.
    """

    gte: int | None = None
    lt: int | None = None


@dataclass(frozen=True)
class Listed:
    """What has to be known of a listed object: its id, and its moment on the entity's axis, in seconds since 1970.

    Each is None where it cannot be read, and `moment` where the entity has no axis.
    """

    id: str | None
    moment: int | None


@dataclass
class Page:
    """One page of a listing, newest objects first, with nested lists not yet completed.

    `version` is a lower bound, in seconds since 1970 on the provider's clock, on when the provider held these states,
    and on when what is not among them was not there. `incomplete` are objects that left `objects` because their nested
    lists could not be read to their end. `next_cursor` is where the provider says that the list goes on; None where it
    goes on after its last object's id. A cursor of the provider's own is given back for the same interval only.
    """

    entity: Entity
    objects: list[dict[str, Any]]
    has_more: bool
    version: float
    requests: int = 1
    incomplete: list[UnmappableObject] = field(default_factory=list)
    next_cursor: str | None = None


@dataclass(frozen=True)
class Change:
    """What is known of an object that changed at `version`, in seconds since 1970 on the provider's clock.

    It is gone (`is_deleted`), or `snapshot` is its whole state, or it has to be fetched. `last_known` is what it was,
    as far as that is known, in case that it is or proves to be gone. `account` is the account in which it happened, if
    the provider event names one: objects of different accounts are different ones, whatever their ids.
    What changed `beyond_snapshots` no snapshot tells, however new it is: the object has to be fetched.
    """

    entity: Entity
    object_id: str
    version: float
    snapshot: dict[str, Any] | None = None
    is_deleted: bool = False
    last_known: dict[str, Any] | None = None
    account: str | None = None
    beyond_snapshots: bool = False


@dataclass
class MappedPage:
    """A page's objects as rows, and those that could not be mapped."""

    objects: list[MappedObject] = field(default_factory=list)
    unmappable: list[UnmappableObject] = field(default_factory=list)
    incomplete: list[UnmappableObject] = field(default_factory=list)
    """Objects that the provider could not tell whole this time: the next sync has to ask for them again."""
    cleaned: list[str] = field(default_factory=list)
    """Ids of objects from which characters were removed that Postgres cannot hold."""


class ProviderClient(Protocol):
    """A connection to one account. Its methods may be called from several threads at once.

    They raise ProviderError and its kinds only. What can be retried has been retried before they raise.
    """

    def account(self) -> ProviderAccount:
        """Return the account that the credentials belong to: the cheapest proof that they work."""
        ...

    def check_readable(self, entity: Entity) -> None:
        """Return if the credentials may list the entity, raise PermissionDeniedError if they may not."""
        ...

    def check_events_readable(self) -> None:
        """Return if the credentials may read what changed, raise PermissionDeniedError if they may not."""
        ...

    def list_page(self, entity: Entity, *, interval: Interval, cursor: str | None, limit: int) -> Page:
        """Return one page of the entity, of every status, newest first on its axis.

        Raises CursorLostError if the list does not go on from the cursor any more.
        """
        ...

    def listed(self, entity: Entity, obj: Any) -> Listed:
        """The id of an object on a page of the entity, and its moment on the axis. Makes no request, raises nothing."""
        ...

    def list_unlisted(self, entity: Entity) -> Iterator[Page] | None:
        """The entity's objects that `list_page` leaves out by design, page by page, nested lists not yet completed.

        None where there can be none, or they cannot be listed.
        """
        ...

    def changes(self, entities: Sequence[Entity], since: int) -> Iterator[list[Change]]:
        """Yield the objects that changed at or after `since`, in seconds since 1970: each once, a batch per request.

        Whether the provider's events tell of them or its lists do is the client's choice.
        """
        ...

    def changes_of(self, events: Sequence[Mapping[str, Any]]) -> list[Change]:
        """The objects that changed by these provider events: each once.

        May make requests, where an event has to be read at the provider before it is believed.
        """
        ...

    def fetch(self, change: Change) -> Page:
        """Return a page of the changed object as it is now, nested lists not yet completed; an empty one if it is gone.

        Its version is later than every change of the second in which the object changed.
        """
        ...

    def complete(self, page: Page) -> int:
        """Fetch whatever nested lists the page holds only the beginning of, in place. Return the requests made.

        An object whose lists the provider keeps failing to tell becomes one of the page's `incomplete`.
        """
        ...

    def map_page(self, page: Page) -> MappedPage:
        """Turn a completed page into rows. An object that cannot be mapped is reported, never dropped."""
        ...

    def close(self) -> None:
        """Give back what the client holds."""
        ...

    def now(self) -> float:
        """A lower bound on the provider's clock, in seconds since 1970: from then on changes may be missing."""
        ...
