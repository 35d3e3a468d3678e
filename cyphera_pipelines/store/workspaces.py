"""Workspaces: create, look up, rename, delete."""

from uuid import UUID

from sqlalchemy import Connection, func, insert, select, text, update
from sqlalchemy.exc import IntegrityError

from cyphera_pipelines.model.audit import Action
from cyphera_pipelines.model.errors import ConflictError, NotFoundError
from cyphera_pipelines.model.workspace import Workspace, validate_slug
from cyphera_pipelines.store.analysts import remove_all_analysts
from cyphera_pipelines.store.audit import record_action
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.tables import workspaces


def create_workspace(database: Database, slug: str, name: str | None = None, *, is_demo: bool = False) -> Workspace:
    """Make a workspace. Raises InvalidInputError for a bad slug, ConflictError for one that exists."""
    values = {"slug": validate_slug(slug), "name": name or slug, "is_demo": is_demo}
    try:
        with database.control() as connection:
            row = connection.execute(insert(workspaces).values(values).returning(*_SHOWN)).one()
            record_action(connection, row.id, Action.WORKSPACE_CREATED, slug)
    except IntegrityError:
        raise ConflictError(
            f"Workspace {slug!r} exists already; a deleted one keeps its slug until it is purged."
        ) from None
    return Workspace(**row._mapping)


def list_workspaces(database: Database) -> list[Workspace]:
    """All workspaces, by slug."""
    with database.control() as connection:
        existing = select(*_SHOWN).where(workspaces.c.deleted_at.is_(None))
        rows = connection.execute(existing.order_by(workspaces.c.slug)).all()
    return [Workspace(**row._mapping) for row in rows]


def find_workspace(database: Database, slug: str, *, or_deleted: bool = False) -> Workspace:
    """The workspace with that slug, or NotFoundError; one that is deleted is found only if that is asked for."""
    wanted = select(*_SHOWN, workspaces.c.deleted_at).where(workspaces.c.slug == slug)
    with database.control() as connection:
        row = connection.execute(wanted).one_or_none()
    if row is None:
        raise NotFoundError(f"There is no workspace {slug!r}. Make it with: cyphera workspace create {slug}")
    if row.deleted_at is not None and not or_deleted:
        raise NotFoundError(
            f"Workspace {slug!r} was deleted on {row.deleted_at:%Y-%m-%d}. Its rows stay until: "
            f"cyphera workspace delete {slug} --purge"
        )
    return Workspace(**{column.name: row._mapping[column] for column in _SHOWN})


def workspace_slugs(database: Database) -> dict[UUID, str]:
    """Every workspace's slug by its id, of deleted ones too."""
    with database.control() as connection:
        return {row.id: row.slug for row in connection.execute(select(workspaces.c.id, workspaces.c.slug))}


def slug_of_workspace(database: Database, workspace_id: UUID) -> str:
    """The workspace's slug, of a deleted one too; what is purged has none, and its id is told."""
    with database.control() as connection:
        found = connection.execute(select(workspaces.c.slug).where(workspaces.c.id == workspace_id))
        return found.scalar_one_or_none() or str(workspace_id)


def rename_workspace(database: Database, workspace: Workspace, name: str) -> Workspace:
    """Change what people call the workspace; its slug, which is part of partition keys, stays."""
    renamed = update(workspaces).where(workspaces.c.id == workspace.id).values(name=name).returning(*_SHOWN)
    with database.control() as connection:
        row = connection.execute(renamed).one()
        record_action(connection, workspace.id, Action.WORKSPACE_RENAMED, workspace.slug, {"changed": ["name"]})
    return Workspace(**row._mapping)


def delete_workspace(database: Database, workspace: Workspace) -> None:
    """Disconnect a workspace for good, in one transaction: its configurations go, its keys and analysts open nothing.

    Its rows, sessions and events stay. Sessions that wait or run are the caller's to cancel, afterwards.
    """
    with database.control() as connection:
        disconnect_workspace(connection, workspace)


def disconnect_workspace(connection: Connection, workspace: Workspace) -> None:
    """The same within a transaction of the pipeline itself; what is disconnected already stays as it is."""
    deleted = update(workspaces).where(workspaces.c.id == workspace.id, workspaces.c.deleted_at.is_(None))
    if connection.execute(deleted.values(deleted_at=func.now())).rowcount == 1:
        record_action(connection, workspace.id, Action.WORKSPACE_DELETED, workspace.slug)
    disconnect_source(connection, workspace, None)
    for key_id in connection.execute(_REVOKE_KEYS, {"workspace_id": workspace.id}).scalars().all():
        record_action(connection, workspace.id, Action.KEY_REVOKED, key_id)
    remove_all_analysts(connection, workspace.id)


def disconnect_source(connection: Connection, workspace: Workspace, provider: str | None) -> None:
    """Remove the workspace's configurations for the provider, active or not; for all of them where it is None."""
    of_source = {"workspace_id": workspace.id, "provider": provider}
    for row in connection.execute(_REMOVE_CONFIGURATIONS, of_source).all():
        record_action(connection, workspace.id, Action.CONFIGURATION_REMOVED, row.id, {"provider": row.provider_name})


_SHOWN = [workspaces.c[name] for name in Workspace.__dataclass_fields__]
_REMOVE_CONFIGURATIONS = text(
    "UPDATE sync.workspace_payment_configurations SET is_active = false, deleted_at = now(), updated_at = now() "
    "WHERE workspace_id = :workspace_id AND (CAST(:provider AS text) IS NULL OR provider_name = :provider) "
    "AND deleted_at IS NULL RETURNING id, provider_name"
)
_REVOKE_KEYS = text(
    "UPDATE sync.workspace_api_keys SET revoked_at = now() "
    "WHERE workspace_id = :workspace_id AND revoked_at IS NULL RETURNING id"
)
