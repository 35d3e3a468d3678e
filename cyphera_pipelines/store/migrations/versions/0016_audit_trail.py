"""The audit trail."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "audit_entries",
        sa.Column(
            "id", sa.UUID(), server_default=sa.text("gen_random_uuid()"), nullable=False, comment="Id of the row"
        ),
        sa.Column(
            "occurred_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When it was done",
        ),
        sa.Column("workspace_id", sa.UUID(), nullable=False, comment="The workspace (tenant) that it was done to"),
        sa.Column("actor", sa.Text(), nullable=False, comment="Who did it: api_key:<id>, cli:<user>@<host>, ..."),
        sa.Column("actor_name", sa.Text(), nullable=True, comment="What the key was called then; NULL for others"),
        sa.Column("action", sa.Text(), nullable=False, comment="What was done, as in configuration.changed"),
        sa.Column("subject_id", sa.Text(), nullable=False, comment="Id, or name, of what it was done to"),
        sa.Column("outcome", sa.Text(), nullable=False, comment="done or refused"),
        sa.Column(
            "details",
            JSONB(none_as_null=True),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
            comment="Which fields were changed, and what else helps to understand it; never a secret",
        ),
        sa.CheckConstraint("outcome IN ('done', 'refused')", name="audit_entries_outcome_check"),
        sa.PrimaryKeyConstraint("id", name="audit_entries_pkey"),
        schema="sync",
        comment="The audit trail: who did what to which configuration, key or workspace",
    )
    op.create_index(
        "audit_entries_workspace_idx",
        "audit_entries",
        ["workspace_id", sa.text("occurred_at DESC")],
        schema="sync",
    )
    op.create_index("audit_entries_occurred_idx", "audit_entries", ["occurred_at"], schema="sync")
    op.execute("ALTER TABLE sync.audit_entries ENABLE ROW LEVEL SECURITY")
