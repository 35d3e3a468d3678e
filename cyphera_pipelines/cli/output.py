"""Printing: tables for people, JSON for programs; results to stdout, everything else to stderr."""

import dataclasses
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
import typer
from rich.console import Console
from rich.table import Table

from cyphera_pipelines.security.secrets import redact

UNBOUNDED_WIDTH = 10_000
"""Where no person reads, nothing is folded to fit a screen."""
JSON_OPTION = typer.Option(False, "--json", help="Print JSON instead of a table.")


def print_json(value: Any) -> None:
    """Print dataclasses, dictionaries and lists of them as indented JSON."""
    options = orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS
    print(orjson.dumps(value, default=_plain, option=options).decode())  # noqa: T201


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str) -> None:
    """Print rows as a table, or `empty` if there are none. A column whose name ends in # holds numbers."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for at, name in enumerate(columns):
        is_number = name.endswith("#")
        # The first column names the row: it is what people copy, so it stays whole.
        table.add_column(
            name.removesuffix("#"), overflow="fold", justify="right" if is_number else "left", no_wrap=at == 0
        )
    for row in rows:
        table.add_row(*(_shown(cell) for cell in row))
    console = Console()
    if not console.is_terminal:
        console = Console(width=UNBOUNDED_WIDTH)
    if table.row_count:
        console.print(table)
    else:
        console.print(empty)


def print_error(message: str) -> None:
    """Print a message for the reader to stderr, without secrets."""
    Console(stderr=True, soft_wrap=True).print(redact(message), markup=False, highlight=False)


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
