"""Session events: what a person would want to read in a session's log."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, func, insert, select

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.sessions import Session, SessionEvent
from cyphera_pipelines.model.storable import storable
from cyphera_pipelines.security.secrets import redact, redact_values
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.kept_objects import DEEPEST, cut_depth, plain_json
from cyphera_pipelines.store.load_result import DifferingRow
from cyphera_pipelines.store.tables import payment_sync_events as events


@dataclass(frozen=True)
class RecordedEvent:
    """A row of `payment_sync_events`."""

    id: UUID
    entity_type: str | None
    external_id: str | None
    event_type: str
    event_message: str
    event_details: dict[str, Any]
    occurred_at: datetime

    @property
    def error_code(self) -> str | None:
        """What kind of trouble it tells of; None where it tells of none, and in old rows."""
        code = self.event_details.get("code")
        return code if isinstance(code, str) else None


ROW_DIFFERS = "row_differs"
LONGEST_ID = 255
LONGEST_MESSAGE = 4_000
"""Characters."""
DEEPEST_DETAILS = DEEPEST + 2
SHOWN = [events.c[name] for name in RecordedEvent.__dataclass_fields__]
"""The columns of a `RecordedEvent`."""


def insert_events(connection: Connection, session: Session, batch: Sequence[SessionEvent]) -> None:
    """Write events within a tenant transaction.

    Secrets are cut out of every text, NUL characters too, and what is too long or too deep to be read is shortened: an
    event can be written whatever it tells of. What is kept of objects is bounded by `keep`.
    """
    if not batch:
        return
    connection.execute(
        insert(events),
        [
            {
                "session_id": session.id,
                "workspace_id": session.workspace_id,
                "provider_name": session.provider_name,
                "entity_type": event.entity_type,
                "external_id": _clean(event.external_id, LONGEST_ID) if event.external_id else None,
                "event_type": event.event_type,
                "event_message": _clean(event.event_message, LONGEST_MESSAGE),
                "event_details": _clean_details(_details(event)),
            }
            for event in batch
        ],
    )


def not_flagged_yet(
    connection: Connection, session: Session, entity: Entity, differing: Sequence[DifferingRow], gone: Sequence[str]
) -> tuple[list[DifferingRow], list[str]]:
    """Those of the differing rows, and of the ids of rows that are gone at the provider, that no event names yet.

    A listing and what changed meanwhile may both meet an object, and so may a session's next process.
    """
    keys = {row.id: _clean(row.id, LONGEST_ID) for row in differing} | {each: _clean(each, LONGEST_ID) for each in gone}
    if not keys:
        return [], []
    named = set(
        connection.execute(
            select(events.c.external_id).where(
                events.c.session_id == session.id,
                events.c.event_type == ROW_DIFFERS,
                events.c.entity_type == entity.value,
                events.c.external_id.in_(keys.values()),
            )
        ).scalars()
    )
    first = [row for row in differing if keys[row.id] not in named]
    named |= {keys[row.id] for row in first}
    return first, [each for each in dict.fromkeys(gone) if keys[each] not in named]


def count_flagged(database: Database, session: Session) -> dict[Entity, int]:
    """How many objects of each entity the session's events name as differing."""
    statement = (
        select(events.c.entity_type, func.count())
        .where(events.c.session_id == session.id, events.c.event_type == ROW_DIFFERS)
        .group_by(events.c.entity_type)
    )
    with database.tenant(session.workspace_id) as connection:
        return {Entity(name): count for name, count in connection.execute(statement)}


def record_events(database: Database, session: Session, batch: Sequence[SessionEvent]) -> None:
    """Write events in a transaction of their own."""
    with database.tenant(session.workspace_id) as connection:
        insert_events(connection, session, batch)


def list_events(database: Database, workspace_id: UUID, session_id: UUID, *, limit: int = 200) -> list[RecordedEvent]:
    """The session's events, oldest first."""
    statement = select(*SHOWN).where(events.c.session_id == session_id).order_by(events.c.occurred_at).limit(limit)
    with database.tenant(workspace_id) as connection:
        return [RecordedEvent(**row._mapping) for row in connection.execute(statement)]


def page_events(
    database: Database, workspace_id: UUID, session_id: UUID, *, limit: int, offset: int
) -> tuple[list[RecordedEvent], int]:
    """A page of the session's events, oldest first, and how many there are in all."""
    of_session = events.c.session_id == session_id
    page = select(*SHOWN).where(of_session).order_by(events.c.occurred_at, events.c.id).limit(limit).offset(offset)
    with database.tenant(workspace_id) as connection:
        found = [RecordedEvent(**row._mapping) for row in connection.execute(page)]
        return found, connection.execute(select(func.count()).where(of_session)).scalar_one()


def _details(event: SessionEvent) -> dict[str, Any]:
    code = {} if event.code is None else {"code": event.code.value}
    return {"level": event.level.value, **code, **event.event_details}


def _clean(text: str, longest: int) -> str:
    clean = redact(str(storable(text)))
    return clean if len(clean) <= longest else f"{clean[:longest]}..."


def _clean_details(details: dict[str, Any]) -> dict[str, Any]:
    cleaned: dict[str, Any] = plain_json(redact_values(cut_depth(details, DEEPEST_DETAILS)))
    return cleaned
