"""Questions to the synced tables that show whether they hang together: each a count and some of the rows' ids."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, Table, and_, exists, func, select

from cyphera_pipelines.model.columns import SyncedTable
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.model.synced_tables import entity_table
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.tables import synced_tables

SAMPLE_SIZE = 10


@dataclass(frozen=True)
class Finding:
    """How many rows are not as they should be, and the ids of the first of them."""

    count: int
    sample_ids: tuple[str, ...]


def find_orphans(database: Database, source: Source, table: SyncedTable) -> Finding:
    """Rows of a child table whose parent is missing or deleted."""
    assert table.parent_column is not None, f"{table.name} is a child table"
    child, parent = synced_tables[table.name], synced_tables[entity_table(table.entity).name]
    has_parent = exists().where(
        _same_account(parent, child), parent.c.id == child.c[table.parent_column], _alive(parent)
    )
    return _find(database, source, _rows(child, source).where(~has_parent))


def find_unknown_references(database: Database, source: Source, table: SyncedTable, column: str, to: str) -> Finding:
    """Rows whose `column` names an object that table `to` has never held."""
    rows, target = synced_tables[table.name], synced_tables[to]
    is_known = exists().where(_same_account(target, rows), target.c.id == rows.c[column])
    return _find(database, source, _rows(rows, source).where(rows.c[column].is_not(None), ~is_known))


def find_gaps(database: Database, source: Source, table: SyncedTable, position_column: str) -> Finding:
    """Parents whose children do not sit at the positions 0, 1, 2, ... without a gap. The ids are the parents'."""
    assert table.parent_column is not None, f"{table.name} is a child table"
    child = synced_tables[table.name]
    parent_id, position = child.c[table.parent_column], child.c[position_column]
    statement = (
        select(parent_id.label("id"))
        .where(_of_source(child, source), _alive(child))
        .group_by(child.c.livemode, parent_id)
        .having(func.max(position) + 1 != func.count())
    )
    return _find(database, source, statement)


def _find(database: Database, source: Source, statement: Select[Any]) -> Finding:
    found = statement.subquery("found")
    sample = select(found.c.id, func.count().over()).order_by(found.c.id).limit(SAMPLE_SIZE)
    with database.tenant(source.workspace_id) as connection:
        rows = connection.execute(sample).all()
    return Finding(rows[0][1] if rows else 0, tuple(row[0] for row in rows))


def _rows(table: Table, source: Source) -> Select[Any]:
    return select(table.c.id.label("id")).where(_of_source(table, source), _alive(table))


def _of_source(table: Table, source: Source) -> ColumnElement[bool]:
    return and_(table.c.workspace_id == source.workspace_id, table.c.provider == source.provider)


def _alive(table: Table) -> ColumnElement[bool]:
    return table.c.deleted_at.is_(None)


def _same_account(one: Table, other: Table) -> ColumnElement[bool]:
    return and_(*(one.c[name] == other.c[name] for name in ("workspace_id", "provider", "livemode")))
