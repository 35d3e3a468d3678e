"""Lines by their subscription, and what was written lately: what a build of figures looks for after a sync.

Built while everybody goes on reading and writing, as in 0034; an index that an interrupted upgrade left invalid is begun
anew.
"""

import sqlalchemy as sa
from alembic import op

revision = "0038"
down_revision = "0037"
branch_labels = None
depends_on = None

INDEXES = {
    "invoice_line_items_subscription_id_idx": (
        "payments.invoice_line_items (workspace_id, subscription_id) WHERE deleted_at IS NULL"
    ),
    "invoice_line_items_synced_at_idx": "payments.invoice_line_items USING brin (synced_at)",
    "invoices_synced_at_idx": "payments.invoices USING brin (synced_at)",
}
IS_INVALID = sa.text("SELECT NOT indisvalid FROM pg_index WHERE indexrelid = to_regclass(:name)")


def upgrade() -> None:
    # Whoever upgrades may have a pool of one connection.
    beside = sa.create_engine(op.get_bind().engine.url, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
    with beside.connect() as connection:
        for name, what in INDEXES.items():
            if connection.execute(IS_INVALID, {"name": f"payments.{name}"}).scalar_one_or_none():
                connection.execute(sa.text(f"DROP INDEX CONCURRENTLY payments.{name}"))
            connection.execute(sa.text(f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {name} ON {what}"))
