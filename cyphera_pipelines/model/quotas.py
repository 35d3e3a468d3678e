"""How much one workspace may have, and how long it is kept."""

from dataclasses import dataclass

from cyphera_pipelines.model.error_codes import ErrorCode
from cyphera_pipelines.model.errors import ConflictError


@dataclass(frozen=True)
class Quotas:
    """What one workspace may have at most. Whoever asks for more is refused, and loses nothing that is there."""

    configurations: int
    accounts: int
    waiting_sessions: int
    sessions_per_hour: int
    waiting_webhooks: int
    waiting_webhook_bytes: int


@dataclass(frozen=True)
class Retention:
    """Days after which what is over is forgotten, and how many handled webhooks of a workspace are known at most.

    Webhooks `wait` for a sync; they are `orphaned` where their source is no longer active, `dead` where they were given
    up, and `unrouted` where they came to the platform's address and are of no workspace's account. Alerts count from
    their end, deliveries from when they were written.
    """

    sessions_days: int
    handled_webhooks_days: int
    waiting_webhooks_days: int
    orphaned_webhooks_days: int
    removed_configurations_days: int
    audit_days: int = 730
    dead_webhooks_days: int = 30
    unrouted_webhooks_days: int = 7
    writes_days: int = 90
    alerts_days: int = 90
    unrouted_webhooks: int = 100_000
    handled_webhooks: int = 100_000
    audit_entries: int = 100_000


class QuotaReachedError(ConflictError):
    """The workspace has as much of something as it may have. `passes` tells whether waiting helps."""

    code = ErrorCode.QUOTA_REACHED

    def __init__(self, message: str, *, passes: bool = False) -> None:
        super().__init__(message)
        self.passes = passes
