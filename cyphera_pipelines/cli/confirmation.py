"""Asking before something is deleted or stopped."""

import sys
from typing import Annotated

import typer

YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


def confirm(what_happens: str, *, yes: bool) -> None:
    """Ask a person at a terminal whether to go on, and end the command if not. A script is not asked."""
    if yes or not sys.stdin.isatty():
        return
    typer.echo(what_happens, err=True)
    if not typer.confirm("Go on?", err=True):
        typer.echo("Nothing was changed.", err=True)
        raise typer.Exit(1)
