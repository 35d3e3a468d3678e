"""What the dictionary tells: each table, its grain and key, and each of its columns."""

from collections.abc import Collection
from dataclasses import dataclass

from cyphera_pipelines.model.columns import SyncedTable
from cyphera_pipelines.model.errors import InvalidInputError
from cyphera_pipelines.model.synced_tables import (
    REFERENCES,
    SYNCED_TABLES,
    all_columns,
    entity_table,
    key_columns,
    personal_columns,
    required_columns,
)
from cyphera_pipelines.store.tables import PAYMENTS_SCHEMA


@dataclass(frozen=True)
class ReferredTable:
    """The table whose `id` a column holds, within the same workspace, provider and mode."""

    table: str
    column: str = "id"


@dataclass(frozen=True)
class ColumnEntry:
    """A column. `type` is Postgres' name of it; `personal`: it may tell who a person is, or where."""

    name: str
    type: str
    comment: str
    required: bool
    personal: bool
    refers_to: ReferredTable | None = None


@dataclass(frozen=True)
class TableEntry:
    """A table. `grain` says in words what one row is, `key` which columns tell its rows apart."""

    schema: str
    name: str
    comment: str
    grain: str
    key: tuple[str, ...]
    columns: tuple[ColumnEntry, ...]


def dictionary(only: Collection[str] = ()) -> list[TableEntry]:
    """Every table that analysts see, parents before their children; or those that are named.

    A name may have its schema before it. Raises InvalidInputError for one that is no table's.
    """
    entries = [_entry(table) for table in SYNCED_TABLES.values()]
    known = {entry.name for entry in entries} | {f"{entry.schema}.{entry.name}" for entry in entries}
    unknown = [name for name in only if name not in known]
    if unknown:
        tables = ", ".join(entry.name for entry in entries)
        raise InvalidInputError(f"There is no table {unknown[0]!r}. The tables are: {tables}.")
    return [entry for entry in entries if not only or {entry.name, f"{entry.schema}.{entry.name}"} & set(only)]


def _entry(table: SyncedTable) -> TableEntry:
    required = required_columns(table)
    personal = personal_columns(table)
    columns = tuple(
        ColumnEntry(name, kind, comment, name in required, name in personal, _referred(table, name))
        for name, kind, comment in all_columns(table)
    )
    return TableEntry(PAYMENTS_SCHEMA, table.name, table.comment, _grain(table), key_columns(table), columns)


def _referred(table: SyncedTable, column: str) -> ReferredTable | None:
    if column == table.parent_column:
        return ReferredTable(entity_table(table.entity).name)
    found = (reference.to.name for reference in REFERENCES if reference.table is table and reference.column == column)
    return next((ReferredTable(name) for name in found), None)


def _grain(table: SyncedTable) -> str:
    row = _singular(table.name)
    if not table.is_child:
        return f"One row per {row} that the provider has, or had: `deleted_at` tells which are gone."
    parent = _singular(entity_table(table.entity).name)
    return f"One row per {row} of each {parent}; they come and go with it."


def _singular(name: str) -> str:
    return name.removesuffix("s").replace("_", " ")
