"""For migrations that add an entity: what Alembic does not find out by itself."""

import sqlalchemy as sa
from alembic import op

_KNOWS_LZ4 = sa.text("SELECT 'lz4' = ANY (enumvals) FROM pg_settings WHERE name = 'default_toast_compression'")
_CHECK_OF_ENTITIES = sa.text(
    "SELECT conname FROM pg_constraint WHERE conrelid = CAST('sync.sync_cursors' AS regclass) AND contype = 'c' "
    "AND pg_get_constraintdef(oid) LIKE '%entity_type%'"
)


def keep_raw_as_others_do(table: str) -> None:
    """Keep a new synced table's `raw` with lz4 where the server has it, and uncompressed elsewhere: see 0014."""
    way = "COMPRESSION lz4" if op.get_bind().execute(_KNOWS_LZ4).scalar() else "STORAGE EXTERNAL"
    op.execute(f"ALTER TABLE payments.{table} ALTER COLUMN raw SET {way}")


def let_positions_be_of(*entities: str) -> None:
    """Let `sync.sync_cursors` hold positions of these entities, which are all that there are from now on."""
    for name in op.get_bind().execute(_CHECK_OF_ENTITIES).scalars().all():
        op.drop_constraint(op.f(name), "sync_cursors", schema="sync", type_="check")
    listed = ", ".join(f"'{entity}'" for entity in entities)
    op.create_check_constraint("entity_type", "sync_cursors", f"entity_type IN ({listed})", schema="sync")
