"""Comparing what a provider listed with the tables: ids and content hashes in temporary tables, compared by Postgres.

`listed_*` holds what the provider listed, one row per object or child; `differences` what the comparison found (see
`store/differences.py`). Both live as long as their connection, so that a verification needs no more memory for a large
account than for a small one.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Connection, text

from cyphera_pipelines.model.columns import SyncedTable
from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.rows import MappedObject
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.model.storable import storable
from cyphera_pipelines.model.synced_tables import child_tables, entity_table
from cyphera_pipelines.store.checks import Finding
from cyphera_pipelines.store.copying import copy_lines
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.differences import CREATE_DIFFERENCES, EXAMPLES
from cyphera_pipelines.store.loader import NULL, escape
from cyphera_pipelines.store.tables.metadata import PAYMENTS_SCHEMA


@dataclass(frozen=True)
class LiveRow:
    """What a row says of itself. `version` is its `source_version`, in seconds since 1970."""

    content_hash: bytes
    object_id: str
    version: float


@dataclass(frozen=True)
class Listed:
    """A mapped object, and whether it was created so lately that nobody can expect a row of it."""

    obj: MappedObject
    is_new: bool


@contextmanager
def comparison(database: Database, source: Source, entity: Entity) -> Iterator[Connection]:
    """A connection with the entity's temporary tables, not of the pool: they go when it is closed."""
    with database.engine.connect() as connection:
        connection.detach()
        with database.tenant(source.workspace_id, connection):
            for table in _tables(entity):
                connection.execute(
                    text(
                        f"CREATE TEMPORARY TABLE {_listed(table)} (livemode boolean, id text, content_hash bytea, "
                        "object_id text, is_new boolean)"
                    )
                )
            connection.execute(text(CREATE_DIFFERENCES))
        yield connection


def add_listed(
    connection: Connection, entity: Entity, objects: Sequence[Listed], unmappable: Iterable[str | None]
) -> None:
    """Note what the provider listed. Of an object that cannot be mapped only its id is known, or not even that."""
    own = [_line(each.obj.livemode, each.obj.id, each.obj.content_hash, each.obj.id, each.is_new) for each in objects]
    own += [_line(None, object_id, None, object_id, False) for object_id in unmappable]
    _copy(connection, entity_table(entity), own)
    for table in child_tables(entity):
        lines = [
            _line(each.obj.livemode, child.id, child.content_hash, each.obj.id, each.is_new)
            for each in objects
            for child in {child.id: child for child in each.obj.children.get(table.name, ())}.values()
        ]
        _copy(connection, table, lines)


def compare(connection: Connection, source: Source, entity: Entity, *, livemode: bool) -> None:
    """Find the differences between everything listed and the source's live rows of that mode."""
    parameters = {"workspace_id": source.workspace_id, "provider": source.provider, "livemode": livemode}
    # Both sides are whole. Of a workspace that is new to the planner it expects few rows, and would look all of the
    # other side through for each of them.
    connection.execute(text("SET LOCAL enable_nestloop = off"))
    for table in _tables(entity):
        # Nobody else tells the planner how large a temporary table has become.
        connection.execute(text(f"ANALYZE {_listed(table)}"))
        connection.execute(text(_MISSING_OR_STALE.format(**_names(table))), parameters)
        connection.execute(text(_SURPLUS.format(**_names(table))), parameters)
    connection.execute(text("CREATE INDEX ON differences (object_id)"))
    connection.execute(text("ANALYZE differences"))


def live_rows(
    connection: Connection, source: Source, table: SyncedTable, keys: Collection[tuple[bool, str]]
) -> dict[tuple[bool, str], LiveRow]:
    """The rows with these `(livemode, id)` that are no tombstones."""
    # Tombstones are left out here and not there: see `store/known_rows.py`.
    statement = (
        f"SELECT livemode, id, content_hash, {_object_column(table)}, "
        "CAST(extract(epoch FROM source_version) AS float8), deleted_at IS NOT NULL "
        f"FROM {PAYMENTS_SCHEMA}.{table.name} WHERE workspace_id = CAST(:workspace_id AS uuid) "
        "AND provider = :provider AND livemode = ANY (:livemodes) AND id = ANY (:ids)"
    )
    parameters = {
        "workspace_id": source.workspace_id,
        "provider": source.provider,
        "livemodes": list({livemode for livemode, _id in keys}),
        "ids": [row_id for _livemode, row_id in keys],
    }
    return {
        (livemode, row_id): LiveRow(bytes(content_hash), object_id, version)
        for livemode, row_id, content_hash, object_id, version, is_deleted in connection.execute(
            text(statement), parameters
        )
        if not is_deleted
    }


def mark_unmappable(connection: Connection, entity: Entity, object_ids: Sequence[str]) -> None:
    """These objects turned out to be impossible to map or to load."""
    if not object_ids:
        return
    listed = _listed(entity_table(entity))
    connection.execute(text(f"DELETE FROM {listed} WHERE id = ANY (:ids)"), {"ids": list(object_ids)})
    add_listed(connection, entity, (), object_ids)


def count_checked(connection: Connection, table: SyncedTable) -> int:
    """How many of the table's objects or children the provider has, as far as they can be mapped."""
    mapped = f"SELECT DISTINCT livemode, id FROM {_listed(table)} WHERE content_hash IS NOT NULL"
    statement = f"SELECT count(*) FROM ({mapped}) AS mapped"
    return int(connection.execute(text(statement)).scalar_one())


def find_unmappable(connection: Connection, entity: Entity) -> Finding:
    """The objects that cannot be mapped. Those without an id are counted."""
    statement = (
        "SELECT count(DISTINCT id) + count(*) FILTER (WHERE id IS NULL), (array_agg(DISTINCT id) "
        f"FILTER (WHERE id IS NOT NULL))[1:{EXAMPLES}] FROM {_listed(entity_table(entity))} WHERE content_hash IS NULL"
    )
    count, examples = connection.execute(text(statement)).one()
    return Finding(count, tuple(examples or ()))


def tombstone_children(
    connection: Connection, source: Source, table: SyncedTable, ids: Sequence[str], *, livemode: bool
) -> int:
    """Mark children by their own ids, whatever became of their parents. Returns how many were alive."""
    statement = (
        f"UPDATE {PAYMENTS_SCHEMA}.{table.name} SET deleted_at = now(), synced_at = now() "
        "WHERE workspace_id = CAST(:workspace_id AS uuid) AND provider = :provider AND livemode = :livemode "
        "AND id = ANY (:ids) AND deleted_at IS NULL"
    )
    parameters = {"workspace_id": source.workspace_id, "provider": source.provider, "livemode": livemode}
    return connection.execute(text(statement), parameters | {"ids": list(ids)}).rowcount


_LIVE = "live.workspace_id = CAST(:workspace_id AS uuid) AND live.provider = :provider AND live.deleted_at IS NULL"

_MISSING_OR_STALE = f"""
INSERT INTO differences (table_name, kind, livemode, id, object_id)
SELECT DISTINCT '{{table}}', CASE WHEN live.id IS NULL THEN 'missing' ELSE 'stale' END,
    listed.livemode, listed.id, listed.object_id
FROM {{listed}} AS listed
LEFT JOIN {PAYMENTS_SCHEMA}.{{table}} AS live
    ON live.livemode = listed.livemode AND live.id = listed.id AND {_LIVE}
WHERE listed.content_hash IS NOT NULL AND NOT listed.is_new AND (
    live.id IS NULL OR live.content_hash <> listed.content_hash OR live.{{object_column}} <> listed.object_id)
"""

# What is listed but cannot be mapped has its row, and its children, from better days.
_SURPLUS = f"""
INSERT INTO differences (table_name, kind, livemode, id, object_id)
SELECT '{{table}}', 'surplus', live.livemode, live.id, live.{{object_column}}
FROM {PAYMENTS_SCHEMA}.{{table}} AS live
WHERE live.livemode = :livemode AND {_LIVE}
AND NOT EXISTS (SELECT FROM {{listed}} AS listed WHERE listed.livemode = live.livemode AND listed.id = live.id)
AND NOT EXISTS (
    SELECT FROM {{listed_objects}} AS listed
    WHERE listed.id = live.{{object_column}} AND listed.content_hash IS NULL)
"""


def _tables(entity: Entity) -> tuple[SyncedTable, ...]:
    return (entity_table(entity), *child_tables(entity))


def _listed(table: SyncedTable) -> str:
    return f"listed_{table.name}"


def _object_column(table: SyncedTable) -> str:
    return table.parent_column or "id"


def _names(table: SyncedTable) -> dict[str, str]:
    return {
        "table": table.name,
        "listed": _listed(table),
        "listed_objects": _listed(entity_table(table.entity)),
        "object_column": _object_column(table),
    }


def _line(
    livemode: bool | None, row_id: str | None, content_hash: bytes | None, object_id: str | None, is_new: bool
) -> bytes:
    fields = (
        NULL if livemode is None else _flag(livemode),
        NULL if row_id is None else escape(storable(row_id)),
        NULL if content_hash is None else f"\\\\x{content_hash.hex()}",
        NULL if object_id is None else escape(storable(object_id)),
        _flag(is_new),
    )
    return "\t".join(fields).encode() + b"\n"


def _flag(value: bool) -> str:
    return "t" if value else "f"


def _copy(connection: Connection, table: SyncedTable, lines: Sequence[bytes]) -> None:
    columns = "livemode, id, content_hash, object_id, is_new"
    copy_lines(connection, f"COPY pg_temp.{_listed(table)} ({columns}) FROM STDIN", lines)
