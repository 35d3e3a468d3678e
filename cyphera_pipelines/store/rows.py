"""Reading synced tables: counts and previews of one source's rows."""

from typing import Any

from sqlalchemy import func, select

from cyphera_pipelines.model.columns import SyncedTable
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.model.synced_tables import personal_columns
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.tables import synced_tables

_PREVIEW_HIDES = {"workspace_id", "provider", "raw", "content_hash", "source_version", "deleted_at", "metadata"}
"""What is too bulky, or the same for all."""


def count_rows(database: Database, source: Source, tables: list[SyncedTable]) -> dict[str, int]:
    """How many rows of objects that still exist the source has, by table name."""
    counts = {}
    with database.tenant(source.workspace_id) as connection:
        for table in tables:
            target = synced_tables[table.name]
            statement = select(func.count()).where(target.c.provider == source.provider, target.c.deleted_at.is_(None))
            counts[table.name] = connection.execute(statement).scalar_one()
    return counts


def has_rows(database: Database, source: Source, table: SyncedTable, *, livemode: bool) -> bool:
    """Whether there is any row of the source in that mode, tombstones included."""
    target = synced_tables[table.name]
    rows = select(target.c.id).where(
        target.c.workspace_id == source.workspace_id,
        target.c.provider == source.provider,
        target.c.livemode == livemode,
    )
    with database.tenant(source.workspace_id) as connection:
        return connection.execute(rows.limit(1)).first() is not None


def preview_rows(
    database: Database, source: Source, table: SyncedTable, *, limit: int = 5, personal: bool = False
) -> list[dict[str, Any]]:
    """The most recently written rows of the source, without the bulky columns; with `personal` ones if asked for."""
    target = synced_tables[table.name]
    hidden = _PREVIEW_HIDES | (frozenset() if personal else personal_columns(table))
    columns = [column for column in target.c if column.name not in hidden]
    statement = (
        select(*columns)
        .where(target.c.provider == source.provider, target.c.deleted_at.is_(None))
        .order_by(target.c.synced_at.desc(), target.c.id)
        .limit(limit)
    )
    with database.tenant(source.workspace_id) as connection:
        return [dict(row._mapping) for row in connection.execute(statement)]
