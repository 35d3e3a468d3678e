"""Analysts: login roles of Postgres that read one workspace's synced tables, whatever they ask."""

import re
import secrets
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from psycopg2.errors import DuplicateObject, InsufficientPrivilege
from psycopg2.extensions import encrypt_password
from sqlalchemy import Connection, delete, insert, select, text
from sqlalchemy.exc import ProgrammingError

from cyphera_pipelines.model.audit import Action
from cyphera_pipelines.model.errors import ConflictError, CypheraError, InvalidInputError, NotFoundError
from cyphera_pipelines.model.workspace import Workspace
from cyphera_pipelines.security.secrets import register_secret
from cyphera_pipelines.store.access.matrix import Role
from cyphera_pipelines.store.audit import record_action
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.tables import workspace_analysts as analysts

MOST_CONNECTIONS = 10
"""Of one analyst at once: a tool that opens more may not take them from the pipeline."""
LONGEST_ROLE_NAME = 63
_NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class Analyst:
    """A row of `workspace_analysts`."""

    role_name: str
    created_at: datetime


def add_analyst(database: Database, workspace: Workspace, name: str) -> tuple[Analyst, str]:
    """Make a login role that reads the workspace's synced tables. The second value is its password, kept nowhere.

    Raises InvalidInputError for a name that makes no role, ConflictError if there is such a role, CypheraError if our
    own may not make one.
    """
    role_name = f"{workspace.slug}_{name}"
    if not _NAME.fullmatch(name) or len(role_name) > LONGEST_ROLE_NAME:
        raise InvalidInputError(
            f"{name!r} makes no role's name: use lower-case letters, digits and _, so that {role_name!r} has "
            f"{LONGEST_ROLE_NAME} characters at most."
        )
    password = secrets.token_urlsafe(24)
    register_secret(password)
    try:
        with database.control() as connection:
            # Hashed here: a server may log its statements.
            hashed = encrypt_password(
                password, role_name, scope=connection.connection.driver_connection, algorithm="scram-sha-256"
            )
            make = connection.execute(_MAKE, {"role_name": role_name, "password": hashed}).scalar_one()
            connection.exec_driver_sql(make)
            values = {"role_name": role_name, "workspace_id": workspace.id}
            row = connection.execute(insert(analysts).values(values).returning(analysts)).one()
            record_action(connection, workspace.id, Action.ANALYST_ADDED, role_name)
    except ProgrammingError as error:
        if isinstance(error.orig, DuplicateObject):
            raise ConflictError(f"There is a role {role_name!r} already. Choose another name.") from None
        if isinstance(error.orig, InsufficientPrivilege):
            raise CypheraError(
                f"The role {role_name!r} cannot be made: {str(error.orig).splitlines()[0]}. The database user needs "
                f"CREATEROLE, and {Role.ANALYST} WITH ADMIN OPTION."
            ) from None
        raise
    return Analyst(row.role_name, row.created_at), password


def list_analysts(database: Database, workspace: Workspace) -> list[Analyst]:
    """The workspace's analysts, by name."""
    statement = select(analysts).where(analysts.c.workspace_id == workspace.id).order_by(analysts.c.role_name)
    with database.control() as connection:
        return [Analyst(row.role_name, row.created_at) for row in connection.execute(statement)]


def remove_analyst(database: Database, role_name: str) -> None:
    """Drop the analyst's role; sessions that it has open see nothing any more. Raises NotFoundError."""
    with database.control() as connection:
        forget = delete(analysts).where(analysts.c.role_name == role_name).returning(analysts.c.workspace_id)
        workspace_id = connection.execute(forget).scalar_one_or_none()
        if workspace_id is None:
            raise NotFoundError(f"There is no analyst {role_name!r}. See: cyphera analyst list SLUG")
        _drop(connection, workspace_id, role_name)


def remove_all_analysts(connection: Connection, workspace_id: UUID) -> None:
    """Drop the roles of all the workspace's analysts, within a transaction of the pipeline itself."""
    forget = delete(analysts).where(analysts.c.workspace_id == workspace_id).returning(analysts.c.role_name)
    for role_name in connection.execute(forget).scalars().all():
        _drop(connection, workspace_id, role_name)


def _drop(connection: Connection, workspace_id: UUID, role_name: str) -> None:
    record_action(connection, workspace_id, Action.ANALYST_REMOVED, role_name)
    connection.exec_driver_sql(connection.execute(_DROP, {"role_name": role_name}).scalar_one())


_MAKE = text(
    "SELECT format('CREATE ROLE %I LOGIN PASSWORD %L CONNECTION LIMIT "
    f"{MOST_CONNECTIONS} IN ROLE {Role.ANALYST}', CAST(:role_name AS text), CAST(:password AS text))"
)
_DROP = text("SELECT format('DROP ROLE IF EXISTS %I', CAST(:role_name AS text))")
