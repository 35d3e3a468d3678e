"""Tax ids of customers: events about customers never tell them, and yet nothing is lost, doubled or asked for twice."""

from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import text

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.sessions import SessionStatus
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.sandbox import SandboxAccount, SandboxOptions, SandboxServer
from cyphera_pipelines.security.encryption import Keyring
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.sync.at_once import Taken
from cyphera_pipelines.sync.progress import SyncProgress
from cyphera_pipelines.sync.verification.verify import VerificationJob, verify
from cyphera_pipelines_tests.sync.conftest import RunSync
from cyphera_pipelines_tests.sync.test_at_once import taker
from cyphera_pipelines_tests.truth import Json, assert_tables_equal_truth, read_live_rows

AddSource = Callable[..., Source]
ID = "acct_tax_ids"
ACCOUNT = SandboxAccount(
    api_key="sk_test_tax_ids",
    account_id=ID,
    seed=62,
    customers=130,
    subscriptions=20,
    invoices=20,
    tax_id_share=0.5,
)
ONE_CUSTOMER = "GET /v1/customers/:id"


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer([ACCOUNT], SandboxOptions()) as server:
        yield server


@pytest.fixture
def source(sandbox: SandboxServer, add_source: AddSource, sync_now: RunSync) -> Source:
    added = add_source(ACCOUNT.api_key, sandbox.url)
    assert sync_now(added).status is SessionStatus.COMPLETED
    return added


def a_customer(sandbox: SandboxServer, *, with_tax_ids: bool) -> Json:
    customers = sandbox.state.truth(ID, "customers")
    return next(each for each in customers if has_tax_ids(each) is with_tax_ids)


def has_tax_ids(customer: Json) -> bool:
    return bool((customer.get("tax_ids") or {}).get("data"))


def assert_verified(database: Database, keyring: Keyring, source: Source) -> None:
    report = verify(VerificationJob(database, keyring, source, (Entity.CUSTOMERS,), SyncProgress((Entity.CUSTOMERS,))))
    assert report.agrees, report


def test_a_listing_brings_all_of_them(
    sandbox: SandboxServer, source: Source, sync_now: RunSync, database: Database, keyring: Keyring
) -> None:
    assert_tables_equal_truth(database, source, sandbox.state, ID)
    rows = read_live_rows(database, source, "customer_tax_ids")
    per_customer = [row["customer_id"] for row in rows]
    assert max(map(per_customer.count, set(per_customer))) == 12
    again = sync_now(source, full_sync=True)
    assert {(each.created, each.updated, each.deleted) for each in again.entities.values()} == {(0, 0, 0)}
    assert_verified(database, keyring, source)


def test_a_customer_s_own_events_leave_them_alone(
    sandbox: SandboxServer, source: Source, sync_now: RunSync, database: Database, keyring: Keyring
) -> None:
    take, log = taker(database, keyring, source), sandbox.state.dataset(ID).events
    customer = a_customer(sandbox, with_tax_ids=True)
    sandbox.state.patch(ID, customer["id"], {"name": "Told by a webhook"})
    assert take(log.whole(log.count - 1)) == [Taken.APPLIED]
    assert_tables_equal_truth(database, source, sandbox.state, ID)
    assert_verified(database, keyring, source)
    sandbox.state.apply_changes(ID, update={"customers": 40})
    sandbox.state.counters.reset()
    assert sync_now(source, only_changes=True).status is SessionStatus.COMPLETED
    assert sandbox.state.counters.by_endpoint.get(ONE_CUSTOMER, 0) <= 1, "its second event may be of the same second"
    assert_tables_equal_truth(database, source, sandbox.state, ID)
    listed = sync_now(source, full_sync=True)
    assert {(each.created, each.updated, each.deleted) for each in listed.entities.values()} == {(0, 0, 0)}
    assert_tables_equal_truth(database, source, sandbox.state, ID)


@pytest.mark.parametrize("with_tax_ids", [False, True])
def test_their_events_bring_them_whatever_the_customer_tells_afterwards(
    with_tax_ids: bool, sandbox: SandboxServer, source: Source, sync_now: RunSync, database: Database, keyring: Keyring
) -> None:
    """The newer event about the customer itself says nothing of what came before."""
    dataset, customer = sandbox.state.dataset(ID), a_customer(sandbox, with_tax_ids=with_tax_ids)
    now = dataset.events.count
    added = dataset.add_tax_id(customer["id"], "eu_vat", "DE811111111")
    sandbox.state.patch(ID, customer["id"], {"name": "Told later"}, at=int(added["created"]) + 1)
    take = taker(database, keyring, source)
    events = [dataset.events.whole(at) for at in range(now, dataset.events.count)]
    assert take(*events) == [Taken.KEPT, Taken.APPLIED]
    assert sync_now(source, only_changes=True).status is SessionStatus.COMPLETED
    assert_tables_equal_truth(database, source, sandbox.state, ID)
    dataset.remove_tax_id(customer["id"], added["id"])
    assert sync_now(source, only_changes=True).status is SessionStatus.COMPLETED
    assert_tables_equal_truth(database, source, sandbox.state, ID)
    assert_verified(database, keyring, source)


def test_a_customer_that_is_deleted_takes_them_along(
    sandbox: SandboxServer, source: Source, sync_now: RunSync, database: Database
) -> None:
    customer = a_customer(sandbox, with_tax_ids=True)
    sandbox.state.delete(ID, customer["id"])
    assert sync_now(source, only_changes=True).status is SessionStatus.COMPLETED
    assert_tables_equal_truth(database, source, sandbox.state, ID)


def test_a_customer_that_could_not_be_loaded_comes_with_them(
    sandbox: SandboxServer, add_source: AddSource, sync_now: RunSync, database: Database, keyring: Keyring
) -> None:
    customer = a_customer(sandbox, with_tax_ids=True)
    sandbox.state.patch(ID, customer["id"], {"balance": 1.5})
    source = add_source(ACCOUNT.api_key, sandbox.url)
    assert sync_now(source).status is SessionStatus.PARTIAL
    sandbox.state.patch(ID, customer["id"], {"balance": 1})
    log = sandbox.state.dataset(ID).events
    assert taker(database, keyring, source)(log.whole(log.count - 1)) == [Taken.KEPT]
    assert sync_now(source, only_changes=True).status is SessionStatus.COMPLETED
    assert_tables_equal_truth(database, source, sandbox.state, ID)
    assert_verified(database, keyring, source)


@pytest.mark.parametrize("is_there", [False, True])
def test_a_customer_that_is_not_alive_in_the_tables_comes_with_them(
    is_there: bool, sandbox: SandboxServer, source: Source, sync_now: RunSync, database: Database, keyring: Keyring
) -> None:
    """Whoever took it away: an operator's hand, or a listing that did not show it."""
    customer = a_customer(sandbox, with_tax_ids=True)
    take_away = "UPDATE payments.{} SET deleted_at = now()" if is_there else "DELETE FROM payments.{}"
    with database.control() as connection:
        for table, column in (("customer_tax_ids", "customer_id"), ("customers", "id")):
            statement = f"{take_away.format(table)} WHERE workspace_id = :workspace AND {column} = :id"
            connection.execute(text(statement), {"workspace": source.workspace_id, "id": customer["id"]})
    sandbox.state.patch(ID, customer["id"], {"name": "Back"})
    log = sandbox.state.dataset(ID).events
    assert taker(database, keyring, source)(log.whole(log.count - 1)) == [Taken.KEPT]
    assert sync_now(source, only_changes=True).status is SessionStatus.COMPLETED
    assert_tables_equal_truth(database, source, sandbox.state, ID)
    assert_verified(database, keyring, source)


def test_a_new_customer_is_taken_at_its_word(
    sandbox: SandboxServer, source: Source, sync_now: RunSync, database: Database
) -> None:
    """Tax ids that it has have events of their own: for these it is asked for, and for nothing else."""
    old = {customer["id"] for customer in sandbox.state.truth(ID, "customers")}
    sandbox.state.apply_changes(ID, create={"customers": 20})
    new = [customer for customer in sandbox.state.truth(ID, "customers") if customer["id"] not in old]
    have_some = sum(has_tax_ids(customer) for customer in new)
    sandbox.state.counters.reset()
    assert sync_now(source, only_changes=True).status is SessionStatus.COMPLETED
    assert 0 < have_some < len(new)
    assert sandbox.state.counters.by_endpoint[ONE_CUSTOMER] == have_some
    assert_tables_equal_truth(database, source, sandbox.state, ID)
