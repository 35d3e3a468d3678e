"""Channels: where alerts are sent to. A workspace sees and changes its own; `None` is the deployment, and sees all."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, Connection, Row, func, insert, select, update

from cyphera_pipelines.model.actor import current_actor
from cyphera_pipelines.model.alert_channels import MOST_CHANNELS, AlertChannel, ChannelKind
from cyphera_pipelines.model.alerts import AlertCause
from cyphera_pipelines.model.audit import Action
from cyphera_pipelines.model.errors import NotFoundError
from cyphera_pipelines.model.quotas import QuotaReachedError
from cyphera_pipelines.model.storable import storable
from cyphera_pipelines.security.encryption import ChannelBinding, Keyring
from cyphera_pipelines.store.access.matrix import Role
from cyphera_pipelines.store.audit import OF_DEPLOYMENT, record_action
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.tables import alert_channels as channels

_SHOWN = [channels.c[name] for name in AlertChannel.__dataclass_fields__]


@dataclass(frozen=True)
class NewChannel:
    """A channel that is to be added. `address` is the JSON of where to and of the signing secret: both are secrets."""

    name: str
    kind: ChannelKind
    address_shown: str
    address: bytes = field(repr=False)
    causes: Sequence[AlertCause] | None = None
    only_workspaces: Sequence[UUID] | None = None


def add_channel(database: Database, keyring: Keyring, workspace_id: UUID | None, new: NewChannel) -> AlertChannel:
    """Keep a channel. Raises QuotaReachedError where there are too many."""
    channel_id = uuid4()
    values = {
        "id": channel_id,
        "workspace_id": workspace_id,
        "name": storable(new.name),
        "kind": new.kind.value,
        "address": keyring.encrypt(new.address, ChannelBinding(channel_id, workspace_id)),
        "address_shown": storable(new.address_shown),
        "causes": None if new.causes is None else [cause.value for cause in new.causes],
        "only_workspaces": None if new.only_workspaces is None else list(new.only_workspaces),
        "created_by": storable(current_actor().id),
    }
    count = select(func.count()).select_from(channels).where(_are_of(workspace_id), channels.c.removed_at.is_(None))
    with _transaction(database, workspace_id, role=Role.CREDENTIALS) as connection:
        if connection.execute(count).scalar_one() >= MOST_CHANNELS:
            raise QuotaReachedError(f"There are {MOST_CHANNELS} channels, as many as there may be. Remove one first.")
        row = connection.execute(insert(channels).values(values).returning(*_SHOWN)).one()
        _record(connection, row, Action.ALERT_CHANNEL_ADDED)
    return _to_channel(row)


def list_channels(database: Database, workspace_id: UUID | None, *, everybody_s: bool = False) -> list[AlertChannel]:
    """The workspace's channels, or the deployment's; with `everybody_s` (for operators only) those of all."""
    listed = select(*_SHOWN).where(channels.c.removed_at.is_(None)).order_by(channels.c.created_at, channels.c.id)
    if not everybody_s:
        listed = listed.where(_are_of(workspace_id))
    with _transaction(database, workspace_id) as connection:
        return [_to_channel(row) for row in connection.execute(listed)]


def find_channel(database: Database, workspace_id: UUID | None, channel_id: UUID) -> AlertChannel:
    """One of the workspace's channels; for the deployment, of anybody's. Raises NotFoundError."""
    with _transaction(database, workspace_id) as connection:
        row = connection.execute(select(*_SHOWN).where(*_is_there(workspace_id, channel_id))).one_or_none()
    if row is None:
        raise _no_such_channel()
    return _to_channel(row)


def remove_channel(database: Database, workspace_id: UUID | None, channel_id: UUID) -> AlertChannel:
    """Send nothing to it any more, and forget where it led to. Raises NotFoundError."""
    removed = update(channels).where(*_is_there(workspace_id, channel_id)).values(removed_at=func.now(), address="")
    with _transaction(database, workspace_id) as connection:
        row = connection.execute(removed.returning(*_SHOWN)).one_or_none()
        if row is None:
            raise _no_such_channel()
        _record(connection, row, Action.ALERT_CHANNEL_REMOVED)
    return _to_channel(row)


def find_by_prefix(database: Database, prefix: str) -> AlertChannel:
    """The channel whose id begins so, or which is called so; for operators. Raises NotFoundError."""
    found = list_channels(database, None, everybody_s=True)
    meant = [each for each in found if each.name == prefix] or [
        each for each in found if str(each.id).startswith(prefix)
    ]
    if len(meant) != 1:
        problem = "No channel is" if not meant else f"{len(meant)} channels are"
        raise NotFoundError(f"{problem} called, or begin with, {prefix!r}. See: cyphera alerts channels")
    return meant[0]


def _transaction(
    database: Database, workspace_id: UUID | None, *, role: Role = Role.TENANT
) -> AbstractContextManager[Connection]:
    return database.control() if workspace_id is None else database.tenant(workspace_id, role=role)


def _are_of(workspace_id: UUID | None) -> ColumnElement[bool]:
    return channels.c.workspace_id.is_(None) if workspace_id is None else channels.c.workspace_id == workspace_id


def _is_there(workspace_id: UUID | None, channel_id: UUID) -> tuple[ColumnElement[bool], ...]:
    is_there = (channels.c.id == channel_id, channels.c.removed_at.is_(None))
    return is_there if workspace_id is None else (*is_there, _are_of(workspace_id))


def _record(connection: Connection, row: Row[Any], action: Action) -> None:
    details = {"name": row.name, "kind": row.kind, "address": row.address_shown}
    record_action(connection, row.workspace_id or OF_DEPLOYMENT, action, row.id, details)


def _no_such_channel() -> NotFoundError:
    return NotFoundError("There is no such channel of alerts.")


def _to_channel(row: Row[Any]) -> AlertChannel:
    values = dict(row._mapping)
    of_list = {name: None if values[name] is None else tuple(values[name]) for name in ("causes", "only_workspaces")}
    return AlertChannel(**values | of_list | {"kind": ChannelKind(values["kind"])})
