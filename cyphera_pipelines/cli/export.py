"""`cyphera export-workspace`: all that is kept of a workspace, as files."""

import os
import shutil
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Annotated

import orjson
import typer
from rich.console import Console

from cyphera_pipelines import __version__
from cyphera_pipelines.cli import services
from cyphera_pipelines.cli.workspace import SlugArgument
from cyphera_pipelines.model.counted import counted
from cyphera_pipelines.model.error_codes import ErrorCode
from cyphera_pipelines.model.errors import CypheraError, InvalidInputError
from cyphera_pipelines.model.workspace import Workspace
from cyphera_pipelines.store.analysts import list_analysts
from cyphera_pipelines.store.export import ExportedTable, ExportFormat, OpenFile, export_workspace, record_export
from cyphera_pipelines.store.workspaces import find_workspace

MANIFEST = "manifest.json"
PLAIN_LINE_EVERY = 2.0


def export(
    slug: SlugArgument,
    to: Annotated[Path, typer.Option(help="A folder to be made, or a file to be made whose name ends in .zip.")],
    file_format: Annotated[
        ExportFormat, typer.Option("--format", help="An object of JSON a line, or CSV with a header.")
    ] = ExportFormat.JSONL,
) -> None:
    """Write out all that is kept of a workspace: its rows, sessions, events, webhooks, configurations, audit trail.

    One file per table, all as of one moment, and a manifest.json that tells what each column means. Credentials and
    keys are not in it; people's data is: only you may read the files. Nothing is left of an export that did not end.
    """
    workspace = find_workspace(services.database(), slug, or_deleted=True)
    if to.exists() or to.is_symlink():
        raise InvalidInputError(f"{to} exists already: name a folder, or a file that ends in .zip, that is to be made.")
    if not to.absolute().parent.is_dir():
        raise InvalidInputError(f"There is no folder {to.absolute().parent}.")
    try:
        with _to_zip(to) if to.suffix == ".zip" else _to_folder(to) as open_file, showing_progress() as show:
            exported = export_workspace(services.database(), workspace, file_format, open_file, on_progress=show)
            with open_file(MANIFEST) as manifest:
                manifest.write(_manifest(workspace, file_format, exported))
    except FileExistsError as error:
        raise InvalidInputError(f"{error.filename} is left of an export that was killed: remove it first.") from None
    except OSError as error:
        raise CypheraError(
            f"The export cannot be written: {error.strerror or error}. Nothing is left of it.",
            code=ErrorCode.FILE_UNUSABLE,
        ) from None
    record_export(services.database(), workspace, exported)
    rows = sum(table.rows for table in exported)
    typer.echo(f"Exported {counted(rows, 'row')} of {counted(len(exported), 'table')} of workspace {slug} to {to}.")


@contextmanager
def _to_folder(to: Path) -> Iterator[OpenFile]:
    """Files in a folder that has another name until all of them are there."""
    unfinished = to.with_name(f"{to.name}.unfinished")
    unfinished.mkdir(mode=0o700)
    try:
        yield lambda name: private_file(unfinished / name)
        unfinished.rename(to)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise


@contextmanager
def _to_zip(to: Path) -> Iterator[OpenFile]:
    """Files in an archive that has another name until all of them are there."""
    unfinished = to.with_name(f"{to.name}.unfinished")
    try:
        with (
            private_file(unfinished) as file,
            zipfile.ZipFile(file, "w", compression=zipfile.ZIP_DEFLATED, allowZip64=True) as archive,
        ):
            yield lambda name: archive.open(_dated(name), "w", force_zip64=True)
        unfinished.rename(to)
    except FileExistsError:
        raise
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def _dated(name: str) -> zipfile.ZipInfo:
    """A file of now: by its name alone it would be of 1980, and not compressed."""
    info = zipfile.ZipInfo(name, time.localtime()[:6])
    info.compress_type = zipfile.ZIP_DEFLATED
    return info


def private_file(path: Path) -> IO[bytes]:
    """A new file that only this user may read."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


@contextmanager
def showing_progress() -> Iterator["_Show"]:
    """Whatever is told a table and its rows so far shows them, on stderr."""
    console = Console(stderr=True)
    status = console.status("Exporting") if console.is_terminal else None
    with status or nullcontext():
        yield _Show(console, None if status is None else status.update)


class _Show:
    """How far the export is: a line that changes in a terminal, a line every two seconds elsewhere."""

    def __init__(self, console: Console, update: Callable[[str], None] | None) -> None:
        self._console = console
        self._update = update
        self._told_at = time.monotonic()

    def __call__(self, table: str, rows: int) -> None:
        line = f"Exporting {table}: {rows:,} rows"
        if self._update is not None:
            self._update(line)
        elif time.monotonic() - self._told_at >= PLAIN_LINE_EVERY:
            self._console.print(line, highlight=False, soft_wrap=True)
            self._told_at = time.monotonic()


def _manifest(workspace: Workspace, file_format: ExportFormat, exported: list[ExportedTable]) -> bytes:
    analysts = [analyst.role_name for analyst in list_analysts(services.database(), workspace)]
    about = {
        "workspace": {"id": str(workspace.id), "slug": workspace.slug, "name": workspace.name},
        "exported_at": datetime.now(UTC),
        "program": f"cyphera-pipelines {__version__}",
        "format": file_format.value,
        "analysts": analysts,
        "tables": [asdict(table) for table in exported],
    }
    return orjson.dumps(about, option=orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z)
