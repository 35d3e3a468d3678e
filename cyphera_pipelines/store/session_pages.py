"""Pages of sessions and of their events, each found by where the one before ended, however many there are."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, Table, select, text, tuple_

from cyphera_pipelines.model.errors import InvalidInputError
from cyphera_pipelines.model.sessions import Session
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.events import SHOWN, RecordedEvent
from cyphera_pipelines.store.sessions import to_session
from cyphera_pipelines.store.tables import payment_sync_events as events
from cyphera_pipelines.store.tables import payment_sync_sessions as sessions

_EPOCH, _MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)
_POSITION = re.compile(r"([0-9]{1,17})~([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")


@dataclass(frozen=True)
class SessionPage:
    """Sessions of a source, newest first; `next` is the position of those that follow, None at the end."""

    sessions: tuple[Session, ...]
    next: str | None


@dataclass(frozen=True)
class EventPage:
    """Events of a session, newest first; `next` is the position of those that follow, None at the end."""

    events: tuple[RecordedEvent, ...]
    next: str | None


def page_sessions_of_source(
    database: Database, source: Source, *, limit: int, before: str | None = None
) -> SessionPage:
    """A page of the source's sessions. Raises InvalidInputError for a position that no page gave."""
    statement = select(sessions).where(
        sessions.c.workspace_id == source.workspace_id, sessions.c.provider_name == source.provider
    )
    if before is not None:
        statement = statement.where(_is_before(sessions, "created_at", before))
    statement = statement.order_by(sessions.c.created_at.desc(), sessions.c.id.desc()).limit(limit + 1)
    with database.tenant(source.workspace_id) as connection:
        found = [to_session(row) for row in connection.execute(statement)]
    shown = tuple(found[:limit])
    return SessionPage(shown, _position(shown[-1].created_at, shown[-1].id) if len(found) > limit else None)


def page_events_of_session(database: Database, session: Session, *, limit: int, before: str | None = None) -> EventPage:
    """A page of the session's events. Raises InvalidInputError for a position that no page gave."""
    statement = select(*SHOWN).where(events.c.session_id == session.id)
    if before is not None:
        statement = statement.where(_is_before(events, "occurred_at", before))
    statement = statement.order_by(events.c.occurred_at.desc(), events.c.id.desc()).limit(limit + 1)
    with database.tenant(session.workspace_id) as connection:
        found = [RecordedEvent(**row._mapping) for row in connection.execute(statement)]
    shown = tuple(found[:limit])
    return EventPage(shown, _position(shown[-1].occurred_at, shown[-1].id) if len(found) > limit else None)


def read_sessions(database: Database, ids: Collection[UUID]) -> dict[UUID, Session]:
    """Those of the sessions that there are, of whatever workspace: for ids that their readers may know."""
    with database.control() as connection:
        rows = connection.execute(select(sessions).where(sessions.c.id.in_(ids)))
        return {row.id: to_session(row) for row in rows}


def newest_events(database: Database, ids: Collection[UUID], *, of_each: int) -> dict[UUID, Sequence[RecordedEvent]]:
    """The newest events of each of the sessions, newest first, of whatever workspace: for the same ids."""
    found: dict[UUID, list[RecordedEvent]] = {}
    with database.control() as connection:
        for row in connection.execute(_NEWEST_EVENTS, {"ids": list(ids), "of_each": of_each}):
            values = {name: value for name, value in row._mapping.items() if name != "session_id"}
            found.setdefault(row.session_id, []).append(RecordedEvent(**values))
    return dict(found)


def _is_before(table: Table, moment: str, position: str) -> ColumnElement[bool]:
    match = _POSITION.fullmatch(position)
    if match is None:
        raise InvalidInputError("`before` is no position: follow the link of the page before, as it is.")
    return tuple_(table.c[moment], table.c.id) < tuple_(_EPOCH + int(match[1]) * _MICROSECOND, UUID(match[2]))


def _position(moment: datetime, row_id: UUID) -> str:
    """The moment in microseconds since 1970, and the id."""
    return f"{(moment - _EPOCH) // _MICROSECOND}~{row_id}"


_NEWEST_EVENTS = text(
    f"""
    SELECT wanted.id AS session_id, newest.* FROM unnest(CAST(:ids AS uuid[])) AS wanted (id)
    CROSS JOIN LATERAL (
        SELECT {", ".join(RecordedEvent.__dataclass_fields__)} FROM sync.payment_sync_events
        WHERE session_id = wanted.id ORDER BY occurred_at DESC, id DESC LIMIT :of_each
    ) AS newest
    """
)
