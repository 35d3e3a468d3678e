"""The database that holds Dagster's own storage: where it is, and that it is there."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, create_engine, make_url
from sqlalchemy.engine import URL
from sqlalchemy.pool import NullPool

from cyphera_pipelines import local
from cyphera_pipelines.security.secrets import register_secret
from cyphera_pipelines.settings import Settings
from cyphera_pipelines.store.connection_waits import RUN_PATIENCE, wait_for_connections
from cyphera_pipelines.store.provisioning import create_if_missing
from cyphera_pipelines.store.table_lock import locked_table

_CREATION_TABLE = "cyphera_creation"


def prepare_dagster_database(settings: Settings) -> URL:
    """Return the URL of an existing database for Dagster's storage.

    In embedded mode the server is started as needed and brings the database along. Elsewhere a missing one is created
    if the server lets us. One without a free connection is waited for. Raises DatabaseUnavailableError or
    AdministratorNeededError, which say what to do.
    """
    if settings.dagster_database_url is None and settings.is_embedded:
        return make_url(local.start(settings.home).url("dagster"))
    url = settings.dagster_storage_url()
    register_secret(str(url.password or ""))
    # The server exists for sure where the application's database is.
    neighbour = settings.application_url() if settings.dagster_database_url is None else None
    create_if_missing(url, neighbour, patience=RUN_PATIENCE)
    return url


@contextmanager
def alone(url: str) -> Iterator[None]:
    """Hold a lock in Dagster's database: several processes that use it first would all create its tables at once."""
    engine = _engine(make_url(url)).execution_options(isolation_level="READ COMMITTED")
    with locked_table(engine, _CREATION_TABLE, "nothing boolean"):
        yield


def _engine(url: URL) -> Engine:
    engine = create_engine(
        url,
        poolclass=NullPool,
        isolation_level="AUTOCOMMIT",
        connect_args={"application_name": f"cyphera dagster {os.getpid()}", "connect_timeout": 10},
    )
    wait_for_connections(engine, RUN_PATIENCE)
    return engine
