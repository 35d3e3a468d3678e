"""What syncs and people write to the schedule of a source."""

from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import func, select, update

from cyphera_pipelines.model.configuration import Credentials
from cyphera_pipelines.model.schedule import DAY, HOUR, PauseKind, Schedule, offset_of
from cyphera_pipelines.model.sessions import SyncRequest
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.model.workspace import Workspace
from cyphera_pipelines.security.encryption import Keyring
from cyphera_pipelines.store.audit import list_audit_entries
from cyphera_pipelines.store.configurations import (
    ConfigurationChange,
    change_configuration,
    get_configuration,
    remove_configuration,
)
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.pauses import (
    SourcePausedError,
    end_pause_for_credentials,
    find_pause,
    pause_source,
    resume_source,
)
from cyphera_pipelines.store.schedules import (
    FAILURES_BEFORE_PAUSE,
    ScheduleState,
    SyncEnd,
    SyncResult,
    change_schedule,
    due_after_failures,
    note_sync,
    read_schedule,
)
from cyphera_pipelines.store.sources import find_source
from cyphera_pipelines.store.tables import source_schedules
from cyphera_pipelines.sync.request import open_session

KEY = "sk_test_schedules"


@pytest.fixture
def source(add_source: Callable[..., Source]) -> Source:
    return add_source(KEY, "http://127.0.0.1:1")


def state_of(database: Database, source: Source) -> ScheduleState:
    state = read_schedule(database, source.workspace_id, source.provider)
    assert state is not None
    return state


def now_of(database: Database) -> datetime:
    with database.control() as connection:
        moment: datetime = connection.execute(select(func.clock_timestamp())).scalar_one()
    return moment


def note(database: Database, source: Source, result: SyncResult, message: str | None = None, **given: Any) -> bool:
    end = SyncEnd(result, given.pop("began_at", now_of(database)), message, **given)
    with database.tenant(source.workspace_id) as connection:
        return note_sync(connection, source.workspace_id, source.provider, end)


def put(database: Database, source: Source, **values: Any) -> None:
    row = update(source_schedules).where(source_schedules.c.workspace_id == source.workspace_id)
    with database.control() as connection:
        connection.execute(row.values(values))


def actions(database: Database, source: Source) -> list[tuple[str, Any]]:
    entries = list_audit_entries(database, source.workspace_id)
    return [(entry.action, entry.details.get("kind")) for entry in entries if entry.action.startswith("source.")]


def is_at_own_place(state: ScheduleState, moment: datetime) -> bool:
    return state.schedule.next_changes(state.offset, moment - timedelta(seconds=1)) == moment


def test_a_source_is_due_soon_after_it_was_connected_and_again_after_it_was_connected_anew(
    database: Database, add_source: Callable[..., Source], workspace: Workspace
) -> None:
    source = add_source(KEY, workspace=workspace)
    state, now = state_of(database, source), now_of(database)
    assert now < state.due_at <= now + timedelta(minutes=5)
    assert state.listing_due_at <= now
    assert (state.schedule, state.fresh_at, state.pause, state.failures) == (Schedule(), None, None, 0)
    assert change_schedule(database, source, Schedule(changes_every=2 * HOUR))
    note(database, source, SyncResult.LEVEL)
    note(database, source, SyncResult.REJECTED, "No such key.", began_at=now_of(database))
    remove_configuration(database, get_configuration(database, source.workspace_id, source.configuration_id))
    add_source(KEY, workspace=workspace)
    again, now = state_of(database, source), now_of(database)
    assert now < again.due_at <= now + timedelta(minutes=5)
    assert (again.schedule, again.fresh_at, again.pause, again.failures) == (Schedule(), None, None, 0)


def test_connecting_anew_does_not_end_what_an_operator_paused(
    database: Database, add_source: Callable[..., Source], workspace: Workspace
) -> None:
    source = add_source(KEY, workspace=workspace)
    pause_source(database, source, "Moving.")
    remove_configuration(database, get_configuration(database, source.workspace_id, source.configuration_id))
    add_source("sk_test_other", workspace=workspace)
    assert find_pause(database, source.workspace_id, "stripe") is not None


def test_a_success_moves_to_the_source_s_own_next_place(database: Database, source: Source) -> None:
    put(database, source, due_at=now_of(database) - timedelta(hours=3), failures=4, last_failure="Gone.")
    listed_at = now_of(database)
    assert note(database, source, SyncResult.LEVEL, listed_at=listed_at)
    state, now = state_of(database, source), now_of(database)
    assert now < state.due_at <= now + timedelta(hours=1)
    assert is_at_own_place(state, state.due_at)
    assert state.fresh_at is not None
    assert listed_at <= state.fresh_at <= now
    assert now < state.listing_due_at <= now + timedelta(days=7)
    assert (state.failures, state.failing_since, state.last_failure) == (0, None, None)


def test_a_listing_is_due_no_later_because_changes_were_applied(database: Database, source: Source) -> None:
    long_ago = now_of(database) - timedelta(days=20)
    put(database, source, listing_due_at=(due := now_of(database) + timedelta(days=1)))
    note(database, source, SyncResult.LEVEL, listed_at=long_ago)
    assert state_of(database, source).listing_due_at == due
    put(database, source, listing_due_at=(due := now_of(database) - timedelta(minutes=5)))
    note(database, source, SyncResult.LEVEL, listed_at=long_ago)
    assert state_of(database, source).listing_due_at == due
    note(database, source, SyncResult.LEVEL, listed_at=due + timedelta(minutes=1))  # by a sync that was killed then
    assert state_of(database, source).listing_due_at > now_of(database)


def test_failures_are_further_and_further_apart_and_the_place_stays(database: Database, source: Source) -> None:
    offset = offset_of(source.workspace_id, source.provider)
    waits = []
    for failures in range(1, 9):
        note(database, source, SyncResult.FAILED, f"Failure {failures}.")
        state, now = state_of(database, source), now_of(database)
        assert (state.failures, state.last_failure) == (failures, f"Failure {failures}.")
        assert is_at_own_place(state, state.due_at)
        waits.append((state.due_at - state.schedule.next_changes(offset, now)).total_seconds() / HOUR)
    assert waits == [0, 1, 3, 7, 15, 23, 23, 23]
    assert state.pause is None
    assert state.failing_since is not None
    assert state.fresh_at is None


@pytest.mark.parametrize("failures", [1, 2, 5, 30, 10_000])
@pytest.mark.parametrize(
    "schedule",
    [
        Schedule(300),
        Schedule(),
        Schedule(DAY),
        Schedule(7 * DAY),
        Schedule(daily_at=time(2, 30), time_zone="Asia/Tokyo"),
    ],
)
def test_whatever_the_schedule_a_failure_is_tried_again_within_two_days(schedule: Schedule, failures: int) -> None:
    now = datetime(2026, 3, 28, 23, tzinfo=UTC)
    for offset in (0.0, 0.3, 0.999):
        due = due_after_failures(schedule, offset, now, failures)
        assert now < due <= now + timedelta(days=2)
        assert due >= min(schedule.next_changes(offset, now), now + timedelta(days=1))


def test_what_did_not_make_it_alone_is_told_but_lets_the_others_not_wait(database: Database, source: Source) -> None:
    note(database, source, SyncResult.FAILED, "Down.")
    note(database, source, SyncResult.FAILED, "Down.")
    note(database, source, SyncResult.BEHIND, "invoices did not complete.")
    state, now = state_of(database, source), now_of(database)
    assert (state.failures, state.last_failure, state.fresh_at) == (0, "invoices did not complete.", None)
    assert now < state.due_at <= now + timedelta(hours=1)


def test_a_source_whose_process_died_is_due_at_once_but_not_for_ever(database: Database, source: Source) -> None:
    due = now_of(database) - timedelta(minutes=1)
    put(database, source, due_at=due)
    for _ in range(2):
        note(database, source, SyncResult.INTERRUPTED, "The process ended.")
        assert state_of(database, source).due_at == due
    note(database, source, SyncResult.INTERRUPTED, "The process ended.")
    assert state_of(database, source).due_at > now_of(database)


def test_what_somebody_cancelled_waits_for_its_next_place(database: Database, source: Source) -> None:
    put(database, source, due_at=now_of(database) - timedelta(minutes=1))
    note(database, source, SyncResult.CANCELLED)
    state = state_of(database, source)
    assert state.due_at > now_of(database)
    assert (state.failures, state.checked_at) == (0, None)


def test_rejected_credentials_pause_at_once_and_others_end_that(
    database: Database, keyring: Keyring, source: Source
) -> None:
    note(database, source, SyncResult.REJECTED, "Stripe does not know the key.")
    pause = state_of(database, source).pause
    assert pause is not None
    assert pause.paused_kind is PauseKind.CREDENTIALS
    assert pause.paused_reason == "The credentials were rejected: Stripe does not know the key."
    # Only what starts by itself is stopped.
    open_session(database, source, SyncRequest())

    def change(**values: Any) -> None:
        given = Credentials.model_validate({"api_key": SecretStr(KEY), "base_url": "http://127.0.0.1:1"} | values)
        change_configuration(
            database,
            keyring,
            source.workspace_id,
            source.configuration_id,
            lambda _present, _read: ConfigurationChange({}, given),
        )

    change(webhook_secret=SecretStr("whsec_other"))
    assert state_of(database, source).pause is not None
    change(api_key=SecretStr("sk_test_another"))
    state, now = state_of(database, source), now_of(database)
    assert (state.pause, state.failures, state.last_failure) == (None, 0, None)
    assert now < state.due_at <= now + timedelta(minutes=5)
    # What began with the key of before says nothing of this one.
    note(database, source, SyncResult.REJECTED, "Stripe does not know the key.", began_at=now - timedelta(minutes=1))
    assert state_of(database, source).pause is None
    note(database, source, SyncResult.REJECTED, "Stripe does not know the key.")
    assert end_pause_for_credentials(database, source)
    assert not end_pause_for_credentials(database, source)
    assert actions(database, source)[::-1] == [("source.paused", "credentials"), ("source.resumed", "credentials")] * 2


def test_failures_pause_only_when_they_are_many_and_old(database: Database, source: Source) -> None:
    now = now_of(database)
    put(database, source, failures=FAILURES_BEFORE_PAUSE - 2, failing_since=now - timedelta(days=30))
    note(database, source, SyncResult.FAILED, "Refused.")
    assert state_of(database, source).pause is None
    put(database, source, failing_since=now - timedelta(days=6))
    note(database, source, SyncResult.FAILED, "Refused.")
    assert state_of(database, source).pause is None
    put(database, source, failing_since=now - timedelta(days=7))
    note(database, source, SyncResult.FAILED, "Refused.")
    pause = state_of(database, source).pause
    assert pause is not None
    assert pause.paused_kind is PauseKind.FAILURES
    assert "21 syncs in a row have failed since" in str(pause.paused_reason)
    assert "Refused." in str(pause.paused_reason)
    note(database, source, SyncResult.LEVEL)  # somebody asked for a sync
    assert state_of(database, source).pause is None


def test_a_person_s_pause_outlives_all_that_syncs_tell(database: Database, source: Source) -> None:
    pause_source(database, source, "Moving.")
    for result in SyncResult:
        note(database, source, result, "Something.")
        assert str(state_of(database, source).pause).endswith("(Moving.)")
    with pytest.raises(SourcePausedError, match="cyphera source resume"):
        open_session(database, source, SyncRequest())


def test_resuming_waits_for_the_next_place_and_forgets_the_failures(database: Database, source: Source) -> None:
    put(database, source, failures=20, failing_since=now_of(database) - timedelta(days=8), due_at=now_of(database))
    note(database, source, SyncResult.FAILED, "Refused.")
    assert resume_source(database, source) is not None
    assert resume_source(database, source) is None
    state, now = state_of(database, source), now_of(database)
    assert (state.pause, state.failures, state.failing_since) == (None, 0, None)
    assert now < state.due_at <= now + timedelta(hours=1)
    assert is_at_own_place(state, state.due_at)


def test_an_earlier_claim_writes_nothing(database: Database, source: Source) -> None:
    put(database, source, claim_number=7)
    assert not note(database, source, SyncResult.FAILED, "Late.", claim_number=6)
    assert state_of(database, source).last_failure is None
    assert note(database, source, SyncResult.LEVEL, claim_number=7, also={"claimed_by": None, "lease_until": None})
    assert state_of(database, source).fresh_at is not None


def test_a_row_that_was_purged_begins_with_a_number_that_was_never_given(database: Database, source: Source) -> None:
    with database.control() as connection:
        number = connection.execute(
            select(source_schedules.c.claim_number).where(source_schedules.c.workspace_id == source.workspace_id)
        ).scalar_one()
    assert number > 1_700_000_000_000


def test_another_schedule_moves_what_is_to_come_and_not_what_is_due(database: Database, source: Source) -> None:
    note(database, source, SyncResult.LEVEL, listed_at=now_of(database))
    daily = Schedule(daily_at=time(2, 30), time_zone="Europe/Berlin", listing_every=30 * DAY)
    assert change_schedule(database, source, daily)
    assert not change_schedule(database, source, daily)
    state, now = state_of(database, source), now_of(database)
    assert state.schedule == daily
    assert state.due_at == daily.next_changes(state.offset, now)
    assert state.listing_due_at == daily.next_listing(state.offset, now)
    put(database, source, due_at=(due := now_of(database) - timedelta(seconds=1)))
    change_schedule(database, source, Schedule(300))
    assert state_of(database, source).due_at == due


def test_what_a_clock_that_was_ahead_wrote_is_mended_by_the_next_sync(database: Database, source: Source) -> None:
    ahead = now_of(database) + timedelta(hours=1)
    put(database, source, due_at=ahead + timedelta(hours=1), fresh_at=ahead, listing_due_at=ahead)
    note(database, source, SyncResult.LEVEL, level_since=ahead)
    state, now = state_of(database, source), now_of(database)
    assert state.fresh_at is not None
    assert state.fresh_at <= now
    assert state.due_at <= now + timedelta(hours=1)


def test_another_workspace_s_schedule_is_neither_seen_nor_changed(
    database: Database, source: Source, add_source: Callable[..., Source]
) -> None:
    other = add_source("sk_test_other_schedule", "http://127.0.0.1:1")
    end = SyncEnd(SyncResult.FAILED, now_of(database), "Not yours.")
    with database.tenant(other.workspace_id) as connection:
        assert not note_sync(connection, source.workspace_id, source.provider, end)
    assert state_of(database, source).failures == 0
    assert find_source(database, source.key) == source
