"""Purging a workspace or a source from the command line, watched."""

import time
from contextlib import AbstractContextManager, nullcontext
from typing import Annotated

import typer
from rich.console import Console
from rich.status import Status

from cyphera_pipelines.cli import services
from cyphera_pipelines.model.counted import counted
from cyphera_pipelines.model.purges import DAGSTER_RUNS, Purge
from cyphera_pipelines.model.workspace import Workspace
from cyphera_pipelines.store.purges import request_purge

FOR_GOOD = "It cannot be undone."
PLAIN_LINE_EVERY = 2.0
PurgeOption = Annotated[bool, typer.Option("--purge", help="Also remove everything that is kept of it, for good.")]


def purge_and_watch(workspace: Workspace, provider: str | None = None) -> None:
    """Purge the workspace, or its source at that provider, in this process, and show how far it is on stderr."""
    database = services.database()
    purge = request_purge(database, workspace, provider)
    services.prepare_dagster_home()
    # Dagster takes more than a second to import: only the commands that run it should wait for that.
    from cyphera_pipelines.orchestration.purging import carry_out_whole_purge

    view = _View(purge)
    try:
        with view:
            purge = carry_out_whole_purge(database, purge, on_progress=view.show)
    except KeyboardInterrupt:
        typer.echo(
            "The purge goes on by itself while Dagster's daemon runs, and by giving this command again.", err=True
        )
        raise
    runs = purge.deleted.get(DAGSTER_RUNS, 0)
    typer.echo(
        f"Purged {purge.what}: {counted(purge.rows, 'row')} and {runs:,} of Dagster's runs were removed. "
        "What is left tells who asked for it and when: cyphera audit " + purge.workspace_slug
    )


class _View:
    """One line that changes in a terminal, a line every two seconds elsewhere."""

    def __init__(self, purge: Purge) -> None:
        console = Console(stderr=True)
        self._status = console.status(f"Purging {purge.what}") if console.is_terminal else None
        self._console = console
        self._shown, self._shown_at = "", 0.0

    def __enter__(self) -> "_View":
        self._entered: AbstractContextManager[Status | None] = self._status or nullcontext()
        self._entered.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._entered.__exit__(None, None, None)

    def show(self, purge: Purge) -> None:
        """Show how far the purge is, and what it waits for."""
        runs = purge.deleted.get(DAGSTER_RUNS, 0)
        line = f"Purging {purge.what}: {counted(purge.rows, 'row')} and {runs:,} of Dagster's runs deleted"
        line += f"; waiting for {purge.waits_for}" if purge.waits_for else ""
        if self._status is not None:
            self._status.update(line)
        elif line != self._shown and time.monotonic() - self._shown_at >= PLAIN_LINE_EVERY:
            self._console.print(line, highlight=False, soft_wrap=True)
            self._shown, self._shown_at = line, time.monotonic()
