"""Printing: tables for people, JSON for programs; results to stdout, everything else to stderr."""

import dataclasses
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson
import typer
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from cyphera_pipelines.security.secrets import redact

SHORTEST_ID = 8
"""Characters of an id that people are shown; programs get it whole, with --json."""
NARROW = 80
"""Columns of a terminal in which every one counts."""
UNBOUNDED_WIDTH = 10_000
"""Where no person reads, nothing is folded to fit a screen."""
JSON_OPTION = typer.Option(False, "--json", help="Print JSON instead of a table.")


def print_json(value: Any) -> None:
    """Print dataclasses, dictionaries and lists of them as indented JSON."""
    options = orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS
    print(orjson.dumps(value, default=_plain, option=options).decode())  # noqa: T201


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str) -> None:
    """Print rows as a table, or `empty` if there are none. A column whose name ends in # holds numbers."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=UNBOUNDED_WIDTH)
    gap = 2 if console.width > NARROW else 1
    table = Table(box=None, padding=(0, gap, 0, 0), pad_edge=False, header_style="bold")
    for at, name in enumerate(columns):
        is_number = name.endswith("#")
        # The first column names the row: it is what people copy, so it stays whole.
        table.add_column(
            name.removesuffix("#"), overflow="fold", justify="right" if is_number else "left", no_wrap=at == 0
        )
    for row in rows:
        # As text: what stands in brackets, as error codes do, is no markup.
        table.add_row(*(Text(_shown(cell)) for cell in row))
    if not table.row_count:
        console.print(empty)
    elif console.is_terminal:
        console.print(table)
    else:
        with console.capture() as printed:
            console.print(table)
        # One long cell would fill up every other line with blanks.
        typer.echo("\n".join(line.rstrip() for line in printed.get().rstrip("\n").split("\n")))


def print_remarks(remarks: Iterable[tuple[str, str]]) -> None:
    """Print what is too long for a table's cell, on lines of its own: what it is about, and the text."""
    console = Console()
    for about, text in remarks:
        remark = Text(f"{about}: {redact(text)}")
        console.print(
            Padding(remark, (0, 0, 0, 2)) if console.is_terminal else remark, soft_wrap=not console.is_terminal
        )


def short_id(full: UUID) -> str:
    """The beginning of an id, which commands take for it."""
    return str(full)[:SHORTEST_ID]


def short_ids(full: Iterable[UUID]) -> dict[UUID, str]:
    """As much of each id's beginning as tells them apart."""
    ids = set(full)
    for length in range(SHORTEST_ID, len(str(UUID(int=0)))):
        shown = {each: str(each)[:length].rstrip("-") for each in ids}
        if len(set(shown.values())) == len(ids):
            return shown
    return {each: str(each) for each in ids}


def print_error(message: str) -> None:
    """Print a message for the reader to stderr, without secrets."""
    Console(stderr=True, soft_wrap=True).print(redact(message), markup=False, highlight=False)


def with_code(sentence: str, code: str | None) -> str:
    """The sentence, and the error code after it in brackets, if there is one: see `cyphera errors`."""
    return sentence if code is None else f"{sentence} [{code}]"


def ago(moment: datetime | None) -> str:
    """How long ago a moment was, in words."""
    if moment is None:
        return "never"
    seconds = max(0, int((datetime.now(UTC) - moment).total_seconds()))
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit} ago"
    return f"{seconds} s ago"


def _shown(cell: object) -> str:
    if cell is None:
        return "-"
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, int):
        return f"{cell:,}"
    return redact(str(cell))


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    return str(value)
