"""The SQL of loading: a temporary staging table per synced table, and one merge statement per entity.

Staging holds what differs from row to row; workspace, provider and mode are parameters of the merge. A few rows are
given to the merge itself instead: emptying the staging tables at the end of a transaction takes longer than they do.
"""

from dataclasses import dataclass
from functools import cache

from sqlalchemy import TextClause, text

from cyphera_pipelines.model.columns import Column, Kind, SyncedTable
from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.synced_tables import OCCURRENCE, entity_table, key_columns, strict_child_tables
from cyphera_pipelines.store.tables.metadata import PAYMENTS_SCHEMA
from cyphera_pipelines.store.versions import is_older, may_follow


def staging_name(table: SyncedTable) -> str:
    """The name of the table's staging table."""
    return f"staging_{table.name}"


def staging_columns(table: SyncedTable) -> tuple[str, ...]:
    """The staging table's columns, in the order in which the loader writes them."""
    key = ("id", OCCURRENCE) if table.is_child else ("id",)
    return (*key, *(column.name for column in table.columns), "content_hash", "source_version", "raw")


@cache
def create_staging(table: SyncedTable) -> str:
    """Make the staging table of this connection, empty at the start of every transaction.

    Timestamps are staged as the provider sends them, in seconds since 1970: Postgres converts them at less cost. Rows
    stay in one piece and uncompressed up to what a page of Postgres' holds: the synced table decides how they are kept.
    """
    return (
        f"CREATE TEMPORARY TABLE IF NOT EXISTS {staging_name(table)} ({_typed_columns(table)}) "
        "WITH (toast_tuple_target = 8160) ON COMMIT DELETE ROWS"
    )


def _typed_columns(table: SyncedTable) -> str:
    types = {column.name: "bigint" if column.kind is Kind.TIMESTAMP else column.kind.value for column in table.columns}
    types |= {"id": "text", OCCURRENCE: "bigint", "content_hash": "bytea", "source_version": "float8", "raw": "jsonb"}
    return ", ".join(f'"{name}" {types[name]}' for name in staging_columns(table))


@cache
def copy_into_staging(table: SyncedTable) -> str:
    """The COPY command that fills the staging table in text format."""
    columns = ", ".join(f'"{name}"' for name in staging_columns(table))
    return f"COPY pg_temp.{staging_name(table)} ({columns}) FROM STDIN"


@dataclass(frozen=True)
class MergeStatement:
    """A merge of one entity's staged objects and their children, all of one mode.

    The statement takes `workspace_id`, `provider` and `livemode` and returns one row of counts: `tables` names them in
    order, each with created, updated and deleted. If the rows are given to it, it also takes a JSON array of them for
    each table, under the name of its staging table.
    """

    sql: TextClause
    tables: tuple[str, ...]


@cache
def merge_statement(
    entity: Entity, *, replaces: bool, rewrites: bool = False, takes_rows: bool = False, only_older: bool = False
) -> MergeStatement:
    """Build the merge of an entity. Unless it `replaces`, rows that are there, and not deleted, are left as they are.

    A row is written only if it is new, or differs, or comes back from deletion, and never by an older state. The
    children of a written row are replaced in the same statement; the children of an unchanged row are not touched:
    the parent's content hash covers them. Loose children have a statement of their own. If it `rewrites`, every row is
    written, whatever is there. If it `takes_rows`, they are given to it and not staged. If it replaces `only_older`
    ones, a state of the same version stays.
    """
    parent = entity_table(entity)
    given = [_given(table) for table in (parent, *strict_child_tables(entity)) if takes_rows]
    upsert = _upsert(parent, _staged(parent, takes_rows), replaces, rewrites, only_older)
    parts = [*given, f"written AS ({upsert} RETURNING id, (xmax = 0) AS created)"]
    counts = ["count(*) FILTER (WHERE created)", "count(*) FILTER (WHERE NOT created)", "0"]
    selects = [f"(SELECT {count} FROM written)" if count != "0" else "0" for count in counts]
    names = [parent.name]
    for child in strict_child_tables(entity):
        name, gone = f"written_{child.name}", f"gone_{child.name}"
        upsert = _upsert(child, _staged_children(child, takes_rows), replaces, rewrites, False)
        parts.append(f"{name} AS ({upsert} RETURNING (xmax = 0) AS created)")
        parts.append(f"{gone} AS ({_tombstone_missing_children(child, rewrites, takes_rows)} RETURNING 1)")
        selects += [f"(SELECT {count} FROM {name})" for count in counts[:2]]
        selects.append(f"(SELECT count(*) FROM {gone})")
        names.append(child.name)
    return MergeStatement(text(f"WITH {', '.join(parts)} SELECT {', '.join(selects)}"), tuple(names))


@cache
def loose_merge_statement(table: SyncedTable, *, rewrites: bool, takes_rows: bool) -> TextClause:
    """Build the merge of a loose table's staged rows, all of one mode: it returns how many were created and updated.

    It takes what `merge_statement` takes. A row is written only if it is new, or differs, or comes back from deletion,
    and never by an older state; every one, if it `rewrites`.
    """
    upsert = _upsert(table, _staged(table, takes_rows), replaces=True, rewrites=rewrites, only_older=False)
    given = f"{_given(table)}, " if takes_rows else ""
    return text(
        f"WITH {given}written AS ({upsert} RETURNING (xmax = 0) AS created) "
        "SELECT count(*) FILTER (WHERE created), count(*) FILTER (WHERE NOT created) FROM written"
    )


def staged_value(column: Column) -> str:
    """A staged value in the type of its column."""
    return f'to_timestamp(staged."{column.name}")' if column.kind is Kind.TIMESTAMP else f'staged."{column.name}"'


def _given(table: SyncedTable) -> str:
    """The rows that are given to a merge, as a part of it that looks like the staging table."""
    name = staging_name(table)
    return (
        f"{name} AS MATERIALIZED (SELECT * FROM json_to_recordset(CAST(:{name} AS json)) AS ({_typed_columns(table)}))"
    )


def _staged(table: SyncedTable, is_given: bool = False) -> str:
    return f"{'' if is_given else 'pg_temp.'}{staging_name(table)} AS staged"


def _staged_children(table: SyncedTable, is_given: bool) -> str:
    return f"{_staged(table, is_given)} JOIN written ON written.id = staged.{table.parent_column}"


def _upsert(table: SyncedTable, source: str, replaces: bool, rewrites: bool, only_older: bool) -> str:
    values = {
        "workspace_id": "CAST(:workspace_id AS uuid)",
        "provider": ":provider",
        "livemode": "CAST(:livemode AS boolean)",
        "id": "staged.id",
        **({OCCURRENCE: f"staged.{OCCURRENCE}"} if table.is_child else {}),
        **{f'"{column.name}"': staged_value(column) for column in table.columns},
        "raw": "staged.raw",
        "content_hash": "staged.content_hash",
        "source_version": "to_timestamp(staged.source_version)",
        "synced_at": "now()",
    }
    key = key_columns(table)
    assignments = ", ".join(f"{name} = excluded.{name}" for name in values if name.strip('"') not in key)
    update = (
        f"INSERT INTO {PAYMENTS_SCHEMA}.{table.name} AS target ({', '.join(values)}) "
        f"SELECT {', '.join(values.values())} FROM {source} "
        f"ON CONFLICT ({', '.join(key)}) DO UPDATE SET {assignments}, deleted_at = NULL"
    )
    if rewrites:
        return update
    # What comes back from deletion was not there.
    differs = "target.content_hash <> excluded.content_hash OR " if replaces else ""
    makes_way = is_older if only_older else may_follow
    return (
        f"{update} WHERE {makes_way('target.source_version', 'excluded.source_version')} "
        f"AND ({differs}target.deleted_at IS NOT NULL)"
    )


def _tombstone_missing_children(table: SyncedTable, rewrites: bool, is_given: bool) -> str:
    # Only what was there before can have lost children: a first load does not look for them. Arrays instead of a join,
    # and a workspace that the planner is not told: of one that is new to it, it expects few rows, and would read all of
    # them for every page.
    replaced = "FROM written" if rewrites else "FROM written WHERE NOT created"
    return (
        f"UPDATE {PAYMENTS_SCHEMA}.{table.name} AS target SET deleted_at = now(), synced_at = now() "
        f"WHERE EXISTS (SELECT 1 {replaced}) "
        "AND target.workspace_id = (SELECT CAST(:workspace_id AS uuid)) AND target.provider = :provider "
        f"AND target.livemode = :livemode AND target.{table.parent_column} = ANY (ARRAY(SELECT id {replaced})) "
        "AND target.deleted_at IS NULL AND NOT EXISTS ("
        f"SELECT 1 FROM {_staged(table, is_given)} "
        f"WHERE staged.{table.parent_column} = target.{table.parent_column} "
        f"AND staged.id = target.id AND staged.{OCCURRENCE} = target.{OCCURRENCE})"
    )
