from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from pydantic import SecretStr
from sqlalchemy import text, update

from cyphera_pipelines.model.configuration import Credentials
from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.sessions import SessionStatus, SessionType, SyncRequest
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.providers.http import exchange
from cyphera_pipelines.sandbox import Fault, FaultKind, SandboxAccount, SandboxOptions, SandboxServer
from cyphera_pipelines.security.encryption import Keyring
from cyphera_pipelines.store.claims import unchanged
from cyphera_pipelines.store.configurations import ConfigurationChange, change_configuration
from cyphera_pipelines.store.cursors import read_positions
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.events import list_events
from cyphera_pipelines.store.sessions import finish_session
from cyphera_pipelines.store.tables import source_schedules
from cyphera_pipelines.sync.engine import SyncJob, run_sync
from cyphera_pipelines.sync.look import Nothing, look
from cyphera_pipelines.sync.outcome import SyncOutcome
from cyphera_pipelines.sync.request import open_session
from cyphera_pipelines_tests.sync.conftest import RunSync
from cyphera_pipelines_tests.truth import assert_tables_equal_truth

ACCOUNT = SandboxAccount(
    api_key="sk_test_changes",
    account_id="acct_changes",
    seed=5,
    customers=80,
    products=12,
    prices=30,
    subscriptions=60,
    invoices=120,
    long_invoice_share=0.1,
    large_subscription_share=0.1,
    restricted_keys={"rk_test_no_events": frozenset({"event"}), "rk_test_no_invoices": frozenset({"invoice"})},
)
EVERYTHING = {"customers": 5, "products": 2, "prices": 4, "subscriptions": 6, "invoices": 8}


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer([ACCOUNT], SandboxOptions()) as server:
        yield server


@pytest.fixture
def source(sandbox: SandboxServer, add_source: Callable[..., Source], sync_now: RunSync) -> Source:
    """A source that has been listed."""
    added = add_source(ACCOUNT.api_key, sandbox.url)
    assert sync_now(added).status is SessionStatus.COMPLETED
    sandbox.state.counters.reset()
    return added


def event_types(database: Database, outcome: SyncOutcome) -> set[str]:
    session = outcome.session
    return {event.event_type for event in list_events(database, session.workspace_id, session.id)}


def test_changes_alone_bring_the_tables_up_to_date(
    sandbox: SandboxServer, source: Source, sync_now: RunSync, database: Database
) -> None:
    sandbox.state.apply_changes(
        "acct_changes", create=EVERYTHING, update=EVERYTHING, delete={"customers": 3, "invoices": 2}
    )
    outcome = sync_now(source, only_changes=True)
    assert (outcome.status, outcome.error_summary) == (SessionStatus.COMPLETED, None)
    assert outcome.session.session_type is SessionType.DELTA_SYNC
    assert_tables_equal_truth(database, source, sandbox.state, "acct_changes")
    listed = {seen.path for seen in sandbox.state.counters.recent}
    assert not listed & {f"/v1/{entity.value}" for entity in Entity}


def test_an_idle_source_costs_two_requests_beside_the_account_and_writes_no_row(
    sandbox: SandboxServer, source: Source, sync_now: RunSync, database: Database
) -> None:
    outcome = sync_now(source, only_changes=True)
    assert outcome.status is SessionStatus.COMPLETED
    assert [seen.path for seen in sandbox.state.counters.recent].count("/v1/events") == 2
    assert sandbox.state.counters.total <= 3
    assert all(counts.fetched == 0 for counts in outcome.entities.values())
    assert "changes_applied" not in event_types(database, outcome)


def test_a_listing_that_was_asked_for_and_brought_no_page_is_gone_on_with(
    sandbox: SandboxServer, source: Source, sync_now: RunSync, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says so, and changes alone would show nothing of what happened without an event."""
    monkeypatch.setattr(exchange, "LONGEST_WAIT", 0.05)
    sandbox.state.faults.set([Fault(kind=FaultKind.ERROR_500, path="/v1/products")])
    broken = sync_now(source, full_sync=True)
    assert broken.status is SessionStatus.PARTIAL
    assert broken.error_summary is not None
    assert "The next sync continues from there." in broken.error_summary["message"]
    sandbox.state.faults.clear()
    sandbox.state.counters.reset()
    outcome = sync_now(source, only_changes=True)
    assert outcome.status is SessionStatus.COMPLETED
    listed = {seen.path for seen in sandbox.state.counters.recent} & {f"/v1/{entity.value}" for entity in Entity}
    assert listed == {"/v1/products"}
    assert_tables_equal_truth(database, source, sandbox.state, "acct_changes")


def test_snapshots_of_another_api_version_are_not_trusted(
    sandbox: SandboxServer, add_source: Callable[..., Source], sync_now: RunSync, database: Database
) -> None:
    account = ACCOUNT.model_copy(update={"event_api_version": "2024-06-20"})
    sandbox.state.put_account(account)
    source = add_source(account.api_key, sandbox.url)
    sync_now(source)
    sandbox.state.apply_changes("acct_changes", create=EVERYTHING, update=EVERYTHING, delete={"customers": 2})
    assert sync_now(source, only_changes=True).status is SessionStatus.COMPLETED
    assert_tables_equal_truth(database, source, sandbox.state, "acct_changes")


def test_many_changes_of_one_object_end_in_its_last_state(
    sandbox: SandboxServer, source: Source, sync_now: RunSync, database: Database
) -> None:
    """All within a second or two: most of these events tie, and the object has to be fetched."""
    customer = next(iter(sandbox.state.truth("acct_changes", "customers")))["id"]
    for number in range(30):
        sandbox.state.patch("acct_changes", customer, {"name": f"Name {number}"})
    gone = list(sandbox.state.truth("acct_changes", "customers"))[5]["id"]
    sandbox.state.patch("acct_changes", gone, {"name": "Last words"})
    sandbox.state.delete("acct_changes", gone)
    assert sync_now(source, only_changes=True).status is SessionStatus.COMPLETED
    assert_tables_equal_truth(database, source, sandbox.state, "acct_changes")


def test_what_changes_during_a_listing_is_caught_up_with(
    sandbox: SandboxServer, add_source: Callable[..., Source], sync_now: RunSync, database: Database
) -> None:
    asked = []

    def change(endpoint: str, _query: str) -> None:
        asked.append(endpoint)
        if len(asked) in (8, 14, 20) and endpoint.startswith("GET /v1/"):
            sandbox.state.apply_changes("acct_changes", create=EVERYTHING, update=EVERYTHING, delete={"customers": 1})

    sandbox.state.watchers.append(change)
    source = add_source(ACCOUNT.api_key, sandbox.url)
    outcome = sync_now(source, batch_size=10)
    assert (outcome.status, outcome.error_summary) == (SessionStatus.COMPLETED, None)
    assert len(asked) > 20
    assert_tables_equal_truth(database, source, sandbox.state, "acct_changes")


def test_without_a_listing_there_is_nothing_to_apply_changes_to(
    sandbox: SandboxServer, add_source: Callable[..., Source], sync_now: RunSync, database: Database
) -> None:
    source = add_source(ACCOUNT.api_key, sandbox.url)
    outcome = sync_now(source, only_changes=True)
    assert outcome.status is SessionStatus.COMPLETED
    assert "delta_not_possible" in event_types(database, outcome)
    assert_tables_equal_truth(database, source, sandbox.state, "acct_changes")


def test_one_entity_that_has_to_be_listed_lists_no_other(
    sandbox: SandboxServer,
    add_source: Callable[..., Source],
    sync_now: RunSync,
    database: Database,
    keyring: Keyring,
) -> None:
    """What a restricted key may not read is tried at every sync: that must not list all the rest each time."""
    source = add_source("rk_test_no_invoices", sandbox.url)
    assert sync_now(source).status is SessionStatus.PARTIAL
    sandbox.state.counters.reset()
    sandbox.state.apply_changes("acct_changes", create=EVERYTHING, update=EVERYTHING, delete={"customers": 3})
    outcome = sync_now(source, only_changes=True)
    assert outcome.status is SessionStatus.PARTIAL
    assert "does not permit listing invoices" in (outcome.error_summary or {})["message"]
    listed = {seen.path for seen in sandbox.state.counters.recent} & {f"/v1/{entity.value}" for entity in Entity}
    assert listed == {"/v1/invoices"}
    (told,) = [
        event.event_message
        for event in list_events(database, source.workspace_id, outcome.session.id)
        if event.event_type == "delta_not_possible"
    ]
    assert told == "invoices of this account were never listed to their end. A full listing of invoices runs instead."
    others = [entity for entity in Entity if entity is not Entity.INVOICES]
    assert all(outcome.entities[entity].done and not outcome.entities[entity].error for entity in others)
    # With a key that may read it, the rest follows from there, and nothing is missing.
    sandbox.state.counters.reset()
    whole = ConfigurationChange({}, Credentials(api_key=SecretStr(ACCOUNT.api_key), base_url=sandbox.url))
    change_configuration(database, keyring, source.workspace_id, source.configuration_id, lambda _present, _read: whole)
    assert sync_now(source, only_changes=True).status is SessionStatus.COMPLETED
    assert_tables_equal_truth(database, source, sandbox.state, "acct_changes")
    listed = {seen.path for seen in sandbox.state.counters.recent} & {f"/v1/{entity.value}" for entity in Entity}
    assert listed == {"/v1/invoices"}


def test_after_a_month_everything_is_listed_again(
    sandbox: SandboxServer, source: Source, sync_now: RunSync, database: Database
) -> None:
    with database.tenant(source.workspace_id) as connection:
        connection.execute(text("UPDATE sync.sync_cursors SET watermark = now() - interval '29 days'"))
    sandbox.state.patch(
        "acct_changes", next(iter(sandbox.state.truth("acct_changes", "customers")))["id"], {"name": "x"}
    )
    outcome = sync_now(source, only_changes=True)
    assert "delta_not_possible" in event_types(database, outcome)
    assert outcome.entities[Entity.CUSTOMERS].fetched >= ACCOUNT.customers
    assert_tables_equal_truth(database, source, sandbox.state, "acct_changes")


def test_a_key_that_may_not_read_events_still_lists(
    sandbox: SandboxServer, add_source: Callable[..., Source], sync_now: RunSync, database: Database
) -> None:
    source = add_source("rk_test_no_events", sandbox.url)
    outcome = sync_now(source)
    assert outcome.status is SessionStatus.COMPLETED
    assert "changes_unreadable" in event_types(database, outcome)
    assert_tables_equal_truth(database, source, sandbox.state, "acct_changes")


def test_changes_that_cannot_be_read_leave_the_watermark(
    sandbox: SandboxServer, source: Source, sync_now: RunSync, database: Database
) -> None:
    sandbox.state.apply_changes("acct_changes", update=EVERYTHING)
    sandbox.state.faults.set([Fault(kind=FaultKind.UNAUTHORIZED, path="/v1/events")])
    assert sync_now(source, only_changes=True).status is SessionStatus.FAILED
    sandbox.state.faults.clear()
    assert sync_now(source, only_changes=True).status is SessionStatus.COMPLETED
    assert_tables_equal_truth(database, source, sandbox.state, "acct_changes")


def test_ending_the_session_stops_a_sync_that_is_catching_up(
    sandbox: SandboxServer, add_source: Callable[..., Source], database: Database, keyring: Keyring
) -> None:
    sandbox.state.faults.set([Fault(kind=FaultKind.ERROR_500, path="/v1/events")])
    source, request = add_source(ACCOUNT.api_key, sandbox.url), SyncRequest()
    session = open_session(database, source, request)

    def cancel(endpoint: str, _query: str) -> None:
        if endpoint == "GET /v1/events":
            finish_session(database, session, SessionStatus.CANCELLED)

    sandbox.state.watchers.append(cancel)
    outcome = run_sync(SyncJob(database, keyring, source, session, request))
    assert outcome.status is SessionStatus.CANCELLED


def test_a_listing_that_could_not_catch_up_is_partial(
    sandbox: SandboxServer,
    add_source: Callable[..., Source],
    sync_now: RunSync,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(exchange, "LONGEST_WAIT", 0.05)
    sandbox.state.faults.set([Fault(kind=FaultKind.UNAUTHORIZED, path="/v1/events")])
    source = add_source(ACCOUNT.api_key, sandbox.url)
    assert sync_now(source).status is SessionStatus.FAILED  # revoked in the middle
    sandbox.state.faults.set([Fault(kind=FaultKind.CUT_JSON, path="/v1/events")])
    outcome = sync_now(source)
    assert outcome.status is SessionStatus.PARTIAL
    assert all(counts.error is not None for counts in outcome.entities.values())
    assert_tables_equal_truth(database, source, sandbox.state, "acct_changes")


def test_a_check_that_found_nothing_moves_every_watermark_that_lies_in_its_time(
    sandbox: SandboxServer, source: Source, database: Database, keyring: Keyring
) -> None:
    del sandbox
    before = read_positions(database, source, livemode=False)
    found = look(database, keyring, source, is_listing_due=False, is_session_wanted=False, is_cancelled=lambda: False)
    assert isinstance(found, Nothing)
    later = found.until + timedelta(minutes=1)
    for since, until in ((found.since, found.until), (found.until, later)):
        with database.tenant(source.workspace_id) as connection:
            known = unchanged(since, until, found.key_digest)
            connection.execute(update(source_schedules).values(known))
    after = read_positions(database, source, livemode=False)
    assert {position.watermark for position in after.values()} == {later}
    assert before.keys() == after.keys()
    # What another key was told says nothing.
    with database.tenant(source.workspace_id) as connection:
        connection.execute(update(source_schedules).values(unchanged_key_digest=b"another"))
    assert read_positions(database, source, livemode=False) == before
