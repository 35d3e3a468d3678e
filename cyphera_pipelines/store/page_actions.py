"""Forms of the operations page that were sent: each is carried out once, however often a browser sends it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, delete, select, update
from sqlalchemy.dialects.postgresql import insert

from cyphera_pipelines.model.audit import Action
from cyphera_pipelines.model.storable import storable
from cyphera_pipelines.security.secrets import redact
from cyphera_pipelines.store.audit import record_action
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.tables import page_actions as actions


@dataclass(frozen=True)
class PageAction:
    """A form that was sent. `outcome` is None while it is being carried out, or if its process died meanwhile."""

    token: UUID
    action: str
    provider_name: str
    outcome: str | None
    session_id: UUID | None
    created_at: datetime


def begin_action(database: Database, workspace_id: UUID, provider: str, token: UUID, action: str) -> bool:
    """Take the form with that token up. Returns False if it was sent before: it is not to be carried out again."""
    values = {
        "workspace_id": workspace_id,
        "token": token,
        "provider_name": provider,
        "action": action,
    }
    with database.tenant(workspace_id) as connection:
        return connection.execute(insert(actions).values(values).on_conflict_do_nothing()).rowcount == 1


def end_action(
    database: Database,
    workspace_id: UUID,
    token: UUID,
    outcome: str,
    *,
    session_id: UUID | None = None,
    audited: tuple[Action, str, Mapping[str, Any]] | None = None,
) -> None:
    """Note what came of it, and the entry of the audit trail if what was done has written none itself."""
    values = {"outcome": storable(redact(outcome)), "session_id": session_id}
    with database.tenant(workspace_id) as connection:
        connection.execute(update(actions).where(_is(workspace_id, token)).values(values))
        if audited is not None:
            action, subject, details = audited
            record_action(connection, workspace_id, action, subject, details)


def forget_action(database: Database, workspace_id: UUID, token: UUID) -> None:
    """It was refused, and nothing was done: the form may be sent again."""
    with database.tenant(workspace_id) as connection:
        connection.execute(delete(actions).where(_is(workspace_id, token)))


def find_action(database: Database, workspace_id: UUID, token: UUID) -> PageAction | None:
    """The workspace's form with that token; None if it was not sent, or is forgotten."""
    shown = [actions.c[name] for name in PageAction.__dataclass_fields__]
    with database.tenant(workspace_id) as connection:
        row = connection.execute(select(*shown).where(_is(workspace_id, token))).one_or_none()
    return None if row is None else PageAction(**row._mapping)


def _is(workspace_id: UUID, token: UUID) -> ColumnElement[bool]:
    return and_(actions.c.workspace_id == workspace_id, actions.c.token == token)
