"""Each source's schedule: what was set, when it is due, and what its last syncs came to."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, func, select, update
from sqlalchemy.dialects.postgresql import insert

from cyphera_pipelines.model.actor import current_actor
from cyphera_pipelines.model.audit import Action
from cyphera_pipelines.model.error_codes import ErrorCode
from cyphera_pipelines.model.errors import InvalidInputError
from cyphera_pipelines.model.pauses import Pause
from cyphera_pipelines.model.schedule import (
    DAY,
    PauseKind,
    Schedule,
    offset_of,
)
from cyphera_pipelines.model.schedule_words import known_time_zone, time_of_day
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.model.storable import storable
from cyphera_pipelines.store.audit import record_action
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.tables import source_schedules as schedules
from cyphera_pipelines.store.tables import workspace_payment_configurations as configurations
from cyphera_pipelines.store.tables import workspaces

FIRST_DUE_AFTER = timedelta(minutes=5)
"""How long after a source was connected its first sync starts by itself: who asks for one himself comes first."""

FAILURES_BEFORE_PAUSE, FAILING_BEFORE_PAUSE = 20, timedelta(days=7)
"""A source is paused for its failures only when so many in a row, and for so long, have failed."""

INTERRUPTIONS_BEFORE_WAIT = 3
"""A sync whose process died is begun again at once; but not for ever, as it may be what kills the process."""

MOST_OF_A_MESSAGE = 2_000
"""Characters of a failure's sentence that are kept here; its session has all of it."""

NOT_PAUSED: Mapping[str, Any] = dict.fromkeys(("paused_at", "paused_reason", "paused_by", "paused_kind", "paused_code"))
NOT_FAILING: Mapping[str, Any] = {"failures": 0, "failing_since": None, "last_failure": None, "last_failure_code": None}


@dataclass(frozen=True)
class ScheduleState:
    """A row of `source_schedules`: the schedule, when it is due, what became of the last syncs, and the pause."""

    workspace_id: UUID
    provider: str
    schedule: Schedule
    due_at: datetime
    listing_due_at: datetime
    wanted_at: datetime | None
    checked_at: datetime | None
    fresh_at: datetime | None
    failures: int
    failing_since: datetime | None
    last_failure: str | None
    last_failure_code: str | None
    pause: Pause | None

    @property
    def is_wanted(self) -> bool:
        """Whether a sync of it starts before it is due, as what a webhook told waits for that."""
        return self.wanted_at is not None and self.fresh_at is not None and self.failures == 0 and self.pause is None

    @property
    def offset(self) -> float:
        """The source's place in every period."""
        return offset_of(self.workspace_id, self.provider)


class SyncResult(StrEnum):
    """What a sync, or a check, came to for the schedule of its source."""

    LEVEL = "level"
    """The tables are as the provider has it, but for objects that are named as missing."""
    BEHIND = "behind"
    """Some entity did not make it, and others did: not fresh, and no reason to wait for longer than a period."""
    FAILED = "failed"
    REJECTED = "rejected"
    """The credentials were rejected."""
    INTERRUPTED = "interrupted"
    """The process died: the source stays due."""
    CANCELLED = "cancelled"
    """Somebody did not want it: the source waits for its next place."""


@dataclass(frozen=True)
class SyncEnd:
    """How a sync or a check of a whole source ended.

    `began_at`: by the database's clock, before the credentials were read. `message` says what failed, `code` what kind
    of failure that is. `level_since`: from when on the tables are level; None is now. `listed_at`: when the entity that
    was listed longest ago was; None if one never was. `claim_number` is that of the claim it was made under; `also` are
    values of the row that its maker writes with it, as those that end the claim.
    """

    result: SyncResult
    began_at: datetime
    message: str | None = None
    code: ErrorCode | None = None
    level_since: datetime | None = None
    listed_at: datetime | None = None
    claim_number: int | None = None
    also: Mapping[str, Any] = field(default_factory=dict)


def read_schedule(database: Database, workspace_id: UUID, provider: str) -> ScheduleState | None:
    """The state of the workspace's source's schedule; None if it never was connected."""
    with database.tenant(workspace_id) as connection:
        row = connection.execute(_row_of(workspace_id, provider)).one_or_none()
    return None if row is None else to_state(row)


def list_schedules(database: Database, workspace_id: UUID) -> dict[str, ScheduleState]:
    """The states of all schedules of the workspace, by provider."""
    with database.tenant(workspace_id) as connection:
        rows = connection.execute(select(schedules)).all()
    return {row.provider_name: to_state(row) for row in rows}


def begin_schedule(
    connection: Connection, workspace_id: UUID, provider: str, schedule: Schedule | None, *, is_new: bool
) -> None:
    """Let the source be due soon, in the transaction in which its configuration becomes active.

    A new configuration begins anew: with the given schedule, or the default, and with nothing that is known of the
    last. Of a removed one's row stay a person's pause, which no tenant ends by connecting anew, and the claims' number.
    Pauses that nobody asked for end: the credentials may be others.
    """
    due: dict[str, Any] = {"due_at": func.now() + FIRST_DUE_AFTER}
    if is_new:
        forgotten = ("wanted_at", "checked_at", "fresh_at")
        due |= {"listing_due_at": func.now(), **NOT_FAILING, **dict.fromkeys(forgotten)}
        due |= columns_of(schedule or Schedule())
    elif schedule is not None:
        due |= columns_of(schedule)
    # Of a row that was purged, an old worker may still have the claim: its number never comes again.
    first_number = func.floor(func.extract("epoch", func.clock_timestamp()) * 1000)
    begun = insert(schedules).values(
        workspace_id=workspace_id, provider_name=provider, claim_number=first_number, **due
    )
    begun = begun.on_conflict_do_update(index_elements=["workspace_id", "provider_name"], set_=due)
    connection.execute(begun)
    found = lock_schedule(connection, workspace_id, provider)
    if found is not None:
        write_schedule(connection, found[0], _end_pause_of_ours(connection, found[0]))


def set_schedule(connection: Connection, workspace_id: UUID, provider: str, schedule: Schedule) -> bool:
    """Give the source another schedule; returns False if it has that already, or is none.

    It is due at its next place of that, unless it is due now or was never synced; everything is listed at the next
    place of that, unless that is due now.
    """
    found = lock_schedule(connection, workspace_id, provider)
    if found is None or found[0].schedule == schedule:
        return False
    state, now = found
    values = columns_of(schedule)
    if state.due_at > now and state.fresh_at is not None:
        values["due_at"] = schedule.next_changes(state.offset, now)
    if state.listing_due_at > now and state.schedule.listing_every != schedule.listing_every:
        values["listing_due_at"] = schedule.next_listing(state.offset, now)
    write_schedule(connection, state, values)
    return True


def change_schedule(database: Database, source: Source, schedule: Schedule) -> bool:
    """Give the source another schedule, and note who did; returns False if it has that already."""
    with database.tenant(source.workspace_id) as connection:
        is_changed = set_schedule(connection, source.workspace_id, source.provider, schedule)
        if is_changed:
            record_action(
                connection, source.workspace_id, Action.SCHEDULE_CHANGED, source.key, {"schedule": str(schedule)}
            )
    return is_changed


def note_sync(connection: Connection, workspace_id: UUID, provider: str, end: SyncEnd) -> bool:
    """Write down what a sync or a check of the source came to, in the transaction that ends it.

    Freshness, failures, the next places, and the pauses that follow: rejected credentials pause the source at once,
    other failures only after `FAILURES_BEFORE_PAUSE` of them and `FAILING_BEFORE_PAUSE`; whatever got anywhere ends
    such a pause. Returns False, having written nothing, where there is no row, or another claim has been made since.
    """
    found = lock_schedule(connection, workspace_id, provider, claim_number=end.claim_number)
    if found is None:
        return False
    state, now = found
    values = {**_told_by(state, end, now), **end.also}
    if end.result is SyncResult.REJECTED and _is_key_the_same(connection, state, end.began_at):
        reason = f"The credentials were rejected: {end.message}" if end.message else "The credentials were rejected."
        values |= _pause(connection, state, PauseKind.CREDENTIALS, reason, end.code)
    elif end.result is SyncResult.FAILED and _has_failed_for_long(state, now):
        reason = (
            f"{state.failures + 1} syncs in a row have failed since {state.failing_since:%Y-%m-%d %H:%M} UTC, "
            f"the last so: {end.message}"
        )
        values |= _pause(connection, state, PauseKind.FAILURES, reason, end.code)
    elif end.result in (SyncResult.LEVEL, SyncResult.BEHIND):
        values |= _end_pause_of_ours(connection, state)
    write_schedule(connection, state, values)
    return True


def _told_by(state: ScheduleState, end: SyncEnd, now: datetime) -> dict[str, Any]:
    """What the end of a sync tells of its source, but for pauses."""
    schedule, next_place = state.schedule, state.schedule.next_changes(state.offset, now)
    match end.result:
        case SyncResult.CANCELLED:
            return {"due_at": next_place} if state.due_at <= now else {}
        case SyncResult.LEVEL:
            values = {**NOT_FAILING, "due_at": next_place, "fresh_at": min(end.level_since or now, now)}
            # An entity may have been listed in an earlier session that was due and did not come to its end.
            if end.listed_at is not None and end.listed_at >= min(state.listing_due_at, end.began_at):
                values["listing_due_at"] = schedule.next_listing(state.offset, now)
        case SyncResult.BEHIND:
            values = {"failures": 0, "due_at": next_place, **_failing(state, end, now)}
        case SyncResult.INTERRUPTED if state.failures + 1 < INTERRUPTIONS_BEFORE_WAIT:
            values = {"failures": state.failures + 1, **_failing(state, end, now)}
        case _:
            values = {
                "failures": state.failures + 1,
                "due_at": due_after_failures(schedule, state.offset, now, state.failures + 1),
                **_failing(state, end, now),
            }
    return {**values, "checked_at": now}


def _failing(state: ScheduleState, end: SyncEnd, now: datetime) -> dict[str, Any]:
    message = storable(end.message or "It failed without a word of why.")
    return {
        "failing_since": state.failing_since or now,
        "last_failure": str(message)[:MOST_OF_A_MESSAGE],
        "last_failure_code": end.code,
    }


def due_after_failures(schedule: Schedule, offset: float, now: datetime, failures: int) -> datetime:
    """When to try again after so many failures in a row: at the source's own places, further and further apart.

    The first is followed by the next place; then two periods pass, four, and so on, but never more than a day. A source
    that is due more seldom than daily is tried again after a day.
    """
    wait = min(schedule.period * 2.0 ** min(failures - 1, 30), float(DAY))
    if schedule.period > DAY:
        return min(now + timedelta(seconds=wait), schedule.next_changes(offset, now))
    return schedule.next_changes(offset, now + timedelta(seconds=wait - schedule.period))


def _has_failed_for_long(state: ScheduleState, now: datetime) -> bool:
    return (
        state.failures + 1 >= FAILURES_BEFORE_PAUSE
        and state.failing_since is not None
        and now - state.failing_since >= FAILING_BEFORE_PAUSE
    )


def _is_key_the_same(connection: Connection, state: ScheduleState, began_at: datetime) -> bool:
    """Whether the credentials that were rejected are still the source's."""
    changed = select(configurations.c.id).where(
        configurations.c.workspace_id == state.workspace_id,
        configurations.c.provider_name == state.provider,
        configurations.c.is_active,
        configurations.c.deleted_at.is_(None),
        configurations.c.updated_at > began_at,
    )
    return connection.execute(changed).first() is None


def _pause(
    connection: Connection, state: ScheduleState, kind: PauseKind, reason: str, code: ErrorCode | None
) -> dict[str, Any]:
    """The columns of a pause that nobody asked for; none if the source is paused already."""
    if state.pause is not None:
        return {}
    reason = str(storable(reason))[:MOST_OF_A_MESSAGE]
    _record(connection, state, Action.SOURCE_PAUSED, {"reason": reason, "kind": kind.value})
    return {
        "paused_at": func.clock_timestamp(),
        "paused_reason": reason,
        "paused_by": current_actor().id,
        "paused_kind": kind.value,
        "paused_code": code,
    }


def end_credentials_pause(connection: Connection, workspace_id: UUID, provider: str) -> bool:
    """Let a source go on that its rejected credentials paused: it has others, or they work. It is due soon."""
    found = lock_schedule(connection, workspace_id, provider)
    if found is None or found[0].pause is None or found[0].pause.paused_kind is not PauseKind.CREDENTIALS:
        return False
    state, now = found
    due_at = min(now + FIRST_DUE_AFTER, state.schedule.next_changes(state.offset, now))
    values = _end_pause_of_ours(connection, state)
    write_schedule(connection, state, {**values, **NOT_FAILING, "due_at": due_at})
    return True


def _end_pause_of_ours(connection: Connection, state: ScheduleState) -> dict[str, Any]:
    if state.pause is None or state.pause.paused_kind is PauseKind.PERSON:
        return {}
    _record(connection, state, Action.SOURCE_RESUMED, {"kind": state.pause.paused_kind.value})
    return dict(NOT_PAUSED)


def _record(connection: Connection, state: ScheduleState, action: Action, details: Mapping[str, Any]) -> None:
    slug = connection.execute(select(workspaces.c.slug).where(workspaces.c.id == state.workspace_id)).scalar_one()
    record_action(connection, state.workspace_id, action, f"{slug}:{state.provider}", details)


def lock_schedule(
    connection: Connection, workspace_id: UUID, provider: str, *, claim_number: int | None = None
) -> tuple[ScheduleState, datetime] | None:
    """The schedule, which nobody else changes until the transaction ends, and the time by the database's clock.

    None if there is none, or the number is that of an earlier claim.
    """
    # The clock is read in a statement of its own: the row may have been waited for.
    row = connection.execute(_row_of(workspace_id, provider).with_for_update()).one_or_none()
    if row is None or (claim_number is not None and row.claim_number != claim_number):
        return None
    return to_state(row), connection.execute(select(func.clock_timestamp())).scalar_one()


def write_schedule(connection: Connection, state: ScheduleState, values: Mapping[str, Any]) -> None:
    """Change the locked schedule's row."""
    if values:
        connection.execute(update(schedules).where(_is_of(state.workspace_id, state.provider)).values(dict(values)))


def columns_of(schedule: Schedule) -> dict[str, Any]:
    """The columns that hold what was set."""
    return {
        "changes_every_seconds": schedule.changes_every,
        "listing_every_seconds": schedule.listing_every,
        "daily_at": None if schedule.daily_at is None else f"{schedule.daily_at:%H:%M}",
        "time_zone": schedule.time_zone,
    }


def schedule_of(row: Row[Any]) -> Schedule:
    """What `columns_of` wrote. What this machine cannot read, as a time zone that it does not know, is left out."""
    daily_at, time_zone = None, None
    if row.daily_at is not None:
        with suppress(InvalidInputError):
            daily_at, time_zone = time_of_day(row.daily_at), known_time_zone(row.time_zone)
    is_daily = daily_at is not None and time_zone is not None
    return Schedule(
        changes_every=row.changes_every_seconds,
        listing_every=row.listing_every_seconds,
        daily_at=daily_at if is_daily else None,
        time_zone=time_zone if is_daily else None,
    )


def pause_of(row: Row[Any]) -> Pause | None:
    """The pause that a row of the table tells of."""
    if row.paused_at is None:
        return None
    kind = PauseKind(row.paused_kind or PauseKind.PERSON)
    return Pause(row.paused_at, row.paused_by, row.paused_reason, kind, row.paused_code)


def to_state(row: Row[Any]) -> ScheduleState:
    """The state that a row of the table holds."""
    return ScheduleState(
        workspace_id=row.workspace_id,
        provider=row.provider_name,
        schedule=schedule_of(row),
        due_at=row.due_at,
        listing_due_at=row.listing_due_at,
        wanted_at=row.wanted_at,
        checked_at=row.checked_at,
        fresh_at=row.fresh_at,
        failures=row.failures,
        failing_since=row.failing_since,
        last_failure=row.last_failure,
        last_failure_code=row.last_failure_code,
        pause=pause_of(row),
    )


def _row_of(workspace_id: UUID, provider: str) -> Select[Any]:
    return select(schedules).where(_is_of(workspace_id, provider))


def _is_of(workspace_id: UUID, provider: str) -> ColumnElement[bool]:
    return and_(schedules.c.workspace_id == workspace_id, schedules.c.provider_name == provider)
