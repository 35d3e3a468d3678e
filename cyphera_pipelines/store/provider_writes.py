"""Writes at providers: kept before they are sent, taken up by one process at a time, and settled once.

Whoever takes a write up has it until `busy_until` and gets its number of attempts: with an older number nothing can be
settled, so that a process which was thought dead, and was not, does no harm.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Row, func, literal_column, or_, select, true, update
from sqlalchemy.dialects.postgresql import insert

from cyphera_pipelines.model.actor import current_actor
from cyphera_pipelines.model.errors import NotFoundError
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.model.storable import storable
from cyphera_pipelines.model.writes import Write, WriteState
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.tables import provider_writes as writes

OVERDUE_AFTER = 60.0
"""Seconds without anybody at work after which a write that is not settled is looked into by itself."""

_SHOWN = [writes.c[name] for name in Write.__dataclass_fields__]
_SECONDS = {
    "sent_epoch": "extract(epoch FROM sent_at)",
    "age": "extract(epoch FROM now() - sent_at)",
    "quiet_for": "extract(epoch FROM now() - looked_at)",
    "busy_for": "coalesce(extract(epoch FROM busy_until - now()), 0)",
}
_KEPT: list[ColumnElement[Any]] = [
    *_SHOWN,
    writes.c.key_digest,
    writes.c.request_fingerprint,
    writes.c.request,
    *(literal_column(f"CAST({seconds} AS float8)").label(name) for name, seconds in _SECONDS.items()),
]
_IS_FREE = or_(writes.c.busy_until.is_(None), writes.c.busy_until <= func.now())


@dataclass(frozen=True)
class NewWrite:
    """A write that is about to be sent. `request` is encrypted."""

    id: UUID
    source: Source
    key_digest: bytes
    kind: str
    operation: str
    object_id: str | None
    idempotency_key: str
    fingerprint: str
    request: str = field(repr=False)


@dataclass(frozen=True)
class KeptWrite:
    """A write with what only whoever carries it out may see. `sent_at` and `age` are in seconds."""

    write: Write
    key_digest: bytes
    fingerprint: str
    request: str | None = field(repr=False)
    sent_at: float
    age: float
    quiet_for: float
    """Seconds since somebody last took it up: what he sent cannot be on its way for much longer than that."""
    busy_for: float
    """Seconds for which somebody may still be at work on it."""


@dataclass(frozen=True)
class Settlement:
    """What became of a write."""

    state: WriteState
    object_id: str | None = None
    answer: Mapping[str, Any] | None = None
    problem: Mapping[str, Any] | None = None
    was_found: bool = False
    was_sent: bool = True


def begin_write(database: Database, new: NewWrite, *, busy_for: float) -> KeptWrite | None:
    """Keep the write as sent, taken up by us; None if its key is known already. Committed when it returns."""
    actor, source = current_actor(), new.source
    values = {
        "id": new.id,
        "workspace_id": source.workspace_id,
        "configuration_id": source.configuration_id,
        "provider_name": source.provider,
        "livemode": not source.is_test_mode,
        "connected_account_id": source.connected_account_id,
        "key_digest": new.key_digest,
        "kind": new.kind,
        "operation": new.operation,
        "object_id": storable(new.object_id),
        "idempotency_key": new.idempotency_key,
        "request_fingerprint": new.fingerprint,
        "request": new.request,
        "state": WriteState.SENT.value,
        "actor": storable(actor.id),
        "actor_name": storable(actor.name),
        "busy_until": _in(busy_for),
    }
    statement = insert(writes).values(values).on_conflict_do_nothing(constraint="provider_writes_key")
    with database.tenant(source.workspace_id) as connection:
        row = connection.execute(statement.returning(*_KEPT)).one_or_none()
    return None if row is None else _to_kept(row)


def find_by_key(database: Database, source: Source, idempotency_key: str) -> KeptWrite:
    """The write of that key, or NotFoundError."""
    statement = select(*_KEPT).where(
        writes.c.workspace_id == source.workspace_id,
        writes.c.provider_name == source.provider,
        writes.c.livemode == (not source.is_test_mode),
        writes.c.idempotency_key == idempotency_key,
    )
    with database.tenant(source.workspace_id) as connection:
        row = connection.execute(statement).one_or_none()
    if row is None:
        raise NotFoundError("There is no write with this idempotency key.")
    return _to_kept(row)


def take_up(database: Database, write: Write, *, busy_for: float) -> KeptWrite | None:
    """Have the write to oneself, if it is not settled and nobody else has it."""
    statement = (
        update(writes)
        .where(writes.c.id == write.id, writes.c.settled_at.is_(None), _IS_FREE)
        .values(attempts=writes.c.attempts + 1, looked_at=func.now(), busy_until=_in(busy_for))
    )
    with database.tenant(write.workspace_id) as connection:
        # As it was before: how long it has been quiet is what matters.
        row = connection.execute(select(*_KEPT).where(writes.c.id == write.id).with_for_update()).one_or_none()
        if row is None or connection.execute(statement).rowcount == 0:
            return None
    return _to_kept(row, attempts=row.attempts + 1)


def hold_on(database: Database, write: Write, *, busy_for: float) -> None:
    """Go on having it for so many seconds from now, if it is still ours."""
    statement = (
        update(writes)
        .where(writes.c.id == write.id, writes.c.attempts == write.attempts, writes.c.settled_at.is_(None))
        .where(writes.c.busy_until.is_not(None))
        .values(busy_until=_in(busy_for))
    )
    with database.tenant(write.workspace_id) as connection:
        connection.execute(statement)


def send_anew(database: Database, write: Write, new: NewWrite, *, busy_for: float) -> KeptWrite | None:
    """Take up a write that never reached the provider, as if it were asked for now; None if somebody else did."""
    actor = current_actor()
    statement = (
        update(writes)
        .where(
            writes.c.id == write.id,
            writes.c.attempts == write.attempts,
            writes.c.state == WriteState.REJECTED.value,
            ~writes.c.was_sent,
        )
        .values(
            state=WriteState.SENT.value,
            key_digest=new.key_digest,
            request=new.request,
            problem=None,
            was_sent=True,
            actor=storable(actor.id),
            actor_name=storable(actor.name),
            attempts=writes.c.attempts + 1,
            sent_at=func.now(),
            looked_at=func.now(),
            busy_until=_in(busy_for),
            settled_at=None,
        )
    )
    with database.tenant(write.workspace_id) as connection:
        row = connection.execute(statement.returning(*_KEPT)).one_or_none()
    return None if row is None else _to_kept(row)


def settle(connection: Connection, write: Write, settlement: Settlement) -> bool:
    """Write down what became of it, within a transaction of its workspace. False if somebody else has it by now."""
    is_final = settlement.state.is_final
    values: dict[str, Any] = {
        "state": settlement.state.value,
        "answer": settlement.answer,
        "problem": settlement.problem,
        "was_found": settlement.was_found,
        "was_sent": settlement.was_sent,
        "busy_until": None,
    }
    if settlement.object_id is not None:
        values["object_id"] = storable(settlement.object_id)
    if is_final:
        # Nobody needs it any more, and it may hold what nobody should.
        values |= {"settled_at": func.now(), "request": None}
    statement = (
        update(writes)
        .where(writes.c.id == write.id, writes.c.attempts == write.attempts, writes.c.settled_at.is_(None))
        .values(values)
    )
    return connection.execute(statement).rowcount == 1


def get_write(database: Database, workspace_id: UUID, write_id: UUID) -> Write:
    """One write of the workspace, or NotFoundError."""
    with database.tenant(workspace_id) as connection:
        row = connection.execute(select(*_SHOWN).where(writes.c.id == write_id)).one_or_none()
    if row is None:
        raise NotFoundError(f"There is no write {write_id} in this workspace.")
    return _to_write(row)


def find_write(database: Database, write_id: UUID) -> Write:
    """One write, of any workspace, or NotFoundError: for operators."""
    with database.control() as connection:
        row = connection.execute(select(*_SHOWN).where(writes.c.id == write_id)).one_or_none()
    if row is None:
        raise NotFoundError(f"There is no write {write_id}.")
    return _to_write(row)


def page_writes(
    database: Database,
    workspace_id: UUID,
    *,
    provider: str | None = None,
    state: WriteState | None = None,
    limit: int,
    offset: int,
) -> tuple[list[Write], int]:
    """A page of the workspace's writes, newest first, and how many there are in all."""
    statement = select(*_SHOWN).where(writes.c.workspace_id == workspace_id)
    if provider is not None:
        statement = statement.where(writes.c.provider_name == provider)
    if state is not None:
        statement = statement.where(writes.c.state == state.value)
    page = statement.order_by(writes.c.created_at.desc(), writes.c.id).limit(limit).offset(offset)
    with database.tenant(workspace_id) as connection:
        found = [_to_write(row) for row in connection.execute(page)]
        return found, connection.execute(select(func.count()).select_from(statement.subquery())).scalar_one()


def list_unsettled(
    database: Database, *, quiet_for: float, limit: int, workspace_id: UUID | None = None
) -> list[Write]:
    """Writes of all workspaces that are not settled and that nobody is at work on, so many seconds after the last was.

    One of each workspace, then a second of each, and so on; of a workspace those first that nobody looked into for
    longest.
    """
    number = func.row_number().over(partition_by=writes.c.workspace_id, order_by=writes.c.looked_at)
    unsettled = (
        select(*_SHOWN, number.label("number"))
        .where(writes.c.settled_at.is_(None), _IS_FREE, writes.c.looked_at <= func.now() - _seconds(quiet_for))
        .where(true() if workspace_id is None else writes.c.workspace_id == workspace_id)
        .subquery()
    )
    shown = [unsettled.c[column.name] for column in _SHOWN]
    statement = select(*shown).order_by(unsettled.c.number, unsettled.c.looked_at).limit(limit)
    with database.control() as connection:
        return [_to_write(row) for row in connection.execute(statement)]


def count_unsettled(database: Database) -> int:
    """How many writes of all workspaces are not settled."""
    with database.control() as connection:
        return connection.execute(select(func.count()).where(writes.c.settled_at.is_(None))).scalar_one()


def _in(seconds: float) -> Any:
    return func.now() + _seconds(seconds)


def _seconds(seconds: float) -> Any:
    return func.make_interval(0, 0, 0, 0, 0, 0, seconds)


def _to_write(row: Row[Any], **changed: Any) -> Write:
    values = {name: row._mapping[name] for name in Write.__dataclass_fields__}
    return Write(**{**values, "state": WriteState(row.state), **changed})


def _to_kept(row: Row[Any], **changed: Any) -> KeptWrite:
    return KeptWrite(
        _to_write(row, **changed),
        bytes(row.key_digest),
        row.request_fingerprint,
        row.request,
        row.sent_epoch,
        row.age,
        row.quiet_for,
        max(0.0, row.busy_for),
    )
