"""COPY into a table, with errors like those of every other statement."""

import io
from collections.abc import Sequence

import psycopg2
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError


def copy_lines(connection: Connection, statement: str, lines: Sequence[bytes]) -> None:
    """Send the lines of COPY's text format, each with its end. Raises SQLAlchemy's DBAPIError of the fitting kind.

    SQLAlchemy knows nothing of COPY: what its driver raises would be no database error to anybody else.
    """
    if not lines:
        return
    cursor = connection.connection.cursor()
    try:
        cursor.copy_expert(statement, io.BytesIO(b"".join(lines)))
    except psycopg2.Error as error:
        translated = DBAPIError.instance(statement, None, error, psycopg2.Error)
        assert isinstance(translated, DBAPIError), "psycopg2's errors have their counterparts"
        raise translated from error
