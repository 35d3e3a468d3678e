"""What a provider hands over for one object: rows ready to be loaded."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any

Row = tuple[Any, ...]
"""Values of a table's own columns in the order of `SyncedTable.columns`; see `Kind` for the types."""


@dataclass(slots=True)
class ChildRow:
    """One row of a child table."""

    id: str
    values: Row
    raw: bytes
    content_hash: bytes


@dataclass(slots=True)
class MappedObject:
    """One object of an entity with everything that belongs to it.

    `raw` is the object as UTF-8 JSON without NUL characters. `content_hash` covers the object and all its children but
    those of loose tables.
    `version` is a moment, in seconds since 1970 on the provider's clock, at which the provider held this state or a
    later one. `children` maps a child table's name to all of its rows, in the provider's order; an id may come twice. A
    loose table whose rows were not told is missing there: nothing is known of them.
    `encoded` is what the loader would send of it, by table, if that was made ahead: then no row's values stand
    anywhere else.
    """

    id: str
    livemode: bool
    values: Row
    raw: bytes
    content_hash: bytes
    version: float
    children: dict[str, list[ChildRow]] = field(default_factory=dict)
    encoded: dict[str, bytes] | None = field(default=None, compare=False)

    def children_of(self, table: str) -> Iterable[tuple[int, ChildRow]]:
        """The rows of a child table, each with its occurrence: 0 for the first that has its id, 1 for the next one."""
        children = self.children.get(table, ())
        if len({child.id for child in children}) == len(children):
            return zip(repeat(0), children)
        return _counted(children)


def _counted(children: Iterable[ChildRow]) -> Iterable[tuple[int, ChildRow]]:
    seen = Counter[str]()
    for child in children:
        yield seen[child.id], child
        seen[child.id] += 1


@dataclass(frozen=True)
class UnmappableObject:
    """An object that could not be turned into a row. `reason` says why in plain words; `raw` is kept in an event."""

    id: str | None
    reason: str
    raw: Any
