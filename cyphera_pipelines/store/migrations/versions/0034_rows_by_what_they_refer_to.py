"""Invoices, subscriptions, items and prices by what they refer to.

Built while everybody goes on reading and writing, which is refused within a transaction: so on a connection of its own,
while the migration's keeps others from migrating. One index after the other; an upgrade that is interrupted leaves one
that is not valid, and the next begins that one anew.
"""

import sqlalchemy as sa
from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None

INDEXED = (
    ("prices", "product_id"),
    ("subscriptions", "customer_id"),
    ("subscription_items", "price_id"),
    ("invoices", "customer_id"),
    ("invoices", "subscription_id"),
)
IS_INVALID = sa.text("SELECT NOT indisvalid FROM pg_index WHERE indexrelid = to_regclass(:name)")


def upgrade() -> None:
    # Whoever upgrades may have a pool of one connection.
    beside = sa.create_engine(op.get_bind().engine.url, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
    with beside.connect() as connection:
        for table, column in INDEXED:
            name = f"{table}_{column}_idx"
            if connection.execute(IS_INVALID, {"name": f"payments.{name}"}).scalar_one_or_none():
                connection.execute(sa.text(f"DROP INDEX CONCURRENTLY payments.{name}"))
            connection.execute(
                sa.text(
                    f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {name} ON payments.{table} (workspace_id, {column}) "
                    "WHERE deleted_at IS NULL"
                )
            )
