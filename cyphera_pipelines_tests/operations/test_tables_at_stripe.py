"""Writes at Stripe's sandbox: the tables hold them as a sync would, and a sync afterwards finds nothing to do."""

import threading
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import text

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.sessions import SessionStatus, SyncRequest
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.model.writes import Write, WriteState
from cyphera_pipelines.operations.asked import Asked, Capture
from cyphera_pipelines.operations.carrying_out import carry_out
from cyphera_pipelines.providers.base import (
    Cancellation,
    CustomerRequest,
    InvoicePayment,
    ItemRequest,
    Money,
    NewInvoice,
    NewInvoiceLine,
    NewPayment,
    NewPrice,
    NewRefund,
    NewSubscription,
    ObjectKind,
    Operation,
    ProductRequest,
    Recurring,
)
from cyphera_pipelines.sandbox import SandboxAccount, SandboxServer
from cyphera_pipelines.security.encryption import Keyring
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.sync.engine import SyncJob, run_sync
from cyphera_pipelines.sync.outcome import SyncOutcome
from cyphera_pipelines.sync.request import open_session

ACCOUNT = SandboxAccount(
    api_key="sk_test_writes",
    account_id="acct_writes",
    seed=12,
    customers=20,
    products=4,
    prices=6,
    subscriptions=5,
    invoices=10,
)
Send = Callable[..., Write]


@pytest.fixture
def at_stripe(add_source: Callable[..., Source]) -> Iterator[Source]:
    with SandboxServer([ACCOUNT]) as sandbox:
        yield add_source(ACCOUNT.api_key, sandbox.url)


@pytest.fixture
def send(database: Database, keyring: Keyring, at_stripe: Source) -> Send:
    numbers = iter(range(100))

    def carry(kind: ObjectKind, operation: Operation, object_id: str | None = None, request: Any = None) -> Write:
        if object_id is not None:
            wait_for_next_second()
        asked = Asked(kind, operation, object_id, request)
        write = carry_out(database, keyring, at_stripe, asked, f"key {next(numbers)}").write
        assert write.state is WriteState.DONE, write.problem
        return write

    return carry


def wait_for_next_second() -> None:
    """Two states of one second are left to a sync: nobody can tell which came last."""
    second = int(time.time())
    while int(time.time()) == second:
        threading.Event().wait(0.05)


def sync(database: Database, keyring: Keyring, source: Source, **request: Any) -> SyncOutcome:
    asked = SyncRequest(**request)
    outcome = run_sync(SyncJob(database, keyring, source, open_session(database, source, asked), asked))
    assert outcome.status is SessionStatus.COMPLETED, outcome.error_summary
    return outcome


def status(database: Database, source: Source, table: str, object_id: str | None) -> str | None:
    statement = text(f"SELECT status FROM payments.{table} WHERE workspace_id = :workspace_id AND id = :id")
    with database.control() as connection:
        parameters = {"workspace_id": source.workspace_id, "id": object_id}
        found: str | None = connection.execute(statement, parameters).scalar_one_or_none()
        return found


def test_what_is_written_is_in_the_tables_as_a_sync_would_have_it(
    database: Database, keyring: Keyring, at_stripe: Source, send: Send
) -> None:
    sync(database, keyring, at_stripe)
    customer = send(ObjectKind.CUSTOMERS, Operation.CREATE, None, CustomerRequest(name="Acme", email="a@acme.example"))
    send(ObjectKind.CUSTOMERS, Operation.UPDATE, customer.object_id, CustomerRequest(phone="555 0100"))
    product = send(ObjectKind.PRODUCTS, Operation.CREATE, None, ProductRequest(name="Pro plan"))
    new_price = NewPrice(str(product.object_id), Money(1999, "usd"), recurring=Recurring("month"))
    price = send(ObjectKind.PRICES, Operation.CREATE, None, new_price)
    assert price.answer is not None
    assert Decimal(price.answer["unit_amount"]) == 1999
    items = (ItemRequest(price_id=price.object_id, quantity=2),)
    new = NewSubscription(str(customer.object_id), items, collection_method="send_invoice", days_until_due=10)
    subscription = send(ObjectKind.SUBSCRIPTIONS, Operation.CREATE, None, new)
    assert status(database, at_stripe, "subscriptions", subscription.object_id) == "active"
    send(ObjectKind.SUBSCRIPTIONS, Operation.CANCEL, subscription.object_id, Cancellation(at_period_end=True))
    send(ObjectKind.SUBSCRIPTIONS, Operation.REACTIVATE, subscription.object_id)
    send(ObjectKind.SUBSCRIPTIONS, Operation.CANCEL, subscription.object_id, Cancellation())
    assert status(database, at_stripe, "subscriptions", subscription.object_id) == "canceled"
    lines = (NewInvoiceLine(amount=5_000, description="Setup"), NewInvoiceLine(amount=700, description="Shipping"))
    invoice = send(ObjectKind.INVOICES, Operation.CREATE, None, NewInvoice(str(customer.object_id), "usd", lines))
    assert status(database, at_stripe, "invoices", invoice.object_id) == "draft"
    send(ObjectKind.INVOICES, Operation.FINALIZE, invoice.object_id)
    paid = InvoicePayment(paid_out_of_band=True)
    send(ObjectKind.INVOICES, Operation.PAY, invoice.object_id, paid)
    assert status(database, at_stripe, "invoices", invoice.object_id) == "paid"
    gone = send(ObjectKind.CUSTOMERS, Operation.CREATE, None, CustomerRequest(name="Gone"))
    send(ObjectKind.CUSTOMERS, Operation.DELETE, gone.object_id)
    outcome = sync(database, keyring, at_stripe, full_sync=True)
    for entity in Entity:
        progress = outcome.entities[entity]
        # The subscription's first invoice is Stripe's own doing: no answer tells it.
        made_besides = 1 if entity is Entity.INVOICES else 0
        assert (progress.created, progress.updated, progress.deleted) == (made_besides, 0, 0), entity
        assert progress.fetched > 0


def test_two_states_of_one_second_are_left_to_a_sync(
    database: Database, keyring: Keyring, at_stripe: Source, send: Send
) -> None:
    sync(database, keyring, at_stripe)
    made = send(ObjectKind.PRODUCTS, Operation.CREATE, None, ProductRequest(name="Plan"))
    for number in range(3):
        asked = Asked(ObjectKind.PRODUCTS, Operation.UPDATE, made.object_id, ProductRequest(name=f"Plan {number}"))
        assert carry_out(database, keyring, at_stripe, asked, f"quick {number}").write.state is WriteState.DONE
    sync(database, keyring, at_stripe, only_changes=True)
    names = text("SELECT name FROM payments.products WHERE workspace_id = :workspace_id AND id = :id")
    with database.control() as connection:
        parameters = {"workspace_id": at_stripe.workspace_id, "id": made.object_id}
        assert connection.execute(names, parameters).scalar_one() == "Plan 2"


def test_money_that_is_held_taken_and_given_back(send: Send) -> None:
    customer = send(ObjectKind.CUSTOMERS, Operation.CREATE, None, CustomerRequest(name="Acme"))
    held = NewPayment(Money(4_200, "eur"), str(customer.object_id), "pm_card_visa", confirm=True, captures_later=True)
    payment = send(ObjectKind.PAYMENTS, Operation.CREATE, None, held)
    assert payment.answer is not None
    assert payment.answer["status"] == "requires_capture"
    taken = send(ObjectKind.PAYMENTS, Operation.CAPTURE, payment.object_id, Capture(4_000))
    assert taken.answer is not None
    assert (taken.answer["status"], taken.answer["captured"]["amount"]) == ("succeeded", 4_000)
    back = send(ObjectKind.REFUNDS, Operation.CREATE, None, NewRefund(payment_id=payment.object_id, amount=1_000))
    assert back.answer is not None
    assert (back.answer["type"], back.answer["money"]) == ("refund", {"amount": 1_000, "currency": "eur"})
