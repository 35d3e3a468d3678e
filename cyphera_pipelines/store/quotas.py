"""Whether a workspace may have one more: asked in its transaction, which is alone where the count has to be exact."""

from sqlalchemy import Connection, text

from cyphera_pipelines.model.quotas import QuotaReachedError, Quotas

_CONFIGURATIONS = text("SELECT count(*) FROM sync.workspace_payment_configurations WHERE deleted_at IS NULL")
_ACCOUNTS = text("SELECT count(*) FROM sync.workspace_provider_accounts")
_SESSIONS = text(
    "SELECT count(*) FILTER (WHERE status = 'pending') AS waiting, "
    "count(*) FILTER (WHERE created_at > now() - interval '1 hour') AS of_last_hour FROM sync.payment_sync_sessions "
    "WHERE status = 'pending' OR created_at > now() - interval '1 hour'"
)
# The payloads' sizes are in the index: nothing else is read.
_WEBHOOKS = text(
    "SELECT count(*) AS waiting, coalesce(sum(payload_bytes), 0) AS bytes FROM sync.webhook_events "
    "WHERE workspace_id = :workspace_id AND handled_at IS NULL"
)

_DEAD_WEBHOOKS = text(
    "SELECT count(*) FROM sync.webhook_events WHERE workspace_id = :workspace_id AND handled_at IS NULL "
    "AND dead_at IS NOT NULL"
)


def check_configurations(connection: Connection, quotas: Quotas) -> None:
    """Raise QuotaReachedError if the workspace may not have another configuration."""
    if connection.execute(_CONFIGURATIONS).scalar_one() >= quotas.configurations:
        raise QuotaReachedError(
            f"The workspace has {quotas.configurations} configurations, and may not have more. Remove one that is not "
            "needed, or change one."
        )


def check_accounts(connection: Connection, quotas: Quotas) -> None:
    """Raise QuotaReachedError if the workspace may not have another account."""
    if connection.execute(_ACCOUNTS).scalar_one() >= quotas.accounts:
        raise QuotaReachedError(
            f"The workspace has {quotas.accounts} accounts, and may not have more. The operator may allow more: "
            "CYPHERA_MOST_ACCOUNTS."
        )


def check_sessions(connection: Connection, quotas: Quotas) -> None:
    """Raise QuotaReachedError if the workspace may not ask for another sync now."""
    counts = connection.execute(_SESSIONS).one()
    if counts.waiting >= quotas.waiting_sessions:
        raise QuotaReachedError(
            f"{quotas.waiting_sessions} syncs of the workspace wait to begin. Wait for one of them.", passes=True
        )
    if counts.of_last_hour >= quotas.sessions_per_hour:
        raise QuotaReachedError(
            f"The workspace had {quotas.sessions_per_hour} syncs within the last hour, and may not have more. Wait a "
            "while before asking for the next.",
            passes=True,
        )


def check_webhooks(connection: Connection, quotas: Quotas, workspace_id: object, size: int) -> None:
    """Raise QuotaReachedError if the inbox may not take another event of so many bytes now."""
    counts = connection.execute(_WEBHOOKS, {"workspace_id": workspace_id}).one()
    if counts.waiting >= quotas.waiting_webhooks or counts.bytes + size > quotas.waiting_webhook_bytes:
        dead = connection.execute(_DEAD_WEBHOOKS, {"workspace_id": workspace_id}).scalar_one()
        given_up = (
            f" {dead} of them were given up: mend what their last_error says and replay them, or list everything anew."
            if dead
            else ""
        )
        raise QuotaReachedError(
            f"{counts.waiting} webhooks of the workspace, of {counts.bytes} bytes, are in its inbox and in no table "
            f"yet.{given_up} Send this one again later; what it tells is found by the next sync too.",
            passes=True,
        )
