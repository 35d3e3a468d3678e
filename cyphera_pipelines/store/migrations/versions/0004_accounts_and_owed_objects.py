"""Which account a source's rows are of, and which of its objects are still owed."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

CURRENT_WORKSPACE = "(SELECT nullif(current_setting('cyphera.workspace_id', true), '')::uuid)"


def upgrade() -> None:
    op.add_column(
        "sync_cursors",
        sa.Column(
            "owed",
            postgresql.JSONB(none_as_null=True),
            server_default=sa.text("'[]'::jsonb"),
            nullable=False,
            comment="Ids of objects that could not be read to their end; the next sync asks for them",
        ),
        schema="sync",
    )
    op.create_table(
        "synced_accounts",
        sa.Column("workspace_id", sa.UUID(), nullable=False, comment="The workspace (tenant) that the row belongs to"),
        sa.Column("provider_name", sa.Text(), nullable=False, comment="The payment provider, as in 'stripe'"),
        sa.Column(
            "livemode", sa.Boolean(), nullable=False, comment="True for live data, false for the provider's test mode"
        ),
        sa.Column(
            "account_id",
            sa.Text(),
            nullable=True,
            comment="The provider's id of the account; NULL where the key may not read it",
        ),
        sa.Column(
            "key_digest",
            postgresql.BYTEA(),
            nullable=False,
            comment="SHA-256 of the address and key that opened the account",
        ),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When another key or account was last seen",
        ),
        sa.ForeignKeyConstraint(["workspace_id"], ["sync.workspaces.id"], name="synced_accounts_workspace_id_fkey"),
        sa.PrimaryKeyConstraint("workspace_id", "provider_name", "livemode", name="synced_accounts_pkey"),
        schema="sync",
        comment="Which account each source's rows and positions are of",
    )
    op.execute("GRANT SELECT, INSERT, UPDATE ON sync.synced_accounts TO cyphera_tenant")
    op.execute("ALTER TABLE sync.synced_accounts ENABLE ROW LEVEL SECURITY")
    op.execute(
        "CREATE POLICY own_workspace ON sync.synced_accounts TO cyphera_tenant "
        f"USING (workspace_id = {CURRENT_WORKSPACE}) WITH CHECK (workspace_id = {CURRENT_WORKSPACE})"
    )
