"""The tables as SQLAlchemy Core objects. Migrations make them; a test asserts that both agree."""

from cyphera_pipelines.store.tables.control import (
    audit_entries,
    missing_objects,
    payment_sync_events,
    payment_sync_sessions,
    platform_accounts,
    purges,
    source_locks,
    source_schedules,
    sync_cursors,
    synced_accounts,
    unrouted_webhook_events,
    webhook_events,
    workspace_analysts,
    workspace_api_keys,
    workspace_payment_configurations,
    workspace_provider_accounts,
    workspaces,
)
from cyphera_pipelines.store.tables.metadata import CONTROL_SCHEMA, PAYMENTS_SCHEMA, metadata
from cyphera_pipelines.store.tables.synced import synced_tables

__all__ = [
    "CONTROL_SCHEMA",
    "PAYMENTS_SCHEMA",
    "audit_entries",
    "metadata",
    "missing_objects",
    "payment_sync_events",
    "payment_sync_sessions",
    "platform_accounts",
    "purges",
    "source_locks",
    "source_schedules",
    "sync_cursors",
    "synced_accounts",
    "synced_tables",
    "unrouted_webhook_events",
    "webhook_events",
    "workspace_analysts",
    "workspace_api_keys",
    "workspace_payment_configurations",
    "workspace_provider_accounts",
    "workspaces",
]
