"""How many rows a source has in each table."""

from sqlalchemy import func, literal, select, union_all

from cyphera_pipelines.model.source import Source
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.tables import synced_tables


def count_rows(database: Database, source: Source) -> dict[str, int]:
    """The source's rows that are not tombstones, by table."""
    counts = [
        select(literal(name).label("name"), func.count().label("rows"))
        .select_from(table)
        .where(table.c.provider == source.provider, table.c.deleted_at.is_(None))
        for name, table in synced_tables.items()
    ]
    with database.tenant(source.workspace_id) as connection:
        return {row.name: row.rows for row in connection.execute(union_all(*counts))}
