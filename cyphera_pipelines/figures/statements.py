"""The statements of which builds are made: files of SQL, with their parameters and parts filled in."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, CursorResult, text

_FOLDER = Path(__file__).parent / "sql"


class Statements:
    """The statements of one build, whose files name their parameters with a colon and parts of SQL in braces."""

    def __init__(self, connection: Connection, parameters: dict[str, Any]) -> None:
        self._connection, self._parameters = connection, parameters

    def execute(self, name: str, **values: Any) -> CursorResult[Any]:
        """Execute the file of that name. A value of a part, as in {in_scope}, is SQL; others are parameters."""
        statement = statement_of(name)
        parts = {part: value for part, value in values.items() if f"{{{part}}}" in statement}
        for part, value in parts.items():
            statement = statement.replace(f"{{{part}}}", value)
        given = self._parameters | {name: value for name, value in values.items() if name not in parts}
        used = {name: value for name, value in given.items() if f":{name}" in statement}
        return self._connection.execute(text(statement), used)

    def make(self, name: str, table: str, **values: Any) -> int:
        """Make a temporary table, and tell the planner how large it is. Returns its rows."""
        rows = self.execute(name, **values).rowcount
        self.analyze(table)
        return rows

    def analyze(self, table: str) -> None:
        """Tell the planner how large a temporary table is."""
        self._connection.execute(text(f"ANALYZE {table}"))

    def drop(self, table: str) -> None:
        """Drop a temporary table, if it was made."""
        self._connection.execute(text(f"DROP TABLE IF EXISTS pg_temp.{table}"))

    @contextmanager
    def without_lookups(self, is_needed: bool = True) -> Iterator[None]:
        """Keep the planner from looking each of many rows up.

        It expects few rows of a new workspace, and of what a statement has joined or grouped itself.
        """
        if is_needed:
            self._connection.execute(text("SET LOCAL enable_nestloop = off"))
        yield
        if is_needed:
            self._connection.execute(text("SET LOCAL enable_nestloop TO DEFAULT"))

    def count(self, table: str, what: str = "*") -> int:
        """How many rows a table has, or of how many `what` is something."""
        return int(self._connection.execute(text(f"SELECT count({what}) FROM {table}")).scalar_one())

    def texts(self, column: str, table: str) -> list[str]:
        """The values of a column that are not NULL, as Postgres writes them."""
        statement = f"SELECT CAST({column} AS text) FROM {table} WHERE {column} IS NOT NULL"
        return list(self._connection.execute(text(statement)).scalars())

    def largest(self, column: str, table: str) -> int:
        """The largest value of an integer column; 0 where there is no row."""
        return int(self._connection.execute(text(f"SELECT coalesce(max({column}), 0) FROM {table}")).scalar_one())


@cache
def statement_of(name: str) -> str:
    """The text of the file of that name."""
    return (_FOLDER / f"{name}.sql").read_text(encoding="utf-8").rstrip()


def assignments(names: tuple[str, ...]) -> str:
    """What an insert sets of a row that is there already."""
    return ", ".join(f"{name} = excluded.{name}" for name in names)
