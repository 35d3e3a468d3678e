"""What the dictionary tells: each table, view and function, its grain and key, and each of its columns."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Table
from sqlalchemy.dialects import postgresql

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
from cyphera_pipelines.store.tables import PAYMENTS_SCHEMA, figure_tables, history_tables
from cyphera_pipelines.store.views.definitions import LIVE_SCHEMA, Argument, Function, View, functions, views

_POSTGRES = postgresql.dialect()  # type: ignore[no-untyped-call]


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
    """A table or view. `grain` says in words what one row is, `key` which columns tell its rows apart.

    `rules` says of a view what is in it and how that is counted. A function has `arguments`, and is read as a view is:
    the columns are those of the rows that it returns.
    """

    schema: str
    name: str
    comment: str
    grain: str
    key: tuple[str, ...]
    columns: tuple[ColumnEntry, ...]
    is_view: bool = False
    rules: str = ""
    arguments: tuple[Argument, ...] = ()

    @property
    def full_name(self) -> str:
        """As in payments.invoices or analytics.invoice_aging_as_of(as_of date)."""
        told = ", ".join(f"{argument.name} {argument.type}" for argument in self.arguments)
        return f"{self.schema}.{self.name}{f'({told})' if told else ''}"


def dictionary(only: Collection[str] = ()) -> list[TableEntry]:
    """Every table, view and function that analysts read, in that order, parents before their children; or those named.

    Of views and functions, those of live data: the same are there of the test mode. A name may have its schema before
    it; without one it is a table's where there is one. Raises InvalidInputError for one that is of neither.
    """
    entries = [_entry(table) for table in SYNCED_TABLES.values()]
    entries += [_kept_entry(table) for table in (*history_tables, *figure_tables)]
    entries += [_view_entry(view) for view in sorted(views(), key=lambda view: view.name) if view.schema == LIVE_SCHEMA]
    entries += [_view_entry(function, function.arguments) for function in functions() if function.schema == LIVE_SCHEMA]
    if not only:
        return entries
    # Views stand behind the tables, so that a name that is both is the table's.
    known = {name: entry for entry in reversed(entries) for name in (entry.name, f"{entry.schema}.{entry.name}")}
    unknown = [name for name in only if name not in known]
    if unknown:
        tables, shown = (
            ", ".join(
                entry.name if entry.schema == PAYMENTS_SCHEMA else f"{entry.schema}.{entry.name}" for entry in each
            )
            for each in (
                [entry for entry in entries if not entry.is_view],
                [entry for entry in entries if entry.is_view],
            )
        )
        raise InvalidInputError(f"There is no table {unknown[0]!r}. The tables are: {tables}. The views are: {shown}.")
    wanted = {id(known[name]) for name in only}
    return [entry for entry in entries if id(entry) in wanted]


def _entry(table: SyncedTable) -> TableEntry:
    required = required_columns(table)
    personal = personal_columns(table)
    columns = tuple(
        ColumnEntry(name, kind, comment, name in required, name in personal, _referred(table, name))
        for name, kind, comment in all_columns(table)
    )
    return TableEntry(PAYMENTS_SCHEMA, table.name, table.comment, _grain(table), key_columns(table), columns)


def _kept_entry(table: Table) -> TableEntry:
    """Of a table that follows from others."""
    columns = tuple(
        ColumnEntry(str(column.name), _type_of(column), column.comment or "", not column.nullable, personal=False)
        for column in table.columns
    )
    about, _, grain = (table.comment or "").partition(": ")
    key = tuple(str(column.name) for column in table.primary_key)
    return TableEntry(str(table.schema), str(table.name), about, as_sentence(grain), key, columns)


def _type_of(column: Column[Any]) -> str:
    kind = column.type.compile(_POSTGRES).lower()
    return {"timestamp with time zone": "timestamptz"}.get(kind, kind)


def _view_entry(view: View | Function, arguments: tuple[Argument, ...] = ()) -> TableEntry:
    required = required_columns(SYNCED_TABLES[view.name]) if view.name in SYNCED_TABLES else frozenset()
    columns = tuple(
        ColumnEntry(column.name, column.type, column.comment, column.name in required, column.is_personal)
        for column in view.columns
    )
    grain, key, rules = (view.header(word).rstrip(".") for word in ("Grain", "Key", "Rules"))
    about = view.comment.partition(" Grain: ")[0].rstrip(".")
    return TableEntry(
        view.schema,
        view.name,
        about,
        as_sentence(grain),
        tuple(key.split(", ")),
        columns,
        True,
        as_sentence(rules),
        arguments,
    )


def as_sentence(words: str) -> str:
    """The words, from a capital letter to a full stop; nothing of none."""
    return f"{words[:1].upper()}{words[1:].rstrip('.')}." if words else ""


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
