"""Payments of invoices: events about invoices never tell them, and yet none is lost, and none is asked for in vain."""

import time
from collections.abc import Callable, Iterator

import pytest

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

ID = "acct_invoice_payments"
ACCOUNT = SandboxAccount(
    api_key="sk_test_invoice_payments", account_id=ID, seed=64, customers=30, subscriptions=20, invoices=120
)
ONE_INVOICE = "GET /v1/invoices/:id"


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer([ACCOUNT], SandboxOptions()) as server:
        yield server


@pytest.fixture
def source(sandbox: SandboxServer, add_source: Callable[..., Source], sync_now: RunSync) -> Source:
    added = add_source(ACCOUNT.api_key, sandbox.url)
    assert sync_now(added).status is SessionStatus.COMPLETED
    return added


def an_invoice(sandbox: SandboxServer, *, is_paid: bool) -> Json:
    return next(
        each
        for each in sandbox.state.truth(ID, "invoices")
        if bool(each["payments"]["data"]) is is_paid and not each["discounts"] and not each["lines"]["has_more"]
    )


def pay(sandbox: SandboxServer, invoice: Json, at: int) -> None:
    """One more payment towards the invoice: the provider tells of it, and not of the invoice."""
    payment = {
        "id": "inpay_1Later",
        "object": "invoice_payment",
        "amount_paid": 7,
        "amount_requested": 9,
        "created": at,
        "currency": invoice["currency"],
        "invoice": invoice["id"],
        "is_default": False,
        "livemode": False,
        "payment": {"payment_record": "payrec_1Later", "type": "payment_record"},
        "status": "paid",
        "status_transitions": {"canceled_at": None, "paid_at": at},
    }
    unpaid = {**payment, "id": "inpay_1Open", "amount_paid": None, "status": "open"}
    told = {**invoice["payments"], "data": [*invoice["payments"]["data"], payment, unpaid]}
    sandbox.state.patch(ID, invoice["id"], {"payments": told}, with_event=False)
    sandbox.state.dataset(ID).events.record("invoice_payment.paid", payment, at)


def assert_verified(database: Database, keyring: Keyring, source: Source) -> None:
    report = verify(VerificationJob(database, keyring, source, (Entity.INVOICES,), SyncProgress((Entity.INVOICES,))))
    assert report.agrees, report


def test_a_listing_brings_them_and_the_next_one_writes_nothing(
    sandbox: SandboxServer, source: Source, sync_now: RunSync, database: Database, keyring: Keyring
) -> None:
    assert_tables_equal_truth(database, source, sandbox.state, ID)
    rows = read_live_rows(database, source, "invoice_payments")
    assert {row["type"] for row in rows} == {"payment_intent", "payment_record", "charge"}
    assert {row["paid_out_of_band"] for row in rows if row["type"] == "payment_record"} == {True}
    again = sync_now(source, full_sync=True)
    assert {(each.created, each.updated, each.deleted) for each in again.entities.values()} == {(0, 0, 0)}
    assert_verified(database, keyring, source)


def test_an_invoice_s_own_events_are_merged_at_once_and_leave_them_alone(
    sandbox: SandboxServer, source: Source, sync_now: RunSync, database: Database, keyring: Keyring
) -> None:
    take, log = taker(database, keyring, source), sandbox.state.dataset(ID).events
    invoice = an_invoice(sandbox, is_paid=True)
    sandbox.state.counters.reset()
    sandbox.state.patch(ID, invoice["id"], {"description": "Told by a webhook"})
    assert take(log.whole(log.count - 1)) == [Taken.APPLIED]
    assert sandbox.state.counters.by_endpoint.get(ONE_INVOICE, 0) == 0
    assert_tables_equal_truth(database, source, sandbox.state, ID)
    assert_verified(database, keyring, source)
    listed = sync_now(source, full_sync=True)
    assert {(each.created, each.updated, each.deleted) for each in listed.entities.values()} == {(0, 0, 0)}


@pytest.mark.parametrize("is_paid", [False, True])
def test_their_own_event_brings_them_whatever_the_invoice_tells_afterwards(
    is_paid: bool, sandbox: SandboxServer, source: Source, sync_now: RunSync, database: Database, keyring: Keyring
) -> None:
    invoice, at = an_invoice(sandbox, is_paid=is_paid), int(time.time())
    pay(sandbox, invoice, at)
    sandbox.state.patch(ID, invoice["id"], {"description": "Told later"}, at=at + 1)
    assert sync_now(source, only_changes=True).status is SessionStatus.COMPLETED
    assert "inpay_1Later" in {row["id"] for row in read_live_rows(database, source, "invoice_payments")}
    assert_tables_equal_truth(database, source, sandbox.state, ID)
    assert_verified(database, keyring, source)


def test_a_listing_brings_a_payment_though_the_invoice_is_unchanged(
    sandbox: SandboxServer, source: Source, sync_now: RunSync, database: Database
) -> None:
    invoice = an_invoice(sandbox, is_paid=True)
    later = {**invoice["payments"]["data"][0], "id": "inpay_1Unheard"}
    sandbox.state.patch(ID, invoice["id"], {"payments": {**invoice["payments"], "data": [later]}}, with_event=False)
    assert sync_now(source, full_sync=True).status is SessionStatus.COMPLETED
    assert_tables_equal_truth(database, source, sandbox.state, ID)
