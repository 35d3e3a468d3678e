"""COPY into a table, with errors like those of every other statement."""

import io
from collections.abc import Sequence

import psycopg2
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

AT_ONCE = 1 << 26
"""Bytes that are handed over together: all that there are. Between two pieces other threads may take the interpreter,
and keep it for milliseconds: with psycopg2's 8 KB, Postgres waits for us more than we for it."""


def copy_lines(connection: Connection, statement: str, lines: Sequence[bytes]) -> None:
    """Send the lines of COPY's text format, each with its end. Raises SQLAlchemy's DBAPIError of the fitting kind.

    SQLAlchemy knows nothing of COPY: what its driver raises would be no database error to anybody else.
    """
    joined = b"".join(lines)
    if not joined:
        return
    cursor = connection.connection.cursor()
    try:
        cursor.copy_expert(statement, io.BytesIO(joined), size=AT_ONCE)
    except psycopg2.Error as error:
        translated = DBAPIError.instance(statement, None, error, psycopg2.Error)
        assert isinstance(translated, DBAPIError), "psycopg2's errors have their counterparts"
        raise translated from error
