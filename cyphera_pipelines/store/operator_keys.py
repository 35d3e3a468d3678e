"""The keys of operators, who see every workspace: made, listed and revoked by the command line alone."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Select, func, insert, select, update

from cyphera_pipelines.model.actor import current_actor
from cyphera_pipelines.model.audit import Action
from cyphera_pipelines.model.errors import ConflictError, InvalidInputError, NotFoundError
from cyphera_pipelines.model.key_levels import KeyExpiredError, KeyLevel
from cyphera_pipelines.security.api_keys import KeyKind, PresentedKey, new_key
from cyphera_pipelines.store.audit import OF_DEPLOYMENT, record_action
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.tables import operator_keys

OPERATOR_LEVELS = (KeyLevel.READ, KeyLevel.SYNC)
"""Operators see every workspace: none of their keys writes at a provider."""


@dataclass(frozen=True)
class OperatorKey:
    """A row of `operator_keys`, without its hash."""

    id: UUID
    name: str
    level: KeyLevel
    created_by: str
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None

    def works_at(self, moment: datetime) -> bool:
        """Whether somebody can be signed in with it then."""
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > moment)


_SHOWN = [operator_keys.c[name] for name in OperatorKey.__dataclass_fields__]


def create_operator_key(
    database: Database, name: str, level: KeyLevel = KeyLevel.SYNC, *, expires_in: timedelta | None = None
) -> tuple[OperatorKey, PresentedKey]:
    """Make an operator's key. The second value cannot be had again: only its hash is kept.

    `expires_in` is how long it works; None is until it is revoked. Raises InvalidInputError for other levels than
    `read` and `sync`.
    """
    if level not in OPERATOR_LEVELS:
        raise InvalidInputError(
            "An operator's key may read, or start and stop syncs. Writing at providers takes a workspace's key: "
            f"cyphera key create SLUG --{level.value}"
        )
    key = new_key(KeyKind.OPERATOR)
    values = {
        "id": key.id,
        "name": name,
        "key_hash": key.digest(),
        "level": level.value,
        "created_by": current_actor().id,
        "expires_at": None if expires_in is None else func.now() + expires_in,
    }
    with database.control() as connection:
        made = _to_key(connection.execute(insert(operator_keys).values(values).returning(*_SHOWN)).one())
        record_action(connection, OF_DEPLOYMENT, Action.OPERATOR_KEY_CREATED, made.id, _told(made))
    return made, key


def list_operator_keys(database: Database) -> list[OperatorKey]:
    """All operators' keys, revoked ones too, oldest first."""
    with database.control() as connection:
        rows = connection.execute(select(*_SHOWN).order_by(operator_keys.c.created_at, operator_keys.c.id))
        return [_to_key(row) for row in rows]


def revoke_operator_key(database: Database, key_id: UUID) -> OperatorKey:
    """Make the key worthless, and end every sign-in with it. Raises NotFoundError, or ConflictError if it was."""
    revoke = (
        update(operator_keys)
        .where(operator_keys.c.id == key_id, operator_keys.c.revoked_at.is_(None))
        .values(revoked_at=func.now())
        .returning(*_SHOWN)
    )
    exists = select(operator_keys.c.id).where(operator_keys.c.id == key_id)
    with database.control() as connection:
        row = connection.execute(revoke).one_or_none()
        if row is None and connection.execute(exists).first() is None:
            raise NotFoundError(f"There is no operator's key {key_id}. See: cyphera key list --operators")
        if row is None:
            raise ConflictError(f"Key {key_id} was revoked already.")
        revoked = _to_key(row)
        record_action(connection, OF_DEPLOYMENT, Action.OPERATOR_KEY_REVOKED, key_id, {"name": revoked.name})
    return revoked


def find_operator(database: Database, key: PresentedKey) -> OperatorKey | None:
    """Whose key it is, noting that it was used. None for a wrong, a revoked and an unknown one alike.

    Raises KeyExpiredError where the key was right and its time is over: its holder may know.
    """
    is_over = func.coalesce(operator_keys.c.expires_at <= func.now(), False).label("is_over")
    wanted: Select[Any] = select(*_SHOWN, operator_keys.c.key_hash, is_over).where(operator_keys.c.id == key.id)
    with database.control() as connection:
        row: Row[Any] | None = connection.execute(wanted).one_or_none()
        if row is None or not key.matches(bytes(row.key_hash)) or row.revoked_at is not None:
            return None
        if row.is_over:
            raise KeyExpiredError(f"This key expired at {row.expires_at:%Y-%m-%d %H:%M} UTC.")
        connection.execute(update(operator_keys).where(operator_keys.c.id == key.id).values(last_used_at=func.now()))
    return _to_key(row)


def _told(key: OperatorKey) -> dict[str, str]:
    told = {"name": key.name, "level": key.level.value}
    return told if key.expires_at is None else told | {"expires_at": key.expires_at.isoformat(timespec="seconds")}


def _to_key(row: Row[Any]) -> OperatorKey:
    values = {name: row._mapping[name] for name in OperatorKey.__dataclass_fields__}
    return OperatorKey(**values | {"level": KeyLevel(row.level)})
