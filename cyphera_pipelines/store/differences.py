"""What a comparison of the provider with the tables found, in a temporary table, until it is confirmed or dropped."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from sqlalchemy import Connection, text

from cyphera_pipelines.model.columns import SyncedTable
from cyphera_pipelines.model.storable import storable
from cyphera_pipelines.store.checks import Finding

EXAMPLES = 5

CREATE_DIFFERENCES = (
    "CREATE TEMPORARY TABLE differences (table_name text, kind text, livemode boolean, object_id text, id text, "
    "occurrence bigint, is_confirmed boolean NOT NULL DEFAULT false, is_mended boolean NOT NULL DEFAULT false)"
)


class DifferenceKind(StrEnum):
    """How a row differs from the provider.

    missing: the provider has it, the table has no live row. surplus: the table has a live row, the provider has
    nothing. stale: both have it, with different contents, or the row claims to be of the future, so that its version
    says nothing.
    """

    MISSING = "missing"
    SURPLUS = "surplus"
    STALE = "stale"


class RowKey(NamedTuple):
    """Which row of a table. `object_id` is the object that it belongs to: itself, or a child's parent.

    `occurrence` is 0 but for children whose parent has several of that id.
    """

    livemode: bool
    object_id: str
    id: str
    occurrence: int


@dataclass(frozen=True)
class Difference:
    """One row that differs."""

    table: str
    kind: DifferenceKind
    key: RowKey

    @property
    def object_id(self) -> str:
        """The object that it belongs to: itself, or a child's parent."""
        return self.key.object_id


def sample_objects(connection: Connection, limit: int) -> list[str]:
    """Objects with differences that were not looked at again, as evenly from all tables and kinds as there are such."""
    return list(connection.execute(text(_SAMPLE), {"limit": limit}).scalars())


def objects_after(connection: Connection, object_id: str, limit: int) -> list[str]:
    """The next objects with differences that were not looked at again, by id."""
    statement = (
        "SELECT DISTINCT object_id FROM differences WHERE object_id > :after AND NOT is_confirmed "
        "ORDER BY object_id LIMIT :limit"
    )
    return list(connection.execute(text(statement), {"after": object_id, "limit": limit}).scalars())


def differences_of(connection: Connection, object_ids: Sequence[str]) -> list[Difference]:
    """What was found of these objects and their children, and is not confirmed."""
    found = connection.execute(
        text(
            "SELECT table_name, kind, livemode, object_id, id, occurrence FROM differences "
            "WHERE object_id = ANY (:ids) AND NOT is_confirmed ORDER BY object_id, table_name, id, occurrence"
        ),
        {"ids": list(object_ids)},
    )
    return [Difference(row[0], DifferenceKind(row[1]), RowKey(*row[2:])) for row in found]


def settle(
    connection: Connection, object_ids: Sequence[str], real: Sequence[Difference], *, are_mended: bool = False
) -> None:
    """Keep of what was found of these objects only what is real: it is confirmed."""
    unconfirmed = "DELETE FROM differences WHERE object_id = ANY (:ids) AND NOT is_confirmed"
    connection.execute(text(unconfirmed), {"ids": list(object_ids)})
    if real:
        values = [
            {
                "table_name": each.table,
                "kind": each.kind.value,
                **each.key._asdict(),
                "is_confirmed": True,
                "is_mended": are_mended,
            }
            for each in real
        ]
        names = ", ".join(values[0])
        places = ", ".join(f":{name}" for name in values[0])
        connection.execute(text(f"INSERT INTO differences ({names}) VALUES ({places})"), values)


def drop_objects(connection: Connection, object_ids: Sequence[str]) -> int:
    """Forget what was found of these objects. Returns how many of them had differences."""
    statement = (
        "WITH dropped AS (DELETE FROM differences WHERE object_id = ANY (:ids) RETURNING object_id) "
        "SELECT count(DISTINCT object_id) FROM dropped"
    )
    return int(connection.execute(text(statement), {"ids": storable(list(object_ids))}).scalar_one())


def has_differences(connection: Connection) -> bool:
    """Whether anything is left of what was found."""
    return bool(connection.execute(text("SELECT EXISTS (SELECT FROM differences)")).scalar_one())


def count_unconfirmed(connection: Connection) -> int:
    """How many objects with differences were not looked at again."""
    statement = "SELECT count(DISTINCT object_id) FROM differences WHERE NOT is_confirmed"
    return int(connection.execute(text(statement)).scalar_one())


def count_mended(connection: Connection, table: SyncedTable) -> int:
    """How many of the table's differences were mended."""
    statement = "SELECT count(*) FROM differences WHERE table_name = :table AND is_mended"
    return int(connection.execute(text(statement), {"table": table.name}).scalar_one())


def find_rows(connection: Connection, table: SyncedTable, kind: DifferenceKind) -> Finding:
    """The table's differences of a kind: how many, and the first of them."""
    statement = (
        "SELECT id, count(*) OVER () FROM differences WHERE table_name = :table AND kind = :kind "
        f"ORDER BY id LIMIT {EXAMPLES}"
    )
    rows = connection.execute(text(statement), {"table": table.name, "kind": kind.value}).all()
    return Finding(rows[0][1] if rows else 0, tuple(row[0] for row in rows))


_SAMPLE = """
SELECT object_id FROM (
    SELECT object_id, row_number() OVER (PARTITION BY table_name, kind ORDER BY id) AS place FROM differences
    WHERE NOT is_confirmed
) AS placed
GROUP BY object_id ORDER BY min(place), object_id LIMIT :limit
"""
