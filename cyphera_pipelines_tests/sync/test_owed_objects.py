"""Objects that the provider fails to tell whole: the others are not held up, and the next sync asks again."""

from collections.abc import Callable, Iterator

import pytest

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.sessions import SessionStatus
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.providers.http import exchange
from cyphera_pipelines.sandbox import Fault, FaultKind, SandboxAccount, SandboxOptions, SandboxServer
from cyphera_pipelines.store.cursors import read_positions
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.events import list_events
from cyphera_pipelines.sync import changes, listing
from cyphera_pipelines.sync.outcome import SyncOutcome
from cyphera_pipelines_tests.sync.conftest import RunSync
from cyphera_pipelines_tests.truth import assert_tables_equal_truth, live_rows

ACCOUNT = SandboxAccount(
    api_key="sk_test_owed",
    account_id="acct_owed",
    seed=33,
    customers=40,
    products=6,
    prices=15,
    subscriptions=30,
    invoices=90,
    long_invoice_share=0.3,
    event_api_version="2024-06-20",
)


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "LONGEST_WAIT", 0.02)


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer([ACCOUNT], SandboxOptions()) as server:
        yield server


def long_invoice(sandbox: SandboxServer) -> str:
    invoices = sandbox.state.truth("acct_owed", "invoices")
    return next(str(invoice["id"]) for invoice in invoices if len(invoice["lines"]["data"]) > 10)


def owed(database: Database, source: Source, entity: Entity) -> list[str]:
    return list(read_positions(database, source, livemode=False)[entity].owed)


def expect_partial(outcome: SyncOutcome, entity: Entity, database: Database, source: Source) -> None:
    assert outcome.status is SessionStatus.PARTIAL
    assert {name: counts.failed for name, counts in outcome.entities.items() if counts.failed} == {entity: 1}
    assert outcome.error_summary is not None
    assert set(outcome.error_summary["entities"]) == {entity.value}
    events = list_events(database, source.workspace_id, outcome.session.id)
    assert [event.external_id for event in events if event.event_type == "object_incomplete"] == owed(
        database, source, entity
    )


@pytest.mark.parametrize("only_changes", [True, False], ids=["delta", "listing"])
def test_an_invoice_whose_lines_cannot_be_had_holds_nothing_up_and_is_asked_for_again(
    only_changes: bool, sandbox: SandboxServer, add_source: Callable[..., Source], sync_now: RunSync, database: Database
) -> None:
    broken = long_invoice(sandbox)
    sandbox.state.faults.set([Fault(kind=FaultKind.ERROR_500, path=f"/v1/invoices/{broken}/lines")])
    source = add_source(ACCOUNT.api_key, sandbox.url)
    expect_partial(sync_now(source), Entity.INVOICES, database, source)
    assert owed(database, source, Entity.INVOICES) == [broken]
    expected = {invoice["id"] for invoice in sandbox.state.truth("acct_owed", "invoices")} - {broken}
    assert set(live_rows(database, source, "invoices")) == expected
    # It stays owed, and the session says so, for as long as it cannot be had.
    expect_partial(sync_now(source, only_changes=True), Entity.INVOICES, database, source)
    sandbox.state.faults.clear()
    outcome = sync_now(source, only_changes=only_changes)
    assert (outcome.status, outcome.error_summary) == (SessionStatus.COMPLETED, None)
    assert owed(database, source, Entity.INVOICES) == []
    assert_tables_equal_truth(database, source, sandbox.state, "acct_owed")


def test_a_changed_object_that_cannot_be_fetched_holds_nothing_up(
    sandbox: SandboxServer, add_source: Callable[..., Source], sync_now: RunSync, database: Database
) -> None:
    source = add_source(ACCOUNT.api_key, sandbox.url)
    sync_now(source)
    customers = [customer["id"] for customer in sandbox.state.truth("acct_owed", "customers")]
    for customer in customers[:3]:
        sandbox.state.patch("acct_owed", customer, {"name": "Renamed"})
    sandbox.state.apply_changes("acct_owed", update={"invoices": 3})
    sandbox.state.faults.set([Fault(kind=FaultKind.ERROR_500, path=f"/v1/customers/{customers[0]}")])
    expect_partial(sync_now(source, only_changes=True), Entity.CUSTOMERS, database, source)
    assert owed(database, source, Entity.CUSTOMERS) == [customers[0]]
    assert_tables_equal_truth(database, source, sandbox.state, "acct_owed", entities=["invoices"])
    sandbox.state.faults.clear()
    assert sync_now(source, only_changes=True).status is SessionStatus.COMPLETED
    assert_tables_equal_truth(database, source, sandbox.state, "acct_owed")


def test_a_permission_that_is_missing_concerns_its_entity_only(
    sandbox: SandboxServer, add_source: Callable[..., Source], sync_now: RunSync, database: Database
) -> None:
    source = add_source(ACCOUNT.api_key, sandbox.url)
    sync_now(source)
    sandbox.state.apply_changes("acct_owed", update={"customers": 3, "invoices": 3})
    sandbox.state.faults.set([Fault(kind=FaultKind.FORBIDDEN, path="/v1/invoices/*")])
    outcome = sync_now(source, only_changes=True)
    assert outcome.status is SessionStatus.PARTIAL
    assert outcome.error_summary is not None
    assert set(outcome.error_summary["entities"]) == {"invoices"}
    assert_tables_equal_truth(database, source, sandbox.state, "acct_owed", entities=["customers"])
    sandbox.state.faults.clear()
    assert sync_now(source, only_changes=True).status is SessionStatus.COMPLETED
    assert_tables_equal_truth(database, source, sandbox.state, "acct_owed")


def test_where_many_cannot_be_had_the_entity_has_failed(
    sandbox: SandboxServer,
    add_source: Callable[..., Source],
    sync_now: RunSync,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(listing, "MOST_OWED", 5)
    monkeypatch.setattr(changes, "MOST_OWED", 5)
    sandbox.state.faults.set([Fault(kind=FaultKind.ERROR_500, path="/v1/invoices/*/lines")])
    source = add_source(ACCOUNT.api_key, sandbox.url)
    outcome = sync_now(source)
    assert outcome.status is SessionStatus.PARTIAL
    assert outcome.entities[Entity.INVOICES].error is not None
    sandbox.state.faults.clear()
    assert sync_now(source).status is SessionStatus.COMPLETED
    assert_tables_equal_truth(database, source, sandbox.state, "acct_owed")
