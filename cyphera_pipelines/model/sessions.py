"""Sync sessions and their events: what happened in one sync of one source."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.error_codes import ErrorCode

SILENT_FOR = 60.0
"""Seconds without a heartbeat after which a running session may be dead; a living one beats every second."""


class SessionType(StrEnum):
    """What a session set out to do."""

    INITIAL_SYNC = "initial_sync"
    DELTA_SYNC = "delta_sync"
    PARTIAL_SYNC = "partial_sync"


class SessionStatus(StrEnum):
    """Where a session is. `partial`: some entity did not complete; that is never called completed."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    PARTIAL = "partial"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether the session has ended."""
        return self not in (SessionStatus.PENDING, SessionStatus.RUNNING)


class SessionTrigger(StrEnum):
    """Why there is a session."""

    REQUEST = "request"
    """Somebody asked for it: with the API, the command line or the operations page."""
    RETRY = "retry"
    """Somebody asked for an earlier session's work to be tried again."""
    SCHEDULE = "schedule"
    """The source was due."""
    WEBHOOK = "webhook"
    """A webhook told of something that had to be looked up, or somebody had webhooks tried again."""
    DAGSTER_RUN = "dagster_run"
    """A run was started in Dagster."""


class Verification(StrEnum):
    """What a session that compares the tables with the provider does with a row that differs."""

    COMPARE = "compare"
    """It tells of it."""
    REPAIR = "repair"
    """It mends it."""


@dataclass(frozen=True)
class SessionOrigin:
    """Why a session is made; `retry_of` is the session that is tried again."""

    trigger: SessionTrigger = SessionTrigger.REQUEST
    retry_of: UUID | None = None


ASKED_FOR = SessionOrigin()
STARTED_IN_DAGSTER = SessionOrigin(SessionTrigger.DAGSTER_RUN)


class ConflictStrategy(StrEnum):
    """What a sync does with a row that is already there and differs."""

    OVERWRITE = "overwrite"
    SKIP = "skip"
    FLAG = "flag"


class EventLevel(StrEnum):
    """How loud an event is; kept in `event_details.level`."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass
class EntityProgress:
    """How far one entity of a session is. Counts are objects; child rows are counted in `children`."""

    estimated: int | None = None
    fetched: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    deleted: int = 0
    failed: int = 0
    flagged: int = 0
    done: bool = False
    requests: int = 0
    error: str | None = None
    error_code: str | None = None
    children: dict[str, dict[str, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class SyncRequest:
    """What a sync is asked to do.

    `batch_size` is the provider's page size (1 to 100). `full_sync` starts the listing anew instead of
    continuing an unfinished one. `only_changes` asks for the changes since the last sync instead of a listing.
    `verification` asks for no sync at all, but for a comparison of the tables with the provider.
    """

    entities: tuple[Entity, ...] = tuple(Entity)
    batch_size: int = 100
    full_sync: bool = False
    conflict_strategy: ConflictStrategy = ConflictStrategy.OVERWRITE
    only_changes: bool = False
    verification: Verification | None = None

    def as_config(self) -> dict[str, Any]:
        """The `config` column of the session."""
        options = {
            "batch_size": self.batch_size,
            "full_sync": self.full_sync,
            "conflict_strategy": self.conflict_strategy.value,
            "only_changes": self.only_changes,
        }
        return options if self.verification is None else {**options, "verification": self.verification.value}

    @classmethod
    def from_config(cls, entities: tuple[Entity, ...], config: dict[str, Any]) -> "SyncRequest":
        """Read what `as_config` wrote; what it left out is as by default."""
        default = cls()
        return cls(
            entities=entities,
            batch_size=int(config.get("batch_size", default.batch_size)),
            full_sync=bool(config.get("full_sync", default.full_sync)),
            conflict_strategy=ConflictStrategy(config.get("conflict_strategy", default.conflict_strategy)),
            only_changes=bool(config.get("only_changes", default.only_changes)),
            verification=verification_in(config),
        )


def verification_in(config: Mapping[str, Any]) -> Verification | None:
    """What the `config` column of a session says of a verification; None where it is a sync."""
    asked = config.get("verification")
    return None if asked is None else Verification(asked)


@dataclass(frozen=True)
class Session:
    """A row of `payment_sync_sessions`. While it runs, `updated_at` is its heartbeat.

    `trigger`, and who asked (`requested_by`, with the name of his key), are None of sessions that are older than these
    columns. `error_code` is an `ErrorCode`, or the code of a newer version; None where nothing went wrong, and in old
    rows.
    """

    id: UUID
    workspace_id: UUID
    provider_name: str
    session_type: SessionType
    status: SessionStatus
    entity_types: tuple[Entity, ...]
    config: dict[str, Any]
    progress: dict[str, Any]
    error_summary: dict[str, Any] | None
    dagster_run_id: str | None
    started_at: datetime | None
    completed_at: datetime | None
    created_at: datetime
    updated_at: datetime
    trigger: SessionTrigger | None = None
    requested_by: str | None = None
    requested_by_name: str | None = None
    retry_of: UUID | None = None
    error_code: str | None = None

    def entity_progress(self) -> list[tuple[Entity, dict[str, Any]]]:
        """Each entity's counts as the progress column holds them, in canonical order: JSON keeps none."""
        entities = self.progress.get("entities", {})
        return [(entity, entities[entity.value]) for entity in Entity if entity.value in entities]


@dataclass(frozen=True)
class SessionEvent:
    """A row of `payment_sync_events`: something a person would want to read in a session's log.

    `code` says what kind of trouble it is: every warning and error has one, kept in `event_details.code`.
    """

    event_type: str
    event_message: str
    entity_type: str | None = None
    external_id: str | None = None
    event_details: dict[str, Any] = field(default_factory=dict)
    level: EventLevel = EventLevel.INFO
    code: ErrorCode | None = None
