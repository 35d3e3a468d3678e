"""Keys of the HTTP API, and an index for what its metrics ask."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

CURRENT_WORKSPACE = "(SELECT nullif(current_setting('cyphera.workspace_id', true), '')::uuid)"


def upgrade() -> None:
    op.create_table(
        "workspace_api_keys",
        sa.Column(
            "id", sa.UUID(), server_default=sa.text("gen_random_uuid()"), nullable=False, comment="Id of the row"
        ),
        sa.Column("workspace_id", sa.UUID(), nullable=False, comment="The workspace (tenant) that the row belongs to"),
        sa.Column("name", sa.Text(), nullable=False, comment="What the key is for, as its maker called it"),
        sa.Column(
            "key_hash",
            postgresql.BYTEA(),
            nullable=False,
            comment="SHA-256 of the key's secret; the key itself is kept nowhere",
        ),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When the key was made",
        ),
        sa.Column(
            "last_used_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When the key was last used, to the minute; NULL = never",
        ),
        sa.Column(
            "revoked_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When the key was revoked; NULL while it works",
        ),
        sa.ForeignKeyConstraint(["workspace_id"], ["sync.workspaces.id"], name="workspace_api_keys_workspace_id_fkey"),
        sa.PrimaryKeyConstraint("id", name="workspace_api_keys_pkey"),
        schema="sync",
        comment="Keys of the HTTP API: each opens one workspace",
    )
    op.create_index("workspace_api_keys_workspace_idx", "workspace_api_keys", ["workspace_id"], schema="sync")
    op.create_index("payment_sync_sessions_completed_idx", "payment_sync_sessions", ["completed_at"], schema="sync")
    # Whoever acts for a workspace may see its keys and note their use, but neither make one nor revive a revoked one.
    op.execute("GRANT SELECT, UPDATE (last_used_at) ON sync.workspace_api_keys TO cyphera_tenant")
    op.execute("ALTER TABLE sync.workspace_api_keys ENABLE ROW LEVEL SECURITY")
    op.execute(
        "CREATE POLICY own_workspace ON sync.workspace_api_keys TO cyphera_tenant "
        f"USING (workspace_id = {CURRENT_WORKSPACE}) WITH CHECK (workspace_id = {CURRENT_WORKSPACE})"
    )
