"""Sync sessions: their life from pending to an honest end."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, exists, func, insert, or_, select, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.sql import cast
from sqlalchemy.sql.dml import ReturningInsert

from cyphera_pipelines.model.actor import current_actor
from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.error_codes import ErrorCode
from cyphera_pipelines.model.errors import ConflictError, NotFoundError
from cyphera_pipelines.model.merged_rows import about_merged_rows_of
from cyphera_pipelines.model.quotas import Quotas
from cyphera_pipelines.model.sessions import (
    ASKED_FOR,
    Session,
    SessionEvent,
    SessionOrigin,
    SessionStatus,
    SessionTrigger,
    SessionType,
    SyncRequest,
)
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.model.storable import storable
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.events import insert_events
from cyphera_pipelines.store.pauses import check_not_paused
from cyphera_pipelines.store.purges import check_not_purged
from cyphera_pipelines.store.quotas import check_sessions
from cyphera_pipelines.store.schedules import SyncEnd, SyncResult, note_sync
from cyphera_pipelines.store.tables import payment_sync_sessions as sessions
from cyphera_pipelines.store.tables import workspace_payment_configurations as configurations
from cyphera_pipelines.store.tables import workspaces

_UNFINISHED = (SessionStatus.PENDING.value, SessionStatus.RUNNING.value)


def create_session(
    database: Database,
    source: Source,
    kind: SessionType,
    request: SyncRequest,
    *,
    dagster_run_id: str | None = None,
    origin: SessionOrigin = ASKED_FOR,
) -> Session:
    """Ask for a sync: a pending session, with the run that will carry it out if that is known.

    Raises SourcePausedError and PurgeUnderWayError.
    """
    with database.tenant(source.workspace_id, alone=True) as connection:
        _check_may_begin(connection, source)
        return to_session(connection.execute(_insertion(source, kind, request, dagster_run_id, origin)).one())


def _check_may_begin(connection: Connection, source: Source) -> None:
    """In a transaction that is alone, so that nobody pauses or purges the source meanwhile."""
    check_not_purged(connection, source.workspace_id, source.provider)
    check_not_paused(connection, source)


class SourceActiveError(ConflictError):
    """The source has a session that waits or runs already; `session` is that one."""

    code = ErrorCode.SESSION_ACTIVE

    def __init__(self, source: Source, session: Session) -> None:
        super().__init__(
            f"Session {session.id} of {source.key} is {session.status.value} already. "
            "Wait for it to end, or cancel it, before starting another one."
        )
        self.session = session


def list_active_sessions(database: Database, source: Source) -> list[Session]:
    """The source's pending and running sessions, oldest first."""
    with database.tenant(source.workspace_id) as connection:
        return [to_session(row) for row in connection.execute(_active_sessions(source))]


def list_unfinished_sessions(database: Database, workspace_id: UUID, provider: str | None) -> list[Session]:
    """The workspace's pending and running sessions, of one provider's source or of all, oldest first."""
    statement = select(sessions).where(sessions.c.workspace_id == workspace_id, sessions.c.status.in_(_UNFINISHED))
    if provider is not None:
        statement = statement.where(sessions.c.provider_name == provider)
    with database.control() as connection:
        return [to_session(row) for row in connection.execute(statement.order_by(sessions.c.created_at))]


def has_running_session(database: Database, source: Source) -> bool:
    """Whether a session of the source says that it is running."""
    with database.tenant(source.workspace_id) as connection:
        running = SessionStatus.RUNNING.value
        return any(row.status == running for row in connection.execute(_active_sessions(source)))


def create_only_session(
    database: Database,
    source: Source,
    kind: SessionType,
    request: SyncRequest,
    *,
    ignoring: Collection[UUID] = (),
    quotas: Quotas | None = None,
    dagster_run_id: str | None = None,
    origin: SessionOrigin = ASKED_FOR,
) -> Session:
    """Like `create_session`, but raise SourceActiveError if the source has an active session that is not ignored.

    Raises SourcePausedError, PurgeUnderWayError, and QuotaReachedError if the workspace may not ask for another now.

    Of several callers at once, one makes a session and the others are told of it.
    """
    with database.tenant(source.workspace_id, alone=True) as connection:
        _check_may_begin(connection, source)
        for row in connection.execute(_active_sessions(source)):
            if row.id not in ignoring:
                raise SourceActiveError(source, to_session(row))
        if quotas is not None:
            check_sessions(connection, quotas)
        return to_session(connection.execute(_insertion(source, kind, request, dagster_run_id, origin)).one())


def claim_session(database: Database, session: Session, dagster_run_id: str, *, instead_of: str | None = None) -> bool:
    """Tie the session to the run that carries it out. Returns False if it has ended, or if another run has it.

    `instead_of` is a run that is known to have ended: its place may be taken.
    """
    statement = (
        update(sessions)
        .where(_is_unfinished(session), _is_free_for(dagster_run_id, instead_of))
        .values(dagster_run_id=dagster_run_id, updated_at=func.now())
    )
    with database.tenant(session.workspace_id) as connection:
        return connection.execute(statement).rowcount == 1


def start_session(database: Database, session: Session, dagster_run_id: str | None) -> bool:
    """Mark the session as running. Returns False if it has ended (cancelled while it waited) or another run has it."""
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
    if dagster_run_id is not None:
        statement = statement.where(_is_free_for(dagster_run_id))
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
    code: ErrorCode | None = None,
    event: SessionEvent | None = None,
    end: SyncEnd | None = None,
) -> bool:
    """Give the session its final status, and the event that tells of it; and tell its source's schedule of the `end`.

    `code` is that of what went wrong; None only for a session that is completed.

    A session that has ended already keeps its status, gets no event, and tells no schedule: returns False.
    """
    values: dict[str, Any] = {
        "status": status.value,
        "error_summary": error_summary,
        "error_code": code,
        "completed_at": func.now(),
        "updated_at": func.now(),
    }
    if progress is not None:
        values["progress"] = progress
    statement = update(sessions).where(_is_unfinished(session)).values(values)
    with database.tenant(session.workspace_id) as connection:
        has_ended = connection.execute(statement).rowcount == 1
        if has_ended and event is not None:
            insert_events(connection, session, [event])
        if has_ended and end is not None:
            note_sync(connection, session.workspace_id, session.provider_name, end)
    return has_ended


def record_what_was_merged(
    database: Database, session: Session, progress: dict[str, Any], addition: Mapping[str, Any], event: SessionEvent
) -> None:
    """Complete a session that was cancelled while it was synced: its last counts, an addition to its summary, an event.

    A session that has another status stays as it is.
    """
    summary = func.coalesce(sessions.c.error_summary, cast({}, JSONB)).op("||")(cast(dict(addition), JSONB))
    statement = (
        update(sessions)
        .where(sessions.c.id == session.id, sessions.c.status == SessionStatus.CANCELLED.value)
        .values(progress=progress, error_summary=summary, updated_at=func.now())
    )
    with database.tenant(session.workspace_id) as connection:
        if connection.execute(statement).rowcount == 1:
            insert_events(connection, session, [event])


def fail_abandoned_sessions(database: Database, source: Source, *, keep: UUID) -> list[UUID]:
    """End the source's running sessions other than `keep` as failed, and return their ids.

    Only for the holder of the source's lock: no other sync can be alive, so whatever says `running` has died.
    """
    abandoned = _active_sessions(source).where(sessions.c.status == SessionStatus.RUNNING.value, sessions.c.id != keep)
    with database.tenant(source.workspace_id) as connection:
        found = [to_session(row) for row in connection.execute(abandoned.with_for_update())]
        for session in found:
            message = (
                "The process that ran this sync ended before the sync did. "
                f"{about_merged_rows_of(session)} The next sync continues from there."
            )
            ended = {
                "status": SessionStatus.FAILED.value,
                "error_summary": {"message": message},
                "error_code": ErrorCode.SESSION_DIED.value,
            }
            now = {"completed_at": func.now(), "updated_at": func.now()}
            connection.execute(update(sessions).where(sessions.c.id == session.id).values(**ended, **now))
            note_sync(
                connection,
                source.workspace_id,
                source.provider,
                interruption_of(session, message, ErrorCode.SESSION_DIED),
            )
    return [session.id for session in found]


def interruption_of(session: Session, message: str, code: ErrorCode) -> SyncEnd:
    """What the schedule of its source is told of a session whose process is gone."""
    return SyncEnd(SyncResult.INTERRUPTED, session.started_at or session.created_at, message, code)


def get_session(database: Database, workspace_id: UUID, session_id: UUID) -> Session:
    """One session of the workspace, or NotFoundError."""
    with database.tenant(workspace_id) as connection:
        row = connection.execute(select(sessions).where(sessions.c.id == session_id)).one_or_none()
    if row is None:
        raise NotFoundError(f"There is no session {session_id} in this workspace.")
    return to_session(row)


@dataclass(frozen=True)
class Queue:
    """What is before a pending session.

    `own` is the oldest session of its source that waits longer or runs. The counts are of the whole installation:
    sessions that wait `ahead`, and that run.
    """

    own: Session | None
    ahead: int
    running: int


def read_queue(database: Database, session: Session) -> Queue:
    """What is before a pending session now."""
    unfinished = select(sessions).where(
        sessions.c.status.in_(_UNFINISHED),
        sessions.c.id != session.id,
        or_(sessions.c.status == SessionStatus.RUNNING.value, sessions.c.created_at < session.created_at),
    )
    of_source = unfinished.where(
        sessions.c.workspace_id == session.workspace_id, sessions.c.provider_name == session.provider_name
    )
    before = unfinished.subquery()
    counts = select(
        func.count().filter(before.c.status == SessionStatus.PENDING.value).label("ahead"),
        func.count().filter(before.c.status == SessionStatus.RUNNING.value).label("running"),
    )
    with database.control() as connection:
        own = connection.execute(of_source.order_by(sessions.c.created_at).limit(1)).one_or_none()
        row = connection.execute(counts).one()
    return Queue(None if own is None else to_session(own), row.ahead, row.running)


def has_session_of_run(database: Database, dagster_run_id: str) -> bool:
    """Whether a session waits or runs that the run is to carry out."""
    of_run = exists().where(sessions.c.dagster_run_id == dagster_run_id, sessions.c.status.in_(_UNFINISHED))
    with database.control() as connection:
        return bool(connection.execute(select(of_run)).scalar_one())


def read_statuses(database: Database, session_ids: Collection[UUID]) -> dict[UUID, SessionStatus]:
    """The status of each of the sessions that there are, of whatever workspace: for those known to the asker only."""
    statement = select(sessions.c.id, sessions.c.status).where(sessions.c.id.in_(session_ids))
    with database.control() as connection:
        return {row.id: SessionStatus(row.status) for row in connection.execute(statement)}


def find_session(database: Database, session_id: UUID) -> Session:
    """One session of any workspace, or NotFoundError: for operators, never for tenants."""
    with database.control() as connection:
        row = connection.execute(select(sessions).where(sessions.c.id == session_id)).one_or_none()
    if row is None:
        raise NotFoundError(f"There is no session {session_id}. See: cyphera sessions")
    return to_session(row)


def list_sessions(database: Database, workspace_id: UUID | None = None, *, limit: int = 20) -> list[Session]:
    """The newest sessions, of one workspace or of all."""
    statement = select(sessions).order_by(sessions.c.created_at.desc()).limit(limit)
    if workspace_id is None:
        with database.control() as connection:
            return [to_session(row) for row in connection.execute(statement)]
    with database.tenant(workspace_id) as connection:
        return [to_session(row) for row in connection.execute(statement)]


def page_sessions(
    database: Database,
    workspace_id: UUID,
    *,
    provider: str | None,
    status: SessionStatus | None,
    limit: int,
    offset: int,
) -> tuple[list[Session], int]:
    """A page of the workspace's sessions, newest first, and how many there are in all."""
    wanted = select(sessions)
    if provider is not None:
        wanted = wanted.where(sessions.c.provider_name == provider)
    if status is not None:
        wanted = wanted.where(sessions.c.status == status.value)
    page = wanted.order_by(sessions.c.created_at.desc(), sessions.c.id).limit(limit).offset(offset)
    with database.tenant(workspace_id) as connection:
        found = [to_session(row) for row in connection.execute(page)]
        total = connection.execute(select(func.count()).select_from(wanted.subquery())).scalar_one()
    return found, total


def list_silent_sessions(database: Database, *, silent_for: float) -> list[Session]:
    """The sessions of all workspaces that have a run and were not heard of for more than so many seconds.

    Those that run, by their heartbeat; and those that still wait for their run to begin.
    """
    statement = select(sessions).where(
        or_(
            sessions.c.status == SessionStatus.RUNNING.value,
            and_(sessions.c.status == SessionStatus.PENDING.value, sessions.c.dagster_run_id.is_not(None)),
        ),
        sessions.c.updated_at < _seconds_ago(silent_for),
    )
    with database.control() as connection:
        return [to_session(row) for row in connection.execute(statement)]


@dataclass(frozen=True)
class PendingSession:
    """A session that no run is known for. `has_source` tells whether there still is a configuration to sync."""

    session: Session
    source_key: str
    has_source: bool


def list_sessions_without_run(database: Database, *, pending_for: float, limit: int) -> list[PendingSession]:
    """The sessions of all workspaces that have waited for a run for so many seconds, oldest first."""
    has_source = exists().where(
        configurations.c.workspace_id == sessions.c.workspace_id,
        configurations.c.provider_name == sessions.c.provider_name,
        configurations.c.is_active,
        configurations.c.deleted_at.is_(None),
    )
    statement = (
        select(sessions, workspaces.c.slug, has_source.label("has_source"))
        .join(workspaces, workspaces.c.id == sessions.c.workspace_id)
        .where(
            sessions.c.status == SessionStatus.PENDING.value,
            sessions.c.dagster_run_id.is_(None),
            sessions.c.created_at < _seconds_ago(pending_for),
        )
        .order_by(sessions.c.created_at)
        .limit(limit)
    )
    with database.control() as connection:
        return [
            PendingSession(to_session(row), f"{row.slug}:{row.provider_name}", row.has_source)
            for row in connection.execute(statement)
        ]


def _insertion(
    source: Source, kind: SessionType, request: SyncRequest, dagster_run_id: str | None, origin: SessionOrigin
) -> ReturningInsert[Any]:
    actor = current_actor()
    values = {
        "workspace_id": source.workspace_id,
        "provider_name": source.provider,
        "session_type": kind.value,
        "status": SessionStatus.PENDING.value,
        "entity_types": [entity.value for entity in request.entities],
        "config": request.as_config(),
        "dagster_run_id": dagster_run_id,
        "trigger": origin.trigger.value,
        "requested_by": storable(actor.id),
        "requested_by_name": storable(actor.name),
        "retry_of": origin.retry_of,
    }
    return insert(sessions).values(values).returning(sessions)


def _active_sessions(source: Source) -> Select[Any]:
    return (
        select(sessions)
        .where(
            sessions.c.workspace_id == source.workspace_id,
            sessions.c.provider_name == source.provider,
            sessions.c.status.in_(_UNFINISHED),
        )
        .order_by(sessions.c.created_at)
    )


def _seconds_ago(seconds: float) -> ColumnElement[datetime]:
    """By the database's clock."""
    return func.now() - func.make_interval(0, 0, 0, 0, 0, 0, seconds)


def _is_free_for(dagster_run_id: str, instead_of: str | None = None) -> ColumnElement[bool]:
    takers = [run_id for run_id in (dagster_run_id, instead_of) if run_id is not None]
    return or_(sessions.c.dagster_run_id.is_(None), sessions.c.dagster_run_id.in_(takers))


def _is_unfinished(session: Session) -> ColumnElement[bool]:
    return and_(sessions.c.id == session.id, sessions.c.status.in_(_UNFINISHED))


def to_session(row: Row[Any]) -> Session:
    """The session that a row of the table holds."""
    values = {name: row._mapping[name] for name in Session.__dataclass_fields__}
    values["session_type"] = SessionType(values["session_type"])
    values["status"] = SessionStatus(values["status"])
    values["trigger"] = None if values["trigger"] is None else SessionTrigger(values["trigger"])
    # A newer version may know of more; one session that this one cannot read must not hide all the others.
    values["entity_types"] = tuple(entity for entity in Entity if entity.value in values["entity_types"])
    return Session(**values)
