"""The benchmarks' command line."""

import shutil
import signal
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.console import Console

from cyphera_pipelines.cli.output import UNBOUNDED_WIDTH
from cyphera_pipelines.model.errors import CypheraError
from cyphera_pipelines_tests.benchmarks.chart import draw
from cyphera_pipelines_tests.benchmarks.dataset import FULL_SIZE
from cyphera_pipelines_tests.benchmarks.machine import describe_machine
from cyphera_pipelines_tests.benchmarks.report import print_report
from cyphera_pipelines_tests.benchmarks.scenarios import SCENARIOS, Scenario
from cyphera_pipelines_tests.benchmarks.workbench import open_workbench

_HELP = f"""Measure what a sync takes, against the sandbox in a process of its own and a Postgres of its own.

The account has {", ".join(f"{count:,} {name}" for name, count in FULL_SIZE.items())}; 1 % of the invoices have 11 to
250 lines. Each sync runs in a fresh process, whose CPU and memory are told by the system; Postgres' CPU is that of all
its processes. Figures are shown beside their targets; a missed target is no error, but a missing row is.

Examples:

  python -m cyphera_pipelines_tests.benchmarks first_load --scale 0.1

  python -m cyphera_pipelines_tests.benchmarks --json figures.json --chart docs/benchmark.svg
"""
_NAMES = "\n\n".join(
    f"{scenario.name}: {scenario.summary}{'' if scenario.by_default else ' (only if named)'}."
    for scenario in SCENARIOS.values()
)

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="rich")


@app.command(help=_HELP)
def bench(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAMES]...", help=f"What to run; everything but the longest by default.\n\n{_NAMES}"),
    ] = None,
    scale: Annotated[float, typer.Option(min=0.001, max=10.0, help="The account's size: 0.1 is a tenth.")] = 1.0,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures here as JSON.")] = None,
    chart_file: Annotated[Path | None, typer.Option("--chart", help="Write a bar chart here as SVG.")] = None,
    profile: Annotated[
        Path | None,
        typer.Option(help="Write a flame graph of first_load here, as SVG; needs py-spy, and slows the load down."),
    ] = None,
) -> None:
    """Run the scenarios and show what they found."""
    chosen = _choose(names or [])
    if profile is not None and shutil.which("py-spy") is None:
        raise typer.BadParameter("py-spy is not installed: pip install py-spy", param_hint="--profile")
    console = Console()
    if not console.is_terminal:
        console = Console(width=UNBOUNDED_WIDTH)
    with open_workbench(scale, Console(stderr=True), profile) as workbench:
        machine = describe_machine(workbench.database)
        for scenario in chosen:
            workbench.results[scenario.name] = scenario.run(workbench)
        results = workbench.results
    console.print(", ".join(f"{name} {value}" for name, value in machine.items()), f"scale {scale:g}\n", sep=", ")
    print_report(console, results.values())
    if json_file is not None:
        figures = {"machine": machine, "scale": scale, "results": [asdict(result) for result in results.values()]}
        json_file.write_bytes(orjson.dumps(figures, option=orjson.OPT_INDENT_2))
    if chart_file is not None:
        chart_file.write_text(draw(results), encoding="utf-8")


def _choose(names: list[str]) -> list[Scenario]:
    """The named scenarios, or those that run by default, in the order in which they build on each other."""
    unknown = [name for name in names if name not in SCENARIOS]
    if unknown:
        raise typer.BadParameter(f"{unknown[0]!r} is not one of {', '.join(SCENARIOS)}", param_hint="NAMES")
    return [scenario for name, scenario in SCENARIOS.items() if (name in names if names else scenario.by_default)]


def main() -> None:
    """Run the command line; errors are one line. Whatever stops it, its servers and its data go first."""
    # A shell starts background commands with Ctrl-C ignored.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        app()
    except CypheraError as error:
        Console(stderr=True, soft_wrap=True).print(f"Error: {error}", markup=False, highlight=False)
        sys.exit(1)


if __name__ == "__main__":
    main()
