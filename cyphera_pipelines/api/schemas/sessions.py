"""Sessions: one sync each, with its progress and events."""

from dataclasses import asdict
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from cyphera_pipelines.api.schemas import examples
from cyphera_pipelines.api.schemas.fields import (
    LARGEST_PAGE,
    BatchSize,
    FalseUnlessGiven,
    Moment,
    OptionalConflictStrategy,
    PageOut,
    RequestBody,
)
from cyphera_pipelines.api.schemas.missing import MissingOut
from cyphera_pipelines.model.entities import Entity, parse_entities
from cyphera_pipelines.model.sessions import (
    ConflictStrategy,
    EntityProgress,
    Session,
    SessionStatus,
    SessionTrigger,
    SessionType,
    SyncRequest,
)
from cyphera_pipelines.model.waiting import Waiting, WaitingFor

_ENTITIES = Annotated[
    Annotated[list[Entity], Field(max_length=20)] | None,
    Field(description="The entities to sync; all of them if left out, null or empty."),
]
_BATCH_SIZE = Annotated[
    BatchSize, Field(description="Objects per page that the provider is asked for; null or 0 is the default.")
]
_IGNORED_CURSOR = Annotated[
    Annotated[str, Field(max_length=255)] | None,
    Field(
        description="Taken from clients that send it, and without effect: an unfinished listing is continued by itself "
        "from where it was, and nothing is left out of one."
    ),
]
_STATUS = Annotated[
    SessionStatus,
    Field(
        description="`completed`, `partial`, `failed` and `cancelled` are final. `partial`: some entity or object did "
        "not make it, the rest is there; a client that knows no `partial` should take it for `failed`."
    ),
]
_CONFLICTS = Annotated[
    OptionalConflictStrategy,
    Field(
        description="What becomes of rows that are there and differ: `overwrite` them, `skip` them, or leave them and "
        "`flag` each in an event. Null or empty is the default."
    ),
]


class StartFullSync(RequestBody):
    """What a full sync is to do. Every field may be left out, and so may the body."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{}, {"entity_types": ["customers", "invoices"], "full_sync": True}]}
    )

    entity_types: _ENTITIES = None
    batch_size: _BATCH_SIZE = LARGEST_PAGE
    full_sync: FalseUnlessGiven = Field(
        default=False, description="List everything anew instead of continuing an unfinished listing."
    )
    starting_after: _IGNORED_CURSOR = None
    ending_before: _IGNORED_CURSOR = None
    conflict_strategy: _CONFLICTS = ConflictStrategy.OVERWRITE

    def as_request(self) -> SyncRequest:
        """The same as a plain type."""
        return SyncRequest(
            entities=parse_entities([entity.value for entity in self.entity_types or ()]),
            batch_size=self.batch_size,
            full_sync=self.full_sync,
            conflict_strategy=self.conflict_strategy,
        )


class StartDeltaSync(RequestBody):
    """What a sync of changes is to do. Every field may be left out, and so may the body."""

    model_config = ConfigDict(json_schema_extra={"examples": [{}, {"entity_types": ["subscriptions"]}]})

    entity_types: _ENTITIES = None
    batch_size: _BATCH_SIZE = LARGEST_PAGE
    conflict_strategy: _CONFLICTS = ConflictStrategy.OVERWRITE

    def as_request(self) -> SyncRequest:
        """The same as a plain type."""
        return SyncRequest(
            entities=parse_entities([entity.value for entity in self.entity_types or ()]),
            batch_size=self.batch_size,
            conflict_strategy=self.conflict_strategy,
            only_changes=True,
        )


class EntityProgressOut(BaseModel):
    """How far one entity is, in objects."""

    estimated: int | None = Field(description="How many there will be; null while nobody knows.")
    fetched: int = Field(description="Objects that have come from the provider.")
    created: int = Field(description="Rows that were not there before.")
    updated: int = Field(description="Rows that were there and differed.")
    unchanged: int = Field(description="Rows that were there and did not differ: they were not rewritten.")
    deleted: int = Field(description="Rows of objects that are gone at the provider; they keep their row.")
    failed: int = Field(description="Objects that could not be loaded; each is kept in an event.")
    flagged: int = Field(description="Objects that were left as they are although they differ; an event names each.")
    done: bool = Field(description="Whether the entity is complete.")
    requests: int = Field(description="Requests made to the provider.")
    error: str | None = Field(description="Why the entity did not complete.")
    error_code: str | None = Field(description="What kind of error that is, as in docs/errors.md.")
    children: dict[str, dict[str, int]] = Field(
        description="Rows of child tables, such as `invoice_line_items`: created, updated, unchanged, deleted."
    )


class ProgressOut(BaseModel):
    """How far a session is."""

    entities: dict[str, EntityProgressOut] = Field(description="By entity.")
    percent: float | None = Field(description="0 to 100; null while the total is not known.")
    rows_per_second: float = Field(description="Objects fetched per second since it began or was continued.")
    eta_seconds: float | None = Field(description="Seconds that are left; null while nobody knows.")
    requests: int = Field(description="Requests made to the provider.")
    retries: int = Field(description="Requests that had to be made again, for rate limits or errors.")
    missing: list[MissingOut] = Field(
        description="What was missing from the source's tables when the session ended, also of earlier sessions; a "
        "session that ended `completed` says here what it could not mend."
    )

    @classmethod
    def of(cls, session: Session) -> "ProgressOut":
        """The session's progress; zeros where it has not begun."""
        entities = {entity.value: asdict(EntityProgress()) for entity in session.entity_types}
        for entity, counts in session.entity_progress():
            entities[entity.value] = {**asdict(EntityProgress()), **counts}
        nothing: dict[str, Any] = {"percent": 0.0, "rows_per_second": 0.0, "eta_seconds": None}
        nothing |= {"requests": 0, "retries": 0, "missing": []}
        return cls.model_validate({**nothing, **session.progress, "entities": entities})


class WaitingOut(BaseModel):
    """What a session waits for."""

    model_config = ConfigDict(from_attributes=True)

    waits_for: WaitingFor = Field(description="`provider`: its limits, its trouble or its answer. `turn`: to begin.")
    reason: str = Field(description="What that is, for people.")
    since: Moment = Field(description="Since when.")
    until: Moment | None = Field(description="When it is tried again, where that is known.")
    behind: UUID | None = Field(description="Of a turn: the session of the same source that is before it.")
    ahead: int | None = Field(description="Of a turn: how many sessions of the whole installation wait before it.")


class SessionStarted(BaseModel):
    """A session as it begins."""

    model_config = ConfigDict(json_schema_extra=examples.shown(examples.SESSION_STARTED))

    session_id: UUID = Field(description="The session's id: ask for its status with it.")
    status: _STATUS
    provider: str = Field(description="The provider that is synced from.")
    entity_types: list[Entity] = Field(description="The entities that will be synced.")
    config: dict[str, Any] = Field(description="What was asked for.")
    created_at: Moment

    @classmethod
    def of(cls, session: Session) -> "SessionStarted":
        """The session as it is shown at first."""
        return cls(
            session_id=session.id,
            status=session.status,
            provider=session.provider_name,
            entity_types=list(session.entity_types),
            config=session.config,
            created_at=session.created_at,
        )


class SessionState(BaseModel):
    """Where a session is."""

    model_config = ConfigDict(json_schema_extra=examples.shown(examples.STATE))

    status: _STATUS
    progress: ProgressOut
    error_summary: dict[str, Any] | None = Field(
        description="What went wrong: `message` for people, `entities` for programs; null where nothing did."
    )
    error_code: str | None = Field(
        description="What kind of error went wrong, as in docs/errors.md: `several-causes` where entities failed for "
        "different reasons; null where nothing went wrong."
    )
    started_at: Moment | None = Field(description="When it began; null while it waits.")
    completed_at: Moment | None = Field(description="When it ended, whatever its status.")


class SessionStateNow(SessionState):
    """Where a session is now, and what it waits for."""

    model_config = ConfigDict(json_schema_extra=examples.shown(examples.STATE_NOW))

    waiting: WaitingOut | None = Field(description="What it waits for; null while it waits for nothing.")

    @classmethod
    def of(cls, session: Session, waiting: Waiting | None) -> "SessionStateNow":
        """The session's state."""
        return cls(
            waiting=None if waiting is None else WaitingOut.model_validate(waiting),
            status=session.status,
            progress=ProgressOut.of(session),
            error_summary=session.error_summary,
            error_code=session.error_code,
            started_at=session.started_at,
            completed_at=session.completed_at,
        )


class SessionOut(SessionState):
    """A session. `session_id` and `provider` say the same as `id` and `provider_name`."""

    model_config = ConfigDict(json_schema_extra=examples.shown(examples.SESSION))

    id: UUID = Field(description="The session's id.")
    session_id: UUID = Field(description="The same as `id`.")
    workspace_id: UUID = Field(description="The workspace that is synced.")
    provider: str = Field(description="The provider that it is synced from.")
    provider_name: str = Field(description="The same as `provider`.")
    session_type: SessionType = Field(
        description="`initial_sync` lists all entities, or those that were asked for with `POST /{provider}/initial`; "
        "`partial_sync`, begun elsewhere, lists some; `delta_sync` applies what changed."
    )
    entity_types: list[Entity] = Field(description="The entities that are synced.")
    config: dict[str, Any] = Field(description="What was asked for.")
    dagster_run_id: str | None = Field(description="The Dagster run that carries it out.")
    created_at: Moment
    updated_at: Moment = Field(description="While it runs this is its heartbeat.")
    trigger: SessionTrigger | None = Field(
        description="Why there is the session. `request`: somebody asked for it. `retry`: for `retry_of` to be tried "
        "again. `schedule`: the source was due. `webhook`: one told of something that had to be looked up. "
        "`dagster_run`: a run was started in Dagster. null: it is older than this field."
    )
    requested_by: str | None = Field(
        description="Who asked for it: `api_key:<id>`, `cli:<user>@<host>`; `process:<user>@<host>` where it began by "
        "itself. null: it is older than this field."
    )
    requested_by_name: str | None = Field(description="What the key was called then; null for others.")
    retry_of: UUID | None = Field(description="The session whose work it tries again; null for none.")

    @classmethod
    def of(cls, session: Session) -> "SessionOut":
        """The session as it is shown."""
        return cls(
            **{name: getattr(session, name) for name in Session.__dataclass_fields__ if name not in _SHOWN_OTHERWISE},
            session_id=session.id,
            provider=session.provider_name,
            entity_types=list(session.entity_types),
            progress=ProgressOut.of(session),
        )


_SHOWN_OTHERWISE = ("entity_types", "progress")


class Sessions(PageOut):
    """A page of sessions, newest first."""

    sessions: list[SessionOut] = Field(description="Newest first.")


class EventOut(BaseModel):
    """Something worth reading that happened in a session."""

    model_config = ConfigDict(from_attributes=True, json_schema_extra=examples.shown(examples.EVENT))

    id: UUID = Field(description="The event's id.")
    entity_type: str | None = Field(description="The entity that it is about.")
    external_id: str | None = Field(description="The provider's id of the object that it is about.")
    event_type: str = Field(description="What kind of thing happened, as in `row_unmappable`; for programs.")
    event_message: str = Field(description="What happened, for people.")
    event_details: dict[str, Any] = Field(description="Whatever helps to understand it; `level` says how loud it is.")
    error_code: str | None = Field(description="Of a warning or an error: what kind it is, as in docs/errors.md.")
    occurred_at: Moment


class Events(PageOut):
    """A page of events, oldest first."""

    events: list[EventOut] = Field(description="Oldest first.")
