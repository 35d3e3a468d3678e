"""Forgetting what is over, a bounded piece at a time: by a sensor of Dagster's, or by `cyphera db prune`."""

import time
from dataclasses import dataclass

from sqlalchemy import text

from cyphera_pipelines.model.quotas import Retention
from cyphera_pipelines.store.database import Database

SESSIONS_AT_ONCE = 200
ROWS_AT_ONCE = 5_000
"""Rows of one transaction: it holds nobody up for longer than a moment."""


@dataclass
class Forgotten:
    """How many rows were deleted, and whether that was all that there was to delete."""

    sessions: int = 0
    events: int = 0
    webhooks: int = 0
    configurations: int = 0
    audit_entries: int = 0
    writes: int = 0
    alerts: int = 0
    is_all: bool = True

    def __str__(self) -> str:
        """As in "2 sessions, 31 events, ..., 0 alerts and 0 audit entries"."""
        return (
            f"{self.sessions} sessions, {self.events} events, {self.webhooks} webhooks, "
            f"{self.configurations} removed configurations, {self.writes} writes, {self.alerts} alerts and "
            f"{self.audit_entries} audit entries"
        )


def forget_old(database: Database, retention: Retention, *, within: float) -> Forgotten:
    """Delete what is older than it is kept, beginning no piece after so many seconds.

    What is still needed stays, however old: a source's newest session, sessions that have not ended, and those that an
    unfinished listing, or what is still owed or missing, goes back to.
    """
    forgotten, deadline = Forgotten(), time.monotonic() + within
    days = {
        "sessions": retention.sessions_days,
        "handled": retention.handled_webhooks_days,
        "waiting": retention.waiting_webhooks_days,
        "orphaned": retention.orphaned_webhooks_days,
        "dead": retention.dead_webhooks_days,
        "unrouted": retention.unrouted_webhooks_days,
        "most_unrouted": retention.unrouted_webhooks,
        "removed": retention.removed_configurations_days,
        "audit": retention.audit_days,
        "writes": retention.writes_days,
        "alerts": retention.alerts_days,
        "most": retention.handled_webhooks,
        "most_audit": retention.audit_entries,
        "limit": ROWS_AT_ONCE,
    }

    def delete(statement: str, **more: object) -> int:
        """Delete piece by piece."""
        count = 0
        while time.monotonic() < deadline:
            with database.control() as connection:
                deleted = connection.execute(text(statement), days | more).rowcount
            count += deleted
            if deleted < ROWS_AT_ONCE:
                return count
        forgotten.is_all = False
        return count

    while time.monotonic() < deadline:
        with database.control() as connection:
            ids = connection.execute(text(_OLD_SESSIONS), days | {"most_sessions": SESSIONS_AT_ONCE}).scalars().all()
        if not ids:
            break
        forgotten.events += delete(_EVENTS, ids=ids)
        if forgotten.is_all:
            forgotten.sessions += delete(_SESSIONS, ids=ids)
    else:
        forgotten.is_all = False
    for statement in (_HANDLED, _TOO_MANY_HANDLED, _WAITING, _ORPHANED, _DEAD, _UNROUTED, _TOO_MANY_UNROUTED):
        forgotten.webhooks += delete(statement)
    forgotten.configurations += delete(_REMOVED)
    forgotten.writes += delete(_WRITES)
    delete(_PAGE_ACTIONS)
    forgotten.alerts += delete(_ALERTS)
    for statement in (_DELIVERIES, _REMOVED_CHANNELS):
        delete(statement)
    for statement in (_AUDIT, _TOO_MUCH_AUDIT, _PURGES):
        forgotten.audit_entries += delete(statement)
    return forgotten


def _first_rows(table: str, condition: str) -> str:
    return f"DELETE FROM {table} WHERE ctid = ANY (ARRAY (SELECT ctid FROM {table} WHERE {condition} LIMIT :limit))"


def _beyond_the_newest(table: str, moment: str, most: str) -> str:
    """Of each workspace's rows that have that moment, all but so many of the newest."""
    return f"""
        DELETE FROM {table} WHERE ctid = ANY (ARRAY (
            SELECT row FROM (
                SELECT ctid AS row, row_number() OVER (PARTITION BY workspace_id ORDER BY {moment} DESC) AS number
                FROM {table} WHERE {moment} IS NOT NULL
            ) AS numbered WHERE number > :{most} LIMIT :limit
        ))
    """


_BEFORE = "< now() - make_interval(days => :{})"
_OLD_SESSIONS = f"""
    SELECT id FROM sync.payment_sync_sessions AS session
    WHERE status NOT IN ('pending', 'running') AND completed_at {_BEFORE.format("sessions")}
    AND EXISTS (
        SELECT FROM sync.payment_sync_sessions AS newer
        WHERE newer.workspace_id = session.workspace_id AND newer.provider_name = session.provider_name
        AND newer.created_at > session.created_at
    )
    AND NOT EXISTS (
        SELECT FROM sync.sync_cursors AS cursor
        WHERE cursor.workspace_id = session.workspace_id AND cursor.provider_name = session.provider_name
        AND strpos(to_jsonb(cursor)::text, session.id::text) > 0
    )
    AND NOT EXISTS (
        SELECT FROM sync.missing_objects AS missing
        WHERE missing.workspace_id = session.workspace_id AND session.id IN (first_session_id, last_session_id)
    )
    ORDER BY completed_at LIMIT :most_sessions
"""
_EVENTS = _first_rows("sync.payment_sync_events", "session_id = ANY (:ids)")
_SESSIONS = _first_rows("sync.payment_sync_sessions", "id = ANY (:ids)")
_HANDLED = _first_rows("sync.webhook_events", f"handled_at {_BEFORE.format('handled')}")
_WAITING = _first_rows(
    "sync.webhook_events", f"handled_at IS NULL AND dead_at IS NULL AND received_at {_BEFORE.format('waiting')}"
)
_DEAD = _first_rows("sync.webhook_events", f"handled_at IS NULL AND dead_at {_BEFORE.format('dead')}")
_UNROUTED = _first_rows("sync.unrouted_webhook_events", f"received_at {_BEFORE.format('unrouted')}")
_TOO_MANY_UNROUTED = """
    DELETE FROM sync.unrouted_webhook_events WHERE ctid = ANY (ARRAY (
        SELECT ctid FROM sync.unrouted_webhook_events ORDER BY received_at DESC OFFSET :most_unrouted LIMIT :limit
    ))
"""
_ORPHANED = _first_rows(
    "sync.webhook_events",
    f"""
    handled_at IS NULL AND received_at {_BEFORE.format("orphaned")} AND NOT EXISTS (
        SELECT FROM sync.workspace_payment_configurations AS configuration
        WHERE configuration.workspace_id = webhook_events.workspace_id
        AND configuration.provider_name = webhook_events.provider_name
        AND configuration.is_test_mode <> webhook_events.livemode
        AND configuration.is_active AND configuration.deleted_at IS NULL
    )
    """,
)
_TOO_MANY_HANDLED = _beyond_the_newest("sync.webhook_events", "handled_at", "most")
_REMOVED = _first_rows("sync.workspace_payment_configurations", f"deleted_at {_BEFORE.format('removed')}")
_WRITES = _first_rows("sync.provider_writes", f"settled_at {_BEFORE.format('writes')}")
_PAGE_ACTIONS = _first_rows("sync.page_actions", "created_at < now() - interval '7 days'")
_ALERTS = _first_rows("sync.alerts", f"ended_at {_BEFORE.format('alerts')}")
# What an open alert was told by stays, or it would be told again.
_DELIVERIES = _first_rows(
    "sync.alert_deliveries",
    f"""
    created_at {_BEFORE.format("alerts")} AND NOT EXISTS (
        SELECT FROM sync.alert_announcements AS told
        JOIN sync.alert_channels AS channel ON channel.id = told.channel_id AND channel.removed_at IS NULL
        WHERE told.told_by = alert_deliveries.id AND told.cleared_at IS NULL
    )
    """,
)
_REMOVED_CHANNELS = _first_rows(
    "sync.alert_channels",
    f"""
    removed_at {_BEFORE.format("alerts")} AND NOT EXISTS (
        SELECT FROM sync.alert_deliveries AS delivery WHERE delivery.channel_id = alert_channels.id
    )
    """,
)
_AUDIT = _first_rows("sync.audit_entries", f"occurred_at {_BEFORE.format('audit')}")
_PURGES = _first_rows("sync.purges", f"completed_at {_BEFORE.format('audit')}")
_TOO_MUCH_AUDIT = _beyond_the_newest("sync.audit_entries", "occurred_at", "most_audit")
