"""All stored credentials at once: which keys they are under, whether they open, and their way to a newer key."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Select, bindparam, func, select, update

from cyphera_pipelines.model.audit import Action
from cyphera_pipelines.security.encryption import VERSION, Binding, DecryptionError, Keyring
from cyphera_pipelines.store.audit import record_action
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.tables import workspace_payment_configurations as configurations
from cyphera_pipelines.store.tables import workspaces

BATCH = 100
PASSES = 5
PAUSE_SECONDS = 0.5
"""Between two passes: whoever was just changing a configuration has finished by then."""


@dataclass(frozen=True)
class Unreadable:
    """A configuration whose credentials do not open, and why."""

    configuration_id: UUID
    workspace: str
    provider: str
    is_removed: bool
    reason: str


@dataclass
class Rotation:
    """What became of all stored credentials: `busy` are those that others were changing all the time."""

    reencrypted: int = 0
    already: int = 0
    busy: int = 0
    unreadable: list[Unreadable] = field(default_factory=list)


def count_by_key(database: Database) -> dict[str | None, int]:
    """How many configurations are encrypted under each key; None stands for values that are not encrypted at all.

    Removed configurations count: their credentials are kept as long as they are.
    """
    key_id = func.substring(configurations.c.configuration, rf"^{VERSION}\.([0-9a-f]+)\..").label("key_id")
    statement = select(key_id, func.count()).group_by(key_id)
    with database.control() as connection:
        return {row[0]: row[1] for row in connection.execute(statement)}


def unreadable_credentials(database: Database, keyring: Keyring) -> tuple[int, list[Unreadable]]:
    """Open all credentials: how many there are, and those that do not open."""
    count, unreadable = 0, []
    for rows in _batches(database):
        for row in rows:
            count += 1
            try:
                keyring.decrypt(row.configuration, _binding(row))
            except DecryptionError as error:
                unreadable.append(_unreadable(row, error))
    return count, unreadable


def reencrypt_all(database: Database, keyring: Keyring) -> Rotation:
    """Put all credentials under the newest key, in batches, while everything else goes on.

    Whatever is under it already is left alone, so that it may be broken off and repeated. Who reads a configuration
    meanwhile gets the old ciphertext or the new one, and both open.
    """
    keys = keyring.newest()
    newest = keys.current.key_id
    rotation = Rotation()
    for number in range(PASSES):
        if number:
            time.sleep(PAUSE_SECONDS)
        rotation.unreadable.clear()
        after: UUID | None = UUID(int=0)
        while after is not None:
            after = _reencrypt_batch(database, keys, after, rotation)
        in_all = count_by_key(database)
        # What others are changing right now is passed over, and what they add may be under an older key.
        rotation.busy = sum(in_all.values()) - in_all.get(newest, 0) - len(rotation.unreadable)
        rotation.already = in_all.get(newest, 0) - rotation.reencrypted
        if rotation.busy <= 0:
            break
    rotation.busy, rotation.already = max(0, rotation.busy), max(0, rotation.already)
    return rotation


def _reencrypt_batch(database: Database, keys: Keyring, after: UUID, rotation: Rotation) -> UUID | None:
    """Returns the last id that was looked at, or None at the end."""
    is_newest = configurations.c.configuration.like(f"{VERSION}.{keys.current.key_id}.%")
    # All at once or not at all: who waits for nobody can be in nobody's way.
    rows_of_batch = (
        _all_rows(after)
        .where(~is_newest)
        .limit(BATCH)
        .with_for_update(of=configurations, skip_locked=True, key_share=True)
    )
    with database.control() as connection:
        rows = connection.execute(rows_of_batch).all()
        changed = []
        for row in rows:
            try:
                plaintext = keys.decrypt(row.configuration, _binding(row))
            except DecryptionError as error:
                rotation.unreadable.append(_unreadable(row, error))
            else:
                changed.append({"row_id": row.id, "envelope": keys.encrypt(plaintext, _binding(row))})
                told = {"key_id": keys.current.key_id}
                record_action(connection, row.workspace_id, Action.CONFIGURATION_REENCRYPTED, row.id, told)
        if changed:
            connection.execute(_REPLACE, changed)
    rotation.reencrypted += len(changed)
    return rows[-1].id if rows else None


def _batches(database: Database) -> Iterator[list[Row[Any]]]:
    after = UUID(int=0)
    while True:
        with database.control() as connection:
            rows = list(connection.execute(_all_rows(after).limit(BATCH)))
        if not rows:
            return
        yield rows
        after = rows[-1].id


def _all_rows(after: UUID) -> Select[Any]:
    columns = (
        configurations.c.id,
        configurations.c.workspace_id,
        configurations.c.provider_name,
        configurations.c.configuration,
        configurations.c.deleted_at,
        workspaces.c.slug,
    )
    return (
        select(*columns)
        .join(workspaces, workspaces.c.id == configurations.c.workspace_id)
        .where(configurations.c.id > after)
        .order_by(configurations.c.id)
    )


def _binding(row: Row[Any]) -> Binding:
    return Binding(row.workspace_id, row.id, row.provider_name)


def _unreadable(row: Row[Any], error: DecryptionError) -> Unreadable:
    return Unreadable(row.id, row.slug, row.provider_name, row.deleted_at is not None, str(error))


_REPLACE = (
    update(configurations).where(configurations.c.id == bindparam("row_id")).values(configuration=bindparam("envelope"))
)
