"""What the document shows of each response: one workspace, its account, and one sync of it."""

from typing import Any

_WORKSPACE = "29135db2-a2b1-4159-b1f2-66a8949afbe8"
_SESSION = "f8812823-701b-4693-86b2-26a01a3a0a51"
_ASKED_FOR = {"batch_size": 100, "full_sync": False, "conflict_strategy": "overwrite", "only_changes": False}

PROVIDER_NAME = "stripe"
"""The provider of all examples."""

CONFIGURATION: dict[str, Any] = {
    "id": "6a7c1fda-5663-41ac-b766-39b5981156f8",
    "workspace_id": _WORKSPACE,
    "provider_name": "stripe",
    "is_active": True,
    "is_test_mode": True,
    "label": "Acme Europe",
    "webhook_endpoint_url": "https://example.com/webhooks/stripe",
    "connected_account_id": None,
    "last_sync_at": "2026-03-01T09:30:04.120000Z",
    "last_webhook_at": None,
    "last_webhook_refused_at": None,
    "last_webhook_refusal": None,
    "metadata": {"plan": "growth"},
    "missing": [
        {
            "entity": "invoices",
            "objects": 1,
            "up_to_more": 0,
            "is_absence_unproven": False,
            "session_id": _SESSION,
            "since": "2026-03-01T09:30:03.912906Z",
            "message": "1 object of invoices is still missing from the tables, since 2026-03-01 09:30 UTC (session "
            f"{_SESSION}): in_1Example (created: not a time).",
        }
    ],
    "pause": None,
    "schedule": {
        "changes_every_seconds": 900,
        "daily_at": None,
        "time_zone": None,
        "listing_every_seconds": 604_800,
        "state": "fresh",
        "is_syncing": False,
        "fresh_at": "2026-03-01T09:30:04.120000Z",
        "checked_at": "2026-03-01T09:30:04.120000Z",
        "due_at": "2026-03-01T09:41:12Z",
        "listing_due_at": "2026-03-04T17:02:51Z",
        "failures": 0,
        "failing_since": None,
        "last_failure": None,
        "last_failure_code": None,
    },
    "created_at": "2026-03-01T09:29:58.083458Z",
    "updated_at": "2026-03-01T09:29:58.083458Z",
}

CONNECTION: dict[str, Any] = {
    "success": False,
    "status": "failed",
    "message": "The API key does not permit listing invoices. Give the key the permission rak_invoice_read, or leave "
    "invoices out.",
    "account": {
        "id": "acct_1Example",
        "name": "Acme Inc.",
        "livemode": False,
        "country": "US",
        "default_currency": "usd",
    },
    "readable": ["customers", "products", "prices", "subscriptions"],
    "problems": [
        {
            "code": "missing_permission",
            "error_code": "permission-missing",
            "message": "The API key does not permit listing invoices. Give the key the permission rak_invoice_read, or "
            "leave invoices out.",
            "entity": "invoices",
            "permission": "rak_invoice_read",
        }
    ],
}

ACCOUNT: dict[str, Any] = {
    "id": "0d3f4c36-1d8e-4bb0-9d0c-2f6d3c1f6a11",
    "workspace_id": _WORKSPACE,
    "provider_name": "stripe",
    "provider_account_id": "acct_1Example",
    "account_id": "acct_1Example",
    "account_type": "standard",
    "environment": "test",
    "livemode": False,
    "display_name": "Acme Inc.",
    "account_name": "Acme Inc.",
    "is_active": True,
    "metadata": {},
    "created_at": "2026-03-01T09:30:00.306822Z",
    "updated_at": "2026-03-01T09:30:00.306822Z",
    "first_seen_at": "2026-03-01T09:30:00.306822Z",
    "last_seen_at": "2026-03-01T09:30:00.306822Z",
    "reached_at": "2026-03-01T09:30:00.306822Z",
}

PROVIDER: dict[str, Any] = {
    "name": "stripe",
    "title": "Stripe",
    "entities": ["customers", "products", "prices", "subscriptions", "invoices"],
    "session_types": ["initial_sync", "delta_sync", "partial_sync"],
    "conflict_strategies": ["overwrite", "skip", "flag"],
    "capabilities": [
        {
            "kind": "customers",
            "operations": ["sync", "changes", "deletions", "webhooks", "get", "list", "create", "update", "delete"],
            "filters": ["email"],
        }
    ],
    "options": [],
    "webhook_proof": "signature",
}

SESSION_STARTED: dict[str, Any] = {
    "session_id": _SESSION,
    "status": "pending",
    "provider": "stripe",
    "entity_types": ["customers", "invoices"],
    "config": _ASKED_FOR,
    "created_at": "2026-03-01T09:30:01.366168Z",
}

STATE: dict[str, Any] = {
    "status": "running",
    "progress": {
        "entities": {
            "customers": {
                "estimated": 2000,
                "fetched": 1500,
                "created": 1490,
                "updated": 10,
                "unchanged": 0,
                "deleted": 0,
                "failed": 0,
                "flagged": 0,
                "done": False,
                "requests": 15,
                "error": None,
                "error_code": None,
                "children": {},
            }
        },
        "percent": 75.0,
        "rows_per_second": 1250.0,
        "eta_seconds": 1,
        "requests": 17,
        "retries": 0,
        "missing": [],
    },
    "error_summary": None,
    "error_code": None,
    "started_at": "2026-03-01T09:30:03.412906Z",
    "completed_at": None,
}

STATE_NOW: dict[str, Any] = {
    **STATE,
    "waiting": {
        "waits_for": "provider",
        "reason": "Stripe limits the rate of requests (listing customers).",
        "since": "2026-03-01T09:30:04.001200Z",
        "until": "2026-03-01T09:30:06.001200Z",
        "behind": None,
        "ahead": None,
    },
}

SESSION: dict[str, Any] = {
    **STATE,
    "id": _SESSION,
    "session_id": _SESSION,
    "workspace_id": _WORKSPACE,
    "provider": "stripe",
    "provider_name": "stripe",
    "session_type": "initial_sync",
    "entity_types": ["customers"],
    "config": _ASKED_FOR,
    "dagster_run_id": "a64068d5-3cbd-4a37-a20a-3a8253f08d5a",
    "created_at": "2026-03-01T09:30:01.366168Z",
    "updated_at": "2026-03-01T09:30:04.620551Z",
    "trigger": "request",
    "requested_by": "api_key:5b1f6d2e-8a3c-4f0d-9d57-0c4f1e2a7b90",
    "requested_by_name": "backend",
    "retry_of": None,
}

EVENT: dict[str, Any] = {
    "id": "f3157654-5214-4fc3-b892-ac507b1286e0",
    "entity_type": "customers",
    "external_id": None,
    "event_type": "entity_completed",
    "event_message": "customers complete: 2000 fetched, 1990 created, 10 updated, 0 unchanged, 0 not loaded.",
    "event_details": {"level": "info", "fetched": 2000, "requests": 20, "children": {}},
    "error_code": None,
    "occurred_at": "2026-03-01T09:30:04.864479Z",
}

AUDIT_ENTRY: dict[str, Any] = {
    "id": "0d8f4dcb-3a71-4cf1-8b0c-2a0de8f1a3f6",
    "occurred_at": "2026-03-01T09:12:44.120331Z",
    "actor": "api_key:5b1f6d2e-8a3c-4f0d-9d57-0c4f1e2a7b90",
    "actor_name": "backend",
    "action": "configuration.changed",
    "subject_id": CONFIGURATION["id"],
    "outcome": "done",
    "details": {"provider": "stripe", "changed": ["configuration.api_key"], "key": "...1234"},
}

PURGE: dict[str, Any] = {
    "id": "5f4c1f0e-0a54-4c55-8c56-53b0a8f1f7a1",
    "status_url": "/api/v1/purges/5f4c1f0e-0a54-4c55-8c56-53b0a8f1f7a1",
    "provider_name": "stripe",
    "status": "running",
    "deleted": {"payments.customers": 2000, "dagster_runs": 12},
    "rows": 2000,
    "waits_for": None,
    "created_at": "2026-03-01T09:30:01.366168Z",
    "updated_at": "2026-03-01T09:30:04.620551Z",
    "completed_at": None,
}


def shown(example: dict[str, Any]) -> dict[str, Any]:
    """The example, as a model's `json_schema_extra`."""
    return {"examples": [example]}
