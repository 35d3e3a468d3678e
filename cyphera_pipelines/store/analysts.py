"""Analysts: logins to Postgres that read the synced tables and views of some workspaces, whatever they ask.

A login is bound to its workspaces by rows that it can neither read nor write; the policies look them up by the role
that logged in. Its password and its rights to connect are the server's: see `analyst_logins`.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, delete, func, select
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.dialects.postgresql import insert as upsert

from cyphera_pipelines.model.audit import Action
from cyphera_pipelines.model.errors import InvalidInputError, NotFoundError
from cyphera_pipelines.model.workspace import Workspace
from cyphera_pipelines.store.analyst_logins import (
    LONGEST_ROLE_NAME,
    Login,
    change_password,
    check_name,
    drop_login,
    existing_logins,
    make_login,
)
from cyphera_pipelines.store.audit import record_action
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.tables import workspace_analysts as analysts
from cyphera_pipelines.store.tables import workspaces

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Analyst:
    """A login, and the slugs of the workspaces that it reads. A server may lack it until an administrator makes it."""

    role_name: str
    workspaces: tuple[str, ...]
    created_at: datetime
    is_on_server: bool


def create_analyst(database: Database, role_name: str, of: Sequence[Workspace]) -> Login:
    """Make a login of that name that reads those workspaces, of which there is at least one.

    Raises InvalidInputError for a name that makes no role, ConflictError if the server has such a role.
    """
    check_name(role_name)
    return _create(database, role_name, of)


def add_analyst(database: Database, workspace: Workspace, name: str) -> tuple[Login, str]:
    """Make a login of one workspace, named after it, as in 'acme_jane'; the second value is its password.

    Raises as `create_analyst` does.
    """
    check_name(name)
    role_name = f"{workspace.slug}_{name}"
    if len(role_name) > LONGEST_ROLE_NAME:
        raise InvalidInputError(f"{role_name!r} is too long for a login: {LONGEST_ROLE_NAME} characters at most.")
    login = _create(database, role_name, [workspace])
    return login, login.password


def grant_workspaces(database: Database, role_name: str, of: Sequence[Workspace]) -> None:
    """Let the analyst read these workspaces too, from its next statement on. Raises NotFoundError."""
    with database.control() as connection:
        _hold(connection, role_name)
        _bind(connection, role_name, of)


def revoke_workspaces(database: Database, role_name: str, of: Sequence[Workspace]) -> None:
    """Let the analyst read these workspaces no longer, from its next statement on.

    Raises NotFoundError, and InvalidInputError for the last one: a login that reads nothing is to be dropped.
    """
    with database.control() as connection:
        bound = _hold(connection, role_name)
        if bound <= {workspace.id for workspace in of}:
            raise InvalidInputError(
                f"{role_name!r} would have no workspace left: nothing was changed. "
                f"Drop the login with: cyphera analyst drop {role_name}"
            )
        for workspace in of:
            _unbind(connection, role_name, workspace.id)


def rotate_password(database: Database, role_name: str) -> Login:
    """Give the analyst another password; the one before opens nothing new any more. Raises NotFoundError.

    A login that the server lacks, as after the database was restored on another one, is made anew.
    """
    with database.control() as connection:
        bound = _hold(connection, role_name)
        is_there = role_name in existing_logins(connection, [role_name])
        login = change_password(connection, role_name) if is_there else make_login(connection, role_name)
        for workspace_id in bound:
            record_action(connection, workspace_id, Action.ANALYST_PASSWORD_ROTATED, role_name)
    return login


def list_analysts(database: Database, workspace: Workspace | None = None) -> list[Analyst]:
    """All analysts, or those that read the workspace, by name."""
    slugs = func.array_agg(aggregate_order_by(workspaces.c.slug, workspaces.c.slug))
    statement = (
        select(analysts.c.role_name, slugs.label("slugs"), func.min(analysts.c.created_at).label("created_at"))
        .join(workspaces, workspaces.c.id == analysts.c.workspace_id)
        .group_by(analysts.c.role_name)
        .order_by(analysts.c.role_name)
    )
    if workspace is not None:
        of_workspace = select(analysts.c.role_name).where(analysts.c.workspace_id == workspace.id)
        statement = statement.where(analysts.c.role_name.in_(of_workspace))
    with database.control() as connection:
        rows = connection.execute(statement).all()
        there = existing_logins(connection, [row.role_name for row in rows])
    return [Analyst(row.role_name, tuple(row.slugs), row.created_at, row.role_name in there) for row in rows]


def remove_analyst(database: Database, role_name: str) -> tuple[str, ...]:
    """Drop the analyst's login; sessions that it has open see nothing any more.

    Returns what an administrator of the server has to execute to be rid of the role, where we may not drop it: until
    then it may log in and sees nothing. Raises NotFoundError.
    """
    with database.control() as connection:
        for workspace_id in _hold(connection, role_name):
            _unbind(connection, role_name, workspace_id)
        return drop_login(connection, role_name)


def remove_all_analysts(connection: Connection, workspace_id: UUID) -> None:
    """Unbind all the workspace's analysts, and drop those that read no other; within a transaction of our own."""
    of_workspace = select(analysts.c.role_name).where(analysts.c.workspace_id == workspace_id)
    for role_name in connection.execute(of_workspace.order_by(analysts.c.role_name)).scalars().all():
        bound = _hold(connection, role_name)
        _unbind(connection, role_name, workspace_id)
        if bound == {workspace_id} and (left := drop_login(connection, role_name)):
            _log.warning(
                "The login %s reads nothing any more, but may not be dropped by us. An administrator executes: %s",
                role_name,
                " ".join(left),
            )


def _create(database: Database, role_name: str, of: Sequence[Workspace]) -> Login:
    with database.control() as connection:
        login = make_login(connection, role_name)
        # The server had no such role: what is bound to the name was another's, who is gone.
        for workspace_id in _bound(connection, role_name):
            _unbind(connection, role_name, workspace_id)
        _bind(connection, role_name, of)
    return login


def _hold(connection: Connection, role_name: str) -> set[UUID]:
    """The analyst's workspaces, held against others who change them. Raises NotFoundError."""
    bound = _bound(connection, role_name)
    if not bound:
        raise NotFoundError(f"There is no analyst {role_name!r}. See: cyphera analyst list")
    return bound


def _bound(connection: Connection, role_name: str) -> set[UUID]:
    rows = select(analysts.c.workspace_id).where(analysts.c.role_name == role_name).with_for_update()
    return set(connection.execute(rows).scalars())


def _bind(connection: Connection, role_name: str, of: Sequence[Workspace]) -> None:
    for workspace in of:
        values = {"role_name": role_name, "workspace_id": workspace.id}
        made = connection.execute(upsert(analysts).values(values).on_conflict_do_nothing())
        if made.rowcount == 1:
            record_action(connection, workspace.id, Action.ANALYST_ADDED, role_name)


def _unbind(connection: Connection, role_name: str, workspace_id: UUID) -> None:
    bound = delete(analysts).where(analysts.c.role_name == role_name, analysts.c.workspace_id == workspace_id)
    if connection.execute(bound).rowcount == 1:
        record_action(connection, workspace_id, Action.ANALYST_REMOVED, role_name)
