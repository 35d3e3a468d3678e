"""Where the rows that a sync leaves as they are differ from what is staged of their objects, by name."""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from sqlalchemy import Connection, text

from cyphera_pipelines.model.columns import Column, SyncedTable
from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.synced_tables import OCCURRENCE, SUBSCRIPTION_ITEMS, entity_table, strict_child_tables
from cyphera_pipelines.store.billed_amounts import SETTLED_COLUMNS, may_be_settled
from cyphera_pipelines.store.load_result import DifferingRow, OneSidedChildren
from cyphera_pipelines.store.staging import staged_value, staging_name
from cyphera_pipelines.store.tables.metadata import PAYMENTS_SCHEMA
from cyphera_pipelines.store.versions import may_follow


def find_differing(connection: Connection, entity: Entity, of_source: Mapping[str, Any]) -> list[DifferingRow]:
    """The staged objects, all of one mode, whose rows differ: in columns of their own or of their strict children.

    To be asked before they are merged. `of_source` is what the merge takes.
    """
    found = connection.execute(text(_differences(entity_table(entity))), of_source).all()
    differing = [DifferingRow(row.id, tuple(row.columns)) for row in found]
    if found:
        versions = {row.id: row.source_version for row in found}
        for table in strict_child_tables(entity):
            differing += find_differing_children(connection, table, versions, of_source)
    return joined(differing)


def find_differing_children(
    connection: Connection, table: SyncedTable, versions: Mapping[str, float], of_source: Mapping[str, Any]
) -> list[DifferingRow]:
    """How the staged children of objects differ from their rows, for each object that has either.

    `versions` are those of the objects by id; all that they tell of the table is staged. `of_source` is as above.
    """
    parameters = {"ids": list(versions), "versions": list(versions.values()), **of_source}
    found = connection.execute(text(_child_differences(table)), parameters)
    return [DifferingRow(row.id, tuple(row.columns), _one_sided(table, row.new, row.gone)) for row in found]


def joined(differing: Iterable[DifferingRow]) -> list[DifferingRow]:
    """One for each object, with all that was found of it."""
    by_id = dict[str, DifferingRow]()
    for row in differing:
        by_id[row.id] = by_id[row.id].with_more(row) if row.id in by_id else row
    return list(by_id.values())


def _one_sided(table: SyncedTable, new: int, gone: int) -> tuple[OneSidedChildren, ...]:
    return (OneSidedChildren(table.name, new, gone),) if new or gone else ()


@cache
def _differences(table: SyncedTable) -> str:
    """Find the rows that differ from what is staged: their ids, and the names of their own columns that differ."""
    names = [f"CASE WHEN {_differs(table, column)} THEN {_quoted(column.name)} END" for column in table.columns]
    return (
        f"SELECT staged.id, staged.source_version, array_remove(ARRAY[{', '.join(names)}], NULL) AS columns "
        f"FROM pg_temp.{staging_name(table)} AS staged JOIN {PAYMENTS_SCHEMA}.{table.name} AS target "
        "ON target.workspace_id = CAST(:workspace_id AS uuid) AND target.provider = :provider "
        "AND target.livemode = :livemode AND target.id = staged.id "
        "AND target.deleted_at IS NULL WHERE target.content_hash <> staged.content_hash ORDER BY staged.id"
    )


@cache
def _child_differences(table: SyncedTable) -> str:
    """Find how children differ, by object: the names of columns, and how many only the provider or only we have.

    Rows of a loose table that are newer than what is staged of their object are no difference: see
    `store/loose_children.py`. Tombstones are read with the others, since theirs may be newer as well.
    """
    parent, key = table.parent_column, (table.parent_column, "id", OCCURRENCE)
    names = [
        f"CASE WHEN bool_or({_differs(table, column)}) FILTER (WHERE staged.id IS NOT NULL AND target.is_live) "
        f"THEN {_quoted(f'{table.name}.{column.name}')} END"
        for column in table.columns
    ]
    is_older = may_follow("target.source_version", "to_timestamp(told.version)")
    counts = f"(target.id IS NULL OR {is_older})" if table.is_loose else "true"
    return (
        f"SELECT told.id, array_remove(ARRAY[{', '.join(names)}], NULL) AS columns, "
        "count(*) FILTER (WHERE target.is_live IS NOT TRUE) AS new, count(*) FILTER (WHERE staged.id IS NULL) AS gone "
        f"FROM (SELECT * FROM pg_temp.{staging_name(table)} WHERE {parent} = ANY (:ids)) AS staged "
        f"FULL JOIN (SELECT *, deleted_at IS NULL AS is_live FROM {PAYMENTS_SCHEMA}.{table.name} "
        "WHERE workspace_id = CAST(:workspace_id AS uuid) AND provider = :provider AND livemode = :livemode "
        f"AND {parent} = ANY (:ids)) AS target "
        f"ON {' AND '.join(f'target.{name} = staged.{name}' for name in key)} "
        "JOIN unnest(CAST(:ids AS text[]), CAST(:versions AS float8[])) AS told (id, version) "
        f"ON told.id = coalesce(staged.{parent}, target.{parent}) "
        f"WHERE (staged.id IS NOT NULL OR target.is_live) AND {counts} GROUP BY told.id ORDER BY told.id"
    )


def _differs(table: SyncedTable, column: Column) -> str:
    """Whether the column is another one in the row than in what is staged."""
    differs = f'target."{column.name}" IS DISTINCT FROM {staged_value(column)}'
    if table is SUBSCRIPTION_ITEMS and column.name in SETTLED_COLUMNS:
        # The provider does not tell it with the item: the row has it from somewhere else.
        return f"({differs} AND NOT {may_be_settled('staged')})"
    return differs


def _quoted(name: str) -> str:
    return f"'{name}'"
