"""Invoices of which something may be owed: who asked for them read all invoices.

Built while everybody goes on reading and writing, as in 0034; an index that an interrupted upgrade left invalid is begun
anew.
"""

import sqlalchemy as sa
from alembic import op

revision = "0039"
down_revision = "0038"
branch_labels = None
depends_on = None

IS_INVALID = sa.text("SELECT NOT indisvalid FROM pg_index WHERE indexrelid = to_regclass('payments.invoices_owed_idx')")


def upgrade() -> None:
    # Whoever upgrades may have a pool of one connection.
    beside = sa.create_engine(op.get_bind().engine.url, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
    with beside.connect() as connection:
        if connection.execute(IS_INVALID).scalar_one_or_none():
            connection.execute(sa.text("DROP INDEX CONCURRENTLY payments.invoices_owed_idx"))
        connection.execute(
            sa.text(
                "CREATE INDEX CONCURRENTLY IF NOT EXISTS invoices_owed_idx "
                "ON payments.invoices (workspace_id, provider, livemode) "
                "WHERE deleted_at IS NULL AND status IN ('open', 'uncollectible')"
            )
        )
