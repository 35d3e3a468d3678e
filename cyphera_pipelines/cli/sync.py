"""`cyphera sync`: one sync of one source, watched."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Annotated
from uuid import uuid4

import typer

from cyphera_pipelines.cli import services
from cyphera_pipelines.cli.entities_option import EntitiesOption, chosen_entities
from cyphera_pipelines.cli.output import JSON_OPTION, print_error, print_json, print_table, short_id, with_code
from cyphera_pipelines.cli.progress import watch_session
from cyphera_pipelines.cli.source import ProviderArgument
from cyphera_pipelines.cli.workspace import SlugArgument
from cyphera_pipelines.model.errors import CypheraError, InvalidInputError
from cyphera_pipelines.model.sessions import ConflictStrategy, Session, SessionStatus, SyncRequest
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.store.database import DATABASE_ERRORS, Database
from cyphera_pipelines.store.sessions import finish_session, get_session, list_active_sessions
from cyphera_pipelines.store.sources import find_source
from cyphera_pipelines.sync.cancellation import Cancellation, cancel_sessions
from cyphera_pipelines.sync.request import open_session, type_of_cheapest

EXIT_CODES = {SessionStatus.COMPLETED: 0, SessionStatus.PARTIAL: 2}


def sync(
    slug: SlugArgument,
    provider: ProviderArgument,
    entities: EntitiesOption = None,
    full: Annotated[
        bool, typer.Option("--full", help="List everything anew, which also proves what is gone at the provider.")
    ] = False,
    delta: Annotated[
        bool,
        typer.Option("--delta", help="What changed since the last sync, where that suffices: as without options."),
    ] = False,
    on_conflict: Annotated[
        ConflictStrategy,
        typer.Option(
            help="What becomes of rows that are there and differ: overwrite them, skip them, or leave them and flag "
            "each in an event."
        ),
    ] = ConflictStrategy.OVERWRITE,
    batch_size: Annotated[int, typer.Option(min=1, max=100, help="Objects per page.")] = 100,
    as_json: bool = JSON_OPTION,
) -> None:
    """Sync a source now, as a Dagster run in this process.

    Without options what is cheapest and right: the changes since the last sync where the provider's events tell them,
    a listing of everything where they do not, as the first time; it says which, and why. With --on-conflict skip or
    flag everything is listed.

    Exit code 0: completed. 2: partial, some entity or row did not make it. 1: failed or cancelled. 130: interrupted.
    """
    if full and delta:
        raise InvalidInputError("Choose either --full or --delta.")
    request = SyncRequest(
        entities=chosen_entities(entities),
        batch_size=batch_size,
        full_sync=full,
        only_changes=delta or (not full and on_conflict is ConflictStrategy.OVERWRITE),
        conflict_strategy=on_conflict,
    )
    session = run_and_watch(f"{slug}:{provider}", request)
    if as_json:
        print_json(session)
    else:
        show_result(session)
    exit_with(session)


def exit_with(session: Session) -> None:
    """End the command with the exit code of an ended session."""
    if session.status is not SessionStatus.COMPLETED:
        raise typer.Exit(EXIT_CODES.get(session.status, 1))


def run_and_watch(source_key: str, request: SyncRequest) -> Session:
    """Run a sync of the source in this process, show its progress on stderr, and return the session as it ended."""
    database = services.database(for_sync=True)
    source = find_source(database, source_key)
    # With its run named from the start: a session without one is given one by Dagster's sensor.
    kind, run_id = type_of_cheapest(database, source, request), str(uuid4())
    with _cancelled_when_interrupted(database, source, run_id):
        session = open_session(database, source, request, dagster_run_id=run_id, kind=kind)
        services.prepare_dagster_home()
        with watch_session(database, session, source.key):
            _run(database, source, session, request)
    return get_session(database, session.workspace_id, session.id)


@contextmanager
def _cancelled_when_interrupted(database: Database, source: Source, run_id: str) -> Iterator[None]:
    """End the session that names the run if Ctrl-C comes before the run does: nobody else knows that it never will."""
    try:
        yield
    except KeyboardInterrupt:
        with suppress(*DATABASE_ERRORS):
            # By its run: it may be in the database before this process has heard of it.
            unfinished = [each for each in list_active_sessions(database, source) if each.dagster_run_id == run_id]
            cancel_sessions(database, unfinished, Cancellation("The sync was interrupted.", {"dagster_run_id": run_id}))
        raise


def _run(database: Database, source: Source, session: Session, request: SyncRequest) -> None:
    # Dagster takes more than a second to import: only the commands that run it should wait for that.
    from cyphera_pipelines.orchestration.run import run_source_sync

    try:
        run_source_sync(database, source, session, request)
    except CypheraError as error:
        # Dagster could not even begin, or the database is lost: nobody else will end the session. If it cannot be
        # ended here either, the next sync of the source does that.
        with suppress(*DATABASE_ERRORS):
            summary = {"message": str(error)}
            finish_session(database, session, SessionStatus.FAILED, error_summary=summary, code=error.code)
        raise


def show_result(session: Session) -> None:
    """Print what a session did, per table."""
    counted = ["created", "updated", "unchanged", "deleted", "failed"]
    if session.config.get("conflict_strategy") == ConflictStrategy.FLAG.value:
        counted.append("flagged")
    rows: list[tuple[object, ...]] = []
    for entity, counts in session.entity_progress():
        rows.append((entity.value, *(counts.get(name, 0) for name in counted), _state(counts)))
        rows.extend(
            (f"  {child}", *(children.get(name) for name in counted), None)
            for child, children in counts["children"].items()
        )
    columns = ("TABLE", *(f"{name.upper()}#" for name in counted), "STATE")
    print_table(columns, rows, empty="Nothing was synced.")
    seconds = (
        (session.completed_at - session.started_at).total_seconds()
        if session.completed_at and session.started_at
        else 0
    )
    if session.progress.get("way"):
        typer.echo(session.progress["way"])
    typer.echo(f"Session {short_id(session.id)} {session.status.value} in {seconds:.1f} s.")
    for missing in session.progress.get("missing", []):
        print_error(missing["message"])
    if session.error_summary:
        print_error(with_code(str(session.error_summary.get("message", "")), session.error_code))
        print_error(f"Details: cyphera events {short_id(session.id)}")
    sys.stdout.flush()


def _state(counts: dict[str, object]) -> str:
    if counts["error"]:
        return "not complete"
    if counts["failed"]:
        return "rows missing"
    return "complete" if counts["done"] else "stopped"
