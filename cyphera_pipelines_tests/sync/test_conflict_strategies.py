"""Syncs that leave rows as they are, and what other syncs make of them."""

import time
from collections.abc import Callable, Iterator

import pytest

from cyphera_pipelines.local.locks import wait_until
from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.sessions import ConflictStrategy, SessionStatus
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.sandbox import Fault, FaultKind, SandboxAccount, SandboxOptions, SandboxServer
from cyphera_pipelines.store.cursors import read_positions
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.events import list_events
from cyphera_pipelines_tests.sync.conftest import RunSync
from cyphera_pipelines_tests.truth import assert_tables_equal_truth, live_rows

ACCOUNT = SandboxAccount(
    api_key="sk_test_strategies",
    account_id="acct_strategies",
    seed=34,
    customers=90,
    products=6,
    prices=15,
    subscriptions=20,
    invoices=40,
)
LEAVING = [ConflictStrategy.SKIP, ConflictStrategy.FLAG]


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer([ACCOUNT], SandboxOptions()) as server:
        yield server


@pytest.fixture
def source(sandbox: SandboxServer, add_source: Callable[..., Source], sync_now: RunSync) -> Source:
    added = add_source(ACCOUNT.api_key, sandbox.url)
    sync_now(added)
    return added


def change(sandbox: SandboxServer) -> tuple[str, str]:
    """Update three customers and delete two: one of each."""
    ids = [customer["id"] for customer in sandbox.state.truth("acct_strategies", "customers")]
    for customer in ids[:3]:
        sandbox.state.patch("acct_strategies", customer, {"name": "Renamed"})
    for customer in ids[50:52]:
        sandbox.state.delete("acct_strategies", customer)
    deleted_in = int(time.time())
    assert wait_until(lambda: int(time.time()) > deleted_in + 1, 5.0)
    return ids[0], ids[50]


@pytest.mark.parametrize("strategy", LEAVING)
@pytest.mark.parametrize("only_changes", [True, False], ids=["delta", "listing"])
def test_what_was_left_as_it_is_is_applied_by_the_next_sync_that_overwrites(
    strategy: ConflictStrategy,
    only_changes: bool,
    sandbox: SandboxServer,
    source: Source,
    sync_now: RunSync,
    database: Database,
) -> None:
    before = live_rows(database, source, "customers")
    change(sandbox)
    outcome = sync_now(source, conflict_strategy=strategy, only_changes=only_changes)
    assert outcome.status is SessionStatus.COMPLETED
    assert live_rows(database, source, "customers") == before
    assert sync_now(source, only_changes=True).status is SessionStatus.COMPLETED
    assert_tables_equal_truth(database, source, sandbox.state, "acct_strategies")


@pytest.mark.parametrize("only_changes", [True, False], ids=["delta", "listing"])
def test_rows_whose_objects_are_gone_are_flagged_too(
    only_changes: bool, sandbox: SandboxServer, source: Source, sync_now: RunSync, database: Database
) -> None:
    updated, deleted = change(sandbox)
    outcome = sync_now(source, conflict_strategy=ConflictStrategy.FLAG, only_changes=only_changes)
    events = list_events(database, source.workspace_id, outcome.session.id)
    flagged = {
        event.external_id: event.event_details["columns"] for event in events if event.event_type == "row_differs"
    }
    assert flagged[updated] == ["name"]
    assert flagged[deleted] == ["deleted_at"]
    assert len(flagged) == 5


@pytest.mark.parametrize("strategy", LEAVING)
def test_a_listing_that_left_rows_is_not_gone_on_with_by_one_that_overwrites(
    strategy: ConflictStrategy, sandbox: SandboxServer, source: Source, sync_now: RunSync, database: Database
) -> None:
    change(sandbox)
    sandbox.state.faults.set([Fault(kind=FaultKind.FORBIDDEN, path="/v1/customers", after=5)])
    outcome = sync_now(source, conflict_strategy=strategy, batch_size=10, entities=(Entity.CUSTOMERS,))
    assert outcome.status is SessionStatus.PARTIAL
    assert read_positions(database, source, livemode=False)[Entity.CUSTOMERS].unfinished is not None
    sandbox.state.faults.clear()
    assert sync_now(source).status is SessionStatus.COMPLETED
    assert_tables_equal_truth(database, source, sandbox.state, "acct_strategies")


@pytest.mark.parametrize("strategy", LEAVING)
def test_an_object_that_came_back_was_missing(
    strategy: ConflictStrategy, sandbox: SandboxServer, source: Source, sync_now: RunSync, database: Database
) -> None:
    change(sandbox)
    sync_now(source)
    assert len(live_rows(database, source, "customers")) == 88
    sandbox.state.put_account(ACCOUNT)
    outcome = sync_now(source, conflict_strategy=strategy)
    assert outcome.entities[Entity.CUSTOMERS].updated == 2
    assert len(live_rows(database, source, "customers")) == 90
