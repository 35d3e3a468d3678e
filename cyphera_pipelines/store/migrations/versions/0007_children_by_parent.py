"""Children have their parent in their key, and an occurrence: a provider's child ids are not unique.

The new index is built before any strong lock is taken: meanwhile a table is read as ever, and writes to it wait. Only
the columns that come first, in a transaction of their own (0007), and the exchange of the keys at the end (0008) lock
readers out: for milliseconds. While it is built, the disk holds the old indexes too.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

TABLES = ("price_tiers", "subscription_items", "invoice_line_items")
COMMENT = "0; 1, 2, ... for further rows of one parent that the provider gave the same id, in its order"


def upgrade() -> None:
    for name in TABLES:
        op.add_column(
            name,
            sa.Column("occurrence", sa.BigInteger(), server_default=sa.text("0"), nullable=False, comment=COMMENT),
            schema="payments",
        )
