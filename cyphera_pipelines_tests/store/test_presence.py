"""One `cyphera up` per database, whoever else is connected."""

from collections.abc import Iterator

import pytest
from sqlalchemy import create_engine, text

from cyphera_pipelines.model.errors import ConflictError
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.presence import Presence

DEADLINE_SECONDS = 60.0


@pytest.fixture
def stranger(database: Database) -> Iterator[str]:
    """A login of somebody else's."""
    with database.control() as connection:
        connection.execute(text("CREATE ROLE presence_stranger LOGIN"))
    yield "presence_stranger"
    with database.control() as connection:
        connection.execute(text("DROP ROLE presence_stranger"))


def test_the_second_is_refused_and_told_of_the_first(database: Database, stranger: str) -> None:
    posing = {"application_name": "cyphera up, process 1, ports 3000"}
    engine = create_engine(database.engine.url.set(username=stranger), connect_args=posing)
    first, second = Presence(database, [3000, 8000]), Presence(database, [3001, 8001])
    with engine.connect():
        first.look()
        with pytest.raises(
            ConflictError, match=r"\(process \d+, ports 3000 8000, seen from the server at this machine, "
        ):
            second.look()
        first.look()
        first.close()
        second.look(patience=DEADLINE_SECONDS)
        with pytest.raises(ConflictError, match="ports 3001 8001"):
            first.look()
    for presence in (first, second):
        presence.close()
    engine.dispose()
