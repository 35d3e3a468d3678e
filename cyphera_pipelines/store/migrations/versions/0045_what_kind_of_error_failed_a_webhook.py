"""Webhooks that could not be applied say of what kind the error was; those that failed before say so when they next do."""

import sqlalchemy as sa
from alembic import op

revision = "0045"
down_revision = "0044"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "webhook_events",
        sa.Column("error_code", sa.Text(), nullable=True, comment="What kind of error that was"),
        schema="sync",
    )
