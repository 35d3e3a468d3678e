"""Loading mapped objects: what is new or changed goes into staging, then one merge, in one transaction.

Many rows go into staging by COPY. A few are given to the merge itself: that takes 4 ms where the staging tables, which
are to be emptied again, take 25.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from cyphera_pipelines.model.columns import SyncedTable
from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.error_codes import ErrorCode
from cyphera_pipelines.model.errors import CypheraError
from cyphera_pipelines.model.rows import MappedObject, UnmappableObject
from cyphera_pipelines.model.sessions import ConflictStrategy
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.model.synced_tables import entity_table, strict_child_tables
from cyphera_pipelines.store.copying import copy_lines
from cyphera_pipelines.store.database_errors import is_about_data, reason_of
from cyphera_pipelines.store.encoding import encode
from cyphera_pipelines.store.flagging import find_differing, joined
from cyphera_pipelines.store.given_rows import given_rows
from cyphera_pipelines.store.known_rows import KnownRow, confirm_rows, find_known_rows
from cyphera_pipelines.store.load_result import LoadResult, TableCounts
from cyphera_pipelines.store.loose_children import compare_loose_children, load_loose_children
from cyphera_pipelines.store.staged import begin_staging, undo_staging
from cyphera_pipelines.store.staging import MergeStatement, copy_into_staging, merge_statement, staging_name

FEW_ROWS = 200
"""So many, children included, are given to the merge itself."""


def _at_once() -> None:
    """What is staged is merged without waiting for anything."""


@dataclass(frozen=True)
class _How:
    """How a merge treats the rows that are there, see `merge_statement`, and what it does when they are staged."""

    rewrites: bool = False
    only_older: bool = False
    when_staged: Callable[[], None] = _at_once


def load(
    connection: Connection,
    source: Source,
    entity: Entity,
    objects: Sequence[MappedObject],
    strategy: ConflictStrategy = ConflictStrategy.OVERWRITE,
    *,
    confirms: bool = False,
    rewrites: bool = False,
    finds_nothing: bool = False,
    when_staged: Callable[[], None] = _at_once,
) -> LoadResult:
    """Merge the objects and their children within the connection's tenant transaction.

    Of an object that comes twice the newest state counts. The strategy decides about rows that are there already.
    Objects that Postgres refuses (a number or a date out of range, a text too long for an index) are left out and named
    in `refused`; they do not stop the others. What is in the table already, as it is, is not sent to Postgres at all;
    if the batch `confirms`, such a row takes the newer `source_version`: needed of states that older ones may still
    follow. So does, in any case, a row whose version counts as unknown: see `store/versions.py`.
    A batch that `rewrites` replaces the rows and all their children whatever the table says of them, versions and
    hashes included: for states that were read to repair rows which are known to be wrong.
    A batch that `finds_nothing` is not looked up first: its tables held no rows of the source, and what has come since
    is left as it is by the merge where it is newer or the same.
    `when_staged` is called, maybe more than once, before a row of the tables is touched: until it returns, nothing of
    the batch is where others might meet it.
    Loose children are merged by themselves, whether or not their parents changed; see `store/loose_children.py`. Where
    rows are flagged, theirs are compared just so.
    """
    batch = _newest_of_each(objects)
    known = {} if rewrites or finds_nothing else find_known_rows(connection, source, entity, batch)
    result = LoadResult()
    changed, confirmed = list[MappedObject](), list[MappedObject]()
    for obj in batch:
        row = known.get((obj.livemode, obj.id))
        if row is None:
            changed.append(obj)
        elif (strategy is ConflictStrategy.SKIP and not row.is_deleted) or row.is_unchanged(obj):
            result.count_unchanged(entity, obj)
            if obj.version > row.version and (confirms or not row.is_version_known):
                confirmed.append(obj)
        else:
            changed.append(obj)
    if confirmed and strategy is ConflictStrategy.OVERWRITE:
        confirm_rows(connection, source, entity, confirmed)
    for livemode in (True, False):
        of_mode = [obj for obj in changed if obj.livemode is livemode]
        if of_mode:
            how = _How(rewrites=rewrites, when_staged=when_staged)
            result.add(_load_changed(connection, source, entity, of_mode, strategy, how))
    when_staged()
    are_new = finds_nothing and result.tables.get(entity.value, TableCounts()).created == len(batch)
    telling, left = objects, set[tuple[bool, str]]()
    if strategy is not ConflictStrategy.OVERWRITE:
        left = {key for key, row in known.items() if not row.is_deleted}
        telling = [obj for obj in objects if (obj.livemode, obj.id) not in left]
    result.add(load_loose_children(connection, source, entity, telling, rewrites=rewrites, are_new=are_new))
    if strategy is ConflictStrategy.FLAG:
        others = [obj for obj in objects if (obj.livemode, obj.id) in left]
        result.add(compare_loose_children(connection, source, entity, others))
        result.differing = joined(result.differing)
    return result


class OvertakenError(CypheraError):
    """Somebody else has written a row meanwhile that was not there before: look again."""

    code = ErrorCode.OVERTAKEN


def load_newer(
    connection: Connection,
    source: Source,
    entity: Entity,
    objects: Sequence[MappedObject],
    known: Mapping[tuple[bool, str], KnownRow],
) -> LoadResult:
    """Merge objects of one mode, of each one state, which is newer than that of its known row.

    The known rows are locked. Raises OvertakenError if a row that was not there is now, and no older. A few objects are
    merged all or none: if Postgres refuses one of them, its error is raised, and the transaction is over.
    """
    result, changed, confirmed = LoadResult(), list[MappedObject](), list[MappedObject]()
    for obj in objects:
        row = known.get((obj.livemode, obj.id))
        if row is not None and row.is_unchanged(obj):
            result.count_unchanged(entity, obj)
            confirmed.append(obj)
        else:
            changed.append(obj)
    if confirmed:
        confirm_rows(connection, source, entity, confirmed)
    if changed:
        # A savepoint is two statements more, and mostly for nothing.
        merge = _merge_given if _is_few(changed) else _load_changed
        merged = merge(connection, source, entity, changed, ConflictStrategy.OVERWRITE, _How(only_older=True))
        counts = merged.tables.get(entity.value, TableCounts())
        if counts.created + counts.updated + len(merged.refused) < len(changed):
            raise OvertakenError("Rows came meanwhile.")
        result.add(merged)
    result.add(load_loose_children(connection, source, entity, objects))
    return result


def _newest_of_each(objects: Iterable[MappedObject]) -> list[MappedObject]:
    newest: dict[tuple[bool, str], MappedObject] = {}
    for obj in objects:
        other = newest.get((obj.livemode, obj.id))
        if other is None or obj.version >= other.version:
            newest[obj.livemode, obj.id] = obj
    return list(newest.values())


def _load_changed(
    connection: Connection,
    source: Source,
    entity: Entity,
    batch: Sequence[MappedObject],
    strategy: ConflictStrategy,
    how: _How,
) -> LoadResult:
    """Load objects of one mode; what Postgres refuses is found by halving the batch."""
    is_given = _is_few(batch) and strategy is not ConflictStrategy.FLAG
    begin_staging(connection, () if is_given else _tables_of(entity))
    try:
        merge = _merge_given if is_given else _merge
        return merge(connection, source, entity, batch, strategy, how)
    except Exception as error:
        if not is_about_data(error):
            raise
        undo_staging(connection)
        if len(batch) == 1:
            reason = f"it cannot be written to Postgres: {reason_of(error)}"
            return LoadResult(refused=[UnmappableObject(batch[0].id, reason, batch[0].raw)])
    result = LoadResult()
    middle = len(batch) // 2
    for half in (batch[:middle], batch[middle:]):
        result.add(_load_changed(connection, source, entity, half, strategy, how))
    return result


def _is_few(batch: Sequence[MappedObject]) -> bool:
    rows = len(batch) + sum(len(children) for obj in batch for children in obj.children.values())  # loose ones too
    # What was encoded ahead is to go by COPY.
    return rows <= FEW_ROWS and all(obj.encoded is None for obj in batch)


def _merge_given(
    connection: Connection,
    source: Source,
    entity: Entity,
    batch: Sequence[MappedObject],
    strategy: ConflictStrategy,
    how: _How,
) -> LoadResult:
    merge = merge_statement(
        entity,
        replaces=strategy is ConflictStrategy.OVERWRITE,
        rewrites=how.rewrites,
        takes_rows=True,
        only_older=how.only_older,
    )
    rows = {staging_name(table): given_rows(entity, table, batch, source.store_raw) for table in _tables_of(entity)}
    how.when_staged()
    numbers = connection.execute(merge.sql, {**_parameters(source, batch), **rows}).one()
    return _counted(merge, numbers, _staged_counts(entity, batch))


def _merge(
    connection: Connection,
    source: Source,
    entity: Entity,
    batch: Sequence[MappedObject],
    strategy: ConflictStrategy,
    how: _How,
) -> LoadResult:
    tables = _tables_of(entity)
    encoded = [encode(entity, obj, source.store_raw) for obj in batch]
    for table in tables:
        copy_lines(connection, copy_into_staging(table), [lines[table.name] for lines in encoded])
    how.when_staged()
    parameters, result = _parameters(source, batch), LoadResult()
    if strategy is ConflictStrategy.FLAG:
        result.differing = find_differing(connection, entity, parameters)
    merge = merge_statement(
        entity, replaces=strategy is ConflictStrategy.OVERWRITE, rewrites=how.rewrites, only_older=how.only_older
    )
    numbers = connection.execute(merge.sql, parameters).one()
    result.add(_counted(merge, numbers, _staged_counts(entity, batch)))
    return result


def _tables_of(entity: Entity) -> tuple[SyncedTable, ...]:
    return (entity_table(entity), *strict_child_tables(entity))


def _parameters(source: Source, batch: Sequence[MappedObject]) -> dict[str, Any]:
    return {"workspace_id": source.workspace_id, "provider": source.provider, "livemode": batch[0].livemode}


def _staged_counts(entity: Entity, batch: Sequence[MappedObject]) -> dict[str, int]:
    of_children = {
        table.name: sum(len(obj.children.get(table.name, ())) for obj in batch) for table in strict_child_tables(entity)
    }
    return {entity.value: len(batch), **of_children}


def _counted(merge: MergeStatement, numbers: Sequence[int], staged: Mapping[str, int]) -> LoadResult:
    result = LoadResult()
    for index, name in enumerate(merge.tables):
        created, updated, deleted = numbers[index * 3 : index * 3 + 3]
        unchanged = staged[name] - created - updated
        result.tables[name] = TableCounts(created, updated, unchanged, deleted)
    return result
