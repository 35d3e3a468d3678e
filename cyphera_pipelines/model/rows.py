"""What a provider hands over for one object: rows ready to be loaded."""

from dataclasses import dataclass, field
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

    `raw` is the object as UTF-8 JSON without NUL characters. `content_hash` covers the object and all its children.
    `version` is a moment, in seconds since 1970 on the provider's clock, at which the provider held this state or a
    later one. `children` maps a child table's name to all of its rows, in the provider's order.
    """

    id: str
    livemode: bool
    values: Row
    raw: bytes
    content_hash: bytes
    version: float
    children: dict[str, list[ChildRow]] = field(default_factory=dict)


@dataclass(frozen=True)
class UnmappableObject:
    """An object that could not be turned into a row. `reason` says why in plain words; `raw` is kept in an event."""

    id: str | None
    reason: str
    raw: Any
