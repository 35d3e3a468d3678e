"""`cyphera source pause` and `cyphera source resume`."""

from typing import Annotated

import typer

from cyphera_pipelines.cli import services
from cyphera_pipelines.cli.output import short_id
from cyphera_pipelines.cli.source import ProviderArgument
from cyphera_pipelines.cli.working import working
from cyphera_pipelines.cli.workspace import SlugArgument
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.store.pauses import pause_source, resume_source
from cyphera_pipelines.store.schedules import ScheduleState, read_schedule
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
    source = find_source(services.database(), f"{slug}:{provider}")
    pause_and_tell(source, reason, cancel=cancel, command="cyphera source pause")


def pause_and_tell(source: Source, reason: str | None, *, cancel: bool, command: str) -> None:
    """Pause the source, and say so."""
    database = services.database()
    cancellation = Cancellation.with_command("The source was paused", command)
    with working("Pausing the source"):
        paused = pause_source(database, source, reason)
        cancelled = cancel_sessions_of_source(database, source, cancellation, running=cancel)
    resuming = f"cyphera source resume {source.workspace_slug} {source.provider}"
    typer.echo(f"{source.key} is {paused}. Resume it with: {resuming}")
    for session in cancelled:
        typer.echo(f"Cancelled its session {short_id(session.id)}.")
    for session in list_active_sessions(database, source):
        shown = short_id(session.id)
        typer.echo(f"Its session {shown} goes on. Cancel it with: cyphera session cancel {shown}")


def resume(slug: SlugArgument, provider: ProviderArgument) -> None:
    """Let syncs of a paused source start again."""
    resume_and_tell(find_source(services.database(), f"{slug}:{provider}"))


def resume_and_tell(source: Source) -> None:
    """Resume the source, and say when it is due."""
    over = resume_source(services.database(), source)
    if over is None:
        typer.echo(f"{source.key} was not paused.")
        return
    typer.echo(f"Resumed {source.key}, which was {over}.")
    state = read_schedule(services.database(), source.workspace_id, source.provider)
    typer.echo(f"Next: cyphera sync {source.workspace_slug} {source.provider}{_by_itself(state)}")


def _by_itself(state: ScheduleState | None) -> str:
    if state is None:
        return ""
    if state.is_wanted:
        return " (by itself within a minute, as what webhooks told waits for it)"
    return f" (by itself at {state.due_at:%Y-%m-%d %H:%M} UTC)"
