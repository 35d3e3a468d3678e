"""What each role may do with each table. A table that is not declared here fails a test.

Everything else is for the pipeline's own login alone, which owns the tables and sees every workspace.
"""

from collections.abc import Mapping
from enum import StrEnum

from cyphera_pipelines.store.tables import (
    alert_channels,
    alert_deliveries,
    figure_tables,
    history_tables,
    synced_tables,
)
from cyphera_pipelines.store.tables.control import source_schedules, workspace_payment_configurations

Columns = tuple[str, ...]
Grants = Mapping[str, Columns]
"""Columns by privilege, as in {"SELECT": ("id", "name")}; all columns are `WHOLE`."""

WHOLE: Columns = ()


class Role(StrEnum):
    """The roles. None of them can log in."""

    TENANT = "cyphera_tenant"
    """As which a workspace's transactions run: requests, syncs, webhooks."""
    CREDENTIALS = "cyphera_credentials"
    """As which credentials are entered, changed and opened, of one workspace."""
    AUTHENTICATION = "cyphera_authentication"
    """As which an API key is looked up, of one workspace."""
    ANALYST = "cyphera_analyst"
    """What the login roles of analysts are members of; each of those is bound to one workspace."""


ROLES_OF_A_TRANSACTION = (Role.TENANT, Role.CREDENTIALS, Role.AUTHENTICATION)
"""Those whose workspace is the one that the transaction names."""


def _all_but(*secret: str) -> Columns:
    return tuple(column.name for column in workspace_payment_configurations.c if column.name not in secret)


_SYNCED: Mapping[Role, Grants] = {
    Role.TENANT: {"SELECT": WHOLE, "INSERT": WHOLE, "UPDATE": WHOLE},
    Role.ANALYST: {"SELECT": WHOLE},
}

_KEPT: Mapping[Role, Grants] = {
    Role.TENANT: {"SELECT": WHOLE, "INSERT": WHOLE, "UPDATE": WHOLE, "DELETE": WHOLE},
    Role.ANALYST: {"SELECT": WHOLE},
}

_AUDITED = ("workspace_id", "actor", "actor_name", "action", "subject_id", "outcome", "details")
"""Written by whoever does what it tells of; nobody but the owner changes or removes it."""

_SCHEDULE_OF_A_CONFIGURATION = (
    "changes_every_seconds",
    "daily_at",
    "time_zone",
    "listing_every_seconds",
    "due_at",
    "listing_due_at",
    "paused_at",
    "paused_reason",
    "paused_by",
    "paused_kind",
    "paused_code",
    "failures",
    "failing_since",
    "last_failure",
    "last_failure_code",
    "wanted_at",
    "checked_at",
    "fresh_at",
)
"""What whoever enters or changes a configuration may set: another key ends a pause for the last one."""

# Through the view analytics.completeness, the schema being closed to them: how complete a workspace's data is, and
# nothing of what failed, with whose key, or which objects are missing.
_SOURCES_OF_ANALYSTS: Columns = ("workspace_id", "provider_name", "is_test_mode", "is_active", "deleted_at")
_FRESHNESS_OF_ANALYSTS: Columns = ("workspace_id", "provider_name", "fresh_at")
_POSITIONS_OF_ANALYSTS: Columns = (
    "workspace_id",
    "provider_name",
    "livemode",
    "entity_type",
    "watermark",
    "full_listing_at",
    "updated_at",
)
_MISSING_OF_ANALYSTS: Columns = ("workspace_id", "provider_name", "livemode", "entity_type", "kind", "objects")

_ALERT_RULE: Columns = ("is_on", "times", "after_seconds", "all_clear_after_seconds", "updated_at")
_CHANNEL_WITHOUT_ADDRESS = tuple(column.name for column in alert_channels.c if column.name != "address")
_DELIVERY_WITHOUT_MESSAGE = tuple(column.name for column in alert_deliveries.c if column.name != "message")

MATRIX: Mapping[str, Mapping[Role, Grants]] = {
    "sync.workspaces": {
        Role.TENANT: {"SELECT": WHOLE},
        Role.AUTHENTICATION: {"SELECT": WHOLE},
        Role.CREDENTIALS: {"SELECT": ("id", "slug")},
        # Through the view analytics.workspaces: the schema is closed to them.
        Role.ANALYST: {"SELECT": ("id", "slug", "name")},
    },
    "sync.workspace_api_keys": {
        Role.TENANT: {
            "SELECT": (
                "id",
                "workspace_id",
                "name",
                "created_at",
                "last_used_at",
                "revoked_at",
                "level",
                "expires_at",
            )
        },
        Role.AUTHENTICATION: {
            "SELECT": (
                "id",
                "workspace_id",
                "name",
                "key_hash",
                "last_used_at",
                "revoked_at",
                "level",
                "expires_at",
            ),
            "UPDATE": ("last_used_at",),
        },
    },
    "sync.workspace_payment_configurations": {
        Role.TENANT: {
            "SELECT": _all_but("configuration"),
            "UPDATE": ("last_sync_at", "last_webhook_at", "last_webhook_refused_at", "last_webhook_refusal"),
        },
        Role.CREDENTIALS: {
            "SELECT": WHOLE,
            "INSERT": WHOLE,
            "UPDATE": (
                "is_active",
                "is_test_mode",
                "configuration",
                "label",
                "webhook_endpoint_url",
                "connected_account_id",
                "metadata",
                "updated_at",
                "deleted_at",
            ),
            "DELETE": WHOLE,
        },
        Role.ANALYST: {"SELECT": _SOURCES_OF_ANALYSTS},
    },
    "sync.workspace_provider_accounts": {
        Role.TENANT: {
            "SELECT": WHOLE,
            "INSERT": WHOLE,
            "UPDATE": (
                "account_name",
                "last_seen_at",
                "reached_at",
                "account_type",
                "environment",
                "display_name",
                "is_active",
                "metadata",
                "updated_at",
            ),
        }
    },
    "sync.workspace_analysts": {},
    "sync.operator_keys": {},
    "sync.ops_sign_ins": {},
    "sync.payment_sync_sessions": {
        Role.TENANT: {
            "SELECT": WHOLE,
            "INSERT": (
                "workspace_id",
                "provider_name",
                "session_type",
                "status",
                "entity_types",
                "config",
                "dagster_run_id",
                "trigger",
                "requested_by",
                "requested_by_name",
                "retry_of",
            ),
            "UPDATE": (
                "status",
                "progress",
                "error_summary",
                "error_code",
                "dagster_run_id",
                "started_at",
                "completed_at",
                "updated_at",
            ),
        }
    },
    "sync.payment_sync_events": {Role.TENANT: {"SELECT": WHOLE, "INSERT": WHOLE}},
    "sync.page_actions": {
        Role.TENANT: {
            "SELECT": WHOLE,
            "INSERT": ("workspace_id", "token", "provider_name", "action"),
            "UPDATE": ("outcome", "session_id"),
            "DELETE": WHOLE,
        }
    },
    "sync.source_locks": {},
    "sync.request_shares": {},
    "sync.source_schedules": {
        Role.TENANT: {
            "SELECT": WHOLE,
            "INSERT": WHOLE,
            "UPDATE": tuple(
                column.name for column in source_schedules.c if column.name not in ("workspace_id", "provider_name")
            ),
        },
        Role.CREDENTIALS: {"SELECT": WHOLE, "INSERT": WHOLE, "UPDATE": _SCHEDULE_OF_A_CONFIGURATION},
        Role.ANALYST: {"SELECT": _FRESHNESS_OF_ANALYSTS},
    },
    "sync.sync_cursors": {
        Role.TENANT: {
            "SELECT": WHOLE,
            "INSERT": WHOLE,
            "UPDATE": ("watermark", "unfinished", "full_listing_at", "owed", "updated_at", "mapping_version"),
        },
        Role.ANALYST: {"SELECT": _POSITIONS_OF_ANALYSTS},
    },
    "sync.missing_objects": {
        Role.TENANT: {
            "SELECT": WHOLE,
            "INSERT": WHOLE,
            "UPDATE": ("kind", "reason", "objects", "listing", "last_session_id", "last_seen_at"),
            "DELETE": WHOLE,
        },
        Role.ANALYST: {"SELECT": _MISSING_OF_ANALYSTS},
    },
    "sync.verifications": {
        Role.TENANT: {"SELECT": WHOLE, "INSERT": WHOLE, "UPDATE": WHOLE},
        Role.ANALYST: {"SELECT": WHOLE},
    },
    "sync.synced_accounts": {
        Role.TENANT: {"SELECT": WHOLE, "INSERT": WHOLE, "UPDATE": ("account_id", "key_digest", "updated_at")}
    },
    "sync.webhook_events": {
        Role.TENANT: {
            "SELECT": WHOLE,
            "INSERT": WHOLE,
            "UPDATE": (
                "handled_at",
                "handled_by",
                "payload",
                "payload_bytes",
                "attempts",
                "last_error",
                "error_code",
                "retry_at",
                "dead_at",
            ),
        }
    },
    "sync.unrouted_webhook_events": {},
    "sync.platform_accounts": {Role.TENANT: {"SELECT": WHOLE}, Role.CREDENTIALS: {"SELECT": WHOLE}},
    "sync.purges": {
        Role.TENANT: {"SELECT": ("id", "workspace_id", "provider_name", "completed_at")},
        Role.CREDENTIALS: {"SELECT": ("id", "workspace_id", "provider_name", "completed_at")},
    },
    "sync.audit_entries": {
        Role.TENANT: {"SELECT": WHOLE, "INSERT": _AUDITED},
        Role.CREDENTIALS: {"INSERT": _AUDITED},
        Role.AUTHENTICATION: {"SELECT": ("workspace_id", "occurred_at", "action", "subject_id"), "INSERT": _AUDITED},
    },
    "sync.provider_writes": {
        Role.TENANT: {
            "SELECT": WHOLE,
            "INSERT": WHOLE,
            "UPDATE": (
                "object_id",
                "key_digest",
                "request",
                "state",
                "answer",
                "problem",
                "was_found",
                "was_sent",
                "actor",
                "actor_name",
                "attempts",
                "sent_at",
                "looked_at",
                "busy_until",
                "settled_at",
            ),
        }
    },
    # What is found, decided and sent, the pipeline itself writes; a workspace may say whom to tell, and when.
    "sync.alerts": {Role.TENANT: {"SELECT": WHOLE}},
    "sync.alert_rules": {Role.TENANT: {"SELECT": WHOLE, "INSERT": WHOLE, "UPDATE": _ALERT_RULE, "DELETE": WHOLE}},
    "sync.alert_channels": {
        Role.TENANT: {"SELECT": _CHANNEL_WITHOUT_ADDRESS, "UPDATE": ("removed_at", "address")},
        Role.CREDENTIALS: {"SELECT": WHOLE, "INSERT": WHOLE},
    },
    "sync.alert_deliveries": {Role.TENANT: {"SELECT": _DELIVERY_WITHOUT_MESSAGE}},
    "sync.alert_announcements": {},
    **{table.fullname: _SYNCED for table in synced_tables.values()},
    **{table.fullname: _KEPT for table in history_tables},
    **{table.fullname: _KEPT for table in figure_tables},
}
