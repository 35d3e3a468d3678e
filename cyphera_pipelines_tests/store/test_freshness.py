"""Which state a source is in, and that nobody who shows it decides that anew."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, text

from cyphera_pipelines.model.error_codes import ErrorCode
from cyphera_pipelines.model.freshness import Freshness
from cyphera_pipelines.model.schedule import DAY, HOUR
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.model.workspace import Workspace
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.freshness import (
    count_by_freshness,
    freshness_of_workspace,
    list_least_fresh,
    read_freshness,
)
from cyphera_pipelines.store.pauses import pause_source
from cyphera_pipelines.store.schedules import SyncResult
from cyphera_pipelines_tests.store.test_schedules import note, now_of, put

HOURLY, DAILY = {"changes_every_seconds": HOUR}, {"daily_at": "02:30", "time_zone": "Europe/Berlin"}


@pytest.fixture
def source(add_source: Callable[..., Source], workspace: Workspace) -> Source:
    return add_source("sk_test_freshness", workspace=workspace)


@pytest.mark.parametrize(
    ("values", "minutes_old", "state"),
    [
        (HOURLY, None, Freshness.NEVER_SYNCED),
        (HOURLY, 0, Freshness.FRESH),
        (HOURLY, 70, Freshness.FRESH),
        (HOURLY, 72, Freshness.LATE),
        (HOURLY, -4, Freshness.FRESH),
        (HOURLY, -61, Freshness.LATE),  # a clock was an hour ahead: that proves nothing
        ({"changes_every_seconds": 300}, 10, Freshness.FRESH),
        ({"changes_every_seconds": 300}, 11, Freshness.LATE),
        (DAILY, 25 * 60, Freshness.FRESH),
        (DAILY, 27 * 60, Freshness.LATE),
        ({"changes_every_seconds": 7 * DAY}, 7 * 24 * 60, Freshness.FRESH),
        (HOURLY | {"last_failure": "Refused.", "failures": 3}, 0, Freshness.FAILING),
        (HOURLY | {"last_failure": "invoices did not complete.", "failures": 0}, None, Freshness.FAILING),
        (HOURLY | {"last_failure": "Refused.", "paused_kind": "failures"}, 0, Freshness.PAUSED),
    ],
)
def test_states(
    database: Database, source: Source, values: dict[str, Any], minutes_old: int | None, state: Freshness
) -> None:
    now = now_of(database)
    if "paused_kind" in values:
        values = values | {"paused_at": now}
    if "last_failure" in values:
        values = values | {"failing_since": now}
    put(database, source, fresh_at=None if minutes_old is None else now - timedelta(minutes=minutes_old), **values)
    found = freshness_of_workspace(database, source.workspace_id)[source.provider]
    assert found.state is state
    assert read_freshness(database, [(source.workspace_slug, source.provider)]) == {source.key: found}
    counts = count_by_freshness(database, source.workspace_id)
    assert {each for each, sources in counts.sources.items() if sources} == {state}
    worst = list_least_fresh(database, source.workspace_id, limit=5)
    assert worst == ([] if state is Freshness.FRESH else [found])
    assert found.sentence.endswith(".")
    assert (found.remedy is None) == (state is Freshness.FRESH)


def test_only_active_sources_count_and_paused_or_claimed_ones_are_not_overdue(
    database: Database, source: Source
) -> None:
    overdue = now_of(database) - timedelta(minutes=20)
    put(database, source, due_at=overdue, fresh_at=now_of(database))
    counts = count_by_freshness(database, source.workspace_id)
    assert (counts.total, counts.overdue_sources, counts.is_healthy) == (1, 1, False)
    assert 1_200 <= counts.overdue_seconds < 1_800
    put(database, source, claimed_by=source.workspace_id, lease_until=now_of(database) + timedelta(minutes=1))
    assert count_by_freshness(database, source.workspace_id).is_healthy
    put(database, source, claimed_by=None, lease_until=None)
    pause_source(database, source, "Moving.")
    counts = count_by_freshness(database, source.workspace_id)
    assert (counts.overdue_sources, counts.paused_by_people, counts.is_healthy) == (0, 1, True)
    with database.control() as connection:
        connection.execute(
            text("UPDATE sync.workspace_payment_configurations SET is_active = false WHERE workspace_id = :id"),
            {"id": source.workspace_id},
        )
    assert count_by_freshness(database, source.workspace_id).total == 0
    assert list_least_fresh(database, source.workspace_id, limit=5) == []


def test_a_source_that_credentials_paused_is_nothing_that_people_wanted(database: Database, source: Source) -> None:
    note(database, source, SyncResult.REJECTED, "No such key.")
    counts = count_by_freshness(database, source.workspace_id)
    assert (counts.sources[Freshness.PAUSED], counts.paused_by_people, counts.is_healthy) == (1, 0, False)
    (found,) = list_least_fresh(database, source.workspace_id, limit=5)
    assert "The credentials were rejected: No such key." in found.sentence
    assert f"cyphera source update {source.workspace_slug} stripe" in str(found.remedy)


def test_what_to_do_about_a_failure_goes_by_its_code(database: Database, source: Source) -> None:
    test = f"Try the connection: cyphera source test {source.workspace_slug} stripe"
    for code, remedy, of_workspace in (
        (None, test, "Test the connection of its configuration."),
        (ErrorCode.DATABASE_UNAVAILABLE, ErrorCode.DATABASE_UNAVAILABLE.remedy, "Tell whoever runs this installation."),
        (
            ErrorCode.PROVIDER_UNAVAILABLE,
            f"{ErrorCode.PROVIDER_UNAVAILABLE.remedy} {test}",
            ErrorCode.PROVIDER_UNAVAILABLE.remedy,
        ),
    ):
        note(database, source, SyncResult.FAILED, "It failed.", code=code)
        (found,) = list_least_fresh(database, source.workspace_id, limit=5)
        assert (found.remedy, found.remedy_of_workspace) == (remedy, of_workspace)


def test_however_many_sources_there_are_they_take_as_many_statements(
    database: Database, add_source: Callable[..., Source], workspace: Workspace
) -> None:
    statements: list[str] = []
    event.listen(database.engine, "before_cursor_execute", lambda *given: statements.append(given[2]))
    taken = []
    for _ in range(2):
        add_source("sk_test_one_more")
        statements.clear()
        count_by_freshness(database)
        list_least_fresh(database, limit=100)
        read_freshness(database)
        taken.append(len([each for each in statements if "source_schedules" in each]))
    assert taken == [3, 3]


def test_a_time_zone_that_this_machine_does_not_know_hides_nothing(database: Database, source: Source) -> None:
    put(database, source, daily_at="02:30", time_zone="Mars/Olympus_Mons")
    assert freshness_of_workspace(database, source.workspace_id)["stripe"].schedule.daily_at is None
    assert note(database, source, SyncResult.LEVEL)
