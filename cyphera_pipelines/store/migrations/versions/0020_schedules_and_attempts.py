"""When sources are due, who is at work on them, and what became of webhooks that a sync could not apply."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

_CHECKS = {
    "paused_kind": "paused_kind IN ('person', 'credentials', 'failures')",
    "changes_every_seconds": "changes_every_seconds BETWEEN 300 AND 604800",
    "listing_every_seconds": "listing_every_seconds BETWEEN 3600 AND 7776000",
    "time_zone": "(daily_at IS NULL) = (time_zone IS NULL)",
}
# Fresh is what the positions say, once all entities have one: they are a little older than it was.
_FRESH = """
    UPDATE sync.source_schedules AS schedule SET fresh_at = position.watermark
    FROM (
        SELECT workspace_id, provider_name, livemode, min(watermark) AS watermark FROM sync.sync_cursors
        GROUP BY workspace_id, provider_name, livemode
        HAVING count(*) = 5 AND count(watermark) = 5
    ) AS position
    JOIN sync.workspace_payment_configurations AS configuration USING (workspace_id, provider_name)
    WHERE configuration.is_active AND configuration.deleted_at IS NULL
    AND position.livemode = NOT configuration.is_test_mode AND position.watermark <= now()
    AND (schedule.workspace_id, schedule.provider_name) = (position.workspace_id, position.provider_name)
"""
# Spread over the hour and the week: nothing is to start all sources at once because the program was upgraded.
_SCHEDULES_OF_WHAT_IS_THERE = """
    INSERT INTO sync.source_schedules (workspace_id, provider_name, due_at, listing_due_at)
    SELECT workspace_id, provider_name, now() + spread * interval '1 hour', now() + spread * interval '7 days'
    FROM (
        SELECT workspace_id, provider_name,
            (('x' || substr(md5(workspace_id || ':' || provider_name), 1, 8))::bit(32)::bigint & 65535) / 65536.0
            AS spread
        FROM sync.workspace_payment_configurations WHERE is_active AND deleted_at IS NULL
    ) AS sources
    ON CONFLICT (workspace_id, provider_name)
    DO UPDATE SET due_at = excluded.due_at, listing_due_at = excluded.listing_due_at
"""


def upgrade() -> None:
    op.add_column(
        "source_schedules",
        sa.Column(
            "paused_kind",
            sa.Text(),
            nullable=True,
            comment="person, credentials or failures; NULL while it is not paused",
        ),
        schema="sync",
    )
    op.add_column(
        "source_schedules",
        sa.Column(
            "changes_every_seconds",
            sa.Integer(),
            server_default=sa.text("3600"),
            nullable=False,
            comment="How often changes are applied, unless that is daily at a time",
        ),
        schema="sync",
    )
    op.add_column(
        "source_schedules",
        sa.Column(
            "daily_at",
            sa.Text(),
            nullable=True,
            comment="The time of day, as in '02:30', at which changes are applied once a day",
        ),
        schema="sync",
    )
    op.add_column(
        "source_schedules",
        sa.Column(
            "time_zone", sa.Text(), nullable=True, comment="Where that is the time of day, as in 'Europe/Berlin'"
        ),
        schema="sync",
    )
    op.add_column(
        "source_schedules",
        sa.Column(
            "listing_every_seconds",
            sa.Integer(),
            server_default=sa.text("604800"),
            nullable=False,
            comment="How often everything is listed anew, and what is gone is proven",
        ),
        schema="sync",
    )
    op.add_column(
        "source_schedules",
        sa.Column(
            "due_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When changes are due to be applied next",
        ),
        schema="sync",
    )
    op.add_column(
        "source_schedules",
        sa.Column(
            "listing_due_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="From when on the next sync that is due lists everything",
        ),
        schema="sync",
    )
    op.add_column(
        "source_schedules",
        sa.Column(
            "wanted_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="Since when a sync is wanted out of turn, as what a webhook told waits for it; NULL = it is not",
        ),
        schema="sync",
    )
    op.add_column(
        "source_schedules",
        sa.Column(
            "checked_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When the provider was last asked for changes, whatever became of it",
        ),
        schema="sync",
    )
    op.add_column(
        "source_schedules",
        sa.Column(
            "fresh_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When the tables were last found, or made, to be as the provider has it",
        ),
        schema="sync",
    )
    op.add_column(
        "source_schedules",
        sa.Column(
            "failures",
            sa.Integer(),
            server_default=sa.text("0"),
            nullable=False,
            comment="How many checks and syncs failed one after the other; 0 once one succeeds",
        ),
        schema="sync",
    )
    op.add_column(
        "source_schedules",
        sa.Column("failing_since", sa.DateTime(timezone=True), nullable=True, comment="When the first of these failed"),
        schema="sync",
    )
    op.add_column(
        "source_schedules",
        sa.Column(
            "last_failure",
            sa.Text(),
            nullable=True,
            comment="What the last one that failed said; NULL once one succeeds",
        ),
        schema="sync",
    )
    op.add_column(
        "source_schedules",
        sa.Column(
            "claimed_by", sa.UUID(), nullable=True, comment="The worker that is at work on the source; NULL = none"
        ),
        schema="sync",
    )
    op.add_column(
        "source_schedules",
        sa.Column(
            "claim_number",
            sa.BigInteger(),
            server_default=sa.text("0"),
            nullable=False,
            comment="Raised with every claim: a worker whose number it no longer is may not write",
        ),
        schema="sync",
    )
    op.add_column(
        "source_schedules",
        sa.Column(
            "lease_until",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="Until when the worker has it, unless it is heard of again",
        ),
        schema="sync",
    )
    op.add_column(
        "source_schedules",
        sa.Column(
            "unchanged_from",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="From when on the provider is known to have told of no change",
        ),
        schema="sync",
    )
    op.add_column(
        "source_schedules",
        sa.Column(
            "unchanged_until",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="Until when it is; the positions that lie between are as good as this one",
        ),
        schema="sync",
    )
    op.add_column(
        "source_schedules",
        sa.Column(
            "unchanged_key_digest",
            postgresql.BYTEA(),
            nullable=True,
            comment="Which account that is true of: see synced_accounts.key_digest",
        ),
        schema="sync",
    )
    op.create_index(
        "source_schedules_due_idx",
        "source_schedules",
        ["due_at"],
        unique=False,
        schema="sync",
        postgresql_where=sa.text("paused_at IS NULL"),
    )
    op.create_index(
        "source_schedules_lease_idx",
        "source_schedules",
        ["lease_until"],
        unique=False,
        schema="sync",
        postgresql_where=sa.text("claimed_by IS NOT NULL"),
    )
    op.create_index(
        "source_schedules_wanted_idx",
        "source_schedules",
        ["wanted_at"],
        unique=False,
        schema="sync",
        postgresql_where=sa.text("paused_at IS NULL AND wanted_at IS NOT NULL"),
    )
    op.create_index(
        "source_schedules_workspace_due_idx",
        "source_schedules",
        ["workspace_id", "due_at"],
        unique=False,
        schema="sync",
        postgresql_where=sa.text("paused_at IS NULL"),
    )
    op.add_column(
        "webhook_events",
        sa.Column(
            "handled_by", sa.Text(), nullable=True, comment="at_once: as it came in; sync: by a sync; NULL until then"
        ),
        schema="sync",
    )
    op.add_column(
        "webhook_events",
        sa.Column(
            "attempts",
            sa.Integer(),
            server_default=sa.text("0"),
            nullable=False,
            comment="How many syncs have tried to bring it into the tables, and failed",
        ),
        schema="sync",
    )
    op.add_column(
        "webhook_events",
        sa.Column("last_error", sa.Text(), nullable=True, comment="What the last of them said"),
        schema="sync",
    )
    op.add_column(
        "webhook_events",
        sa.Column(
            "retry_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="Not to be tried again before; NULL = with the next sync",
        ),
        schema="sync",
    )
    op.add_column(
        "webhook_events",
        sa.Column(
            "dead_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When it was given up, until somebody replays it; NULL = it was not",
        ),
        schema="sync",
    )
    for name, condition in _CHECKS.items():
        op.create_check_constraint(f"source_schedules_{name}_check", "source_schedules", condition, schema="sync")
    op.create_check_constraint(
        "webhook_events_handled_by_check", "webhook_events", "handled_by IN ('at_once', 'sync')", schema="sync"
    )
    op.execute("UPDATE sync.source_schedules SET paused_kind = 'person' WHERE paused_at IS NOT NULL")
    op.execute("UPDATE sync.webhook_events SET handled_by = 'sync' WHERE handled_at IS NOT NULL")
    op.execute(_SCHEDULES_OF_WHAT_IS_THERE)
    op.execute(_FRESH)
