"""Analysts' logins: roles of Postgres, which belong to the server and are made where we may, else told as SQL."""

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from psycopg2.errors import DependentObjectsStillExist, DuplicateObject, InsufficientPrivilege, UniqueViolation
from psycopg2.extensions import encrypt_password
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from cyphera_pipelines.model.errors import ConflictError, InvalidInputError
from cyphera_pipelines.security.secrets import register_secret
from cyphera_pipelines.store.access.matrix import Role

MOST_CONNECTIONS = 10
"""Of one analyst at once: a tool that opens more may not take them from the pipeline."""
LONGEST_ROLE_NAME = 63
SETTINGS: Mapping[str, str] = {
    "statement_timeout": "15min",
    "idle_in_transaction_session_timeout": "5min",
    "default_transaction_read_only": "on",
}
"""What an analyst's sessions begin with. An analyst may set each of them otherwise: they guard against slips only."""

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_TAKEN = ("public", "none", "cyphera", "postgres")
_PREFIXES = ("pg_", "cyphera_")


@dataclass(frozen=True)
class Login:
    """A login as it is to be handed over.

    `password` is kept nowhere. `statements` are what an administrator of the server has to execute before it counts:
    none where we could do it ourselves. They hold the password's verifier, and not the password.
    """

    role_name: str
    password: str
    statements: tuple[str, ...] = ()


def check_name(role_name: str) -> None:
    """Raise InvalidInputError for a name that makes no login."""
    if role_name in _TAKEN or role_name.startswith(_PREFIXES):
        raise InvalidInputError(f"{role_name!r} is kept for the server's own roles and ours. Choose another name.")
    if not _NAME.fullmatch(role_name) or len(role_name) > LONGEST_ROLE_NAME:
        raise InvalidInputError(
            f"{role_name!r} makes no login: use lower-case letters, digits and _, with a letter first, "
            f"{LONGEST_ROLE_NAME} characters at most."
        )


def make_login(connection: Connection, role_name: str) -> Login:
    """Make a role that may log in and is a member of the analysts. Raises ConflictError if there is such a role."""
    if connection.execute(_EXISTS, {"role_name": role_name}).first() is not None:
        raise _taken(role_name)
    password, verifier = _new_password(connection, role_name)
    options = f"CONNECTION LIMIT {MOST_CONNECTIONS} IN ROLE {Role.ANALYST}"
    statements = [
        _formatted(connection, f"CREATE ROLE %I LOGIN PASSWORD %L {options};", role_name, verifier),
        *(
            _formatted(connection, f"ALTER ROLE %I SET {name} = %L;", role_name, value)
            for name, value in SETTINGS.items()
        ),
    ]
    try:
        left = _execute(connection, statements)
    except DBAPIError as error:
        # Another process was faster.
        if isinstance(error.orig, DuplicateObject | UniqueViolation):
            raise _taken(role_name) from None
        raise
    return Login(role_name, password, left)


def change_password(connection: Connection, role_name: str) -> Login:
    """Give the login another password. Sessions that are open stay open."""
    password, verifier = _new_password(connection, role_name)
    statement = _formatted(connection, "ALTER ROLE %I PASSWORD %L;", role_name, verifier)
    return Login(role_name, password, _execute(connection, [statement]))


def drop_login(connection: Connection, role_name: str) -> tuple[str, ...]:
    """Drop the role with all that it owns here, and return what an administrator has to execute instead, if anything.

    Sessions that it has open go on until they end; what they see goes by its workspaces.
    """
    if connection.execute(_EXISTS, {"role_name": role_name}).first() is None:
        return ()
    statements = [_formatted(connection, "DROP ROLE %I;", role_name)]
    if connection.execute(_HAS_THINGS, {"role_name": role_name}).scalar_one():
        # To drop what is another's one has to be a member of it.
        statements = [
            _formatted(connection, "GRANT %I TO CURRENT_USER;", role_name),
            _formatted(connection, "DROP OWNED BY %I;", role_name),
            *statements,
        ]
    return _execute(connection, statements)


def existing_logins(connection: Connection, role_names: Sequence[str]) -> set[str]:
    """Those of the roles that are there."""
    return set(connection.execute(_EXISTING, {"role_names": list(role_names)}).scalars())


def _new_password(connection: Connection, role_name: str) -> tuple[str, str]:
    """A password, and the SCRAM verifier that the server is given: it may log or show its statements."""
    password = secrets.token_urlsafe(24)
    register_secret(password)
    verifier = encrypt_password(
        password, role_name, scope=connection.connection.driver_connection, algorithm="scram-sha-256"
    )
    return password, verifier


def _formatted(connection: Connection, template: str, *values: str) -> str:
    parameters = {f"value{at}": value for at, value in enumerate(values)}
    quoted = ", ".join(f"CAST(:{name} AS text)" for name in parameters)
    formatted = text(f"SELECT format(CAST(:template AS text), {quoted})")
    return str(connection.execute(formatted, {"template": template, **parameters}).scalar_one())


def _execute(connection: Connection, statements: Sequence[str]) -> tuple[str, ...]:
    """Execute all, or nothing and return them, where we lack the rights or where another database is in the way."""
    try:
        with connection.begin_nested():
            for statement in statements:
                connection.exec_driver_sql(statement.replace("%", "%%"))
    except DBAPIError as error:
        if isinstance(error.orig, InsufficientPrivilege | DependentObjectsStillExist):
            return tuple(statements)
        raise
    return ()


def _taken(role_name: str) -> ConflictError:
    return ConflictError(f"There is a role {role_name!r} on the server already. Choose another name.")


_EXISTS = text("SELECT FROM pg_roles WHERE rolname = :role_name")
_EXISTING = text("SELECT rolname FROM pg_roles WHERE rolname = ANY (:role_names)")
_HAS_THINGS = text(
    "SELECT EXISTS (SELECT FROM pg_shdepend d JOIN pg_roles r ON r.oid = d.refobjid WHERE r.rolname = :role_name "
    "AND d.refclassid = 'pg_authid'::regclass AND d.dbid IN "
    "(0, (SELECT oid FROM pg_database WHERE datname = current_database())))"
)
