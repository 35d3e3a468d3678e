from collections.abc import Iterator
from uuid import uuid4

import pytest
from sqlalchemy import Engine, create_engine, text

from cyphera_pipelines.store.database import Database


@pytest.fixture
def empty(database: Database) -> Iterator[Engine]:
    """A database on the same server that nothing has been done to."""
    name = f"empty_{uuid4().hex}"
    autocommit = database.engine.execution_options(isolation_level="AUTOCOMMIT")
    with autocommit.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine = create_engine(database.engine.url.set(database=name))
    yield engine
    engine.dispose()
    with autocommit.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
