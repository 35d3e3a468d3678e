"""The audit trail: written in the transaction of what it tells of, read by operators and by the workspace itself."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, Select, func, insert, select, text

from cyphera_pipelines.model.actor import current_actor
from cyphera_pipelines.model.audit import Action, AuditEntry, Outcome
from cyphera_pipelines.model.storable import storable
from cyphera_pipelines.security.secrets import redact, redact_values
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.tables import audit_entries as entries

MOST_REFUSALS_PER_HOUR = 60
"""Of one workspace: what is refused again and again is told once in a while, and fills no table."""
OF_DEPLOYMENT = UUID(int=0)
"""Stands for the workspace where something is no workspace's: the deployment's alerts, and operators' keys."""
_SHOWN = [entries.c[name] for name in AuditEntry.__dataclass_fields__]


def record_action(
    connection: Connection,
    workspace_id: UUID,
    action: Action,
    subject: object,
    details: Mapping[str, Any] | None = None,
) -> None:
    """Note that the current actor does this, within the transaction that does it. Secrets are cut out."""
    _write(connection, _values(workspace_id, action, subject, Outcome.DONE, details or {}))


def record_write(
    connection: Connection, workspace_id: UUID, subject: object, details: Mapping[str, Any], *, is_done: bool
) -> None:
    """Note what became of a write at a provider, within the transaction that settles it. Refusals are all told."""
    outcome = Outcome.DONE if is_done else Outcome.REFUSED
    _write(connection, _values(workspace_id, Action.OBJECT_WRITTEN, subject, outcome, details))


def record_refusal(database: Database, workspace_id: UUID, action: Action, subject: object, reason: str) -> None:
    """Note that the current actor wanted this and was refused, in a transaction of its own; so many times an hour."""
    values = _values(workspace_id, action, subject, Outcome.REFUSED, {"reason": redact(reason)})
    with database.tenant(workspace_id) as connection:
        parameters = {"workspace_id": workspace_id, "most": MOST_REFUSALS_PER_HOUR}
        if connection.execute(_MAY_TELL_OF_REFUSAL, parameters).scalar_one():
            _write(connection, values)


def record_refused_key(connection: Connection, workspace_id: UUID, key_id: UUID, reason: str) -> None:
    """Note that a key that exists, or did, was refused; once an hour, however often it is tried."""
    parameters = {"workspace_id": workspace_id, "action": Action.KEY_USED, "subject": str(key_id)}
    if not connection.execute(_WAS_TOLD_LATELY, parameters).scalar_one():
        _write(connection, _values(workspace_id, Action.KEY_USED, key_id, Outcome.REFUSED, {"reason": reason}))


def list_audit_entries(database: Database, workspace_id: UUID | None = None, *, limit: int = 50) -> list[AuditEntry]:
    """The newest entries, of one workspace or of all: for operators."""
    statement = _newest_first().limit(limit)
    if workspace_id is not None:
        statement = statement.where(entries.c.workspace_id == workspace_id)
    with database.control() as connection:
        return [_to_entry(row) for row in connection.execute(statement)]


def page_audit_entries(
    database: Database, workspace_id: UUID, *, limit: int, offset: int
) -> tuple[list[AuditEntry], int]:
    """A page of the workspace's entries, newest first, and how many there are in all."""
    with database.tenant(workspace_id) as connection:
        found = [_to_entry(row) for row in connection.execute(_newest_first().limit(limit).offset(offset))]
        return found, connection.execute(select(func.count()).select_from(entries)).scalar_one()


def _newest_first() -> Select[Any]:
    return select(*_SHOWN).order_by(entries.c.occurred_at.desc(), entries.c.id)


def _write(connection: Connection, values: dict[str, Any]) -> None:
    # Inline: to be told the row's id takes the privilege to read it.
    connection.execute(insert(entries).values(values).inline())


def _values(
    workspace_id: UUID, action: Action, subject: object, outcome: Outcome, details: Mapping[str, Any]
) -> dict[str, Any]:
    actor = current_actor()
    return {
        "workspace_id": workspace_id,
        "actor": storable(actor.id),
        "actor_name": storable(actor.name),
        "action": action.value,
        "subject_id": str(subject),
        "outcome": outcome.value,
        "details": redact_values(dict(details)),
    }


def _to_entry(row: Row[Any]) -> AuditEntry:
    return AuditEntry(**row._mapping)


_MAY_TELL_OF_REFUSAL = text(
    "SELECT count(*) < :most FROM sync.audit_entries "
    "WHERE workspace_id = :workspace_id AND outcome = 'refused' AND action <> 'object.written' "
    "AND occurred_at > now() - interval '1 hour'"
)
_WAS_TOLD_LATELY = text(
    "SELECT EXISTS (SELECT FROM sync.audit_entries WHERE workspace_id = :workspace_id AND action = :action "
    "AND subject_id = :subject AND occurred_at > now() - interval '1 hour')"
)
