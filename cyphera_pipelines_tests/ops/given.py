"""Sources and sessions in every state that pages have to show, written as what the pipeline itself writes."""

from collections.abc import Callable
from typing import Any

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.sessions import (
    EventLevel,
    Session,
    SessionEvent,
    SessionStatus,
    SyncRequest,
)
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.events import record_events
from cyphera_pipelines.store.sessions import finish_session, get_session, start_session, write_progress
from cyphera_pipelines.sync.progress import SyncProgress
from cyphera_pipelines.sync.request import open_session

AddSource = Callable[..., Source]


def address_of(source: Source, action: str = "") -> str:
    """The page of the source, or of an action, below /ops."""
    page = f"/sources/{source.workspace_slug}/{source.provider}"
    return f"{page}/{action}" if action else page


def running_session(database: Database, source: Source, *, fetched: int = 250) -> Session:
    """A session that runs, with some progress and an event."""
    session = open_session(database, source, SyncRequest())
    start_session(database, session, None)
    progress = progress_of(fetched)
    write_progress(database, session, progress)
    record_events(database, session, [SessionEvent("session_started", f"Syncing all of {source.key}.")])
    return get_session(database, source.workspace_id, session.id)


def failed_session(database: Database, source: Source, message: str) -> Session:
    """A session that failed with that message."""
    session = running_session(database, source)
    event = SessionEvent("session_failed", message, level=EventLevel.ERROR)
    finish_session(database, session, SessionStatus.FAILED, error_summary={"message": message}, event=event)
    return get_session(database, source.workspace_id, session.id)


def progress_of(fetched: int) -> dict[str, Any]:
    """A `progress` column with so many customers of a thousand."""
    progress = SyncProgress(Entity)
    progress.estimated(Entity.CUSTOMERS, 1_000)
    told = progress.as_json()
    told["entities"]["customers"] |= {"fetched": fetched, "created": fetched}
    told["percent"] = fetched / 10
    return told
