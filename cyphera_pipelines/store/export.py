"""All that is kept of a workspace, written out as it was at one moment, in memory that does not grow with it.

What is written is what the workspace itself may read (see `access.matrix`): no credential and no hash of a key is.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import IO, Any
from uuid import UUID

from sqlalchemy import Column, Table
from sqlalchemy.dialects.postgresql import BYTEA

from cyphera_pipelines.model.audit import Action
from cyphera_pipelines.model.workspace import Workspace
from cyphera_pipelines.store.access.matrix import MATRIX, Role
from cyphera_pipelines.store.audit import record_action
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.tables import metadata, purges, workspaces

TELL_EVERY_ROWS = 1_000


class ExportFormat(StrEnum):
    """How rows are written: an object of JSON a line, or CSV with a header."""

    JSONL = "jsonl"
    CSV = "csv"


@dataclass(frozen=True)
class ExportedTable:
    """A table as it was written out. `columns` maps names to what they mean."""

    table: str
    file: str
    rows: int
    comment: str
    columns: dict[str, str]


OpenFile = Callable[[str], AbstractContextManager[IO[bytes]]]
"""Opens a new file of that name to be written to."""


def export_workspace(
    database: Database,
    workspace: Workspace,
    file_format: ExportFormat,
    open_file: OpenFile,
    *,
    on_progress: Callable[[str, int], None] = lambda _table, _rows: None,
) -> list[ExportedTable]:
    """Write the workspace's rows to a file for each table, all as of one moment, and return what was written.

    `on_progress` is told the table and its rows so far, about every thousand rows.
    """
    with (
        database.engine.connect() as opened,
        database.tenant(
            workspace.id, opened.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        ) as connection,
    ):
        cursor: Any = connection.connection.cursor()
        return [
            _export(cursor, workspace.id, table, columns, file_format, open_file, on_progress)
            for table, columns in _readable_tables()
        ]


def record_export(database: Database, workspace: Workspace, exported: list[ExportedTable]) -> None:
    """Note in the audit trail that the workspace's data was written out."""
    rows = sum(table.rows for table in exported)
    with database.tenant(workspace.id) as connection:
        record_action(connection, workspace.id, Action.WORKSPACE_EXPORTED, workspace.slug, {"rows": rows})


def _readable_tables() -> Iterator[tuple[Table, list[Column[Any]]]]:
    """The tables that the workspace may read, and of each the columns: but for digests, which tell nobody anything."""
    for table in metadata.sorted_tables:
        columns = MATRIX[table.fullname].get(Role.TENANT, {}).get("SELECT")
        if columns is None or table is purges:
            continue
        readable = [column for column in table.c if not columns or column.name in columns]
        yield table, [column for column in readable if not isinstance(column.type, BYTEA)]


def _export(
    cursor: Any,
    workspace_id: UUID,
    table: Table,
    columns: list[Column[Any]],
    file_format: ExportFormat,
    open_file: OpenFile,
    on_progress: Callable[[str, int], None],
) -> ExportedTable:
    file = f"{table.fullname}.{file_format.value}"
    with open_file(file) as target:
        rows = CountedRows(target, lambda count: on_progress(table.fullname, count))
        cursor.copy_expert(_copy(workspace_id, table, columns, file_format), rows)
    count = rows.count - (file_format is ExportFormat.CSV)
    on_progress(table.fullname, count)
    comments = {str(column.name): column.comment or "" for column in columns}
    return ExportedTable(table.fullname, file, count, table.comment or "", comments)


def _copy(workspace_id: UUID, table: Table, columns: list[Column[Any]], file_format: ExportFormat) -> str:
    names = ", ".join(f'"{column.name}"' for column in columns)
    own = "id" if table is workspaces else "workspace_id"
    # The policies let nothing else be seen; said again, it is found by the index.
    rows = f"SELECT {names} FROM {table.fullname} WHERE {own} = '{workspace_id}'"
    return copy_statement(rows, file_format)


def copy_statement(rows: str, file_format: ExportFormat) -> str:
    """`COPY ... TO STDOUT` of a query's rows. In CSV, with a header, an empty string is quoted, and NULL is nothing."""
    if file_format is ExportFormat.CSV:
        return f"COPY ({rows}) TO STDOUT (FORMAT csv, HEADER, ENCODING 'UTF8')"
    # As CSV whose quote and delimiter are in no JSON, so that each line is the object as it is.
    return (
        f"COPY (SELECT to_jsonb(found) FROM ({rows}) AS found) "
        "TO STDOUT (FORMAT csv, QUOTE E'\\x01', DELIMITER E'\\x02', ENCODING 'UTF8')"
    )


class CountedRows:
    """What COPY writes to: it hands over one row at a time."""

    def __init__(self, target: IO[bytes], tell: Callable[[int], None]) -> None:
        self._target = target
        self._tell = tell
        self.count = 0

    def write(self, row: bytes) -> None:
        """Take one row."""
        self._target.write(row)
        self.count += 1
        if self.count % TELL_EVERY_ROWS == 0:
            self._tell(self.count)
