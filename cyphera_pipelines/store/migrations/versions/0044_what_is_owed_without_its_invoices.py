"""What is asked of invoices that may be owed stands in their index: a twentieth of all is spread over all pages.

Built while everybody goes on reading and writing, as in 0039; the index that it takes the place of goes afterwards.
"""

import sqlalchemy as sa
from alembic import op

revision = "0044"
down_revision = "0043"
branch_labels = None
depends_on = None

IS_INVALID = sa.text(
    "SELECT NOT indisvalid FROM pg_index WHERE indexrelid = to_regclass('payments.invoices_owed_amounts_idx')"
)


def upgrade() -> None:
    # Whoever upgrades may have a pool of one connection.
    beside = sa.create_engine(op.get_bind().engine.url, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
    with beside.connect() as connection:
        if connection.execute(IS_INVALID).scalar_one_or_none():
            connection.execute(sa.text("DROP INDEX CONCURRENTLY payments.invoices_owed_amounts_idx"))
        connection.execute(
            sa.text(
                "CREATE INDEX CONCURRENTLY IF NOT EXISTS invoices_owed_amounts_idx "
                "ON payments.invoices (workspace_id, provider, livemode) "
                "INCLUDE (currency, status, customer_id, amount_remaining, attempt_count, due_date, finalized_at, "
                "effective_at, created) WHERE deleted_at IS NULL AND status IN ('open', 'uncollectible')"
            )
        )
        connection.execute(sa.text("DROP INDEX CONCURRENTLY IF EXISTS payments.invoices_owed_idx"))
