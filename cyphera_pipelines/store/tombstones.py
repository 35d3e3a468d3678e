"""Marking rows whose objects are gone at the provider."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import Connection, CursorResult, text

from cyphera_pipelines.model.columns import SyncedTable
from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.model.storable import storable
from cyphera_pipelines.model.synced_tables import child_tables, entity_table
from cyphera_pipelines.store.load_result import TableCounts
from cyphera_pipelines.store.tables.metadata import PAYMENTS_SCHEMA
from cyphera_pipelines.store.versions import is_older, may_follow, storable_moment


@dataclass(frozen=True)
class TimeSpan:
    """Moments in the column `axis`, in seconds since 1970, exclusive of `after` and inclusive of `until`.

    None is without bound. Without an axis it is all of the entity's rows, whatever the bounds.
    """

    axis: str | None
    after: int | None
    until: int | None


@dataclass(frozen=True)
class Unlisted:
    """Which rows' objects lists may leave out: those with a value in one column, and those without one in another."""

    with_value_in: str | None = None
    without_value_in: str | None = None

    @property
    def condition(self) -> str:
        """The same in SQL."""
        conditions = [f"{column} IS NOT NULL" for column in (self.with_value_in,) if column is not None]
        conditions += [f"{column} IS NULL" for column in (self.without_value_in,) if column is not None]
        return f"({' OR '.join(conditions) or 'false'})"

    @property
    def in_words(self) -> str:
        """The same for people, as in `with a test_clock_id`."""
        words = [f"with a {column}" for column in (self.with_value_in,) if column is not None]
        words += [f"without a time in {column}" for column in (self.without_value_in,) if column is not None]
        return " or ".join(words)


def tombstone_missing(
    connection: Connection,
    source: Source,
    entity: Entity,
    span: TimeSpan,
    present: Sequence[str],
    *,
    livemode: bool,
    version: float,
    unlisted_with: str | None,
) -> dict[str, TableCounts]:
    """Mark the entity's rows of a time span that is known completely, but for the ids that are present.

    Rows with a newer state than `version` are left alone, and so are those with a value in the column `unlisted_with`:
    a listing need not show them. Children go with their parents. Returns the number of rows marked, by table.
    """
    parameters = _of_span(source, span, present, livemode, version)
    return _mark(connection, entity, _missing(span.axis, unlisted_with), parameters)


def find_unlisted(
    connection: Connection,
    source: Source,
    entity: Entity,
    present: Sequence[str],
    *,
    livemode: bool,
    unlisted: Unlisted,
    limit: int,
) -> list[str]:
    """The ids of live rows that lists may leave out but for those that are present, longest unconfirmed first."""
    statement = (
        f"SELECT id FROM {PAYMENTS_SCHEMA}.{entity.value} WHERE {_OF_SOURCE} AND deleted_at IS NULL "
        f"AND {unlisted.condition} AND id <> ALL (CAST(:present AS text[])) "
        "ORDER BY source_version, id LIMIT :limit"
    )
    parameters = {"workspace_id": source.workspace_id, "provider": source.provider, "livemode": livemode}
    found = connection.execute(text(statement), parameters | {"present": list(present), "limit": limit})
    return list(found.scalars())


def find_missing(
    connection: Connection,
    source: Source,
    entity: Entity,
    span: TimeSpan,
    present: Sequence[str],
    *,
    livemode: bool,
    version: float,
    unlisted_with: str | None,
) -> list[str]:
    """The ids of the rows that `tombstone_missing` would mark."""
    statement = (
        f"SELECT id FROM {PAYMENTS_SCHEMA}.{entity.value} WHERE {_OF_SOURCE} AND deleted_at IS NULL "
        f"AND {_MAY_FOLLOW} AND {_missing(span.axis, unlisted_with)} ORDER BY id"
    )
    return list(connection.execute(text(statement), _of_span(source, span, present, livemode, version)).scalars())


def _of_span(
    source: Source, span: TimeSpan, present: Sequence[str], livemode: bool, version: float
) -> dict[str, object]:
    return {
        "workspace_id": source.workspace_id,
        "provider": source.provider,
        "livemode": livemode,
        "after": None if span.after is None else storable_moment(span.after),
        "until": None if span.until is None else storable_moment(span.until),
        "present": [storable(object_id) for object_id in present],
        "version": storable_moment(version),
    }


def tombstone_object(
    connection: Connection, source: Source, entity: Entity, object_id: str, *, livemode: bool, version: float
) -> dict[str, TableCounts]:
    """Mark one object and its children as gone, unless a state newer than `version` is known of it.

    One that was gone already is now known to have been so at `version`: no state from before then brings it back.
    """
    parameters = {"workspace_id": source.workspace_id, "provider": source.provider, "livemode": livemode}
    parameters |= {"id": storable(object_id), "version": storable_moment(version)}
    connection.execute(text(_still_gone(entity)), parameters)
    return _mark(connection, entity, "id = :id", parameters)


def tombstone_unlisted(
    connection: Connection, source: Source, entity: Entity, column: str, *, livemode: bool
) -> dict[str, TableCounts]:
    """Mark the rows with a value in a column that lets their objects stay out of lists: no list would ever do that.

    They are of another account than the one that is read now: whatever comes of them is newer. Returns the number of
    rows marked, by table.
    """
    parameters = {"workspace_id": source.workspace_id, "provider": source.provider, "livemode": livemode}
    return _counts(entity, connection.execute(text(_statement(entity, f"{column} IS NOT NULL", _MARK)), parameters))


def _mark(
    connection: Connection, entity: Entity, which: str, parameters: Mapping[str, object]
) -> dict[str, TableCounts]:
    statement = _statement(entity, f"{_MAY_FOLLOW} AND {which}", f"{_MARK}, source_version = to_timestamp(:version)")
    return _counts(entity, connection.execute(text(statement), parameters))


def _counts(entity: Entity, marked: CursorResult[Any]) -> dict[str, TableCounts]:
    tables = (entity_table(entity), *child_tables(entity))
    return {table.name: TableCounts(deleted=number) for table, number in zip(tables, marked.one(), strict=True)}


_OF_SOURCE = "workspace_id = CAST(:workspace_id AS uuid) AND provider = :provider AND livemode = :livemode"

_MAY_FOLLOW = may_follow("source_version", "to_timestamp(:version)")

_MARK = "deleted_at = now(), synced_at = now()"


@cache
def _missing(axis: str | None, unlisted_with: str | None) -> str:
    conditions = ["id <> ALL (CAST(:present AS text[]))"]
    if axis is not None:
        conditions.append(f"{axis} > coalesce(to_timestamp(:after), '-infinity')")
        conditions.append(f"{axis} <= coalesce(to_timestamp(:until), 'infinity')")
    if unlisted_with is not None:
        conditions.append(f"{unlisted_with} IS NULL")
    return " AND ".join(conditions)


@cache
def _statement(entity: Entity, which: str, mark: str) -> str:
    parts = [
        f"gone AS (UPDATE {PAYMENTS_SCHEMA}.{entity.value} SET {mark} "
        f"WHERE {_OF_SOURCE} AND deleted_at IS NULL AND {which} "
        "RETURNING id)"
    ]
    counts = ["(SELECT count(*) FROM gone)"]
    for child in child_tables(entity):
        parts.append(f"gone_{child.name} AS ({_mark_children(child, mark)} RETURNING 1)")
        counts.append(f"(SELECT count(*) FROM gone_{child.name})")
    return f"WITH {', '.join(parts)} SELECT {', '.join(counts)}"


@cache
def _still_gone(entity: Entity) -> str:
    return (
        f"UPDATE {PAYMENTS_SCHEMA}.{entity.value} SET source_version = to_timestamp(:version) "
        f"WHERE {_OF_SOURCE} AND id = :id AND deleted_at IS NOT NULL "
        f"AND {is_older('source_version', 'to_timestamp(:version)')}"
    )


def _mark_children(child: SyncedTable, mark: str) -> str:
    return (
        f"UPDATE {PAYMENTS_SCHEMA}.{child.name} AS target SET {mark} "
        "WHERE target.workspace_id = CAST(:workspace_id AS uuid) AND target.provider = :provider "
        f"AND target.livemode = :livemode AND target.{child.parent_column} = ANY (ARRAY(SELECT id FROM gone)) "
        "AND target.deleted_at IS NULL"
    )
