"""Cancelling a session at somebody's request."""

from typing import Any
from uuid import UUID

from cyphera_pipelines.model.errors import ConflictError
from cyphera_pipelines.model.sessions import EventLevel, Session, SessionEvent, SessionStatus
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.events import record_events
from cyphera_pipelines.store.sessions import finish_session, get_session

_COUNTS = ("created", "updated", "deleted")


def cancel_session(database: Database, session: Session, *, key_id: UUID, key_name: str) -> Session:
    """End the session as cancelled and return it; an engine at work on it stops between two pages.

    One that is cancelled already is returned as it is. Raises ConflictError if it has ended otherwise.
    """
    merged = _merged(session)
    what = ", ".join(f"{counts['created']:,} {entity}" for entity, counts in merged.items() if counts["created"])
    message = (
        f"Cancelled through the API with key {key_name!r} ({key_id}). "
        + (f"Rows created until then: {what}. They are kept; the " if what else "No row had been created. The ")
        + "next sync continues from there."
    )
    summary = {"message": message, "cancelled_by": {"api_key_id": str(key_id), "name": key_name}, "merged": merged}
    if finish_session(database, session, SessionStatus.CANCELLED, error_summary=summary):
        event = SessionEvent("session_cancelled", message, event_details=summary, level=EventLevel.WARNING)
        record_events(database, session, [event])
    ended = get_session(database, session.workspace_id, session.id)
    if ended.status is not SessionStatus.CANCELLED:
        raise ConflictError(f"Session {session.id} has ended {ended.status.value} already; there is nothing to cancel.")
    return ended


def _merged(session: Session) -> dict[str, dict[str, Any]]:
    return {
        entity.value: {name: counts.get(name, 0) for name in _COUNTS} for entity, counts in session.entity_progress()
    }
