"""Alerts, the rules of when they are told, and the channels that they are sent to."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "alert_channels",
        sa.Column(
            "id", sa.UUID(), server_default=sa.text("gen_random_uuid()"), nullable=False, comment="Id of the row"
        ),
        sa.Column(
            "workspace_id",
            sa.UUID(),
            nullable=True,
            comment="The workspace (tenant) whose channel it is; NULL = the deployment's",
        ),
        sa.Column("name", sa.Text(), nullable=False, comment="What people call it"),
        sa.Column("kind", sa.Text(), nullable=False, comment="webhook, slack, email or apprise"),
        sa.Column(
            "address",
            sa.Text(),
            nullable=False,
            comment="Where to, and the signing secret: an AES-256-GCM envelope bound to this row",
        ),
        sa.Column("address_shown", sa.Text(), nullable=False, comment="As much of the address as is no secret"),
        sa.Column(
            "causes", postgresql.ARRAY(sa.Text()), nullable=True, comment="Which causes it is told of; NULL = all"
        ),
        sa.Column(
            "only_workspaces",
            postgresql.ARRAY(sa.UUID()),
            nullable=True,
            comment="Of which workspaces it is told; NULL = all",
        ),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When it was added",
        ),
        sa.Column(
            "created_by", sa.Text(), nullable=False, comment="Who added it: api_key:<id>, cli:<user>@<host>, ..."
        ),
        sa.Column(
            "removed_at", sa.DateTime(timezone=True), nullable=True, comment="When it was removed; NULL while it exists"
        ),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True, comment="When a message was last taken"),
        sa.Column(
            "failures",
            sa.Integer(),
            server_default=sa.text("0"),
            nullable=False,
            comment="How many attempts failed one after the other; 0 once one succeeds",
        ),
        sa.Column("failing_since", sa.DateTime(timezone=True), nullable=True, comment="When the first of these failed"),
        sa.Column("last_error", sa.Text(), nullable=True, comment="What the last of them said; NULL once one succeeds"),
        sa.Column(
            "retry_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="Not to be tried again before; NULL = at once",
        ),
        sa.Column(
            "dead_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When it was given up, until a test of it succeeds; NULL = it was not",
        ),
        sa.Column(
            "claimed_until",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="Until when somebody is at work on it, at the longest; NULL = nobody is",
        ),
        sa.Column(
            "claim_number",
            sa.BigInteger(),
            server_default=sa.text("0"),
            nullable=False,
            comment="Raised with every claim: whose number it no longer is may write nothing down",
        ),
        sa.CheckConstraint("kind IN ('webhook', 'slack', 'email', 'apprise')", name=op.f("alert_channels_kind_check")),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["sync.workspaces.id"], name=op.f("alert_channels_workspace_id_fkey")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("alert_channels_pkey")),
        sa.UniqueConstraint("workspace_id", "id", name="alert_channels_workspace_key"),
        schema="sync",
        comment="Channels: where alerts are sent to",
    )
    op.create_table(
        "alert_rules",
        sa.Column(
            "id", sa.UUID(), server_default=sa.text("gen_random_uuid()"), nullable=False, comment="Id of the row"
        ),
        sa.Column(
            "workspace_id",
            sa.UUID(),
            nullable=True,
            comment="The workspace (tenant) whose rule it is; NULL = the deployment's",
        ),
        sa.Column("cause", sa.Text(), nullable=False, comment="What the rule is about"),
        sa.Column("is_on", sa.Boolean(), nullable=False, comment="Whether it is told at all"),
        sa.Column(
            "times",
            sa.Integer(),
            nullable=True,
            comment="It is told when it was met so often; NULL = that does not matter",
        ),
        sa.Column(
            "after_seconds",
            sa.Integer(),
            nullable=True,
            comment="It is told when it is so old; NULL = that does not matter",
        ),
        sa.Column(
            "all_clear_after_seconds",
            sa.Integer(),
            nullable=False,
            comment="For how long it has to be gone until that is told; the deployment's counts",
        ),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When the rule was last changed",
        ),
        sa.CheckConstraint(
            "cause IN ('failed', 'partial', 'late', 'credentials', 'given_up', 'webhooks_failing', 'webhooks_dead', 'drift')",
            name=op.f("alert_rules_cause_check"),
        ),
        sa.CheckConstraint(
            "after_seconds >= 0 AND all_clear_after_seconds >= 0", name=op.f("alert_rules_seconds_check")
        ),
        sa.CheckConstraint("times >= 1", name=op.f("alert_rules_times_check")),
        sa.ForeignKeyConstraint(["workspace_id"], ["sync.workspaces.id"], name=op.f("alert_rules_workspace_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("alert_rules_pkey")),
        schema="sync",
        comment="Rules: when alerts are told, where somebody said so",
    )
    op.create_index(
        "alert_rules_of_deployment_idx",
        "alert_rules",
        ["cause"],
        unique=True,
        schema="sync",
        postgresql_where=sa.text("workspace_id IS NULL"),
    )
    op.create_index(
        "alert_rules_of_workspace_idx",
        "alert_rules",
        ["workspace_id", "cause"],
        unique=True,
        schema="sync",
        postgresql_where=sa.text("workspace_id IS NOT NULL"),
    )
    op.create_table(
        "alerts",
        sa.Column(
            "id", sa.UUID(), server_default=sa.text("gen_random_uuid()"), nullable=False, comment="Id of the row"
        ),
        sa.Column("workspace_id", sa.UUID(), nullable=False, comment="The workspace (tenant) that the row belongs to"),
        sa.Column("provider_name", sa.Text(), nullable=False, comment="The payment provider, as in 'stripe'"),
        sa.Column(
            "cause",
            sa.Text(),
            nullable=False,
            comment="What is wrong: failed, partial, late, credentials, given_up, webhooks_failing, webhooks_dead, drift",
        ),
        sa.Column(
            "error_code",
            sa.Text(),
            nullable=True,
            comment="The stable code of what the source failed with; NULL where there is none",
        ),
        sa.Column(
            "times",
            sa.Integer(),
            nullable=False,
            comment="How often it was met: failures in a row, webhooks or rows, by cause",
        ),
        sa.Column("detail", sa.Text(), nullable=True, comment="What was said of it last"),
        sa.Column(
            "began_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="Since when it is so",
        ),
        sa.Column(
            "noticed_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When it was first noticed",
        ),
        sa.Column(
            "was_fresh_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When the source had last been fresh as it was last noticed; NULL = it never had been",
        ),
        sa.Column(
            "raised_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When the deployment's rule was met; NULL = it is not",
        ),
        sa.Column(
            "raised_for_workspace_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When the workspace's own rule was met; NULL = it is not",
        ),
        sa.Column(
            "recovered_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="Since when it is gone, if it is; it may come back before that is told",
        ),
        sa.Column(
            "ended_at", sa.DateTime(timezone=True), nullable=True, comment="When it ended; NULL while it is open"
        ),
        sa.Column("ended_because", sa.Text(), nullable=True, comment="recovered or removed; NULL while it is open"),
        sa.CheckConstraint(
            "cause IN ('failed', 'partial', 'late', 'credentials', 'given_up', 'webhooks_failing', 'webhooks_dead', 'drift')",
            name=op.f("alerts_cause_check"),
        ),
        sa.CheckConstraint("ended_because IN ('recovered', 'removed')", name=op.f("alerts_ended_because_check")),
        sa.ForeignKeyConstraint(["workspace_id"], ["sync.workspaces.id"], name=op.f("alerts_workspace_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("alerts_pkey")),
        sa.UniqueConstraint("workspace_id", "id", name="alerts_workspace_key"),
        schema="sync",
        comment="Alerts: what is, or was, wrong with a source for long enough to tell",
    )
    op.create_index(
        "alerts_ended_idx",
        "alerts",
        ["ended_at"],
        unique=False,
        schema="sync",
        postgresql_where=sa.text("ended_at IS NOT NULL"),
    )
    op.create_index(
        "alerts_one_open_idx",
        "alerts",
        ["workspace_id", "provider_name", "cause"],
        unique=True,
        schema="sync",
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_index(
        "alerts_source_idx",
        "alerts",
        ["workspace_id", "provider_name", "cause", sa.literal_column("ended_at DESC")],
        unique=False,
        schema="sync",
    )
    op.create_table(
        "alert_deliveries",
        sa.Column(
            "id", sa.UUID(), server_default=sa.text("gen_random_uuid()"), nullable=False, comment="Id of the row"
        ),
        sa.Column(
            "number",
            sa.BigInteger(),
            sa.Identity(always=False),
            nullable=False,
            comment="Their order: a channel gets one after the other",
        ),
        sa.Column("channel_id", sa.UUID(), nullable=False, comment="The channel that it is for"),
        sa.Column(
            "workspace_id",
            sa.UUID(),
            nullable=True,
            comment="The workspace (tenant) whose channel that is; NULL = the deployment's",
        ),
        sa.Column("alert_id", sa.UUID(), nullable=True, comment="The alert that it is about; NULL = several, or none"),
        sa.Column("kind", sa.Text(), nullable=False, comment="alert, all_clear, digest, digest_all_clear or test"),
        sa.Column("sources", sa.Integer(), nullable=False, comment="Of how many sources it told when it was written"),
        sa.Column(
            "provider_name",
            sa.Text(),
            nullable=True,
            comment="The payment provider of those, as in 'stripe'; NULL in a test",
        ),
        sa.Column("cause", sa.Text(), nullable=True, comment="The cause that it is about; NULL in a test"),
        sa.Column(
            "message",
            postgresql.JSONB(none_as_null=True, astext_type=sa.Text()),
            nullable=False,
            comment="What is sent; {} once it is delivered or given up",
        ),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When it was written",
        ),
        sa.Column(
            "attempts",
            sa.Integer(),
            server_default=sa.text("0"),
            nullable=False,
            comment="How often somebody tried to send it",
        ),
        sa.Column("attempted_at", sa.DateTime(timezone=True), nullable=True, comment="When that was last tried"),
        sa.Column("last_error", sa.Text(), nullable=True, comment="Why the last attempt that failed did"),
        sa.Column(
            "delivered_at", sa.DateTime(timezone=True), nullable=True, comment="When it was taken; NULL = it was not"
        ),
        sa.Column(
            "given_up_at", sa.DateTime(timezone=True), nullable=True, comment="When it was given up; NULL = it was not"
        ),
        sa.CheckConstraint(
            "kind IN ('alert', 'all_clear', 'digest', 'digest_all_clear', 'test')",
            name=op.f("alert_deliveries_kind_check"),
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "alert_id"],
            ["sync.alerts.workspace_id", "sync.alerts.id"],
            name="alert_deliveries_alert_id_fkey",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "channel_id"],
            ["sync.alert_channels.workspace_id", "sync.alert_channels.id"],
            name="alert_deliveries_channel_id_fkey",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["sync.workspaces.id"], name=op.f("alert_deliveries_workspace_id_fkey")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("alert_deliveries_pkey")),
        sa.UniqueConstraint("workspace_id", "id", name="alert_deliveries_workspace_key"),
        schema="sync",
        comment="Deliveries: every message to a channel, with what became of it",
    )
    op.create_index("alert_deliveries_alert_idx", "alert_deliveries", ["alert_id"], unique=False, schema="sync")
    op.create_index(
        "alert_deliveries_channel_idx",
        "alert_deliveries",
        ["channel_id", sa.literal_column("number DESC")],
        unique=False,
        schema="sync",
    )
    op.create_index("alert_deliveries_created_idx", "alert_deliveries", ["created_at"], unique=False, schema="sync")
    op.create_index(
        "alert_deliveries_due_idx",
        "alert_deliveries",
        ["channel_id", "number"],
        unique=False,
        schema="sync",
        postgresql_where=sa.text("delivered_at IS NULL AND given_up_at IS NULL"),
    )
    op.create_table(
        "alert_announcements",
        sa.Column("alert_id", sa.UUID(), nullable=False, comment="The alert"),
        sa.Column("channel_id", sa.UUID(), nullable=False, comment="The channel that is told of it"),
        sa.Column(
            "workspace_id",
            sa.UUID(),
            nullable=True,
            comment="The workspace (tenant) whose channel that is; NULL = the deployment's",
        ),
        sa.Column(
            "told_by",
            sa.UUID(),
            nullable=False,
            comment="The delivery that tells of it: a digest's tells of many, also of those that came later",
        ),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When that was decided",
        ),
        sa.Column(
            "cleared_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When its end was told, or found not worth telling; NULL until then",
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "alert_id"],
            ["sync.alerts.workspace_id", "sync.alerts.id"],
            name="alert_announcements_alert_id_fkey",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "channel_id"],
            ["sync.alert_channels.workspace_id", "sync.alert_channels.id"],
            name="alert_announcements_channel_id_fkey",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "told_by"],
            ["sync.alert_deliveries.workspace_id", "sync.alert_deliveries.id"],
            name="alert_announcements_told_by_fkey",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["sync.workspaces.id"], name=op.f("alert_announcements_workspace_id_fkey")
        ),
        sa.PrimaryKeyConstraint("alert_id", "channel_id", name=op.f("alert_announcements_pkey")),
        schema="sync",
        comment="Which channel was told of which alert, so that it is told once of its beginning and once of its end",
    )
    op.create_index("alert_announcements_told_idx", "alert_announcements", ["told_by"], unique=False, schema="sync")
    op.create_index(
        "alert_announcements_uncleared_idx",
        "alert_announcements",
        ["channel_id", "told_by"],
        unique=False,
        schema="sync",
        postgresql_where=sa.text("cleared_at IS NULL"),
    )
    op.create_index(
        "verifications_differing_idx",
        "verifications",
        ["workspace_id", "provider_name"],
        unique=False,
        schema="sync",
        postgresql_where=sa.text("open_differences > 0"),
    )
    op.create_index(
        "webhook_events_failed_idx",
        "webhook_events",
        ["workspace_id", "provider_name"],
        unique=False,
        schema="sync",
        postgresql_where=sa.text("handled_at IS NULL AND attempts > 0"),
    )
    for table in ("alerts", "alert_rules", "alert_channels", "alert_deliveries", "alert_announcements"):
        op.execute(f"ALTER TABLE sync.{table} ENABLE ROW LEVEL SECURITY")
