"""Cancelling sessions at somebody's request."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from cyphera_pipelines.model.actor import Actor
from cyphera_pipelines.model.error_codes import ErrorCode
from cyphera_pipelines.model.errors import ConflictError
from cyphera_pipelines.model.merged_rows import NO_ROW, about_merged_rows, about_merged_rows_of
from cyphera_pipelines.model.sessions import EventLevel, Session, SessionEvent, SessionStatus
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.schedules import SyncEnd, SyncResult
from cyphera_pipelines.store.sessions import (
    finish_session,
    get_session,
    list_active_sessions,
    record_what_was_merged,
)

_STOPS = "Its process stops as soon as it hears of that, and tells then what it has merged."
_COUNTS = ("created", "updated", "deleted")


@dataclass(frozen=True)
class Cancellation:
    """Why sessions are to end: a sentence for people, and for programs who wants it."""

    reason: str
    cancelled_by: Mapping[str, str]

    @classmethod
    def through_api(cls, what: str, *, key_id: UUID, key_name: str) -> "Cancellation":
        """`what` was done through the API, as in "Cancelled"."""
        return cls(
            f"{what} through the API with key {key_name!r} ({key_id}).", {"api_key_id": str(key_id), "name": key_name}
        )

    @classmethod
    def on_page(cls, what: str, actor: Actor) -> "Cancellation":
        """`what` was done on the operations page."""
        return cls(f"{what} on the operations page with the key {actor.name!r}.", {"page": actor.id})

    @classmethod
    def with_command(cls, what: str, command: str) -> "Cancellation":
        """`what` was done with the command line."""
        return cls(f"{what} with the command line.", {"command": command})


def cancel_session(database: Database, session: Session, cancellation: Cancellation) -> Session:
    """End the session as cancelled and return it; an engine at work on it stops between two pages.

    One that is cancelled already is returned as it is. Raises ConflictError if it has ended otherwise.
    """
    ended = _cancel(database, session, cancellation)
    if ended.status is not SessionStatus.CANCELLED:
        raise ConflictError(f"Session {session.id} is {ended.status.value} already: there is nothing to cancel.")
    return ended


def cancel_sessions_of_source(
    database: Database, source: Source, cancellation: Cancellation, *, running: bool = True
) -> list[Session]:
    """End whatever of the source waits or runs as cancelled, and return those sessions; `running` ones go on if False.

    For a source of which no sync may start: call it after that is committed, so that no new session is missed.
    """
    active = list_active_sessions(database, source)
    wanted = [session for session in active if running or session.status is SessionStatus.PENDING]
    return cancel_sessions(database, wanted, cancellation)


def cancel_sessions(database: Database, sessions: Iterable[Session], cancellation: Cancellation) -> list[Session]:
    """End the sessions as cancelled, unless they have ended, and return them as they are then."""
    return [_cancel(database, session, cancellation) for session in sessions]


def _cancel(database: Database, session: Session, cancellation: Cancellation) -> Session:
    """Cancel the session unless it has ended, and return it as it is then."""
    merged = _merged(session)
    message = cancelled_message(cancellation.reason, about_merged_rows_of(session))
    summary = {
        "message": message,
        "reason": cancellation.reason,
        "cancelled_by": dict(cancellation.cancelled_by),
        "merged": merged,
    }
    code = ErrorCode.CANCELLED
    # What a sync at work has merged it tells itself, when it has stopped; until then nobody knows all of it.
    told = f"{cancellation.reason} {_STOPS}" if session.status is SessionStatus.RUNNING else message
    event = SessionEvent("session_cancelled", told, event_details=summary, level=EventLevel.WARNING, code=code)
    end = SyncEnd(SyncResult.CANCELLED, session.started_at or session.created_at, message, code)
    finish_session(database, session, SessionStatus.CANCELLED, error_summary=summary, code=code, event=event, end=end)
    return get_session(database, session.workspace_id, session.id)


def tell_what_was_merged(
    database: Database, session: Session, progress: Mapping[str, Any], merged: Mapping[str, Mapping[str, int]]
) -> None:
    """Complete a session that was cancelled while it was synced, now that the engine has stopped: with all it merged.

    Until then only what it had reported was known.
    """
    summary = get_session(database, session.workspace_id, session.id).error_summary or {}
    stopped = about_merged_rows(progress)
    message = cancelled_message(str(summary.get("reason") or "The sync was cancelled."), stopped)
    event = SessionEvent("session_stopped", f"The sync has stopped. {stopped}", event_details={"merged": dict(merged)})
    record_what_was_merged(database, session, dict(progress), {"message": message, "merged": merged}, event)


def cancelled_message(reason: str, merged: str) -> str:
    """What a cancelled session says: why, what it merged, and how to go on if it did."""
    return f"{reason} {merged}" if merged == NO_ROW else f"{reason} {merged} The next sync continues from there."


def _merged(session: Session) -> dict[str, dict[str, Any]]:
    return {
        entity.value: {name: counts.get(name, 0) for name in _COUNTS} for entity, counts in session.entity_progress()
    }
