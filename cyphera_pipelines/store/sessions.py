"""Sync sessions: their life from pending to an honest end."""

from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, and_, func, insert, select, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.sql import cast

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.errors import NotFoundError
from cyphera_pipelines.model.sessions import Session, SessionStatus, SessionType, SyncRequest
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.tables import payment_sync_sessions as sessions

_UNFINISHED = (SessionStatus.PENDING.value, SessionStatus.RUNNING.value)


def create_session(database: Database, source: Source, kind: SessionType, request: SyncRequest) -> Session:
    """Ask for a sync: a pending session."""
    values = {
        "workspace_id": source.workspace_id,
        "provider_name": source.provider,
        "session_type": kind.value,
        "status": SessionStatus.PENDING.value,
        "entity_types": [entity.value for entity in request.entities],
        "config": request.as_config(),
    }
    with database.tenant(source.workspace_id) as connection:
        row = connection.execute(insert(sessions).values(values).returning(sessions)).one()
    return _to_session(row)


def start_session(database: Database, session: Session, dagster_run_id: str | None) -> bool:
    """Mark the session as running. Returns False if it has ended meanwhile (it was cancelled while it waited)."""
    statement = (
        update(sessions)
        .where(_is_unfinished(session))
        .values(
            status=SessionStatus.RUNNING.value,
            dagster_run_id=func.coalesce(dagster_run_id, sessions.c.dagster_run_id),
            started_at=func.coalesce(sessions.c.started_at, func.now()),
            updated_at=func.now(),
        )
    )
    with database.tenant(session.workspace_id) as connection:
        return connection.execute(statement).rowcount == 1


def write_progress(database: Database, session: Session, progress: dict[str, Any]) -> bool:
    """Write the progress, which is also the heartbeat. Returns False if somebody has ended the session meanwhile."""
    statement = update(sessions).where(_is_unfinished(session)).values(progress=progress, updated_at=func.now())
    with database.tenant(session.workspace_id) as connection:
        return connection.execute(statement).rowcount == 1


def finish_session(
    database: Database,
    session: Session,
    status: SessionStatus,
    *,
    progress: dict[str, Any] | None = None,
    error_summary: dict[str, Any] | None = None,
) -> bool:
    """Give the session its final status. A session that has ended already keeps its status: returns False."""
    values: dict[str, Any] = {
        "status": status.value,
        "error_summary": error_summary,
        "completed_at": func.now(),
        "updated_at": func.now(),
    }
    if progress is not None:
        values["progress"] = progress
    statement = update(sessions).where(_is_unfinished(session)).values(values)
    with database.tenant(session.workspace_id) as connection:
        return connection.execute(statement).rowcount == 1


def fail_abandoned_sessions(database: Database, source: Source, *, keep: UUID) -> list[UUID]:
    """End the source's running sessions other than `keep` as failed, and return their ids.

    Only for the holder of the source's lock: no other sync can be alive, so whatever says `running` has died.
    """
    summary = {
        "message": "The process that ran this sync ended before the sync did. What it had merged is kept; "
        "the next sync continues from there."
    }
    statement = (
        update(sessions)
        .where(
            sessions.c.workspace_id == source.workspace_id,
            sessions.c.provider_name == source.provider,
            sessions.c.status == SessionStatus.RUNNING.value,
            sessions.c.id != keep,
        )
        .values(
            status=SessionStatus.FAILED.value,
            error_summary=cast(summary, JSONB),
            completed_at=func.now(),
            updated_at=func.now(),
        )
        .returning(sessions.c.id)
    )
    with database.tenant(source.workspace_id) as connection:
        return list(connection.execute(statement).scalars())


def get_session(database: Database, workspace_id: UUID, session_id: UUID) -> Session:
    """One session of the workspace, or NotFoundError."""
    with database.tenant(workspace_id) as connection:
        row = connection.execute(select(sessions).where(sessions.c.id == session_id)).one_or_none()
    if row is None:
        raise NotFoundError(f"There is no session {session_id} in this workspace.")
    return _to_session(row)


def find_session(database: Database, session_id: UUID) -> Session:
    """One session of any workspace, or NotFoundError: for operators, never for tenants."""
    with database.control() as connection:
        row = connection.execute(select(sessions).where(sessions.c.id == session_id)).one_or_none()
    if row is None:
        raise NotFoundError(f"There is no session {session_id}. See: cyphera sessions")
    return _to_session(row)


def list_sessions(database: Database, workspace_id: UUID | None = None, *, limit: int = 20) -> list[Session]:
    """The newest sessions, of one workspace or of all."""
    statement = select(sessions).order_by(sessions.c.created_at.desc()).limit(limit)
    if workspace_id is None:
        with database.control() as connection:
            return [_to_session(row) for row in connection.execute(statement)]
    with database.tenant(workspace_id) as connection:
        return [_to_session(row) for row in connection.execute(statement)]


def list_silent_sessions(database: Database, *, silent_for: float) -> list[Session]:
    """The running sessions of all workspaces whose last heartbeat is more than so many seconds old."""
    statement = select(sessions).where(
        sessions.c.status == SessionStatus.RUNNING.value,
        sessions.c.updated_at < func.now() - func.make_interval(0, 0, 0, 0, 0, 0, silent_for),
    )
    with database.control() as connection:
        return [_to_session(row) for row in connection.execute(statement)]


def _is_unfinished(session: Session) -> ColumnElement[bool]:
    return and_(sessions.c.id == session.id, sessions.c.status.in_(_UNFINISHED))


def _to_session(row: Row[Any]) -> Session:
    values = dict(row._mapping)
    values["session_type"] = SessionType(values["session_type"])
    values["status"] = SessionStatus(values["status"])
    values["entity_types"] = tuple(Entity(name) for name in values["entity_types"])
    return Session(**values)
