"""How `raw` is kept: compressing it with pglz, Postgres' default, is a quarter of what a first load costs Postgres."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

TABLES = (
    "customers",
    "invoice_line_items",
    "invoices",
    "price_currency_options",
    "price_tiers",
    "prices",
    "products",
    "subscription_items",
    "subscriptions",
)
KNOWS_LZ4 = sa.text("SELECT 'lz4' = ANY (enumvals) FROM pg_settings WHERE name = 'default_toast_compression'")


def upgrade() -> None:
    # Rows that are there stay as they are until they are written again.
    way = "COMPRESSION lz4" if op.get_bind().execute(KNOWS_LZ4).scalar() else "STORAGE EXTERNAL"
    for table in TABLES:
        op.execute(f"ALTER TABLE payments.{table} ALTER COLUMN raw SET {way}")
