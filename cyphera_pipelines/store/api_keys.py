"""The keys of the HTTP API: made and revoked by operators, looked up at every request."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, func, insert, or_, select, update

from cyphera_pipelines.model.actor import acting_as, api_key_actor
from cyphera_pipelines.model.audit import Action
from cyphera_pipelines.model.errors import ConflictError, NotFoundError
from cyphera_pipelines.model.key_levels import KeyExpiredError, KeyLevel
from cyphera_pipelines.model.workspace import Workspace
from cyphera_pipelines.security.api_keys import PresentedKey, new_key
from cyphera_pipelines.store.access.matrix import Role
from cyphera_pipelines.store.audit import record_action, record_refused_key
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.tables import workspace_api_keys as api_keys
from cyphera_pipelines.store.tables import workspaces

USE_IS_NOTED_EVERY = timedelta(minutes=1)


@dataclass(frozen=True)
class ApiKey:
    """A row of `workspace_api_keys`, without its hash."""

    id: UUID
    workspace_id: UUID
    name: str
    created_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None
    level: KeyLevel
    expires_at: datetime | None

    def works_at(self, moment: datetime) -> bool:
        """Whether it opens the workspace then."""
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > moment)


@dataclass(frozen=True)
class Caller:
    """Who makes a request: a workspace, and the key that it showed."""

    workspace: Workspace
    key_id: UUID
    key_name: str
    level: KeyLevel


_USE_IS_TO_BE_NOTED = or_(api_keys.c.last_used_at.is_(None), api_keys.c.last_used_at < func.now() - USE_IS_NOTED_EVERY)
_SHOWN = [api_keys.c[name] for name in ApiKey.__dataclass_fields__]


def create_api_key(
    database: Database,
    workspace: Workspace,
    name: str,
    level: KeyLevel = KeyLevel.SYNC,
    *,
    expires_in: timedelta | None = None,
) -> tuple[ApiKey, PresentedKey]:
    """Make a key that opens the workspace. The second value cannot be had again: only its hash is kept.

    `expires_in` is how long it works; None is until it is revoked.
    """
    key = new_key()
    values = {
        "id": key.id,
        "workspace_id": workspace.id,
        "name": name,
        "key_hash": key.digest(),
        "level": level.value,
        "expires_at": None if expires_in is None else func.now() + expires_in,
    }
    with database.control() as connection:
        row = connection.execute(insert(api_keys).values(values).returning(*_SHOWN)).one()
        details: dict[str, Any] = {"name": name, "level": level.value}
        if row.expires_at is not None:
            details["expires_at"] = row.expires_at.isoformat(timespec="seconds")
        record_action(connection, workspace.id, Action.KEY_CREATED, key.id, details)
    return _to_key(row), key


def list_api_keys(database: Database, workspace: Workspace) -> list[ApiKey]:
    """The workspace's keys, revoked ones too, oldest first."""
    statement = select(*_SHOWN).order_by(api_keys.c.created_at, api_keys.c.id)
    with database.tenant(workspace.id) as connection:
        return [_to_key(row) for row in connection.execute(statement)]


def revoke_api_key(database: Database, key_id: UUID) -> ApiKey:
    """Make the key worthless from the next request on. Raises NotFoundError, or ConflictError if it was revoked."""
    revoke = (
        update(api_keys)
        .where(api_keys.c.id == key_id, api_keys.c.revoked_at.is_(None))
        .values(revoked_at=func.now())
        .returning(*_SHOWN)
    )
    with database.control() as connection:
        row = connection.execute(revoke).one_or_none()
        if row is not None:
            record_action(connection, row.workspace_id, Action.KEY_REVOKED, key_id, {"name": row.name})
        exists = connection.execute(select(api_keys.c.id).where(api_keys.c.id == key_id)).first() is not None
    if row is not None:
        return _to_key(row)
    if exists:
        raise ConflictError(f"Key {key_id} was revoked already.")
    raise NotFoundError(f"There is no key {key_id}. See: cyphera key list SLUG")


def find_caller(database: Database, workspace_id: UUID, key: PresentedKey) -> Caller | None:
    """Who the key belongs to, or None: a wrong, revoked or unknown key, and another workspace's, are all the same.

    Raises KeyExpiredError where the key was right and its time is over: its holder may know.

    The look-up is made as the claimed workspace, under whose row-level security other workspaces' keys do not exist.
    """
    statement = (
        select(
            api_keys.c.key_hash,
            api_keys.c.name.label("key_name"),
            api_keys.c.revoked_at,
            api_keys.c.level,
            api_keys.c.expires_at,
            (api_keys.c.expires_at <= func.now()).label("is_expired"),
            _USE_IS_TO_BE_NOTED.label("use_is_to_be_noted"),
            workspaces,
        )
        .join(workspaces, workspaces.c.id == api_keys.c.workspace_id)
        .where(api_keys.c.id == key.id)
    )
    with database.tenant(workspace_id, role=Role.AUTHENTICATION) as connection:
        row = connection.execute(statement).one_or_none()
        if row is None:
            return None
        if row.revoked_at is not None or not key.matches(bytes(row.key_hash)):
            reason = "Its secret is wrong." if row.revoked_at is None else "It was revoked."
            with acting_as(api_key_actor(key.id, row.key_name)):
                record_refused_key(connection, workspace_id, key.id, reason)
            return None
        if row.is_expired:
            with acting_as(api_key_actor(key.id, row.key_name)):
                record_refused_key(connection, workspace_id, key.id, "It has expired.")
        elif row.use_is_to_be_noted:
            # Asked again, so that of many requests at once only one writes.
            noted = update(api_keys).where(api_keys.c.id == key.id, _USE_IS_TO_BE_NOTED)
            connection.execute(noted.values(last_used_at=func.now()))
    if row.is_expired:
        raise KeyExpiredError(f"This API key expired at {row.expires_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC.")
    workspace = Workspace(row.id, row.slug, row.name, row.created_at, row.is_demo)
    return Caller(workspace, key.id, row.key_name, KeyLevel(row.level))


def find_workspace_of_key(database: Database, key: PresentedKey) -> UUID | None:
    """Which workspace a key would open if it is right, for whoever has the key alone; None if there is no such key."""
    with database.control() as connection:
        return connection.execute(select(api_keys.c.workspace_id).where(api_keys.c.id == key.id)).scalar_one_or_none()


def _to_key(row: Row[Any]) -> ApiKey:
    return ApiKey(**{**row._mapping, "level": KeyLevel(row.level)})
