"""Sources that are paused, names for people, and workspaces that are deleted but keep their rows."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "source_schedules",
        sa.Column("workspace_id", sa.UUID(), nullable=False, comment="The workspace (tenant) that the row belongs to"),
        sa.Column("provider_name", sa.Text(), nullable=False, comment="The payment provider, as in 'stripe'"),
        sa.Column(
            "paused_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="Since when no sync of the source starts; NULL while they may",
        ),
        sa.Column("paused_reason", sa.Text(), nullable=True, comment="Why, as whoever paused it said"),
        sa.Column("paused_by", sa.Text(), nullable=True, comment="Who paused it: api_key:<id>, cli:<user>@<host>, ..."),
        sa.ForeignKeyConstraint(["workspace_id"], ["sync.workspaces.id"], name="source_schedules_workspace_id_fkey"),
        sa.PrimaryKeyConstraint("workspace_id", "provider_name", name="source_schedules_pkey"),
        schema="sync",
        comment="When the syncs of a source start by themselves, and whether they may",
    )
    op.execute("ALTER TABLE sync.source_schedules ENABLE ROW LEVEL SECURITY")
    label = sa.Column("label", sa.Text(), nullable=True, comment="What people call the source")
    op.add_column("workspace_payment_configurations", label, schema="sync")
    deleted_at = sa.Column(
        "deleted_at",
        sa.DateTime(timezone=True),
        nullable=True,
        comment="When the workspace was deleted; its rows stay until they are purged",
    )
    op.add_column("workspaces", deleted_at, schema="sync")
