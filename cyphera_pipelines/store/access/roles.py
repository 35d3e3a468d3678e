"""The roles themselves. They belong to the server: other databases on it, and their owners, use the same ones."""

from psycopg2.errors import InsufficientPrivilege
from sqlalchemy import Connection, text
from sqlalchemy.exc import ProgrammingError

from cyphera_pipelines.store.access.administrator import AdministratorNeededError
from cyphera_pipelines.store.access.matrix import Role


def missing_roles(connection: Connection) -> list[Role]:
    """Roles that do not exist, or that we may not enter."""
    usable = set(connection.execute(_USABLE_ROLES, {"roles": list(Role)}).scalars())
    return [role for role in Role if role.value not in usable]


def put_roles_in_place(connection: Connection) -> None:
    """Make the roles that are missing and let us enter them, or raise AdministratorNeededError with what is left."""
    for role in missing_roles(connection):
        try:
            with connection.begin_nested():
                connection.execute(text(_MAKE_ROLE.format(role=role)))
        except ProgrammingError as error:
            if not isinstance(error.orig, InsufficientPrivilege):
                raise
    if missing := missing_roles(connection):
        existing = set(connection.execute(_EXISTING_ROLES, {"roles": list(Role)}).scalars())
        user = connection.execute(text("SELECT quote_ident(current_user)")).scalar_one()
        statements = [f"CREATE ROLE {role} NOLOGIN;" for role in missing if role.value not in existing]
        # Analysts' logins are made members of their role.
        options = {Role.ANALYST: " WITH ADMIN OPTION"}
        statements += [f"GRANT {role} TO {user}{options.get(role, '')};" for role in missing]
        raise AdministratorNeededError(
            f"The database user {user} may not make or enter roles that it needs", statements
        )


# Before 16 a member may always enter a role, and Postgres knows no 'SET'.
_ENTER = "CASE WHEN current_setting('server_version_num')::int < 160000 THEN 'MEMBER' ELSE 'SET' END"
_USABLE_ROLES = text(
    f"SELECT rolname FROM pg_roles WHERE rolname = ANY (:roles) AND pg_has_role(current_user, oid, {_ENTER})"
)
_EXISTING_ROLES = text("SELECT rolname FROM pg_roles WHERE rolname = ANY (:roles)")
# Another database's upgrade may have made it already, or make it just now.
_MAKE_ROLE = f"""
    DO $$ BEGIN
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{{role}}') THEN
            CREATE ROLE {{role}} NOLOGIN;
        END IF;
    EXCEPTION WHEN duplicate_object OR unique_violation THEN
        NULL;
    END $$;
    DO $$ BEGIN
        IF NOT pg_has_role(current_user, '{{role}}', {_ENTER}) THEN
            EXECUTE format('GRANT {{role}} TO %I', current_user);
        END IF;
    END $$
"""
