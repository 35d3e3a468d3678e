"""What Postgres really says, and whom it is told of."""

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from cyphera_pipelines.store.copying import copy_lines
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.database_errors import is_about_data, is_lost, what_happened

LONG = "".join(chr(97 + at * at * 7 % 26) + str(at) for at in range(3_000))  # hardly to be compressed
DATA = {
    "a number out of range": "SELECT CAST('1e40' AS bigint)",
    "a numeric out of range": "SELECT CAST('1e200000' AS numeric)",
    "a moment out of range": "SELECT to_timestamp(1e17)",
    "a NUL in JSON": """SELECT CAST('"\\u0000"' AS jsonb)""",
    "a lone surrogate in JSON": """SELECT CAST('"\\ud800"' AS jsonb)""",
    "bytes of no character": "SELECT convert_from('\\xff', 'utf8')",
    "too long for an index": f"CREATE TEMPORARY TABLE t (a text PRIMARY KEY); INSERT INTO t VALUES ('{LONG}')",
    "nested too deeply": f"SELECT CAST('{'[' * 100_000}' AS jsonb)",
    "larger than any value": "SELECT length(repeat('x', 1100000000))",
    "a constraint": "CREATE TEMPORARY TABLE t (a text CHECK (a <> 'x')); INSERT INTO t VALUES ('x')",
    "a trigger's objection": "DO $$ BEGIN RAISE EXCEPTION 'not this row'; END $$",
    "one row twice": (
        "CREATE TEMPORARY TABLE t (a text PRIMARY KEY); "
        "INSERT INTO t VALUES ('x'), ('x') ON CONFLICT (a) DO UPDATE SET a = excluded.a"
    ),
}
NOT_DATA = {
    "SELECT * FROM payments.nowhere": "was stopped by its database: relation",
    "SET LOCAL ROLE cyphera_tenant; DELETE FROM payments.customers": "is not allowed to do what it must",
    "SET LOCAL statement_timeout = 1; SELECT pg_sleep(60)": "was stopped by a time limit of its database",
    "DO $$ BEGIN RAISE SQLSTATE '53100' USING MESSAGE = 'no space left'; END $$": "found its database without room: no",
    "DO $$ BEGIN RAISE SQLSTATE '40P01' USING MESSAGE = 'deadlock'; END $$": "was in the way of another transaction",
    "DO $$ BEGIN RAISE SQLSTATE '55P03' USING MESSAGE = 'lock'; END $$": "was in the way of another transaction",
    "DO $$ BEGIN RAISE SQLSTATE 'XX001' USING MESSAGE = 'corrupted'; END $$": "was stopped by its database: corrupted",
    "DO $$ BEGIN RAISE SQLSTATE '08006' USING MESSAGE = 'a link broke'; END $$": "lost its database: a link broke",
}


def error_of(connection: Connection, sql: str) -> DBAPIError:
    with pytest.raises(DBAPIError) as raised:
        connection.exec_driver_sql(sql)
    return raised.value


@pytest.mark.parametrize("sql", DATA.values(), ids=DATA.keys())
def test_what_is_about_the_data(database: Database, sql: str) -> None:
    with database.engine.connect() as connection:
        error = error_of(connection, sql)
    assert is_about_data(error)
    assert not is_lost(error)
    assert what_happened(error).startswith("had something to write that its database refuses: ")


@pytest.mark.parametrize(("sql", "told"), NOT_DATA.items())
def test_what_is_not(database: Database, sql: str, told: str) -> None:
    with database.engine.connect() as connection:
        error = error_of(connection, sql)
    assert not is_about_data(error)
    assert what_happened(error).startswith(told)
    assert is_lost(error) is told.startswith("lost")


@pytest.mark.parametrize("value", ["a\x00b", "a\ud800b", object()])
def test_what_the_driver_refuses_is_about_the_data_too(database: Database, value: object) -> None:
    with database.engine.connect() as connection, pytest.raises(Exception) as raised:  # noqa: PT011 (of several kinds)
        connection.execute(text("SELECT :value"), {"value": value})
    assert is_about_data(raised.value)


def test_a_connection_that_ends_is_lost_whatever_was_being_done(database: Database) -> None:
    end = "SELECT pg_terminate_backend(pg_backend_pid())"
    with database.engine.connect() as connection:
        ended = error_of(connection, end)
    with database.engine.connect() as connection:
        connection.exec_driver_sql("CREATE TEMPORARY TABLE t (a text)")
        with database.control() as other:
            pid = connection.connection.dbapi_connection.info.backend_pid  # type: ignore[union-attr]
            other.execute(text("SELECT pg_terminate_backend(:pid, 10000)"), {"pid": pid})
        with pytest.raises(SQLAlchemyError) as copying:
            copy_lines(connection, "COPY t FROM STDIN", [b"x\n"])
        connection.invalidate()
    for error in (ended, copying.value):
        assert is_lost(error)
        assert not is_about_data(error)
        assert what_happened(error).startswith("lost its database: ")
