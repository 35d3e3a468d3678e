"""One workspace's rows of one synced table, as Postgres writes them out: in memory that does not grow with them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import IO, Any
from uuid import UUID

import psycopg2
from sqlalchemy import ColumnElement, Select, select

from cyphera_pipelines.model.errors import InvalidInputError
from cyphera_pipelines.model.synced_tables import SYNCED_TABLES, all_columns
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.export import ExportFormat, copy_statement
from cyphera_pipelines.store.tables import synced_tables

BULKY_COLUMNS = ("raw", "content_hash")
"""Left out unless they are named: the provider's whole object, and a digest that tells nobody anything."""

Value = str | int | bool | None


@dataclass(frozen=True)
class RowSelection:
    """Which rows and columns of a table.

    `columns`: None is all but the bulky ones. `livemode`: None is both modes. `deleted`: with those that are gone at
    the provider. `since` and `until`: created at or after, and before. `where` names columns and the values that they
    may have, one or several.
    """

    columns: tuple[str, ...] | None = None
    livemode: bool | None = None
    deleted: bool = False
    since: datetime | None = None
    until: datetime | None = None
    where: Mapping[str, Value | Collection[Value]] = field(default_factory=dict)


def selected_columns(table: str, selection: RowSelection) -> list[tuple[str, str]]:
    """(name, Postgres type) of the columns that are written out, in the table's order or in that of the selection.

    Raises InvalidInputError for a table or a column that is not there.
    """
    if table not in SYNCED_TABLES:
        raise InvalidInputError(f"There is no table {table!r}. The tables are: {', '.join(SYNCED_TABLES)}.")
    types = {name: kind for name, kind, _comment in all_columns(SYNCED_TABLES[table])}
    unknown = [name for name in (*(selection.columns or ()), *selection.where) if name not in types]
    if unknown:
        raise InvalidInputError(f"{table} has no column {unknown[0]!r}. It has: {', '.join(types)}.")
    names = selection.columns or tuple(name for name in types if name not in BULKY_COLUMNS)
    return [(name, types[name]) for name in names]


def copy_rows(
    database: Database,
    workspace_id: UUID,
    table: str,
    selection: RowSelection,
    file_format: ExportFormat,
    target: IO[bytes] | Any,
) -> None:
    """Write the rows to the target as UTF-8, a call of its `write` for each. Raises InvalidInputError.

    In CSV an empty string is quoted and NULL is nothing.
    """
    statement = _statement(workspace_id, table, selection)
    with (
        database.engine.connect() as opened,
        database.tenant(
            workspace_id, opened.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        ) as connection,
    ):
        cursor: Any = connection.connection.cursor()
        compiled = statement.compile(dialect=connection.dialect, compile_kwargs={"render_postcompile": True})
        rows = cursor.mogrify(str(compiled), compiled.params).decode()
        try:
            cursor.copy_expert(copy_statement(rows, file_format), target)
        except psycopg2.DataError as error:
            reason = str(error).splitlines()[0]
            raise InvalidInputError(f"The rows of {table} cannot be selected: {reason}.") from None


def _statement(workspace_id: UUID, table: str, selection: RowSelection) -> Select[Any]:
    columns = [name for name, _type in selected_columns(table, selection)]
    rows = synced_tables[table]
    # The policies let nothing else be seen; said again, it is found by the index.
    conditions: list[ColumnElement[bool]] = [rows.c.workspace_id == str(workspace_id)]
    if selection.livemode is not None:
        conditions.append(rows.c.livemode.is_(selection.livemode))
    if not selection.deleted:
        conditions.append(rows.c.deleted_at.is_(None))
    if (selection.since is not None or selection.until is not None) and "created" not in rows.c:
        raise InvalidInputError(f"The rows of {table} have no time of creation: select them without times.")
    if selection.since is not None:
        conditions.append(rows.c.created >= selection.since)
    if selection.until is not None:
        conditions.append(rows.c.created < selection.until)
    conditions += [_is_one_of(rows.c[name], value) for name, value in selection.where.items()]
    return select(*(rows.c[name] for name in columns)).where(*conditions).order_by(*rows.primary_key)


def _is_one_of(column: ColumnElement[Any], value: Value | Collection[Value]) -> ColumnElement[bool]:
    values: Sequence[Any] = [value] if isinstance(value, str) or not isinstance(value, Collection) else list(value)
    known = [each for each in values if each is not None]
    is_known = column.in_(known)
    return is_known | column.is_(None) if len(known) < len(values) else is_known
