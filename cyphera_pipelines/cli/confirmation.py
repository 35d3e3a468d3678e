"""Asking before something is deleted or stopped."""

import sys
from typing import Annotated

import typer

from cyphera_pipelines.model.errors import InvalidInputError

YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


def confirm(what_happens: str, *, yes: bool) -> None:
    """Ask a person at a terminal whether to go on, and end the command if not. A script is not asked."""
    if yes or not sys.stdin.isatty():
        return
    typer.echo(what_happens, err=True)
    if not typer.confirm("Go on?", err=True):
        typer.echo("Nothing was changed.", err=True)
        raise typer.Exit(1)


ConfirmOption = Annotated[
    str | None, typer.Option("--confirm", metavar="SLUG", help="The workspace's slug once more: nobody is asked then.")
]


def confirm_slug(slug: str, what_happens: str, given: str | None) -> None:
    """Go on only if the workspace's slug is given once more, by an option or by a person at a terminal.

    Raises InvalidInputError otherwise: what cannot be undone is not done by a slip, nor by a script by default.
    """
    if given is None and sys.stdin.isatty():
        typer.echo(what_happens, err=True)
        given = str(typer.prompt(f"Type {slug} to go on", default="", show_default=False, err=True))
    if given is None:
        raise InvalidInputError(f"{what_happens} Confirm it with: --confirm {slug}")
    if given != slug:
        raise InvalidInputError(f"That is not {slug}: nothing was changed.")
