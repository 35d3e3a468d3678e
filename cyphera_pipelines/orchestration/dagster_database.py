"""The database that holds Dagster's own storage: where it is, and that it is there."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, create_engine, make_url, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from cyphera_pipelines import local
from cyphera_pipelines.security.secrets import redact, register_secret
from cyphera_pipelines.settings import Settings
from cyphera_pipelines.store.connection_waits import RUN_PATIENCE, DatabaseUnavailableError, wait_for_connections
from cyphera_pipelines.store.table_lock import locked_table

_CREATION_TABLE = "cyphera_creation"


def prepare_dagster_database(settings: Settings) -> URL:
    """Return the URL of an existing database for Dagster's storage.

    In embedded mode the server is started as needed and brings the database along. Elsewhere a missing one is created
    if the server lets us. One without a free connection is waited for. Raises DatabaseUnavailableError, which says
    what to do.
    """
    if settings.dagster_database_url is None and settings.is_embedded:
        return make_url(local.start(settings.home).url("dagster"))
    url = settings.dagster_storage_url()
    register_secret(str(url.password or ""))
    problem = _connection_problem(url)
    if problem is None:
        return url
    # The server exists for sure where the application's database is; `postgres` is there on nearly every other.
    neighbour = settings.application_url() if settings.dagster_database_url is None else url.set(database="postgres")
    if _create_if_missing(neighbour, str(url.database)):
        return url
    address = url.render_as_string(hide_password=True)
    raise DatabaseUnavailableError(
        redact(
            f"Dagster's database {address} cannot be used: {problem}. Create the database {url.database!r} beside the "
            "application's, or name another in CYPHERA_DAGSTER_DATABASE_URL."
        )
    )


@contextmanager
def alone(url: str) -> Iterator[None]:
    """Hold a lock in Dagster's database: several processes that use it first would all create its tables at once."""
    engine = _engine(make_url(url)).execution_options(isolation_level="READ COMMITTED")
    with locked_table(engine, _CREATION_TABLE, "nothing boolean"):
        yield


def _connection_problem(url: URL) -> str | None:
    engine = _engine(url)
    try:
        engine.connect().close()
    except OperationalError as error:
        return str(error.orig or error).strip().splitlines()[0]
    return None


def _create_if_missing(neighbour: URL, name: str) -> bool:
    """Create the database next to `neighbour`; whether it is there afterwards."""
    engine = _engine(neighbour)
    exists = text("SELECT 1 FROM pg_database WHERE datname = :name")
    try:
        with engine.connect() as connection:
            if connection.execute(exists, {"name": name}).first() is not None:
                return False
            quoted = engine.dialect.identifier_preparer.quote_identifier(name)
            connection.execute(text(f"CREATE DATABASE {quoted}"))
    except SQLAlchemyError:
        return _connection_problem(neighbour.set(database=name)) is None
    return True


def _engine(url: URL) -> Engine:
    engine = create_engine(
        url,
        poolclass=NullPool,
        isolation_level="AUTOCOMMIT",
        connect_args={"application_name": f"cyphera dagster {os.getpid()}", "connect_timeout": 10},
    )
    wait_for_connections(engine, RUN_PATIENCE)
    return engine
