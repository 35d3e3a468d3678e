"""Telling a session's reader that its process had to wait for a connection to Postgres."""

from cyphera_pipelines.model.error_codes import ErrorCode
from cyphera_pipelines.model.sessions import EventLevel, Session, SessionEvent
from cyphera_pipelines.store.connection_waits import connection_waits
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.events import record_events


def record_waits(database: Database, session: Session) -> None:
    """Record what this process has waited for connections since that was last told, if it has."""
    waited = connection_waits.take()
    if waited is None:
        return
    message = (
        f"The process of this sync waited {waited.seconds:.1f} s for a connection to Postgres, which had none to give: "
        f"{waited.reason}. What is needed, and what the server has: cyphera db connections"
    )
    details = {"seconds": round(waited.seconds, 1), "reason": waited.reason}
    event = SessionEvent(
        "connection_waited_for", message, event_details=details, level=EventLevel.WARNING, code=ErrorCode.DATABASE_FULL
    )
    record_events(database, session, [event])
