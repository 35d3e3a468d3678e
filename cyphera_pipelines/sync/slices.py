"""Slices of a listing, how far each has come, and what its pages prove: plain values, and how a checkpoint keeps them.

A *slice* is a half-open interval of the entity's axis, paged by a cursor of its own. See `slicing` for who makes them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from cyphera_pipelines.providers.base import Interval


@dataclass(frozen=True)
class Position:
    """How far a slice has come: done is what is newer than `created`, and of that second the first `count` of `ids`.

    `cursor` is the last of those objects. Positions in the same second share the list and append to it. `ids` is None
    where an earlier process knew them and they were too many to write down. `asked` is the interval that a cursor of
    the provider's own belongs to, whatever became of the slice since; None where the cursor is an object's id.
    """

    cursor: str
    created: int
    ids: list[str] | None
    count: int
    asked: Interval | None = None

    @property
    def ids_of_second(self) -> list[str] | None:
        """What is done of the second `created`."""
        return None if self.ids is None else self.ids[: self.count]


@dataclass(eq=False)
class Slice:
    """The objects created in `[gte, lt)`.

    `is_ordered` turns false for good when a page shows that the provider does not list newest first after all: then
    the slice is paged to its end undivided, and proves nothing of what is gone.
    `fetched` is where the next page starts, `committed` is how far the tables are. `density` is in objects per second.
    `cursors` are where its pages ended, `pages_of_one_moment` how many in succession brought nothing older.
    """

    gte: int | None = None
    lt: int | None = None
    fetched: Position | None = None
    committed: Position | None = None
    density: float | None = None
    has_begun: bool = False
    arrivals: int = 0
    is_ordered: bool = True
    is_busy: bool = False
    is_exhausted: bool = False
    cursors: set[str] = field(default_factory=set)
    pages_of_one_moment: int = 0
    restarts: int = 0

    @property
    def interval(self) -> Interval:
        """What to ask the provider for."""
        return Interval(self.gte, self.lt)


@dataclass(frozen=True)
class PageRequest:
    """One page to fetch. `cursor` is None for the first page of a slice."""

    part: Slice
    interval: Interval
    cursor: str | None


@dataclass(frozen=True)
class Coverage:
    """What a page proves about its slice: it holds every object created after `after` and up to `until`.

    `after` is exclusive and `until` inclusive; None is without bound. `also` are ids of the second `until` that earlier
    pages brought. Rows of that time that are neither on the page nor in `also` are gone at the provider. With
    `leaves_a_gap` it proves less than it should: of some time nobody will prove what is gone.
    """

    after: int | None
    until: int | None
    also: Sequence[str]
    leaves_a_gap: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether it proves nothing: the page ends in the second in which it began."""
        return self.after is not None and self.until is not None and self.after >= self.until


@dataclass(frozen=True)
class Arrival:
    """A page that has come in, the so-manieth of its slice: which of its objects count, and what it proves.

    The others belong to an older slice.
    """

    part: Slice
    number: int
    keep: tuple[bool, ...]
    coverage: Coverage
    position: Position | None


def stored(part: Slice, position: Position | None, most_ids: int) -> dict[str, Any]:
    """What would be left of the slice from that position on, naming at most so many ids, in a form for JSON."""
    entry: dict[str, Any] = {"gte": part.gte, "lt": part.lt, "is_ordered": part.is_ordered}
    entry |= {"cursor": None, "created": None, "ids": []}
    if position is not None:
        is_known = position.ids is not None and position.count <= most_ids
        entry |= {"cursor": position.cursor, "created": position.created}
        entry["ids"] = position.ids_of_second if is_known else None
        if position.asked is not None:
            entry["asked"] = [position.asked.gte, position.asked.lt]
    return entry


def restore(stored: Iterable[dict[str, Any]]) -> list[Slice]:
    """The slices that `SlicePlan.checkpoint_after` wrote down."""
    slices = []
    for entry in stored:
        position = None
        if entry["cursor"] is not None:
            ids = entry["ids"]
            asked = Interval(*entry["asked"]) if "asked" in entry else None
            position = Position(entry["cursor"], entry["created"], ids, len(ids or ()), asked)
        part = Slice(entry["gte"], entry["lt"], fetched=position, committed=position)
        part.is_ordered = entry["is_ordered"]
        slices.append(part)
    return slices
