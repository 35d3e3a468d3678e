"""What a column and a synced table are, before SQL, Dagster and the provider's mapping give them a form."""

from dataclasses import dataclass, replace
from enum import StrEnum

from cyphera_pipelines.model.entities import Entity


class Kind(StrEnum):
    """The kind of a value, and what a mapped row holds for it (None always means SQL NULL).

    TEXT: str. INTEGER: int of 64 bits. BOOLEAN: bool. TIMESTAMP: int, seconds since 1970 in UTC.
    NUMERIC: str, a decimal number. JSON: anything that JSON can say.
    """

    TEXT = "text"
    INTEGER = "bigint"
    BOOLEAN = "boolean"
    TIMESTAMP = "timestamptz"
    NUMERIC = "numeric"
    JSON = "jsonb"


@dataclass(frozen=True)
class Column:
    """A typed column. `comment` is written once and shown by Postgres, by Dagster and in the data dictionary.

    `is_later`: the table was there before it; such columns stand behind all others. `is_personal`: it may tell who a
    person is, or where, and is shown to nobody who does not ask the table itself.
    """

    name: str
    kind: Kind
    comment: str
    required: bool = False
    is_later: bool = False
    is_personal: bool = False


@dataclass(frozen=True)
class SyncedTable:
    """A table of provider objects.

    `parent_column` is set on child tables: the column that holds the id of the object that they belong to. `columns`
    leaves out what all synced tables share (see `SHARED_COLUMNS`). `axes` are the columns, each with an index, that may
    hold the moment by which a provider's list is divided; a child table has none.

    A child table `is_loose` if an object can be told without its rows there, as provider events tell some: then nothing
    is known of them. Such rows are no part of what their parent's content hash covers, and are merged by themselves.
    """

    name: str
    entity: Entity
    comment: str
    columns: tuple[Column, ...]
    parent_column: str | None = None
    axes: tuple[str, ...] = ("created",)
    is_loose: bool = False

    @property
    def is_child(self) -> bool:
        """Whether rows of this table are replaced together with a parent row."""
        return self.parent_column is not None


def text(name: str, comment: str, *, required: bool = False) -> Column:
    """A text column."""
    return Column(name, Kind.TEXT, comment, required)


def integer(name: str, comment: str, *, required: bool = False) -> Column:
    """A 64-bit whole number."""
    return Column(name, Kind.INTEGER, comment, required)


def amount(name: str, comment: str) -> Column:
    """Money in minor units of the row's currency (whole yen for JPY, cents for EUR)."""
    return Column(name, Kind.INTEGER, f"{comment}, in minor units of `currency`")


def boolean(name: str, comment: str) -> Column:
    """True, false or unknown."""
    return Column(name, Kind.BOOLEAN, comment)


def timestamp(name: str, comment: str, *, required: bool = False) -> Column:
    """A moment in UTC."""
    return Column(name, Kind.TIMESTAMP, comment, required)


def numeric(name: str, comment: str) -> Column:
    """A decimal number of any precision."""
    return Column(name, Kind.NUMERIC, comment)


def json(name: str, comment: str) -> Column:
    """A JSON value."""
    return Column(name, Kind.JSON, comment)


def later(column: Column) -> Column:
    """The column, marked as added to a table that was there before it."""
    return replace(column, is_later=True)


def personal(column: Column) -> Column:
    """The column, marked as telling of people."""
    return replace(column, is_personal=True)
