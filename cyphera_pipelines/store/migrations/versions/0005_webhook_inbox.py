"""The inbox of webhooks."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

CURRENT_WORKSPACE = "(SELECT nullif(current_setting('cyphera.workspace_id', true), '')::uuid)"


def upgrade() -> None:
    op.create_table(
        "webhook_events",
        sa.Column("workspace_id", sa.UUID(), nullable=False, comment="The workspace (tenant) that the row belongs to"),
        sa.Column("provider_name", sa.Text(), nullable=False, comment="The payment provider, as in 'stripe'"),
        sa.Column(
            "livemode", sa.Boolean(), nullable=False, comment="True for live data, false for the provider's test mode"
        ),
        sa.Column("external_id", sa.Text(), nullable=False, comment="The provider's id of the event, as in 'evt_...'"),
        sa.Column("event_type", sa.Text(), nullable=False, comment="The provider's name of what happened"),
        sa.Column("entity_type", sa.Text(), nullable=False, comment="The entity that the event is about"),
        sa.Column("payload", postgresql.JSONB(none_as_null=True), nullable=False, comment="The event as it came in"),
        sa.Column(
            "received_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When the event came in",
        ),
        sa.Column(
            "handled_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When what it tells was in the tables; NULL until then",
        ),
        sa.ForeignKeyConstraint(["workspace_id"], ["sync.workspaces.id"], name="webhook_events_workspace_id_fkey"),
        sa.PrimaryKeyConstraint("workspace_id", "provider_name", "livemode", "external_id", name="webhook_events_pkey"),
        schema="sync",
        comment="The inbox of webhooks: provider events that were told to us, each kept once",
    )
    op.create_index(
        "webhook_events_unhandled_idx",
        "webhook_events",
        ["workspace_id", "provider_name", "received_at"],
        schema="sync",
        postgresql_where=sa.text("handled_at IS NULL"),
    )
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON sync.webhook_events TO cyphera_tenant")
    op.execute("ALTER TABLE sync.webhook_events ENABLE ROW LEVEL SECURITY")
    op.execute(
        "CREATE POLICY own_workspace ON sync.webhook_events TO cyphera_tenant "
        f"USING (workspace_id = {CURRENT_WORKSPACE}) WITH CHECK (workspace_id = {CURRENT_WORKSPACE})"
    )
