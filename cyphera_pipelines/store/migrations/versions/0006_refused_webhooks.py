"""What was refused of the webhooks of a configuration."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "workspace_payment_configurations",
        sa.Column(
            "last_webhook_refused_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When a webhook was last refused, because it is of another account",
        ),
        schema="sync",
    )
    op.add_column(
        "workspace_payment_configurations",
        sa.Column(
            "last_webhook_refusal",
            sa.Text(),
            nullable=True,
            comment="Why the last webhook that was refused was",
        ),
        schema="sync",
    )
