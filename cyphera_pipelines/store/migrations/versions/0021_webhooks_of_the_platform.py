"""Which accounts may be read with the platform's key, what came to its address in vain, and the inbox by time."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "unrouted_webhook_events",
        sa.Column("provider_name", sa.Text(), nullable=False, comment="The payment provider, as in 'stripe'"),
        sa.Column("external_id", sa.Text(), nullable=False, comment="The provider's id of the event, as in 'evt_...'"),
        sa.Column("event_type", sa.Text(), nullable=False, comment="The provider's name of what happened"),
        sa.Column(
            "account_id", sa.Text(), nullable=True, comment="The account that the event names; NULL = it names none"
        ),
        sa.Column(
            "livemode",
            sa.Boolean(),
            nullable=True,
            comment="True for live data, false for the test mode; NULL = nobody can tell",
        ),
        sa.Column("reason", sa.Text(), nullable=False, comment="Why it was given to no workspace"),
        sa.Column(
            "received_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When the event came in",
        ),
        sa.PrimaryKeyConstraint("provider_name", "external_id", name=op.f("unrouted_webhook_events_pkey")),
        schema="sync",
        comment="Provider events that came to the platform's address and are of no workspace's account; not what they "
        "tell",
    )
    op.create_index(
        "unrouted_webhook_events_received_idx", "unrouted_webhook_events", ["received_at"], unique=False, schema="sync"
    )
    op.create_table(
        "platform_accounts",
        sa.Column("provider_name", sa.Text(), nullable=False, comment="The payment provider, as in 'stripe'"),
        sa.Column(
            "account_id",
            sa.Text(),
            nullable=False,
            comment="The provider's id of the account; '' = the platform's own",
        ),
        sa.Column(
            "livemode", sa.Boolean(), nullable=False, comment="True for live data, false for the provider's test mode"
        ),
        sa.Column("workspace_id", sa.UUID(), nullable=False, comment="The workspace (tenant) that the row belongs to"),
        sa.Column(
            "allowed_by",
            sa.Text(),
            nullable=False,
            comment="The operator who tied the account to the workspace, as in cli:<user>@<host>",
        ),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When that was",
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["sync.workspaces.id"], name=op.f("platform_accounts_workspace_id_fkey")
        ),
        sa.PrimaryKeyConstraint("provider_name", "account_id", "livemode", name=op.f("platform_accounts_pkey")),
        schema="sync",
        comment="Accounts that a workspace may read with the platform's key: only the operator may tie one to it",
    )
    op.create_index("platform_accounts_workspace_idx", "platform_accounts", ["workspace_id"], schema="sync")
    op.create_index(
        "webhook_events_received_idx", "webhook_events", ["workspace_id", "received_at", "external_id"], schema="sync"
    )
    op.execute("ALTER TABLE sync.unrouted_webhook_events ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE sync.platform_accounts ENABLE ROW LEVEL SECURITY")


def downgrade() -> None:
    op.drop_index("webhook_events_received_idx", table_name="webhook_events", schema="sync")
    op.drop_table("platform_accounts", schema="sync")
    op.drop_table("unrouted_webhook_events", schema="sync")
