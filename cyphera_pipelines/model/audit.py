"""The audit trail: who did what to which configuration, key or workspace."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID


class Action(StrEnum):
    """What was done: to what it was done, and how."""

    WORKSPACE_CREATED = "workspace.created"
    WORKSPACE_RENAMED = "workspace.renamed"
    WORKSPACE_DELETED = "workspace.deleted"
    WORKSPACE_EXPORTED = "workspace.exported"
    WORKSPACE_PURGE_REQUESTED = "workspace.purge_requested"
    WORKSPACE_PURGED = "workspace.purged"
    CONFIGURATION_CREATED = "configuration.created"
    CONFIGURATION_CHANGED = "configuration.changed"
    CONFIGURATION_REMOVED = "configuration.removed"
    CONFIGURATION_REENCRYPTED = "configuration.reencrypted"
    """The same credentials, under another key."""
    SOURCE_PAUSED = "source.paused"
    SOURCE_RESUMED = "source.resumed"
    SYNC_REQUESTED = "sync.requested"
    """On the operations page; whoever else asked for a session, the session itself tells."""
    SYNC_CANCELLED = "sync.cancelled"
    VERIFICATION_REQUESTED = "verification.requested"
    SCHEDULE_CHANGED = "source.schedule_changed"
    SOURCE_PURGE_REQUESTED = "source.purge_requested"
    SOURCE_PURGED = "source.purged"
    ACCOUNT_REGISTERED = "account.registered"
    ACCOUNT_ALLOWED = "account.allowed"
    """The operator lets the workspace read that account with the platform's key."""
    ACCOUNT_DISALLOWED = "account.disallowed"
    WEBHOOK_ENDPOINT_CREATED = "webhook.endpoint_created"
    WEBHOOK_SECRET_CHANGED = "webhook.secret_changed"  # noqa: S105
    WEBHOOK_SECRET_ENDED = "webhook.secret_ended"  # noqa: S105
    """The one before the present one is no longer valid."""
    WEBHOOKS_REPLAYED = "webhook.replayed"
    KEY_CREATED = "key.created"
    KEY_REVOKED = "key.revoked"
    KEY_USED = "key.used"
    """Only where that was refused: the key was revoked, or its secret was wrong."""
    OPERATOR_KEY_CREATED = "operator_key.created"
    """It sees every workspace. What is done with it is told of the workspace that it was done to."""
    OPERATOR_KEY_REVOKED = "operator_key.revoked"
    OBJECT_WRITTEN = "object.written"
    """At a provider; `details` say what was done with it."""
    WRITE_REENCRYPTED = "write.reencrypted"
    """The same request, under another key."""
    ALERT_CHANNEL_ADDED = "alert_channel.added"
    ALERT_CHANNEL_REMOVED = "alert_channel.removed"
    ALERT_CHANNEL_TESTED = "alert_channel.tested"
    ALERT_CHANNEL_REENCRYPTED = "alert_channel.reencrypted"
    """The same address, under another key."""
    ALERT_RULE_CHANGED = "alert_rule.changed"
    ANALYST_ADDED = "analyst.added"
    ANALYST_REMOVED = "analyst.removed"
    ANALYST_PASSWORD_ROTATED = "analyst.password_rotated"  # noqa: S105


class Outcome(StrEnum):
    """What became of it. `refused` changed nothing."""

    DONE = "done"
    REFUSED = "refused"


@dataclass(frozen=True)
class AuditEntry:
    """A row of `audit_entries`.

    `subject_id` is the id of what it was done to, or its name where it has none; `details` never hold a secret.
    """

    id: UUID
    occurred_at: datetime
    workspace_id: UUID
    actor: str
    actor_name: str | None
    action: str
    subject_id: str
    outcome: str
    details: dict[str, Any] = field(default_factory=dict)
