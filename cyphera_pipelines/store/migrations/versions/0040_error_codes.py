"""What kind of error a session ended with, a source fails with or is paused for: until now only sentences told."""

import sqlalchemy as sa
from alembic import op

revision = "0040"
down_revision = "0039"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "payment_sync_sessions",
        sa.Column(
            "error_code",
            sa.Text(),
            nullable=True,
            comment="The code of what went wrong, as in docs/errors.md; NULL where nothing did, and before there were codes",
        ),
        schema="sync",
    )
    op.add_column(
        "source_schedules",
        sa.Column(
            "last_failure_code",
            sa.Text(),
            nullable=True,
            comment="The error code of last_failure, as docs/errors.md lists them",
        ),
        schema="sync",
    )
    op.add_column(
        "source_schedules",
        sa.Column(
            "paused_code",
            sa.Text(),
            nullable=True,
            comment="The error code of what it is paused for; NULL for a pause that a person made",
        ),
        schema="sync",
    )
