"""Asking for a sync: the session that stands for it from the start."""

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.sessions import Session, SessionType, SyncRequest
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.sessions import create_session


def open_session(database: Database, source: Source, request: SyncRequest) -> Session:
    """Create the pending session of a requested sync."""
    return create_session(database, source, session_type(request), request)


def session_type(request: SyncRequest) -> SessionType:
    """A sync of changes is a delta sync; a listing of all entities is an initial sync, of fewer a partial one."""
    if request.only_changes:
        return SessionType.DELTA_SYNC
    return SessionType.INITIAL_SYNC if set(request.entities) == set(Entity) else SessionType.PARTIAL_SYNC
