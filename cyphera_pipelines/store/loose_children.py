"""Merging the rows of loose tables, by themselves: what is told of them need not be told with their parents.

Each row has its own content hash and its own version. What is told of an object is all that it has there: a row that is
not among it is gone, unless it was written by a newer state. Where nothing differs, nothing is written.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

from sqlalchemy import Connection, text

from cyphera_pipelines.model.columns import SyncedTable
from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.rows import MappedObject, UnmappableObject
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.model.storable import storable
from cyphera_pipelines.model.synced_tables import OCCURRENCE, loose_child_tables
from cyphera_pipelines.store.copying import copy_lines
from cyphera_pipelines.store.database_errors import is_about_data, reason_of
from cyphera_pipelines.store.encoding import encode
from cyphera_pipelines.store.flagging import find_differing_children, joined
from cyphera_pipelines.store.given_rows import given_rows
from cyphera_pipelines.store.known_rows import find_known_rows
from cyphera_pipelines.store.load_result import DifferingRow, LoadResult, TableCounts
from cyphera_pipelines.store.staged import begin_staging, undo_staging
from cyphera_pipelines.store.staging import copy_into_staging, loose_merge_statement, staging_name
from cyphera_pipelines.store.tables.metadata import PAYMENTS_SCHEMA
from cyphera_pipelines.store.versions import may_follow, seconds_of, storable_moment

FEW_ROWS = 200
"""So many are given to the merge itself; see `store/loader.py`."""
_Place = tuple[str, int]
"""A child's id and its occurrence."""
_Told = dict[_Place, bytes]
"""The content hashes of an object's children."""
_Rows = dict[_Place, "_KnownChild"]
_Known = dict[tuple[bool, str], _Rows]
"""The rows of each object, by `(livemode, id)`, tombstones included."""


@dataclass(frozen=True, slots=True)
class _KnownChild:
    content_hash: bytes
    version: float
    is_deleted: bool


def load_loose_children(
    connection: Connection,
    source: Source,
    entity: Entity,
    objects: Sequence[MappedObject],
    *,
    rewrites: bool = False,
    are_new: bool = False,
) -> LoadResult:
    """Merge what is told of the objects' loose children, within the connection's tenant transaction.

    The objects' own rows have been merged before: of one that has none, or that is gone, nothing is written. Of an
    object that comes twice the newest state that tells counts. `rewrites` is as in `store.loader.load`. Of objects that
    `are_new`, whose rows this transaction has made, nothing is looked up. What Postgres refuses is named in `refused`.
    """
    result = LoadResult()
    for table in loose_child_tables(entity):
        told = _newest_told(table, objects)
        if not told:
            continue
        known = _Known() if are_new else _find(connection, source, table, told)
        to_write, gone = list[MappedObject](), list[tuple[MappedObject, _Place]]()
        counts = result.tables.setdefault(table.name, TableCounts())
        for obj in told:
            rows = known.get((obj.livemode, storable(obj.id)), {})
            children = _told_of(table, obj)
            if rewrites or _brings_something(obj, children, rows):
                to_write.append(obj)
            else:
                counts.unchanged += len(children)
            gone += [(obj, place) for place in _gone_places(obj, children, rows, rewrites=rewrites)]
        alive = to_write if are_new or not to_write else _alive(connection, source, entity, to_write)
        for livemode in (True, False):
            of_mode = [obj for obj in alive if obj.livemode is livemode]
            if any(obj.children[table.name] for obj in of_mode):
                write = partial(_write, connection, source, entity, table, rewrites=rewrites)
                result.add(_whole_or_halved(connection, table, of_mode, write))
        if gone:
            counts.deleted += _mark_gone(connection, source, table, gone, rewrites=rewrites)
    return result


def compare_loose_children(
    connection: Connection, source: Source, entity: Entity, objects: Sequence[MappedObject]
) -> LoadResult:
    """Find where what is told of the objects' loose children differs from their rows, which are left as they are.

    The objects' own rows are there. Only of those that differ anything is staged, to name the columns; objects with
    what Postgres cannot hold are named in `refused` instead, as if their children were to be written.
    """
    result = LoadResult()
    for table in loose_child_tables(entity):
        told = _newest_told(table, objects)
        known = _find(connection, source, table, told) if told else _Known()
        differing = [obj for obj in told if _has_differences(table, obj, known)]
        for livemode in (True, False):
            of_mode = [obj for obj in differing if obj.livemode is livemode]
            if of_mode:
                compare = partial(_compare_staged, connection, source, entity, table)
                result.add(_whole_or_halved(connection, table, of_mode, compare))
    return result


def _has_differences(table: SyncedTable, obj: MappedObject, known: _Known) -> bool:
    rows, children = known.get((obj.livemode, storable(obj.id)), {}), _told_of(table, obj)
    return _brings_something(obj, children, rows) or bool(_gone_places(obj, children, rows, rewrites=False))


def _compare_staged(
    connection: Connection, source: Source, entity: Entity, table: SyncedTable, objects: Sequence[MappedObject]
) -> LoadResult:
    begin_staging(connection, (table,))
    lines = [encode(entity, obj, store_raw=False)[table.name] for obj in objects]
    copy_lines(connection, copy_into_staging(table), lines)
    versions = {str(storable(obj.id)): storable_moment(obj.version) for obj in objects}
    parameters = _of_source(source) | {"livemode": objects[0].livemode}
    # What differs only in `raw` has no column to name, and is a difference all the same.
    unnamed = [DifferingRow(object_id, ()) for object_id in versions]
    named = find_differing_children(connection, table, versions, parameters)
    return LoadResult(differing=joined([*unnamed, *named]))


def _newest_told(table: SyncedTable, objects: Sequence[MappedObject]) -> list[MappedObject]:
    newest = dict[tuple[bool, str], MappedObject]()
    for obj in objects:
        if table.name in obj.children:
            other = newest.get((obj.livemode, obj.id))
            if other is None or obj.version >= other.version:
                newest[obj.livemode, obj.id] = obj
    return list(newest.values())


def _told_of(table: SyncedTable, obj: MappedObject) -> _Told:
    return {(child.id, at): child.content_hash for at, child in obj.children_of(table.name)}


def _brings_something(obj: MappedObject, told: _Told, rows: _Rows) -> bool:
    """Whether one of the children is new or another one than its row, and not older."""
    return any(_differs(rows.get(place), content_hash, obj) for place, content_hash in told.items())


def _gone_places(obj: MappedObject, told: _Told, rows: _Rows, *, rewrites: bool) -> list[_Place]:
    """Where rows are that the object tells no more."""
    return [
        place
        for place, row in rows.items()
        if place not in told and not row.is_deleted and (rewrites or row.version <= obj.version)
    ]


def _differs(row: _KnownChild | None, told_hash: bytes, obj: MappedObject) -> bool:
    if row is None:
        return True
    return row.version <= obj.version and (row.is_deleted or row.content_hash != told_hash)


def _alive(
    connection: Connection, source: Source, entity: Entity, objects: Sequence[MappedObject]
) -> list[MappedObject]:
    """Those whose own rows are there. They are locked, lest somebody marks them as gone before their children."""
    rows = find_known_rows(connection, source, entity, objects, locks=True)
    found = ((obj, rows.get((obj.livemode, storable(obj.id)))) for obj in objects)
    return [obj for obj, row in found if row is not None and not row.is_deleted]


def _find(connection: Connection, source: Source, table: SyncedTable, objects: Sequence[MappedObject]) -> _Known:
    parameters = {
        "workspace_id": source.workspace_id,
        "provider": source.provider,
        "livemodes": list({obj.livemode for obj in objects}),
        "ids": [storable(obj.id) for obj in objects],
    }
    known = _Known()
    for livemode, parent, child_id, occurrence, *row in connection.execute(text(_find_statement(table)), parameters):
        content_hash, version, is_deleted = row
        of_parent = known.setdefault((livemode, parent), {})
        of_parent[child_id, occurrence] = _KnownChild(bytes(content_hash), version, is_deleted)
    return known


def _write(
    connection: Connection,
    source: Source,
    entity: Entity,
    table: SyncedTable,
    objects: Sequence[MappedObject],
    *,
    rewrites: bool,
) -> LoadResult:
    """Write the children of objects of one mode."""
    rows = sum(len(obj.children[table.name]) for obj in objects)
    # What was encoded ahead is to go by COPY.
    is_given = rows <= FEW_ROWS and all(obj.encoded is None for obj in objects)
    parameters: dict[str, Any] = _of_source(source) | {"livemode": objects[0].livemode}
    begin_staging(connection, () if is_given else (table,))
    if is_given:
        parameters[staging_name(table)] = given_rows(entity, table, objects, source.store_raw)
    else:
        lines = [encode(entity, obj, source.store_raw)[table.name] for obj in objects]
        copy_lines(connection, copy_into_staging(table), lines)
    statement = loose_merge_statement(table, rewrites=rewrites, takes_rows=is_given)
    created, updated = connection.execute(statement, parameters).one()
    return LoadResult({table.name: TableCounts(created, updated, rows - created - updated)})


def _whole_or_halved(
    connection: Connection,
    table: SyncedTable,
    objects: Sequence[MappedObject],
    work: Callable[[Sequence[MappedObject]], LoadResult],
) -> LoadResult:
    """Do the work, which begins a staging, for these objects; what Postgres refuses is found by halving."""
    try:
        return work(objects)
    except Exception as error:
        if not is_about_data(error):
            raise
        undo_staging(connection)
        if len(objects) == 1:
            reason = f"its {table.name} cannot be written to Postgres: {reason_of(error)}"
            return LoadResult(refused=[UnmappableObject(objects[0].id, reason, objects[0].raw)])
    result, middle = LoadResult(), len(objects) // 2
    for half in (objects[:middle], objects[middle:]):
        result.add(_whole_or_halved(connection, table, half, work))
    return result


def _mark_gone(
    connection: Connection,
    source: Source,
    table: SyncedTable,
    gone: Sequence[tuple[MappedObject, _Place]],
    *,
    rewrites: bool,
) -> int:
    parameters: Mapping[str, Any] = {
        "livemodes": [obj.livemode for obj, _ in gone],
        "parents": [storable(obj.id) for obj, _ in gone],
        "ids": [child_id for _, (child_id, _) in gone],
        "occurrences": [occurrence for _, (_, occurrence) in gone],
        "versions": [storable_moment(obj.version) for obj, _ in gone],
    }
    statement = text(_gone_statement(table, rewrites))
    return connection.execute(statement, {**parameters, **_of_source(source)}).rowcount


def _of_source(source: Source) -> dict[str, Any]:
    return {"workspace_id": source.workspace_id, "provider": source.provider}


# Nothing is said of `deleted_at`: see `store/known_rows.py`.
@cache
def _find_statement(table: SyncedTable) -> str:
    return (
        f"SELECT livemode, {table.parent_column}, id, {OCCURRENCE}, content_hash, {seconds_of('source_version')}, "
        f"deleted_at IS NOT NULL FROM {PAYMENTS_SCHEMA}.{table.name} "
        "WHERE workspace_id = CAST(:workspace_id AS uuid) AND provider = :provider "
        f"AND livemode = ANY (:livemodes) AND {table.parent_column} = ANY (:ids)"
    )


@cache
def _gone_statement(table: SyncedTable, rewrites: bool) -> str:
    version = "to_timestamp(gone.version)"
    may_go = "true" if rewrites else may_follow("target.source_version", version)
    return (
        f"UPDATE {PAYMENTS_SCHEMA}.{table.name} AS target "
        f"SET deleted_at = now(), synced_at = now(), source_version = {version} "
        "FROM unnest(CAST(:livemodes AS boolean[]), CAST(:parents AS text[]), CAST(:ids AS text[]), "
        "CAST(:occurrences AS bigint[]), CAST(:versions AS float8[])) "
        "AS gone (livemode, parent, id, occurrence, version) "
        "WHERE target.workspace_id = CAST(:workspace_id AS uuid) AND target.provider = :provider "
        f"AND target.livemode = gone.livemode AND target.{table.parent_column} = gone.parent "
        f"AND target.id = gone.id AND target.{OCCURRENCE} = gone.occurrence "
        f"AND target.deleted_at IS NULL AND {may_go}"
    )
