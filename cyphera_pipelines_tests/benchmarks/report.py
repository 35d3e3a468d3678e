"""Showing results: one table for people."""

from collections.abc import Iterable

from rich.console import Console
from rich.table import Table

from cyphera_pipelines_tests.benchmarks.figures import Figure, Result


def print_report(console: Console, results: Iterable[Result]) -> None:
    """Print every figure beside its target, then the notes."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("SCENARIO", no_wrap=True)
    table.add_column("FIGURE")
    table.add_column("VALUE", justify="right", no_wrap=True)
    table.add_column("TARGET", justify="right", no_wrap=True)
    notes: list[str] = []
    for result in results:
        for at, figure in enumerate(result.figures):
            last = at == len(result.figures) - 1
            table.add_row(
                result.scenario if at == 0 else "", figure.name, shown(figure), _target(figure), end_section=last
            )
        notes += [f"{result.scenario}: {note}" for note in result.notes]
    console.print(table)
    for note in notes:
        console.print(note, highlight=False)


def shown(figure: Figure) -> str:
    """The value with its unit."""
    return f"{plain_number(figure.value)} {figure.unit}".rstrip()


def plain_number(value: float) -> str:
    """The value as precise as makes sense."""
    if value == int(value) or abs(value) >= 1_000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _target(figure: Figure) -> str:
    if figure.target is None:
        return ""
    return f"<= {plain_number(figure.target)} {'met' if figure.value <= figure.target else 'MISSED'}"
