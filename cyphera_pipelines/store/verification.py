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
from cyphera_pipelines.model.synced_tables import OCCURRENCE, child_tables, entity_table
from cyphera_pipelines.store.checks import Finding
from cyphera_pipelines.store.copying import copy_lines
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.differences import CREATE_DIFFERENCES, EXAMPLES, RowKey
from cyphera_pipelines.store.encoding import NULL, escape
from cyphera_pipelines.store.tables.metadata import PAYMENTS_SCHEMA
from cyphera_pipelines.store.versions import is_unbelievable, seconds_of, storable_moment


@dataclass(frozen=True)
class LiveRow:
    """What a row says of itself. `version` is its `source_version`, in seconds since 1970; -inf if it is not known."""

    content_hash: bytes
    version: float


@dataclass(frozen=True)
class Listed:
    """A mapped object, and whether it was created so lately that nobody can expect a row of it."""

    obj: MappedObject
    is_new: bool


@contextmanager
def comparison(database: Database, source: Source, entity: Entity) -> Iterator[Connection]:
    """A connection with the entity's temporary tables. Nobody gets it afterwards: they go when it is closed."""
    with database.engine.connect() as connection:
        with database.tenant(source.workspace_id, connection):
            for table in _tables(entity):
                connection.execute(
                    text(
                        f"CREATE TEMPORARY TABLE {_listed(table)} (livemode boolean, object_id text, id text, "
                        "occurrence bigint, content_hash bytea, is_new boolean)"
                    )
                )
            connection.execute(text(CREATE_DIFFERENCES))
        try:
            yield connection
        finally:
            connection.invalidate()


def add_listed(
    connection: Connection, entity: Entity, objects: Sequence[Listed], unmappable: Iterable[str | None]
) -> None:
    """Note what the provider listed. Of an object that cannot be mapped only its id is known, or not even that."""
    own = [_line(each, each.obj.id, 0, each.obj.content_hash) for each in objects]
    own += [_unmappable_line(object_id) for object_id in unmappable]
    _copy(connection, entity_table(entity), own)
    for table in child_tables(entity):
        lines = [
            _line(each, child.id, occurrence, child.content_hash)
            for each in objects
            for occurrence, child in each.obj.children_of(table.name)
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
        connection.execute(text(_UNBELIEVABLE.format(**_names(table))), parameters)
    connection.execute(text("CREATE INDEX ON differences (object_id)"))
    connection.execute(text("ANALYZE differences"))


def drop_unproven(connection: Connection, source: Source, entity: Entity, unlisted_with: str) -> None:
    """Forget surplus rows that nobody looked at again and that have a value in that column: lists leave them out."""
    statement = (
        f"DELETE FROM differences USING {PAYMENTS_SCHEMA}.{entity.value} AS live "
        "WHERE differences.kind = 'surplus' AND NOT differences.is_confirmed "
        f"AND live.livemode = differences.livemode AND live.id = differences.object_id AND {_LIVE} "
        f"AND live.{unlisted_with} IS NOT NULL"
    )
    parameters = {"workspace_id": source.workspace_id, "provider": source.provider}
    connection.execute(text(statement), parameters)


def live_rows(
    connection: Connection, source: Source, table: SyncedTable, keys: Collection[RowKey]
) -> dict[RowKey, LiveRow]:
    """The rows with these keys that are no tombstones."""
    # Tombstones are left out here and not there: see `store/known_rows.py`.
    statement = (
        f"SELECT livemode, {_object_column(table)}, id, {_occurrence(table)}, content_hash, "
        f"{seconds_of('source_version')}, deleted_at IS NOT NULL "
        f"FROM {PAYMENTS_SCHEMA}.{table.name} WHERE workspace_id = CAST(:workspace_id AS uuid) "
        f"AND provider = :provider AND livemode = ANY (:livemodes) AND {_object_column(table)} = ANY (:object_ids)"
    )
    parameters = {
        "workspace_id": source.workspace_id,
        "provider": source.provider,
        "livemodes": list({key.livemode for key in keys}),
        "object_ids": list({key.object_id for key in keys}),
    }
    rows = {
        RowKey(*key): LiveRow(bytes(content_hash), version)
        for *key, content_hash, version, is_deleted in connection.execute(text(statement), parameters)
        if not is_deleted
    }
    return {key: rows[key] for key in keys if key in rows}


def mend_versions(
    connection: Connection, source: Source, entity: Entity, *, livemode: bool, version: float
) -> dict[str, int]:
    """Give rows that were found to claim a version of the future one that is true, in seconds since 1970.

    It is when the comparison began: since then what they hold was listed, or their objects were not there any more.
    Returns the number of such rows by table, tombstones included.
    """
    parameters = {"workspace_id": source.workspace_id, "provider": source.provider, "livemode": livemode}
    mended = {}
    for table in _tables(entity):
        names = _names(table)
        live = connection.execute(text(_MEND_LIVE.format(**names)), {**parameters, "version": storable_moment(version)})
        gone = connection.execute(text(_MEND_GONE.format(**names)), {**parameters, "version": storable_moment(version)})
        mended[table.name] = live.rowcount + gone.rowcount
    connection.execute(text("UPDATE differences SET is_mended = true WHERE is_confirmed"))
    return mended


def mark_unmappable(connection: Connection, entity: Entity, object_ids: Sequence[str]) -> None:
    """These objects turned out to be impossible to map or to load."""
    if not object_ids:
        return
    listed = _listed(entity_table(entity))
    connection.execute(text(f"DELETE FROM {listed} WHERE id = ANY (:ids)"), {"ids": storable(list(object_ids))})
    add_listed(connection, entity, (), object_ids)


def count_checked(connection: Connection, table: SyncedTable) -> int:
    """How many of the table's objects or children the provider has, as far as they can be mapped."""
    mapped = f"SELECT DISTINCT livemode, object_id, id, occurrence FROM {_listed(table)} WHERE content_hash IS NOT NULL"
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


def forget_mended(connection: Connection, source: Source, entity: Entity, *, livemode: bool) -> None:
    """Forget that objects are missing, but for those that cannot be mapped: all the others were compared and mended."""
    unmappable = f"SELECT FROM {_listed(entity_table(entity))} AS listed WHERE listed.content_hash IS NULL"
    statement = (
        "DELETE FROM sync.missing_objects AS missing WHERE workspace_id = CAST(:workspace_id AS uuid) "
        "AND provider_name = :provider AND livemode = :livemode AND entity_type = :entity AND CASE "
        f"WHEN kind = 'not_loaded' THEN NOT EXISTS ({unmappable} AND "
        "(listed.id = missing.object_id OR (listed.id IS NULL AND missing.object_id LIKE 'without an id, %'))) "
        f"WHEN kind = 'not_named' THEN NOT EXISTS ({unmappable}) ELSE true END"
    )
    parameters = {"workspace_id": source.workspace_id, "provider": source.provider, "livemode": livemode}
    connection.execute(text(statement), parameters | {"entity": entity.value})


def tombstone_children(connection: Connection, source: Source, table: SyncedTable, keys: Sequence[RowKey]) -> int:
    """Mark single children, whatever became of their parents. Returns how many were alive."""
    statement = (
        f"UPDATE {PAYMENTS_SCHEMA}.{table.name} AS target SET deleted_at = now(), synced_at = now() "
        "FROM unnest(CAST(:livemode AS boolean[]), CAST(:object_id AS text[]), CAST(:id AS text[]), "
        "CAST(:occurrence AS bigint[])) AS gone (livemode, object_id, id, occurrence) "
        "WHERE target.workspace_id = CAST(:workspace_id AS uuid) AND target.provider = :provider "
        f"AND target.livemode = gone.livemode AND target.{table.parent_column} = gone.object_id "
        "AND target.id = gone.id AND target.occurrence = gone.occurrence AND target.deleted_at IS NULL"
    )
    parameters = {name: [getattr(key, name) for key in keys] for name in RowKey._fields}
    of_source = {"workspace_id": source.workspace_id, "provider": source.provider}
    return connection.execute(text(statement), parameters | of_source).rowcount


_LIVE = "live.workspace_id = CAST(:workspace_id AS uuid) AND live.provider = :provider AND live.deleted_at IS NULL"

_SAME_ROW = (
    "listed.livemode = live.livemode AND listed.object_id = live.{object_column} AND listed.id = live.id "
    "AND listed.occurrence = {live_occurrence}"
)

_MISSING_OR_STALE = f"""
INSERT INTO differences (table_name, kind, livemode, object_id, id, occurrence)
SELECT DISTINCT '{{table}}', CASE WHEN live.id IS NULL THEN 'missing' ELSE 'stale' END,
    listed.livemode, listed.object_id, listed.id, listed.occurrence
FROM {{listed}} AS listed
LEFT JOIN {PAYMENTS_SCHEMA}.{{table}} AS live ON {_SAME_ROW} AND {_LIVE}
WHERE listed.content_hash IS NOT NULL AND NOT listed.is_new AND (
    live.id IS NULL OR live.content_hash <> listed.content_hash)
"""

# What a row says of its own version needs no second look.
_UNBELIEVABLE = f"""
INSERT INTO differences (table_name, kind, livemode, object_id, id, occurrence, is_confirmed)
SELECT DISTINCT '{{table}}', 'stale', listed.livemode, listed.object_id, listed.id, listed.occurrence, true
FROM {{listed}} AS listed JOIN {PAYMENTS_SCHEMA}.{{table}} AS live ON {_SAME_ROW} AND {_LIVE}
WHERE live.content_hash = listed.content_hash AND {is_unbelievable("live.source_version")}
"""

# What is listed but cannot be mapped has its row, and its children, from better days.
_SURPLUS = f"""
INSERT INTO differences (table_name, kind, livemode, object_id, id, occurrence)
SELECT '{{table}}', 'surplus', live.livemode, live.{{object_column}}, live.id, {{live_occurrence}}
FROM {PAYMENTS_SCHEMA}.{{table}} AS live
WHERE live.livemode = :livemode AND {_LIVE}
AND NOT EXISTS (SELECT FROM {{listed}} AS listed WHERE {_SAME_ROW})
AND NOT EXISTS (
    SELECT FROM {{listed_objects}} AS listed
    WHERE listed.id = live.{{object_column}} AND listed.content_hash IS NULL)
"""


_TRUE_VERSION = "least(to_timestamp(:version), now())"

_MEND_LIVE = f"""
UPDATE {PAYMENTS_SCHEMA}.{{table}} AS live SET source_version = {_TRUE_VERSION} FROM differences AS listed
WHERE listed.table_name = '{{table}}' AND listed.is_confirmed AND {_SAME_ROW} AND {_LIVE}
"""

_MEND_GONE = f"""
UPDATE {PAYMENTS_SCHEMA}.{{table}} SET source_version = {_TRUE_VERSION}
WHERE workspace_id = CAST(:workspace_id AS uuid) AND provider = :provider AND livemode = :livemode
AND deleted_at IS NOT NULL AND {is_unbelievable("source_version")}
"""


def _tables(entity: Entity) -> tuple[SyncedTable, ...]:
    return (entity_table(entity), *child_tables(entity))


def _listed(table: SyncedTable) -> str:
    return f"listed_{table.name}"


def _object_column(table: SyncedTable) -> str:
    return table.parent_column or "id"


def _occurrence(table: SyncedTable, of: str = "") -> str:
    return f"{of}{OCCURRENCE}" if table.is_child else "CAST(0 AS bigint)"


def _names(table: SyncedTable) -> dict[str, str]:
    return {
        "table": table.name,
        "listed": _listed(table),
        "listed_objects": _listed(entity_table(table.entity)),
        "object_column": _object_column(table),
        "live_occurrence": _occurrence(table, "live."),
    }


def _line(listed: Listed, row_id: str, occurrence: int, content_hash: bytes) -> bytes:
    obj = listed.obj
    fields = (
        _flag(obj.livemode),
        escape(storable(obj.id)),
        escape(storable(row_id)),
        str(occurrence),
        f"\\\\x{content_hash.hex()}",
        _flag(listed.is_new),
    )
    return "\t".join(fields).encode() + b"\n"


def _unmappable_line(object_id: str | None) -> bytes:
    name = NULL if object_id is None else escape(storable(object_id))
    return "\t".join((NULL, name, name, "0", NULL, _flag(False))).encode() + b"\n"


def _flag(value: bool) -> str:
    return "t" if value else "f"


def _copy(connection: Connection, table: SyncedTable, lines: Sequence[bytes]) -> None:
    columns = "livemode, object_id, id, occurrence, content_hash, is_new"
    copy_lines(connection, f"COPY pg_temp.{_listed(table)} ({columns}) FROM STDIN", lines)
