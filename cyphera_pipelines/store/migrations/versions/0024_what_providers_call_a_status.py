"""What providers call a status, and products whose provider does not say when they were made.

No row is rewritten: the mapping's raised version fills the column as each account is listed anew.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "invoices",
        sa.Column("provider_status", sa.Text(), nullable=True, comment="What the provider calls the status"),
        schema="payments",
    )
    op.alter_column(
        "products",
        "created",
        existing_type=postgresql.TIMESTAMP(timezone=True),
        nullable=True,
        comment="When the product was created; NULL where the provider does not say",
        existing_comment="When the product was created",
        schema="payments",
    )
    op.add_column(
        "subscriptions",
        sa.Column("provider_status", sa.Text(), nullable=True, comment="What the provider calls the status"),
        schema="payments",
    )
    op.alter_column(
        "subscriptions",
        "status",
        existing_type=sa.TEXT(),
        comment="active, trialing, past_due, canceled, paused, incomplete, incomplete_expired or unpaid; scheduled where it has yet to begin",
        existing_comment="active, trialing, past_due, canceled, paused, incomplete, incomplete_expired or unpaid",
        existing_nullable=True,
        schema="payments",
    )
