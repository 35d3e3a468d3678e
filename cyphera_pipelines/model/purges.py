"""Purges: the removal of everything that is kept of a workspace, or of one of its sources."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from cyphera_pipelines.model.error_codes import ErrorCode
from cyphera_pipelines.model.errors import ConflictError


class PurgeStatus(StrEnum):
    """Where a purge is. From `requested` on nothing of what it is for begins any more."""

    REQUESTED = "requested"
    RUNNING = "running"
    COMPLETED = "completed"


@dataclass(frozen=True)
class Purge:
    """A row of `purges`: of the whole workspace where `provider_name` is None.

    `deleted` counts rows by table, and `dagster_runs`. `waits_for` is what it cannot go on without; None while it does.
    """

    id: UUID
    workspace_id: UUID
    workspace_slug: str
    provider_name: str | None
    status: PurgeStatus
    deleted: dict[str, int]
    waits_for: str | None
    requested_by: str
    created_at: datetime
    updated_at: datetime
    completed_at: datetime | None

    @property
    def what(self) -> str:
        """As in "workspace acme" and "source acme:stripe"."""
        if self.provider_name is None:
            return f"workspace {self.workspace_slug}"
        return f"source {self.workspace_slug}:{self.provider_name}"

    @property
    def rows(self) -> int:
        """How many rows of ours were deleted so far."""
        return sum(count for name, count in self.deleted.items() if name != DAGSTER_RUNS)


DAGSTER_RUNS = "dagster_runs"


class PurgeUnderWayError(ConflictError):
    """Everything that is kept of the source or of its workspace is being removed: nothing new may begin."""

    code = ErrorCode.PURGE_UNDER_WAY

    def __init__(self) -> None:
        super().__init__("Everything that is kept of this source is being removed. Wait until the purge has completed.")
