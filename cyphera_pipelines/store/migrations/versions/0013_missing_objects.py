"""What is missing from the tables, until it is mended."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "missing_objects",
        sa.Column("workspace_id", sa.UUID(), nullable=False, comment="The workspace (tenant) that the row belongs to"),
        sa.Column("provider_name", sa.Text(), nullable=False, comment="The payment provider, as in 'stripe'"),
        sa.Column(
            "livemode", sa.Boolean(), nullable=False, comment="True for live data, false for the provider's test mode"
        ),
        sa.Column("entity_type", sa.Text(), nullable=False, comment="The entity that the object is one of"),
        sa.Column(
            "object_id", sa.Text(), nullable=False, comment="The provider's id of the object, or what stands for it"
        ),
        sa.Column("kind", sa.Text(), nullable=False, comment="not_loaded, incomplete, absence_unproven or not_named"),
        sa.Column("reason", sa.Text(), nullable=False, comment="Why it is missing, for people"),
        sa.Column("objects", sa.Integer(), nullable=False, comment="How many objects the row stands for"),
        sa.Column(
            "listing", sa.Double(), nullable=True, comment="Which listing last met it; NULL where an event told of it"
        ),
        sa.Column("first_session_id", sa.UUID(), nullable=False, comment="The session that met it first"),
        sa.Column("last_session_id", sa.UUID(), nullable=False, comment="The session that met it last"),
        sa.Column(
            "first_seen_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When it was first met",
        ),
        sa.Column(
            "last_seen_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When it was last met",
        ),
        sa.CheckConstraint(
            "kind IN ('not_loaded', 'incomplete', 'absence_unproven', 'not_named')", name="missing_objects_kind_check"
        ),
        sa.ForeignKeyConstraint(["workspace_id"], ["sync.workspaces.id"], name="missing_objects_workspace_id_fkey"),
        sa.PrimaryKeyConstraint(
            "workspace_id", "provider_name", "livemode", "entity_type", "object_id", name="missing_objects_pkey"
        ),
        schema="sync",
        comment="What is missing from the synced tables, until it is mended",
    )
    op.execute("ALTER TABLE sync.missing_objects ENABLE ROW LEVEL SECURITY")
