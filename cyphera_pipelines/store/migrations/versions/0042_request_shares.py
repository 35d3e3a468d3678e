"""What each process wants to ask of a provider: until now none knew of the others' requests."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0042"
down_revision = "0041"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "request_shares",
        sa.Column(
            "participant",
            sa.UUID(),
            nullable=False,
            comment="Whoever keeps to the account's limits: one of a process, for one key",
        ),
        sa.Column(
            "account",
            sa.Text(),
            nullable=False,
            comment="The provider, its address, the account and its mode; the key's digest while that is not known",
        ),
        sa.Column(
            "wanted",
            postgresql.JSONB(none_as_null=True, astext_type=sa.Text()),
            nullable=False,
            comment="Requests per second, to read and to write: of the account under '', and by endpoint",
        ),
        sa.Column(
            "until",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="When the participant is forgotten, unless it is heard of again",
        ),
        sa.PrimaryKeyConstraint("participant", name=op.f("request_shares_pkey")),
        # Nobody needs it after a crash, and nothing has to wait until it is on a disk.
        prefixes=["UNLOGGED"],
        schema="sync",
        comment="What each process wants to ask of a provider now, so that all keep to one budget; empty after a crash",
    )
