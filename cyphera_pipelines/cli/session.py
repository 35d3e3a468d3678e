"""`cyphera session`: watching and cancelling one sync session, wherever it runs."""

import time
from typing import Annotated

import typer

from cyphera_pipelines.cli import services
from cyphera_pipelines.cli.output import JSON_OPTION, print_json, short_id
from cyphera_pipelines.cli.progress import LOOK_EVERY, watch_session
from cyphera_pipelines.cli.sync import exit_with, show_result
from cyphera_pipelines.model.sessions import Session
from cyphera_pipelines.store.id_prefixes import find_session_id
from cyphera_pipelines.store.sessions import find_session
from cyphera_pipelines.store.workspaces import workspace_slugs
from cyphera_pipelines.sync.cancellation import Cancellation, cancel_session

app = typer.Typer(help="One sync session: watch it, or cancel it.", no_args_is_help=True)
SessionArgument = Annotated[str, typer.Argument(help="The session's id, or its first characters.")]


@app.command("watch")
def watch(session_id: SessionArgument, as_json: bool = JSON_OPTION) -> None:
    """Show the progress of a session that waits or runs, in whatever process, until it has ended.

    Ctrl-C ends the watching only: the sync goes on.

    Exit code as of `cyphera sync`. 0: completed. 2: partial. 1: failed or cancelled.
    """
    session = _find(session_id)
    key = f"{workspace_slugs(services.database())[session.workspace_id]}:{session.provider_name}"
    with watch_session(services.database(), session, key):
        while not session.status.is_final:
            time.sleep(LOOK_EVERY)
            session = find_session(services.database(), session.id)
    if as_json:
        print_json(session)
    else:
        show_result(session)
    exit_with(session)


@app.command("cancel")
def cancel(session_id: SessionArgument) -> None:
    """Stop a session that waits or runs. What it has merged stays, and the next sync continues from there."""
    cancellation = Cancellation.with_command("Cancelled", "cyphera session cancel")
    cancelled = cancel_session(services.database(), _find(session_id), cancellation)
    typer.echo(
        f"Session {short_id(cancelled.id)} is cancelled. {(cancelled.error_summary or {}).get('message', '')}".strip()
    )


def _find(text: str) -> Session:
    return find_session(services.database(), find_session_id(services.database(), text))
