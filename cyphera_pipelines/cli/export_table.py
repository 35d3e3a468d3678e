"""`cyphera export`: the rows of one table or view, as a file that other programs read."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import IO, Annotated
from uuid import UUID

import typer

from cyphera_pipelines.cli import services
from cyphera_pipelines.cli.export import private_file, showing_progress
from cyphera_pipelines.cli.output import print_error
from cyphera_pipelines.cli.workspace import SlugArgument
from cyphera_pipelines.model.counted import counted
from cyphera_pipelines.model.error_codes import ErrorCode
from cyphera_pipelines.model.errors import CypheraError, InvalidInputError
from cyphera_pipelines.store.completeness import check_figures
from cyphera_pipelines.store.export import CountedRows, ExportFormat
from cyphera_pipelines.store.table_rows import RowSelection, Value, copy_rows
from cyphera_pipelines.store.workspaces import find_workspace


class TableFormat(StrEnum):
    """What a table can be had as."""

    CSV = "csv"
    JSONL = "jsonl"
    PARQUET = "parquet"


class Mode(StrEnum):
    """Which of a provider's modes rows are of."""

    LIVE = "live"
    TEST = "test"
    BOTH = "both"


def export_table(
    slug: SlugArgument,
    table: Annotated[
        str,
        typer.Argument(help="A table, as in invoices (see: cyphera dictionary), or a view, as in analytics.invoices."),
    ],
    file_format: Annotated[
        TableFormat,
        typer.Option("--format", help="CSV with a header, an object of JSON a line, or Parquet (zstd)."),
    ] = TableFormat.CSV,
    out: Annotated[Path | None, typer.Option(help="A file to be made. Without it rows go to standard output.")] = None,
    columns: Annotated[
        str | None, typer.Option(help="Only these, separated by commas. Without it all but raw and content_hash.")
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(help="Only rows with that value, as in status=paid; repeated for one column: any of them."),
    ] = None,
    since: Annotated[datetime | None, typer.Option(help="Only objects created then or later (UTC).")] = None,
    until: Annotated[datetime | None, typer.Option(help="Only objects created before then (UTC).")] = None,
    mode: Annotated[Mode, typer.Option(help="Of which of the provider's modes.")] = Mode.BOTH,
    deleted: Annotated[bool, typer.Option("--with-deleted", help="With what is gone at the provider.")] = False,
) -> None:
    """Write the rows of a table or view out, as of one moment, in memory that does not grow with them.

    cyphera export acme invoices --where status=paid --since 2026-01-01 --format parquet --out paid.parquet
    """
    workspace = find_workspace(services.database(), slug)
    selection = RowSelection(
        columns=tuple(name.strip() for name in columns.split(",")) if columns else None,
        livemode=None if mode is Mode.BOTH else mode is Mode.LIVE,
        deleted=deleted,
        since=None if since is None else since.replace(tzinfo=UTC),
        until=None if until is None else until.replace(tzinfo=UTC),
        where=_conditions(where or ()),
    )
    with _target(out, file_format) as target, showing_progress() as show:
        rows = _write(workspace.id, table, selection, file_format, target, lambda count: show(table, count))
        if not rows:
            check_figures(services.database(), workspace, table)
    if out is not None:
        print_error(f"Exported {counted(rows, 'row')} of {table} of workspace {slug} to {out}.")


def _write(
    workspace_id: UUID,
    table: str,
    selection: RowSelection,
    file_format: TableFormat,
    target: IO[bytes],
    tell: Callable[[int], None],
) -> int:
    if file_format is TableFormat.PARQUET:
        try:
            from cyphera_pipelines.analytics.files import write_parquet
        except ImportError:
            raise CypheraError(
                "Parquet needs pyarrow: pip install 'cyphera-pipelines[analytics]'. CSV and JSON lines need no more.",
                code=ErrorCode.PACKAGE_MISSING,
            ) from None
        return write_parquet(services.database(), workspace_id, table, selection, target, tell)
    rows = CountedRows(target, tell)
    copy_rows(services.database(), workspace_id, table, selection, ExportFormat(file_format.value), rows)
    return rows.count - (file_format is TableFormat.CSV)


def _conditions(where: list[str] | tuple[str, ...]) -> dict[str, list[Value]]:
    conditions: dict[str, list[Value]] = {}
    for condition in where:
        column, sign, value = condition.partition("=")
        if not sign:
            raise InvalidInputError(f"--where takes a column and its value, as in status=paid, and not {condition!r}.")
        conditions.setdefault(column, []).append(value)
    return conditions


@contextmanager
def _target(out: Path | None, file_format: TableFormat) -> Iterator[IO[bytes]]:
    """A new file that only this user may read, and that is there only once it is whole; or standard output."""
    if out is None:
        if file_format is TableFormat.PARQUET and sys.stdout.isatty():
            raise InvalidInputError("Parquet is nothing for a terminal: name a file with --out.")
        yield typer.get_binary_stream("stdout")
        return
    if out.exists() or out.is_symlink():
        raise InvalidInputError(f"{out} exists already: name a file that is to be made.")
    unfinished = out.with_name(f"{out.name}.unfinished")
    try:
        with private_file(unfinished) as target:
            yield target
        unfinished.rename(out)
    except FileExistsError:
        raise InvalidInputError(f"{unfinished} is left of an export that was killed: remove it first.") from None
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise CypheraError(
            f"{out} cannot be written: {error.strerror or error}. Nothing is left of it.", code=ErrorCode.FILE_UNUSABLE
        ) from None
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
