"""Turns that nobody else can take: a lock on a table of ours.

An advisory lock is for whoever knows its number, and needs no more than a login; to lock a table one must be allowed
to write it.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import IntegrityError, ProgrammingError
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random


@contextmanager
def locked_table(engine: Engine, name: str, columns: str) -> Iterator[Connection]:
    """A transaction in which nobody else locks or writes the table, which is made if it is not there.

    `name` may begin with a schema, which is made too. Reading the table goes on. Whoever comes second waits.
    """
    with engine.connect() as connection:
        _make(connection, name, columns)
        with connection.begin():
            connection.execute(text(f"LOCK TABLE {name} IN SHARE ROW EXCLUSIVE MODE"))
            yield connection


def _make(connection: Connection, name: str, columns: str) -> None:
    schema, dot, _table = name.partition(".")
    # Of two that make it at once one is told that it exists, in spite of IF NOT EXISTS.
    at_once = Retrying(
        retry=retry_if_exception_type((IntegrityError, ProgrammingError)),
        stop=stop_after_attempt(5),
        wait=wait_random(0.01, 0.1),
        reraise=True,
    )

    def make() -> None:
        with connection.begin():
            if connection.execute(text("SELECT to_regclass(:name)"), {"name": name}).scalar_one() is not None:
                return
            if dot:
                connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {schema}"))
            connection.execute(text(f"CREATE TABLE IF NOT EXISTS {name} ({columns})"))

    at_once(make)
