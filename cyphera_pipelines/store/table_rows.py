"""One workspace's rows of a synced table or a view, as Postgres writes them out: in memory that does not grow."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import IO, Any
from uuid import UUID

import psycopg2
from sqlalchemy import ColumnElement, Select, column, select, table, text

from cyphera_pipelines.model.errors import InvalidInputError
from cyphera_pipelines.model.synced_tables import SYNCED_TABLES, all_columns
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.export import ExportFormat, copy_statement
from cyphera_pipelines.store.tables import synced_tables
from cyphera_pipelines.store.views.definitions import VIEW_SCHEMAS, views

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


def selected_columns(database: Database, name: str, selection: RowSelection) -> list[tuple[str, str]]:
    """(name, Postgres type) of the columns that are written out, in the table's order or in that of the selection.

    A view is named with its schema, as in analytics.invoices. Raises InvalidInputError for a table, a view or a column
    that is not there.
    """
    types = _column_types(database, name)
    unknown = [each for each in (*(selection.columns or ()), *selection.where) if each not in types]
    if unknown:
        raise InvalidInputError(f"{name} has no column {unknown[0]!r}. It has: {', '.join(types)}.")
    names = selection.columns or tuple(each for each in types if each not in BULKY_COLUMNS)
    return [(each, types[each]) for each in names]


def _column_types(database: Database, name: str) -> dict[str, str]:
    if name in SYNCED_TABLES:
        return {column: kind for column, kind, _comment in all_columns(SYNCED_TABLES[name])}
    if _is_view(name):
        with database.control() as connection:
            found = {row.attname: row.type for row in connection.execute(_COLUMNS_OF_VIEW, {"name": name})}
        if found:
            return found
        raise InvalidInputError(f"The server is too old for the view {name!r}: views need PostgreSQL 15 or newer.")
    raise InvalidInputError(
        f"There is no table {name!r}. The tables are: {', '.join(SYNCED_TABLES)}. "
        f"The views are: {', '.join(view.full_name for view in views())}."
    )


def _is_view(name: str) -> bool:
    return any(view.full_name == name for view in views())


def copy_rows(
    database: Database,
    workspace_id: UUID,
    name: str,
    selection: RowSelection,
    file_format: ExportFormat,
    target: IO[bytes] | Any,
) -> None:
    """Write the rows to the target as UTF-8, a call of its `write` for each. Raises InvalidInputError.

    In CSV an empty string is quoted and NULL is nothing.
    """
    statement = _statement(database, workspace_id, name, selection)
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
            raise InvalidInputError(f"The rows of {name} cannot be selected: {reason}.") from None


def _statement(database: Database, workspace_id: UUID, name: str, selection: RowSelection) -> Select[Any]:
    columns = [each for each, _type in selected_columns(database, name, selection)]
    if _is_view(name):
        return _of_view(database, workspace_id, name, columns, selection)
    rows = synced_tables[name]
    conditions: list[ColumnElement[bool]] = []
    if selection.livemode is not None:
        conditions.append(rows.c.livemode.is_(selection.livemode))
    if not selection.deleted:
        conditions.append(rows.c.deleted_at.is_(None))
    statement = select(*(rows.c[each] for each in columns)).order_by(*rows.primary_key)
    return statement.where(*conditions, *_conditions(rows.c, workspace_id, name, selection))


def _of_view(
    database: Database, workspace_id: UUID, name: str, columns: Sequence[str], selection: RowSelection
) -> Select[Any]:
    schema, view = name.split(".")
    if selection.livemode is not None or selection.deleted:
        modes = " and ".join(VIEW_SCHEMAS)
        raise InvalidInputError(
            f"Views hold one mode each, and nothing that is gone: select a view of {modes} without these."
        )
    rows = table(view, *(column(each) for each in _column_types(database, name)), schema=schema)
    statement = select(*(rows.c[each] for each in columns))
    return statement.where(*_conditions(rows.c, workspace_id, name, selection))


def _conditions(columns: Any, workspace_id: UUID, name: str, selection: RowSelection) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if "workspace_id" in columns:
        # The policies let nothing else be seen; said again, it is found by the index.
        conditions.append(columns.workspace_id == str(workspace_id))
    if (selection.since is not None or selection.until is not None) and "created" not in columns:
        raise InvalidInputError(f"The rows of {name} have no time of creation: select them without times.")
    if selection.since is not None:
        conditions.append(columns.created >= selection.since)
    if selection.until is not None:
        conditions.append(columns.created < selection.until)
    return conditions + [_is_one_of(columns[each], value) for each, value in selection.where.items()]


def _is_one_of(column: ColumnElement[Any], value: Value | Collection[Value]) -> ColumnElement[bool]:
    values: Sequence[Any] = [value] if isinstance(value, str) or not isinstance(value, Collection) else list(value)
    known = [each for each in values if each is not None]
    is_known = column.in_(known)
    return is_known | column.is_(None) if len(known) < len(values) else is_known


# What is computed has its decimals from the row's currency: up to 16, of which the provider tells 12.
_COLUMNS_OF_VIEW = text(
    "SELECT attname, CASE format_type(atttypid, NULL) WHEN 'timestamp with time zone' THEN 'timestamptz' "
    "WHEN 'integer' THEN 'bigint' WHEN 'numeric' THEN 'numeric(38, 16)' ELSE format_type(atttypid, NULL) END AS type "
    "FROM pg_attribute WHERE attrelid = to_regclass(:name) AND attnum > 0 AND NOT attisdropped ORDER BY attnum"
)
