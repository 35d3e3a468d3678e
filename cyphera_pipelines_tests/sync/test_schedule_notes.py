"""What syncs tell the schedule of their source, however they end."""

from collections.abc import Callable, Iterator

import pytest

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.schedule import PauseKind
from cyphera_pipelines.model.sessions import ConflictStrategy, SessionStatus, SyncRequest
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.sandbox import Fault, FaultKind, SandboxAccount, SandboxOptions, SandboxServer
from cyphera_pipelines.security.encryption import Keyring
from cyphera_pipelines.store import locks
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.locks import SourceBusyError, source_lock
from cyphera_pipelines.store.schedules import ScheduleState, read_schedule
from cyphera_pipelines.sync.cancellation import Cancellation, cancel_session
from cyphera_pipelines.sync.connection import check_connection
from cyphera_pipelines.sync.request import open_session
from cyphera_pipelines_tests.sync.conftest import RunSync

ACCOUNT = SandboxAccount(
    api_key="sk_test_schedule_notes",
    account_id="acct_schedule_notes",
    seed=3,
    customers=12,
    products=3,
    prices=4,
    subscriptions=6,
    invoices=10,
    restricted_keys={
        "rk_test_no_invoices": frozenset({"invoice"}),
        "rk_test_no_events": frozenset({"event"}),
        "rk_test_nothing": frozenset({"customer", "product", "price", "subscription", "invoice", "event"}),
    },
)


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer([ACCOUNT], SandboxOptions()) as server:
        yield server


def state_of(database: Database, source: Source) -> ScheduleState:
    state = read_schedule(database, source.workspace_id, source.provider)
    assert state is not None
    return state


def test_a_listing_and_then_changes_make_the_source_fresh(
    sandbox: SandboxServer, add_source: Callable[..., Source], sync_now: RunSync, database: Database
) -> None:
    source = add_source(ACCOUNT.api_key, sandbox.url)
    sync_now(source)
    listed = state_of(database, source)
    assert listed.fresh_at is not None
    assert listed.listing_due_at > listed.fresh_at
    assert sync_now(source, only_changes=True).status is SessionStatus.COMPLETED
    after = state_of(database, source)
    assert after.fresh_at is not None
    assert after.fresh_at > listed.fresh_at
    assert (after.listing_due_at, after.failures, after.last_failure) == (listed.listing_due_at, 0, None)


def test_a_sync_of_some_entities_or_that_leaves_rows_says_nothing_of_the_source(
    sandbox: SandboxServer, add_source: Callable[..., Source], sync_now: RunSync, database: Database
) -> None:
    source = add_source(ACCOUNT.api_key, sandbox.url)
    before = state_of(database, source)
    sync_now(source, entities=(Entity.CUSTOMERS,))
    sync_now(source, conflict_strategy=ConflictStrategy.SKIP)
    assert state_of(database, source) == before


def test_an_entity_that_may_not_be_read_leaves_the_source_behind_and_due_as_ever(
    sandbox: SandboxServer, add_source: Callable[..., Source], sync_now: RunSync, database: Database
) -> None:
    source = add_source("rk_test_no_invoices", sandbox.url)
    assert sync_now(source).status is SessionStatus.PARTIAL
    state = state_of(database, source)
    assert (state.fresh_at, state.failures, state.pause) == (None, 0, None)
    assert "invoices did not complete" in str(state.last_failure)


def test_a_source_whose_changes_cannot_be_read_is_as_fresh_as_its_listing_s_beginning(
    sandbox: SandboxServer, add_source: Callable[..., Source], sync_now: RunSync, database: Database
) -> None:
    source = add_source("rk_test_no_events", sandbox.url)
    outcome = sync_now(source)
    assert outcome.status is SessionStatus.COMPLETED
    assert state_of(database, source).fresh_at == outcome.session.created_at


def test_rejected_credentials_pause_until_a_connection_test_succeeds(
    sandbox: SandboxServer, add_source: Callable[..., Source], sync_now: RunSync, database: Database, keyring: Keyring
) -> None:
    source = add_source(ACCOUNT.api_key, sandbox.url)
    sandbox.state.faults.set([Fault(kind=FaultKind.UNAUTHORIZED, path="/v1/*")])
    assert sync_now(source, only_changes=True).status is SessionStatus.FAILED
    pause = state_of(database, source).pause
    assert pause is not None
    assert pause.paused_kind is PauseKind.CREDENTIALS
    assert not check_connection(database, keyring, source).success
    assert state_of(database, source).pause is not None
    sandbox.state.faults.set([])
    assert check_connection(database, keyring, source).success
    assert state_of(database, source).pause is None


def test_a_source_that_is_busy_or_whose_sync_was_cancelled_has_not_failed(
    sandbox: SandboxServer,
    add_source: Callable[..., Source],
    sync_now: RunSync,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(locks, "ENDING_PATIENCE_SECONDS", 1.0)
    source = add_source(ACCOUNT.api_key, sandbox.url)
    with source_lock(database, source), pytest.raises(SourceBusyError):
        sync_now(source)
    session = open_session(database, source, SyncRequest())
    cancel_session(database, session, Cancellation.with_command("Cancelled", "cyphera session cancel"))
    assert state_of(database, source).failures == 0


def test_a_sync_that_no_entity_survives_fails_the_source_and_backs_off(
    sandbox: SandboxServer, add_source: Callable[..., Source], sync_now: RunSync, database: Database
) -> None:
    source = add_source("rk_test_nothing", sandbox.url)
    for failures in (1, 2):
        outcome = sync_now(source)
        assert (outcome.status, outcome.error_summary is None) == (SessionStatus.FAILED, False)
        state = state_of(database, source)
        assert (state.failures, state.fresh_at, state.pause) == (failures, None, None)
        assert state.last_failure == (outcome.error_summary or {})["message"]
