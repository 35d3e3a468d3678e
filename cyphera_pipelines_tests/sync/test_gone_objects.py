"""Objects that vanish at the provider while no listing can prove it, or between two attempts of one."""

import time
from collections.abc import Callable, Iterator

import pytest

from cyphera_pipelines.local.locks import wait_until
from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.sessions import SessionStatus
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.sandbox import Fault, FaultKind, SandboxAccount, SandboxOptions, SandboxServer
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.sync import slicing
from cyphera_pipelines_tests.sync.conftest import RunSync
from cyphera_pipelines_tests.truth import assert_tables_equal_truth, live_rows

ACCOUNT = SandboxAccount(
    api_key="sk_test_gone",
    account_id="acct_gone",
    seed=35,
    customers=120,
    products=6,
    prices=15,
    subscriptions=20,
    invoices=40,
)


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer([ACCOUNT], SandboxOptions()) as server:
        yield server


def stop_listing(sandbox: SandboxServer, *, after: int) -> None:
    sandbox.state.faults.set([Fault(kind=FaultKind.FORBIDDEN, path="/v1/customers", after=after)])


def delete(sandbox: SandboxServer, *ids: str) -> None:
    for object_id in ids:
        sandbox.state.delete("acct_gone", object_id)
    deleted_in = int(time.time())
    assert wait_until(lambda: int(time.time()) > deleted_in + 1, 5.0)


@pytest.mark.parametrize("full_sync", [True, False], ids=["anew", "continued"])
def test_what_an_interrupted_first_listing_had_loaded_may_be_gone(
    full_sync: bool, sandbox: SandboxServer, add_source: Callable[..., Source], sync_now: RunSync, database: Database
) -> None:
    source = add_source(ACCOUNT.api_key, sandbox.url)
    stop_listing(sandbox, after=6)
    assert sync_now(source, batch_size=10).status is SessionStatus.PARTIAL
    loaded = sorted(live_rows(database, source, "customers"))
    assert loaded
    delete(sandbox, *loaded[:3])
    sandbox.state.faults.clear()
    assert sync_now(source, full_sync=full_sync).status is SessionStatus.COMPLETED
    assert_tables_equal_truth(database, source, sandbox.state, "acct_gone")


def test_a_second_too_crowded_to_be_remembered_is_made_good_from_the_events(
    sandbox: SandboxServer,
    add_source: Callable[..., Source],
    sync_now: RunSync,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(slicing, "MOST_STORED_IDS", 5)
    sandbox.state.put_account(ACCOUNT.model_copy(update={"created": "one_second"}))
    source = add_source(ACCOUNT.api_key, sandbox.url)
    sync_now(source)
    ids = [customer["id"] for customer in sandbox.state.truth("acct_gone", "customers")]
    delete(sandbox, ids[2], ids[60], ids[-3])
    stop_listing(sandbox, after=4)
    assert sync_now(source, batch_size=10, full_sync=True).status is SessionStatus.PARTIAL
    sandbox.state.faults.clear()
    assert sync_now(source, batch_size=10).status is SessionStatus.COMPLETED
    assert_tables_equal_truth(database, source, sandbox.state, "acct_gone")


def test_what_could_not_be_loaded_before_a_crash_is_not_forgotten_after_it(
    sandbox: SandboxServer, add_source: Callable[..., Source], sync_now: RunSync, database: Database
) -> None:
    bad = next(iter(sandbox.state.truth("acct_gone", "products")))["id"]
    sandbox.state.patch("acct_gone", bad, {"created": "yesterday"}, with_event=False)
    source = add_source(ACCOUNT.api_key, sandbox.url)
    # Nothing is caught up with, so that the next sync continues this one.
    sandbox.state.faults.set([Fault(kind=FaultKind.UNAUTHORIZED, path="/v1/events")])
    assert sync_now(source).status is SessionStatus.FAILED
    sandbox.state.faults.clear()
    outcome = sync_now(source)
    assert outcome.entities[Entity.PRODUCTS].failed == 1
    assert outcome.status is SessionStatus.PARTIAL
