"""`cyphera source pause` and `cyphera source resume`."""

from typing import Annotated

import typer

from cyphera_pipelines.cli import services
from cyphera_pipelines.cli.output import short_id
from cyphera_pipelines.cli.source import ProviderArgument
from cyphera_pipelines.cli.working import working
from cyphera_pipelines.cli.workspace import SlugArgument
from cyphera_pipelines.store.pauses import pause_source, resume_source
from cyphera_pipelines.store.sessions import list_active_sessions
from cyphera_pipelines.store.sources import find_source
from cyphera_pipelines.sync.cancellation import Cancellation, cancel_sessions_of_source


def pause(
    slug: SlugArgument,
    provider: ProviderArgument,
    reason: Annotated[str | None, typer.Option(help="Why: whoever asks for a sync is told.")] = None,
    cancel: Annotated[bool, typer.Option("--cancel", help="Cancel a sync that runs; else it goes on.")] = False,
) -> None:
    """Let no sync of the source start until it is resumed, whoever asks for it.

    Syncs that wait to begin are cancelled. What webhooks tell is kept, and applied by the first sync afterwards.
    """
    database = services.database()
    source = find_source(database, f"{slug}:{provider}")
    cancellation = Cancellation.with_command("The source was paused", "cyphera source pause")
    with working("Pausing the source"):
        paused = pause_source(database, source, reason)
        cancelled = cancel_sessions_of_source(database, source, cancellation, running=cancel)
    typer.echo(f"{source.key} is {paused}. Resume it with: cyphera source resume {slug} {provider}")
    for session in cancelled:
        typer.echo(f"Cancelled its session {short_id(session.id)}.")
    for session in list_active_sessions(database, source):
        shown = short_id(session.id)
        typer.echo(f"Its session {shown} goes on. Cancel it with: cyphera session cancel {shown}")


def resume(slug: SlugArgument, provider: ProviderArgument) -> None:
    """Let syncs of a paused source start again."""
    source = find_source(services.database(), f"{slug}:{provider}")
    over = resume_source(services.database(), source)
    if over is None:
        typer.echo(f"{source.key} was not paused.")
        return
    typer.echo(f"Resumed {source.key}, which was {over}.")
    typer.echo(f"Next: cyphera sync {slug} {provider} --delta")
