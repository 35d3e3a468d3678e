"""Purges: what is asked for, and how far it is."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "purges",
        sa.Column(
            "id", sa.UUID(), server_default=sa.text("gen_random_uuid()"), nullable=False, comment="Id of the row"
        ),
        sa.Column("workspace_id", sa.UUID(), nullable=False, comment="The workspace (tenant) that is purged"),
        sa.Column("workspace_slug", sa.Text(), nullable=False, comment="Its slug"),
        sa.Column(
            "provider_name", sa.Text(), nullable=True, comment="The provider of the one source; NULL = everything"
        ),
        sa.Column(
            "status",
            sa.Text(),
            server_default=sa.text("'requested'"),
            nullable=False,
            comment="requested, running or completed",
        ),
        sa.Column(
            "deleted",
            JSONB(none_as_null=True),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
            comment="How many rows were deleted, by table, and how many of Dagster's runs",
        ),
        sa.Column("waits_for", sa.Text(), nullable=True, comment="What it cannot go on without; NULL while it does"),
        sa.Column("requested_by", sa.Text(), nullable=False, comment="Who asked: api_key:<id>, cli:<user>@<host>, ..."),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When it was asked for",
        ),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When somebody was last at work on it",
        ),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True, comment="When nothing was left"),
        sa.CheckConstraint("status IN ('requested', 'running', 'completed')", name="purges_status_check"),
        sa.PrimaryKeyConstraint("id", name="purges_pkey"),
        schema="sync",
        comment="Purges: the removal of all that is kept of a workspace, or of one of its sources",
    )
    op.create_index(
        "purges_under_way_idx",
        "purges",
        ["workspace_id"],
        schema="sync",
        postgresql_where=sa.text("completed_at IS NULL"),
    )
    op.execute("ALTER TABLE sync.purges ENABLE ROW LEVEL SECURITY")
