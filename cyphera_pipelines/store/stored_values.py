"""What else is kept encrypted beside credentials, all at once: which keys it is under, and its way to a newer key."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import Column, ColumnElement, Row, Table, func, select, text, update

from cyphera_pipelines.model.audit import Action
from cyphera_pipelines.security.encryption import VERSION, Binding, ChannelBinding, DecryptionError, Keyring
from cyphera_pipelines.store.audit import OF_DEPLOYMENT, record_action
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.tables import alert_channels as channels
from cyphera_pipelines.store.tables import provider_writes as writes


@dataclass(frozen=True)
class StoredValues:
    """The encrypted values of one column: in which rows there is one, what binds it to its row, and whose it is."""

    table: Table
    column: Column[str]
    is_kept: ColumnElement[bool]
    binding_of: Callable[[Row[Any]], Binding | ChannelBinding]
    workspace_of: Callable[[Row[Any]], UUID]
    action: Action


CHANNEL_ADDRESSES = StoredValues(
    channels,
    channels.c.address,
    channels.c.removed_at.is_(None),
    lambda row: ChannelBinding(row.id, row.workspace_id),
    lambda row: row.workspace_id or OF_DEPLOYMENT,
    Action.ALERT_CHANNEL_REENCRYPTED,
)
"""Where alerts are sent to. Of removed channels no address is kept."""

UNSETTLED_WRITES = StoredValues(
    writes,
    writes.c.request,
    writes.c.request.is_not(None),
    lambda row: Binding(row.workspace_id, row.configuration_id, row.provider_name, row.id),
    lambda row: row.workspace_id,
    Action.WRITE_REENCRYPTED,
)
"""What was sent to a provider, of whose outcome nothing is known yet. Of settled writes no request is kept."""


@dataclass
class ValuesRotation:
    """What became of the values; `unreadable` says of which rows they do not open, and why."""

    reencrypted: int = 0
    already: int = 0
    unreadable: list[str] = field(default_factory=list)


def count_values_by_key(database: Database, values: StoredValues) -> dict[str | None, int]:
    """How many values are encrypted under each key; None stands for values that are not encrypted."""
    key_id = func.substring(values.column, rf"^{VERSION}\.([0-9a-f]+)\..").label("key_id")
    counted = select(key_id, func.count()).where(values.is_kept).group_by(text("1"))
    with database.control() as connection:
        return {row[0]: row[1] for row in connection.execute(counted)}


def reencrypt_values(database: Database, keyring: Keyring, values: StoredValues) -> ValuesRotation:
    """Put all values under the newest key, one row at a time, while everything else goes on.

    Whatever is under it already is left alone.
    """
    keys, rotation, row_id = keyring.newest(), ValuesRotation(), values.table.c.id
    with database.control() as connection:
        ids = connection.execute(select(row_id).where(values.is_kept)).scalars().all()
    for each in ids:
        mine = select(values.table).where(row_id == each, values.is_kept)
        with database.control() as connection:
            row = connection.execute(mine.with_for_update(key_share=True)).one_or_none()
            if row is None:
                continue
            envelope, binding = row._mapping[values.column], values.binding_of(row)
            if envelope.startswith(f"{VERSION}.{keys.current.key_id}."):
                rotation.already += 1
                continue
            try:
                renewed = keys.encrypt(keys.decrypt(envelope, binding), binding)
            except DecryptionError as error:
                rotation.unreadable.append(str(error))
                continue
            connection.execute(update(values.table).where(row_id == each).values({values.column: renewed}))
            told = {"key_id": keys.current.key_id}
            record_action(connection, values.workspace_of(row), values.action, each, told)
            rotation.reencrypted += 1
    return rotation
