"""A server of one's own: its two databases and our rights there, made where we may, else told as SQL."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from psycopg2.errors import DuplicateDatabase, InsufficientPrivilege, UniqueViolation
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.pool import NullPool

from cyphera_pipelines.security.secrets import redact
from cyphera_pipelines.settings import Settings
from cyphera_pipelines.store.access.administrator import AdministratorNeededError
from cyphera_pipelines.store.access.catalog import SCHEMAS
from cyphera_pipelines.store.access.roles import put_roles_in_place
from cyphera_pipelines.store.connection_waits import COMMAND_PATIENCE, DatabaseUnavailableError, wait_for_connections
from cyphera_pipelines.store.server import ENCODING, check_version

_ALWAYS_THERE = ("postgres", "template1")
"""Databases that are on nearly every server, from which one can ask for others."""


def provide_databases(settings: Settings) -> None:
    """Make the product's database and Dagster's where they are missing.

    Raises AdministratorNeededError with everything that is left for an administrator, before any schema is touched, and
    DatabaseUnavailableError.
    """
    own, of_dagster = settings.application_url(), settings.dagster_storage_url()
    statements: list[str] = []
    for url in (own, of_dagster):
        try:
            create_if_missing(url, own if _same_server(url, own) else None)
        except AdministratorNeededError as error:
            statements += error.statements
    # Roles are the server's, so that any database will do to ask for them.
    with _some_database(own) as connection:
        try:
            with connection.begin() as transaction:
                put_roles_in_place(connection)
                transaction.rollback()
        except AdministratorNeededError as error:
            statements += error.statements
    for url, needs in ((own, _LACKS_RIGHTS_FOR_OURS), (of_dagster, _LACKS_RIGHTS_FOR_DAGSTER)):
        statements += _owner_statements(url, needs)
    if statements:
        raise AdministratorNeededError(
            f"The database user {own.username} may not make everything that is needed", list(dict.fromkeys(statements))
        )


def create_if_missing(url: URL, neighbour: URL | None = None, *, patience: float = COMMAND_PATIENCE) -> None:
    """Make the database if the server has none of that name.

    `neighbour` is another database of the server. A free connection is waited for as many seconds as there is
    `patience`. Raises AdministratorNeededError if we may not make it, and DatabaseUnavailableError if it cannot be used
    for another reason.
    """
    problem = connection_problem(url, patience=patience)
    if problem is None:
        return
    others = ([neighbour] if neighbour is not None else []) + [url.set(database=name) for name in _ALWAYS_THERE]
    from_where = next((each for each in others if connection_problem(each) is None), None)
    if from_where is None or _exists(from_where, str(url.database)):
        raise DatabaseUnavailableError(redact(f"{_named(url)} cannot be used: {problem}. {_advice(url, problem)}"))
    _create(from_where, url)


def connection_problem(url: URL, *, patience: float = COMMAND_PATIENCE) -> str | None:
    """Why no connection can be made, in the server's words; None if one can."""
    try:
        with connected(url, patience=patience):
            return None
    except OperationalError as error:
        return str(error.orig or error).strip().splitlines()[0]


@contextmanager
def connected(url: URL, *, patience: float = COMMAND_PATIENCE) -> Iterator[Connection]:
    """A connection of its own; each statement is a transaction unless one is begun."""
    engine = create_engine(
        url, poolclass=NullPool, connect_args={"application_name": f"cyphera db {os.getpid()}", "connect_timeout": 10}
    )
    wait_for_connections(engine, patience)
    with engine.connect() as connection:
        yield connection


def _create(from_where: URL, url: URL) -> None:
    with connected(from_where) as connection:
        check_version(connection)
        quote = connection.dialect.identifier_preparer.quote
        name = quote(str(url.database))
        # Of template0, since others may have put something into the other template.
        statement = f"CREATE DATABASE {name} ENCODING '{ENCODING}' TEMPLATE template0"
        try:
            connection.execution_options(isolation_level="AUTOCOMMIT").execute(text(statement))
        except DBAPIError as error:
            if isinstance(error.orig, DuplicateDatabase | UniqueViolation):
                return  # another process was faster
            if isinstance(error.orig, InsufficientPrivilege):
                owner = quote(str(url.username))
                raise AdministratorNeededError(
                    f"The database user {url.username} may not make the database {url.database!r}",
                    [f"CREATE DATABASE {name} OWNER {owner} ENCODING '{ENCODING}' TEMPLATE template0;"],
                ) from None
            reason = str(error.orig).strip().splitlines()[0]
            raise DatabaseUnavailableError(f"{_named(url)} cannot be made: {reason}.") from None


def _exists(from_where: URL, name: str) -> bool:
    with connected(from_where) as connection:
        return connection.execute(_DATABASE, {"name": name}).first() is not None


def _owner_statements(url: URL, lacks_rights: str) -> list[str]:
    """What lets us make our tables in a database that is there."""
    if connection_problem(url) is not None:
        return []
    with connected(url) as connection:
        if not connection.execute(text(lacks_rights)).scalar_one():
            return []
        name, user = connection.execute(text("SELECT quote_ident(current_database()), quote_ident(current_user)")).one()
    return [f"ALTER DATABASE {name} OWNER TO {user};"]


@contextmanager
def _some_database(url: URL) -> Iterator[Connection]:
    reachable = next(
        each for each in (url, *(url.set(database=name) for name in _ALWAYS_THERE)) if connection_problem(each) is None
    )
    with connected(reachable) as connection:
        yield connection


def _same_server(one: URL, other: URL) -> bool:
    return one.set(database=None) == other.set(database=None)


def _named(url: URL) -> str:
    return f"The database {url.set(drivername='postgresql').render_as_string(hide_password=True)}"


def _advice(url: URL, problem: str) -> str:
    # A server that answers puts this before what it says, in nearly every language.
    if "FATAL" not in problem:
        return (
            "See that the server runs and is the one that CYPHERA_DATABASE_URL or CYPHERA_DAGSTER_DATABASE_URL names."
        )
    return (
        "Check user and password in CYPHERA_DATABASE_URL or CYPHERA_DAGSTER_DATABASE_URL. On a new server an "
        f"administrator makes user and database: CREATE ROLE {url.username} LOGIN CREATEROLE PASSWORD '...'; "
        f"CREATE DATABASE {url.database} OWNER {url.username} ENCODING '{ENCODING}' TEMPLATE template0;"
    )


_DATABASE = text("SELECT FROM pg_database WHERE datname = :name")
_LACKS_RIGHTS_FOR_OURS = f"""
    SELECT NOT has_database_privilege(current_database(), 'CREATE')
        AND EXISTS (SELECT FROM unnest(ARRAY{list(SCHEMAS)}) AS name WHERE to_regnamespace(name) IS NULL)
"""
_LACKS_RIGHTS_FOR_DAGSTER = """
    SELECT to_regclass('runs') IS NULL AND NOT has_schema_privilege(current_schema(), 'CREATE')
"""
