"""Analysts: which login role of Postgres may read which workspace's synced tables."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "workspace_analysts",
        sa.Column("role_name", sa.Text(), nullable=False, comment="The role that the analyst logs in to Postgres as"),
        sa.Column("workspace_id", sa.UUID(), nullable=False, comment="The workspace (tenant) that the row belongs to"),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When the analyst was let in",
        ),
        sa.ForeignKeyConstraint(["workspace_id"], ["sync.workspaces.id"], name="workspace_analysts_workspace_id_fkey"),
        sa.PrimaryKeyConstraint("role_name", name="workspace_analysts_pkey"),
        schema="sync",
        comment="Analysts: login roles of Postgres, each of which may read one workspace's synced tables",
    )
