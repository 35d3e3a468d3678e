"""A provider with a wrong clock, without an end to its lists, or without an answer: what a sync makes of it."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import text

from cyphera_pipelines.local.locks import wait_until
from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.sessions import SessionStatus
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.providers.http import exchange
from cyphera_pipelines.providers.stripe import paging
from cyphera_pipelines.store.cursors import read_positions
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.events import RecordedEvent, list_events
from cyphera_pipelines.store.locks import is_being_synced
from cyphera_pipelines.store.sessions import list_active_sessions, list_sessions
from cyphera_pipelines.sync import slicing
from cyphera_pipelines.sync.cancellation import Cancellation, cancel_session
from cyphera_pipelines.sync.outcome import SyncOutcome
from cyphera_pipelines_tests.hostile import HostileProvider, Misbehaviour, Wire, misbehaviour
from cyphera_pipelines_tests.hostile.account import ENTITIES
from cyphera_pipelines_tests.sync.conftest import RunSync
from cyphera_pipelines_tests.sync.sync_process import start_sync
from cyphera_pipelines_tests.truth import live_rows

DEADLINE_SECONDS = 300.0
DAY = 86_400


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[HostileProvider]:
    monkeypatch.setattr(exchange, "LONGEST_WAIT", 0.02)
    with HostileProvider() as running:
        yield running


@pytest.fixture
def source(provider: HostileProvider, add_source: Callable[..., Source]) -> Source:
    return add_source(provider.account.api_key, provider.url)


def events_of(database: Database, outcome: SyncOutcome) -> dict[str, list[RecordedEvent]]:
    named: dict[str, list[RecordedEvent]] = {}
    for event in list_events(database, outcome.session.workspace_id, outcome.session.id, limit=1_000):
        named.setdefault(event.event_type, []).append(event)
    return named


def expect_the_rest(provider: HostileProvider, database: Database, source: Source, *, but: str) -> None:
    for name in ENTITIES:
        if name != but:
            expected = {obj["id"] for obj in provider.account.objects[name]}
            assert live_rows(database, source, name).keys() == expected


def latest_version(database: Database, source: Source) -> float:
    newest = " UNION ALL ".join(f"SELECT max(source_version) AS version FROM payments.{name}" for name in ENTITIES)
    with database.tenant(source.workspace_id) as connection:
        statement = text(f"SELECT extract(epoch FROM max(version)) FROM ({newest}) AS newest")
        return float(connection.execute(statement).scalar_one())


@pytest.mark.parametrize("times", [1, None], ids=["once", "always"])
@pytest.mark.parametrize("off", [2 * DAY, -2 * DAY, 3_600, "Tue, 32 Foo 9999 25:00:00 GMT"])
def test_a_wrong_clock_at_the_provider_keeps_no_later_state_out(
    off: float | str,
    times: int | None,
    provider: HostileProvider,
    source: Source,
    sync_now: RunSync,
    database: Database,
) -> None:
    provider.misbehave("*", misbehaviour.dated(off), times=times)
    outcome = sync_now(source)
    assert outcome.status is SessionStatus.COMPLETED
    assert latest_version(database, source) <= time.time() + 1
    told = events_of(database, outcome).get("provider_clock_off", [])
    assert len(told) == (0 if isinstance(off, str) else 1)
    for only_changes in (True, False):
        for at in (0, 1):
            provider.account.change("customers", at, name=f"Renamed, {only_changes}")
        assert sync_now(source, only_changes=only_changes).status is SessionStatus.COMPLETED
        rows = live_rows(database, source, "customers")
        for customer in provider.account.objects["customers"][:2]:
            assert rows[customer["id"]]["name"] == f"Renamed, {only_changes}"
    assert latest_version(database, source) <= time.time() + 1


def test_an_event_of_the_year_2100_keeps_no_later_state_out(
    provider: HostileProvider, source: Source, sync_now: RunSync, database: Database
) -> None:
    sync_now(source)
    customer = provider.account.objects["customers"][0]
    provider.account.tell("customers", {**customer, "name": "From the future"}, created=4_102_444_800)
    provider.account.tell("products", provider.account.objects["products"][0], kind="product.deleted", created=2**40)
    assert sync_now(source, only_changes=True).status is SessionStatus.COMPLETED
    assert live_rows(database, source, "customers")[customer["id"]]["name"] == customer["name"]
    assert len(live_rows(database, source, "products")) == len(provider.account.objects["products"])
    assert latest_version(database, source) <= time.time() + 1
    provider.account.change("customers", 0, name="Renamed")
    assert sync_now(source, only_changes=True).status is SessionStatus.COMPLETED
    assert live_rows(database, source, "customers")[customer["id"]]["name"] == "Renamed"


def test_a_watermark_that_lies_ahead_is_none(
    provider: HostileProvider, source: Source, sync_now: RunSync, database: Database
) -> None:
    sync_now(source)
    with database.tenant(source.workspace_id) as connection:
        connection.execute(text("UPDATE sync.sync_cursors SET watermark = now() + interval '2 days'"))
    provider.account.change("customers", 0, name="Renamed")
    outcome = sync_now(source, only_changes=True)
    assert outcome.status is SessionStatus.COMPLETED
    (why,) = events_of(database, outcome)["delta_not_possible"]
    assert "lies ahead: a clock was wrong. A full listing runs instead." in why.event_message
    assert "Renamed" in {row["name"] for row in live_rows(database, source, "customers").values()}
    assert "delta_not_possible" not in events_of(database, sync_now(source, only_changes=True))


ENDLESS = {"same-page": misbehaviour.same_page_for_ever, "new-objects": misbehaviour.new_objects_for_ever}


@pytest.mark.parametrize("how", ENDLESS.values(), ids=ENDLESS)
def test_a_listing_without_end_ends_and_keeps_what_came(
    how: Callable[[], Misbehaviour],
    provider: HostileProvider,
    source: Source,
    sync_now: RunSync,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(slicing, "MOST_PAGES_OF_ONE_MOMENT", 20)
    provider.misbehave("/v1/customers", how())
    for _each in range(2):
        outcome = sync_now(source)
        assert outcome.status is SessionStatus.PARTIAL
        assert outcome.error_summary is not None
        assert set(outcome.error_summary["entities"]) == {"customers"}
        assert "do not come to an end" in outcome.error_summary["message"]
        assert len(live_rows(database, source, "customers")) > 1
        expect_the_rest(provider, database, source, but="customers")
    provider.behave()
    assert sync_now(source, full_sync=True).status is SessionStatus.COMPLETED
    expect_the_rest(provider, database, source, but="")


@pytest.mark.parametrize("how", ENDLESS.values(), ids=ENDLESS)
def test_a_nested_list_without_end_is_one_object_s_trouble(
    how: Callable[[], Misbehaviour],
    provider: HostileProvider,
    source: Source,
    sync_now: RunSync,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(paging, "MOST_PAGES_OF_A_SHORT_LIST", 20)
    long = next(obj["id"] for obj in provider.account.objects["invoices"] if len(obj["lines"]["data"]) > 10)
    provider.misbehave(f"/v1/invoices/{long}/lines", how())
    for _each in range(2):
        assert sync_now(source).status is SessionStatus.PARTIAL
        assert read_positions(database, source, livemode=False)[Entity.INVOICES].owed == (long,)
        expect_the_rest(provider, database, source, but="invoices")
        assert len(live_rows(database, source, "invoices")) == len(provider.account.objects["invoices"]) - 1


@pytest.mark.parametrize("how", ENDLESS.values(), ids=ENDLESS)
def test_events_without_end_are_told_of_and_everything_is_listed(
    how: Callable[[], Misbehaviour],
    provider: HostileProvider,
    source: Source,
    sync_now: RunSync,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(paging, "MOST_PAGES_OF_ONE_MOMENT", 20)
    provider.account.change("customers", 0, name="Renamed")
    sync_now(source)
    provider.account.change("customers", 0, name="Renamed again")
    provider.misbehave("/v1/events", how())
    for _each in range(2):
        outcome = sync_now(source, only_changes=True)
        assert outcome.status is SessionStatus.COMPLETED
        assert "do not come to an end" in events_of(database, outcome)["changes_unreadable"][0].event_message
        expect_the_rest(provider, database, source, but="")


def test_an_object_that_is_too_large_is_owed(
    provider: HostileProvider, source: Source, sync_now: RunSync, database: Database
) -> None:
    customers = provider.account.objects["customers"]
    honest = customers[4]
    customers[4] = {**honest, "padding": "x" * 9 * misbehaviour.MEBIBYTE}
    for only_changes in (False, False, True):
        outcome = sync_now(source, only_changes=only_changes)
        assert outcome.status is SessionStatus.PARTIAL
        assert read_positions(database, source, livemode=False)[Entity.CUSTOMERS].owed == (honest["id"],)
        assert len(live_rows(database, source, "customers")) == len(customers) - 1
        expect_the_rest(provider, database, source, but="customers")
    customers[4] = honest
    assert sync_now(source, only_changes=True).status is SessionStatus.COMPLETED
    expect_the_rest(provider, database, source, but="")


def test_another_object_than_the_one_that_was_asked_for_is_not_taken_for_it(
    provider: HostileProvider, source: Source, sync_now: RunSync, database: Database
) -> None:
    sync_now(source)
    first, second = provider.account.objects["customers"][:2]
    event = provider.account.change("customers", 0, name="Renamed")
    event["api_version"] = "2019-01-01"
    answers: list[Any] = [second, {**first, "object": "product"}, {"deleted": True}, {}]
    for answer in answers:
        provider.misbehave(f"/v1/customers/{first['id']}", misbehaviour.json_value(answer))
        outcome = sync_now(source, only_changes=True)
        assert outcome.status is SessionStatus.PARTIAL
        assert read_positions(database, source, livemode=False)[Entity.CUSTOMERS].owed == (first["id"],)
        rows = live_rows(database, source, "customers")
        assert (rows[first["id"]]["name"], rows[second["id"]]["name"]) != ("Renamed", "Renamed")
        assert len(rows) == len(provider.account.objects["customers"])


@pytest.mark.parametrize(
    "how",
    [misbehaviour.never_answers(), misbehaviour.slow_head(), misbehaviour.slow_body(), misbehaviour.endless_body()],
    ids=["no-answer", "slow-head", "slow-body", "endless-body"],
)
def test_a_cancelled_process_gives_the_source_back_whatever_the_provider_does(
    how: Misbehaviour, provider: HostileProvider, source: Source, sync_now: RunSync, database: Database, home: Any
) -> None:
    asked = list[Wire]()

    def slowly(wire: Wire) -> None:
        asked.append(wire)
        # An endless body is soon too large, and the sync would end: what is asked for instead is not answered.
        (how if len(asked) == 1 else misbehaviour.never_answers())(wire)

    provider.misbehave("/v1/invoices", slowly)
    process = start_sync(source, home)
    assert wait_until(lambda: "/v1/invoices" in provider.paths(), DEADLINE_SECONDS)
    (session,) = list_active_sessions(database, source)
    cancel_session(database, session, Cancellation.with_command("Cancelled", "tests"))
    provider.behave()
    # It waits for the process that is stopping, and is not told that the source is being synced.
    assert sync_now(source).status is SessionStatus.COMPLETED
    process.join(DEADLINE_SECONDS)
    assert process.exitcode == 0
    assert not is_being_synced(database, source.workspace_id, source.provider)
    assert [each.status for each in list_sessions(database, source.workspace_id)] == [
        SessionStatus.COMPLETED,
        SessionStatus.CANCELLED,
    ]


@pytest.mark.slow
@pytest.mark.parametrize("path", ["*", "/v1/customers"])
def test_a_body_that_comes_a_byte_at_a_time_ends_the_sync(
    path: str, provider: HostileProvider, source: Source, home: Any, database: Database
) -> None:
    """With the patience that syncs have: three times forty seconds."""
    provider.misbehave(path, misbehaviour.slow_body(5.0))
    process = start_sync(source, home)
    process.join(300.0)
    assert process.exitcode == 0
    (session,) = list_sessions(database, source.workspace_id)
    assert session.status is (SessionStatus.FAILED if path == "*" else SessionStatus.PARTIAL)
    assert session.error_summary is not None
    assert "gave no whole answer in time" in session.error_summary["message"]
