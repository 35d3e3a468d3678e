"""`cyphera sessions` and `cyphera events`: what syncs did."""

from typing import Annotated

import typer

from cyphera_pipelines.cli import services
from cyphera_pipelines.cli.output import JSON_OPTION, ago, print_json, print_remarks, print_table, short_ids, with_code
from cyphera_pipelines.connection_budget import budget_of
from cyphera_pipelines.model.sessions import Session
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.events import list_events
from cyphera_pipelines.store.id_prefixes import find_session_id
from cyphera_pipelines.store.sessions import find_session, list_sessions
from cyphera_pipelines.store.workspaces import find_workspace, workspace_slugs
from cyphera_pipelines.sync.turns import what_it_waits_for


def sessions(
    slug: Annotated[str | None, typer.Argument(help="Only this workspace's sessions.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many, newest first.")] = 20,
    as_json: bool = JSON_OPTION,
) -> None:
    """Show the newest sync sessions."""
    database = services.database()
    workspace_id = find_workspace(database, slug).id if slug else None
    found = list_sessions(database, workspace_id, limit=limit)
    if as_json:
        print_json(found)
        return
    slugs, shown = workspace_slugs(database), short_ids(session.id for session in found)
    rows = [
        (
            shown[session.id],
            f"{slugs[session.workspace_id]}:{session.provider_name}",
            session.session_type.value,
            session.status.value,
            _fetched(session),
            ago(session.created_at),
        )
        for session in found
    ]
    columns = ("SESSION", "SOURCE", "TYPE", "STATUS", "OBJECTS#", "STARTED")
    print_table(columns, rows, empty="No sessions yet. Start one: cyphera sync SLUG stripe")
    runs_at_once = budget_of(services.settings()).runs_at_once
    print_remarks(
        (shown[session.id], remark) for session in found for remark in _remarks(database, session, runs_at_once)
    )


def _remarks(database: Database, session: Session, runs_at_once: int | None) -> list[str]:
    """What went wrong, and what it waits for."""
    waiting = what_it_waits_for(database, session, runs_at_once)
    problem = (session.error_summary or {}).get("message", "")
    return [
        *([with_code(problem, session.error_code)] if problem else []),
        *([] if waiting is None else [waiting.in_words()]),
    ]


def events(
    session_id: Annotated[str, typer.Argument(help="The session's id, or its first characters.")],
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many, oldest first.")] = 200,
    as_json: bool = JSON_OPTION,
) -> None:
    """Show what happened in a session."""
    session = find_session(services.database(), find_session_id(services.database(), session_id))
    found = list_events(services.database(), session.workspace_id, session.id, limit=limit)
    if as_json:
        print_json(found)
        return
    rows = [
        (f"{event.occurred_at:%H:%M:%S}", event.entity_type, with_code(event.event_message, event.error_code))
        for event in found
    ]
    print_table(("TIME", "ABOUT", "EVENT"), rows, empty="Nothing happened in this session yet.")


def _fetched(session: Session) -> int:
    return sum(counts["fetched"] for _entity, counts in session.entity_progress())
