"""What a session says of its rows is true: nothing that it reads twice is counted twice."""

import re
from collections.abc import Callable, Iterator

import pytest

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.sessions import SessionStatus
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.sandbox import SandboxAccount, SandboxOptions, SandboxServer
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.events import list_events
from cyphera_pipelines.sync.outcome import SyncOutcome
from cyphera_pipelines_tests.sync.conftest import RunSync
from cyphera_pipelines_tests.truth import assert_tables_equal_truth

ID = "acct_counts"
ACCOUNT = SandboxAccount(
    api_key="sk_test_counts",
    account_id=ID,
    seed=91,
    customers=60,
    products=8,
    prices=12,
    subscriptions=30,
    invoices=40,
    tax_id_share=0.5,
    test_clock_share=0.2,
)
Counts = dict[str, tuple[int, int, int, int, int]]


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer([ACCOUNT], SandboxOptions()) as server:
        yield server


@pytest.fixture
def source(sandbox: SandboxServer, add_source: Callable[..., Source], sync_now: RunSync) -> Source:
    """A source that has been listed."""
    added = add_source(ACCOUNT.api_key, sandbox.url)
    assert sync_now(added).status is SessionStatus.COMPLETED
    return added


def counts(outcome: SyncOutcome) -> Counts:
    """Fetched, created, updated, unchanged and deleted, of the entities of which anything was read."""
    assert outcome.status is SessionStatus.COMPLETED
    return {
        entity.value: (each.fetched, each.created, each.updated, each.unchanged, each.deleted)
        for entity, each in outcome.entities.items()
        if each.fetched
    }


def messages(database: Database, outcome: SyncOutcome, event_type: str) -> list[str]:
    session = outcome.session
    events = list_events(database, session.workspace_id, session.id)
    return [event.event_message for event in events if event.event_type == event_type]


def test_a_listing_counts_each_object_once_though_its_events_tell_of_it_too(
    sandbox: SandboxServer, source: Source, sync_now: RunSync, database: Database
) -> None:
    """All of this is of the minute that is read once more after a listing, and some of it belongs to test clocks."""
    sandbox.state.apply_changes(ID, create={"customers": 4}, update={"customers": 9, "invoices": 7})
    outcome = sync_now(source, full_sync=True)
    assert_tables_equal_truth(database, source, sandbox.state, ID)
    found = counts(outcome)
    for entity in Entity:
        fetched, created, updated, unchanged, deleted = found[entity.value]
        assert fetched == len(list(sandbox.state.truth(ID, entity.value))) == created + updated + unchanged
        assert deleted == 0
    told = {message.split()[0]: message for message in messages(database, outcome, "entity_completed")}
    for name, (fetched, created, updated, unchanged, _deleted) in found.items():
        assert f"{fetched} fetched, {created} created, {updated} updated, {unchanged} unchanged" in told[name]
    nothing_new = counts(sync_now(source, full_sync=True))
    assert {(each[1], each[2], each[4]) for each in nothing_new.values()} == {(0, 0, 0)}
    assert {name: each[0] for name, each in nothing_new.items()} == {name: each[0] for name, each in found.items()}


def test_changes_count_an_object_once_however_many_events_tell_of_it(
    sandbox: SandboxServer, source: Source, sync_now: RunSync, database: Database
) -> None:
    """Events of its own and of its tax ids are asked for apart."""
    customer = next(iter(sandbox.state.truth(ID, "customers")))["id"]
    sandbox.state.patch(ID, customer, {"name": "Told twice"})
    sandbox.state.dataset(ID).add_tax_id(customer, "eu_vat", "DE811111111")
    outcome = sync_now(source, only_changes=True)
    assert counts(outcome) == {"customers": (1, 0, 1, 0, 0)}
    (said,) = messages(database, outcome, "changes_applied")
    assert re.match(r"1 object changed since ", said)
    assert_tables_equal_truth(database, source, sandbox.state, ID)


def test_what_is_deleted_is_deleted_and_nothing_else(
    sandbox: SandboxServer, source: Source, sync_now: RunSync, database: Database
) -> None:
    sandbox.state.apply_changes(ID, delete={"customers": 2, "products": 1})
    assert counts(sync_now(source, only_changes=True)) == {"customers": (2, 0, 0, 0, 2), "products": (1, 0, 0, 0, 1)}
    assert_tables_equal_truth(database, source, sandbox.state, ID)
