"""Invoices by the date on them, by which a provider may list them."""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "invoices_effective_at_idx",
        "invoices",
        ["workspace_id", "provider", "livemode", "effective_at"],
        unique=False,
        schema="payments",
        postgresql_where=sa.text("deleted_at IS NULL"),
    )
