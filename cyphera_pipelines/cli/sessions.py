"""`cyphera sessions` and `cyphera events`: what syncs did."""

from typing import Annotated

import typer

from cyphera_pipelines.cli import services
from cyphera_pipelines.cli.output import JSON_OPTION, ago, print_json, print_table
from cyphera_pipelines.model.sessions import Session
from cyphera_pipelines.store.events import list_events
from cyphera_pipelines.store.id_prefixes import find_session_id
from cyphera_pipelines.store.sessions import find_session, list_sessions
from cyphera_pipelines.store.workspaces import find_workspace, workspace_slugs


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
    slugs = workspace_slugs(database)
    rows = [
        (
            session.id,
            f"{slugs[session.workspace_id]}:{session.provider_name}",
            session.session_type.value,
            session.status.value,
            _fetched(session),
            ago(session.created_at),
            (session.error_summary or {}).get("message", ""),
        )
        for session in found
    ]
    columns = ("SESSION", "SOURCE", "TYPE", "STATUS", "OBJECTS#", "STARTED", "PROBLEM")
    print_table(columns, rows, empty="No sessions yet. Start one: cyphera sync SLUG stripe")


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
    rows = [(f"{event.occurred_at:%H:%M:%S}", event.entity_type, event.event_message) for event in found]
    print_table(("TIME", "ABOUT", "EVENT"), rows, empty="Nothing happened in this session yet.")


def _fetched(session: Session) -> int:
    return sum(counts["fetched"] for _entity, counts in session.entity_progress())
