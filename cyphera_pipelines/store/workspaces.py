"""Workspaces: create and look up."""

from uuid import UUID

from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from cyphera_pipelines.model.audit import Action
from cyphera_pipelines.model.errors import ConflictError, NotFoundError
from cyphera_pipelines.model.workspace import Workspace, validate_slug
from cyphera_pipelines.store.audit import record_action
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.tables import workspaces


def create_workspace(database: Database, slug: str, name: str | None = None, *, is_demo: bool = False) -> Workspace:
    """Make a workspace. Raises InvalidInputError for a bad slug, ConflictError for one that exists."""
    values = {"slug": validate_slug(slug), "name": name or slug, "is_demo": is_demo}
    try:
        with database.control() as connection:
            row = connection.execute(insert(workspaces).values(values).returning(workspaces)).one()
            record_action(connection, row.id, Action.WORKSPACE_CREATED, slug)
    except IntegrityError:
        raise ConflictError(f"Workspace {slug!r} exists already.") from None
    return Workspace(**row._mapping)


def list_workspaces(database: Database) -> list[Workspace]:
    """All workspaces, by slug."""
    with database.control() as connection:
        rows = connection.execute(select(workspaces).order_by(workspaces.c.slug)).all()
    return [Workspace(**row._mapping) for row in rows]


def find_workspace(database: Database, slug: str) -> Workspace:
    """The workspace with that slug, or NotFoundError."""
    with database.control() as connection:
        row = connection.execute(select(workspaces).where(workspaces.c.slug == slug)).one_or_none()
    if row is None:
        raise NotFoundError(f"There is no workspace {slug!r}. Make it with: cyphera workspace create {slug}")
    return Workspace(**row._mapping)


def workspace_slugs(database: Database) -> dict[UUID, str]:
    """Every workspace's slug by its id."""
    return {workspace.id: workspace.slug for workspace in list_workspaces(database)}
