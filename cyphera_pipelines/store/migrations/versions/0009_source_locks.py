"""Numbers of the sources' locks, and events that hang on sessions of their own workspace only."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "source_locks",
        sa.Column("workspace_id", sa.UUID(), nullable=False, comment="The workspace (tenant) that the row belongs to"),
        sa.Column("provider_name", sa.Text(), nullable=False, comment="The payment provider, as in 'stripe'"),
        sa.Column(
            "number", sa.BigInteger(), nullable=False, comment="The advisory lock that a sync of the source holds"
        ),
        sa.Column(
            "replaced_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When a stranger was found to hold the last number; NULL = never",
        ),
        sa.ForeignKeyConstraint(["workspace_id"], ["sync.workspaces.id"], name="source_locks_workspace_id_fkey"),
        sa.PrimaryKeyConstraint("workspace_id", "provider_name", name="source_locks_pkey"),
        schema="sync",
        comment="Which advisory lock is each source's: for the pipeline's own role only",
    )
    op.execute("ALTER TABLE sync.source_locks ENABLE ROW LEVEL SECURITY")
    op.create_unique_constraint(
        "payment_sync_sessions_workspace_key", "payment_sync_sessions", ["workspace_id", "id"], schema="sync"
    )
    op.drop_constraint("payment_sync_events_session_id_fkey", "payment_sync_events", schema="sync")
    op.create_foreign_key(
        "payment_sync_events_session_fkey",
        "payment_sync_events",
        "payment_sync_sessions",
        ["workspace_id", "session_id"],
        ["workspace_id", "id"],
        source_schema="sync",
        referent_schema="sync",
    )
