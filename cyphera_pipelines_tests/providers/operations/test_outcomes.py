"""What becomes of a write, whatever happens on the way: done once, refused, or not known and then found out."""

import json
import socket
import time
from collections.abc import Callable
from typing import Any

import pytest

from cyphera_pipelines.model.errors import InvalidInputError
from cyphera_pipelines.providers.base import (
    Cancellation,
    CredentialsRejectedError,
    CustomerRequest,
    Done,
    InvoicePayment,
    ItemRequest,
    ListParameters,
    Money,
    NewInvoice,
    NewInvoiceLine,
    NewPayment,
    NewPrice,
    NewRefund,
    NewSubscription,
    PermissionDeniedError,
    PreparedWrite,
    ProductRequest,
    ProviderUnreachableError,
    RateLimitRemainsError,
    Recurring,
    Rejected,
    RequestAbandonedError,
    RequestNote,
    RetryKind,
    SubscriptionRequest,
    Turn,
    Unknown,
    Unlimited,
)
from cyphera_pipelines.providers.stripe.operations.account import StripeOperations
from cyphera_pipelines.sandbox import SandboxServer
from cyphera_pipelines.sandbox.options import Fault, FaultKind
from cyphera_pipelines_tests.providers.conftest import ACCOUNT
from cyphera_pipelines_tests.providers.operations.conftest import Operate, done, new_key

NAMED = CustomerRequest(name="Ada")
_NOT_ANSWERED = (FaultKind.DROP, FaultKind.DROP_UNDONE, FaultKind.TRUNCATE, FaultKind.CUT_JSON, FaultKind.ERROR_502)


def fail(sandbox: SandboxServer, kind: FaultKind, **which: Any) -> None:
    """Let requests that change something meet the fault: one of them, if nothing else is said."""
    sandbox.state.faults.set([Fault(kind=kind, **{"method": "POST", "times": 1, **which})])


def number_of_customers(sandbox: SandboxServer) -> int:
    return sum(1 for _ in sandbox.state.truth(ACCOUNT.account_id, "customers"))


@pytest.mark.parametrize("kind", _NOT_ANSWERED)
def test_a_write_without_an_answer_is_unknown_and_happens_once(
    sandbox: SandboxServer, stripe: StripeOperations, kind: FaultKind
) -> None:
    write, key, sent_at = stripe.customers.create_customer(NAMED), new_key(), time.time()
    fail(sandbox, kind)
    first = stripe.perform(write, key)
    assert isinstance(first, Unknown)
    found = stripe.find(write, key, sent_at)
    was_done = kind in (FaultKind.DROP, FaultKind.TRUNCATE, FaultKind.CUT_JSON)
    assert (found is not None) is was_done
    again = done(stripe, write, key)
    assert found is None or (found.object_id == again.object_id and found.was_found and found.item == again.item)
    assert number_of_customers(sandbox) == ACCOUNT.customers + 1


def test_an_answer_that_comes_too_late_leaves_the_write_unknown(sandbox: SandboxServer, operate: Operate) -> None:
    hurried = operate(answer_within=1.0)
    write, key, sent_at = hurried.customers.create_customer(NAMED), new_key(), time.time()
    fail(sandbox, FaultKind.STALL)
    outcome = hurried.perform(write, key)
    assert isinstance(outcome, Unknown)
    assert "in time" in outcome.reason
    assert operate().find(write, key, sent_at) is not None


def test_an_error_that_is_replayed_ends_in_what_reading_tells(sandbox: SandboxServer, stripe: StripeOperations) -> None:
    """Stripe answers the same to the same key for ever, be it an error of its own."""
    write, key = stripe.customers.create_customer(NAMED), new_key()
    fail(sandbox, FaultKind.ERROR_500_DONE)
    assert isinstance(stripe.perform(write, key), Unknown)
    found = done(stripe, write, key)
    assert found.was_found is True
    assert found.item.name == "Ada"

    write, key = stripe.customers.create_customer(NAMED), new_key()
    fail(sandbox, FaultKind.ERROR_500)
    assert isinstance(stripe.perform(write, key), Unknown)
    outcome = stripe.perform(write, key)
    assert isinstance(outcome, Rejected)
    assert "another key" in str(outcome.remedy)
    assert number_of_customers(sandbox) == ACCOUNT.customers + 1


def test_a_connection_that_is_refused_is_tried_again_and_then_raised(operate: Operate) -> None:
    notes = list[RequestNote]()
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # and never listens
        address = f"http://127.0.0.1:{held.getsockname()[1]}"
        nobody = operate(base_url=address, attempts=2, on_retry=notes.append)
        with pytest.raises(ProviderUnreachableError):
            nobody.perform(nobody.customers.create_customer(NAMED), new_key())
    assert [note.kind for note in notes] == [RetryKind.CONNECTION_LOST]


def test_limits_are_waited_for(sandbox: SandboxServer, operate: Operate) -> None:
    notes = list[RequestNote]()
    patient = operate(on_retry=notes.append)
    fail(sandbox, FaultKind.RATE_LIMIT, times=2)
    done(patient, patient.customers.create_customer(NAMED))
    assert [note.kind for note in notes] == [RetryKind.RATE_LIMITED] * 2
    fail(sandbox, FaultKind.RATE_LIMIT, times=None)
    impatient = operate(rate_limit_patience=0.0)
    with pytest.raises(RateLimitRemainsError):
        impatient.perform(impatient.customers.create_customer(NAMED), new_key())
    assert number_of_customers(sandbox) == ACCOUNT.customers + 1


def test_what_certainly_did_not_happen_is_raised(
    sandbox: SandboxServer, stripe: StripeOperations, operate: Operate
) -> None:
    write = stripe.customers.create_customer(NAMED)
    with pytest.raises(CredentialsRejectedError):
        operate(api_key="sk_test_unknown").perform(write, new_key())
    fail(sandbox, FaultKind.FORBIDDEN)
    with pytest.raises(PermissionDeniedError, match="rak_customer_write"):
        stripe.perform(write, new_key())
    with pytest.raises(RequestAbandonedError):
        operate(is_cancelled=lambda: True).perform(write, new_key())
    assert number_of_customers(sandbox) == ACCOUNT.customers


def test_the_same_key_with_other_parameters_is_refused(stripe: StripeOperations) -> None:
    key = new_key()
    done(stripe, stripe.customers.create_customer(NAMED), key)
    outcome = stripe.perform(stripe.customers.create_customer(CustomerRequest(name="Bo")), key)
    assert isinstance(outcome, Rejected)
    assert (outcome.code, outcome.status) == ("idempotency_error", 400)


def test_a_key_that_is_being_worked_on_leaves_the_write_unknown(sandbox: SandboxServer, operate: Operate) -> None:
    hurried = operate(answer_within=0.4)
    sandbox.state.change_options(sandbox.state.options.model_copy(update={"latency_ms": 8_000.0}))
    write, key, sent_at = hurried.customers.create_customer(NAMED), new_key(), time.time()
    assert isinstance(hurried.perform(write, key), Unknown)
    # It is not answered yet, nor done: the provider says that it is at work on it.
    sandbox.state.change_options(sandbox.state.options.model_copy(update={"latency_ms": 0.0}))
    patient = operate()
    outcome = patient.perform(write, key)
    assert isinstance(outcome, Unknown)
    assert "409" in outcome.reason
    deadline = time.monotonic() + 120
    while (found := patient.find(write, key, sent_at)) is None and time.monotonic() < deadline:
        pass
    assert found is not None
    assert number_of_customers(sandbox) == ACCOUNT.customers + 1


def test_refusals_name_our_field_and_the_remedy(stripe: StripeOperations) -> None:
    def refused(write: PreparedWrite) -> Rejected:
        outcome = stripe.perform(write, new_key())
        assert isinstance(outcome, Rejected), outcome
        return outcome

    email = refused(stripe.customers.create_customer(CustomerRequest(email="nobody")))
    assert (email.code, email.field, email.status) == ("email_invalid", "email", 400)
    item = ItemRequest("price_unknown")
    missing = refused(stripe.subscriptions.create_subscription(NewSubscription("cus_unknown", (item,))))
    assert (missing.code, missing.field) == ("resource_missing", "customer_id")
    customer_id = done(stripe, stripe.customers.create_customer(NAMED)).object_id
    missing = refused(stripe.subscriptions.create_subscription(NewSubscription(customer_id, (item,))))
    assert missing.field == "items.0.price_id"
    card = refused(stripe.payments.create_payment(NewPayment(Money(500, "usd"), None, "pm_card_chargeDeclined", True)))
    assert (card.code, card.status) == ("generic_decline", 402)
    assert "another payment method" in str(card.remedy)
    assert refused(stripe.payments.create_payment(NewPayment(Money(0, "usd")))).field == "money.amount"
    gone = refused(stripe.customers.update_customer("cus_unknown", NAMED))
    assert (gone.code, gone.status) == ("resource_missing", 404)


def test_an_invoice_whose_lines_are_refused_is_not_left_behind(
    sandbox: SandboxServer, stripe: StripeOperations
) -> None:
    customer_id = done(stripe, stripe.customers.create_customer(NAMED)).object_id
    request = NewInvoice(customer_id, "usd", (NewInvoiceLine("price_unknown"),))
    outcome = stripe.perform(stripe.invoices.create_invoice(request), new_key())
    assert isinstance(outcome, Rejected)
    assert (outcome.code, outcome.field) == ("resource_missing", "lines.0.price_id")
    assert stripe.invoices.list_invoices(ListParameters(filters={"customer_id": customer_id})).items == ()
    fail(sandbox, FaultKind.DROP_UNDONE, method="DELETE")
    outcome = stripe.perform(stripe.invoices.create_invoice(request), new_key())
    assert isinstance(outcome, Rejected)
    (left,) = stripe.invoices.list_invoices(ListParameters(filters={"customer_id": customer_id})).items
    assert left.id in str(outcome.remedy)


@pytest.mark.parametrize("lost", [0, 1, 2])
def test_an_invoice_is_whole_whichever_of_its_requests_is_lost(
    sandbox: SandboxServer, stripe: StripeOperations, lost: int
) -> None:
    customer_id = done(stripe, stripe.customers.create_customer(NAMED)).object_id
    request = NewInvoice(customer_id, "usd", (NewInvoiceLine(amount=700, description="Work"),), auto_advance=True)
    write, key, sent_at = stripe.invoices.create_invoice(request), new_key(), time.time()
    assert len(write.then) == 2
    fail(sandbox, FaultKind.DROP, after=lost)
    assert isinstance(stripe.perform(write, key), Unknown)
    found = stripe.find(write, key, sent_at)
    assert (found is not None) is (lost == 2)
    made = done(stripe, write, key)
    (invoice,) = stripe.invoices.list_invoices(ListParameters(filters={"customer_id": customer_id})).items
    assert (invoice.id, invoice.total, len(invoice.lines)) == (made.object_id, 700, 1)
    whole = stripe.find(write, key, sent_at)
    assert whole is not None
    assert whole.object_id == made.object_id


@pytest.mark.parametrize("kind", [FaultKind.UNAUTHORIZED, FaultKind.FORBIDDEN, FaultKind.RATE_LIMIT])
def test_a_part_that_is_done_is_never_told_as_nothing(
    sandbox: SandboxServer, operate: Operate, kind: FaultKind
) -> None:
    impatient = operate(rate_limit_patience=0.0)
    customer_id = done(impatient, impatient.customers.create_customer(NAMED)).object_id
    request = NewInvoice(customer_id, "usd", (NewInvoiceLine(amount=700, description="Work"),))
    write, key, sent_at = impatient.invoices.create_invoice(request), new_key(), time.time()
    fail(sandbox, kind, after=1)
    assert isinstance(impatient.perform(write, key), Unknown)
    assert impatient.find(write, key, sent_at) is None
    assert done(impatient, write, key).item.total == 700


def test_a_deletion_whose_answer_was_lost_is_not_a_refusal(sandbox: SandboxServer, stripe: StripeOperations) -> None:
    """Stripe keeps no answers to DELETE: the same request again finds nothing."""
    write = stripe.subscriptions.cancel_subscription(_subscription(stripe), Cancellation())
    fail(sandbox, FaultKind.DROP, method="DELETE")
    key = new_key()
    assert isinstance(stripe.perform(write, key), Unknown)
    again = done(stripe, write, key)
    assert (again.was_found, again.item.status) == (True, "canceled")
    # And where nobody can read, nobody knows.
    sandbox.state.faults.set([Fault(kind=FaultKind.FORBIDDEN, method="GET")])
    assert isinstance(stripe.perform(write, key), Unknown)


def test_what_cannot_be_asked_is_not_sent(stripe: StripeOperations, sandbox: SandboxServer) -> None:
    sandbox.state.counters.reset()
    for attempt in (
        lambda: stripe.customers.create_customer(CustomerRequest(metadata={"cyphera_write": "x"})),
        lambda: stripe.customers.create_customer(CustomerRequest(metadata={str(at): "x" for at in range(50)})),
        lambda: stripe.customers.get_customer("cus\n"),
        lambda: stripe.customers.list_customers(ListParameters(filters={"colour": "red"})),
        lambda: stripe.customers.list_customers(ListParameters(starting_after="a", ending_before="b")),
        lambda: stripe.customers.list_customers(ListParameters(limit=101)),
        lambda: stripe.catalog.create_product(ProductRequest()),
        lambda: stripe.payments.create_refund(NewRefund()),
        lambda: stripe.invoices.create_invoice(NewInvoice("cus_1", "usd", (NewInvoiceLine(),))),
    ):
        with pytest.raises(InvalidInputError):
            attempt()
    assert sandbox.state.counters.snapshot()["total"] == 0


def test_a_prepared_write_is_kept_as_json_and_performed_by_another(stripe: StripeOperations, operate: Operate) -> None:
    write, key = stripe.customers.create_customer(NAMED), new_key()
    kept = PreparedWrite.from_json(json.loads(json.dumps(write.as_json())))
    made = done(operate(), kept, key)
    assert done(stripe, write, key).object_id == made.object_id


Deed = Callable[[StripeOperations], PreparedWrite]


def _subscription(stripe: StripeOperations) -> str:
    customer_id = done(stripe, stripe.customers.create_customer(NAMED)).object_id
    product_id = done(stripe, stripe.catalog.create_product(ProductRequest(name="Seats"))).object_id
    price = NewPrice(product_id, Money(900, "usd"), recurring=Recurring("month"))
    price_id = done(stripe, stripe.catalog.create_price(price)).object_id
    request = NewSubscription(customer_id, (ItemRequest(price_id, 1),))
    return str(done(stripe, stripe.subscriptions.create_subscription(request)).object_id)


def _invoice(stripe: StripeOperations, *, is_open: bool) -> str:
    customer_id = done(stripe, stripe.customers.create_customer(NAMED)).object_id
    lines = (NewInvoiceLine(amount=700, description="Work"),)
    request = NewInvoice(customer_id, "usd", lines, collection_method="send_invoice", days_until_due=3)
    invoice_id = done(stripe, stripe.invoices.create_invoice(request)).object_id
    if is_open:
        done(stripe, stripe.invoices.finalize_invoice(invoice_id))
    return str(invoice_id)


def _held(stripe: StripeOperations) -> str:
    request = NewPayment(Money(900, "usd"), None, "pm_card_visa", confirm=True, captures_later=True)
    return str(done(stripe, stripe.payments.create_payment(request)).object_id)


CHANGES: dict[str, Deed] = {
    "updating a customer": lambda stripe: stripe.customers.update_customer(
        done(stripe, stripe.customers.create_customer(NAMED)).object_id,
        CustomerRequest(name="Bo", preferred_locale="de", metadata={"a": "b"}),
    ),
    "deleting a customer": lambda stripe: stripe.customers.delete_customer(
        done(stripe, stripe.customers.create_customer(NAMED)).object_id
    ),
    "archiving a product": lambda stripe: stripe.catalog.update_product(
        done(stripe, stripe.catalog.create_product(ProductRequest(name="A"))).object_id, ProductRequest(active=False)
    ),
    "deleting a product": lambda stripe: stripe.catalog.delete_product(
        done(stripe, stripe.catalog.create_product(ProductRequest(name="A"))).object_id
    ),
    "changing a quantity": lambda stripe: _with_quantity(stripe, _subscription(stripe)),
    "beginning a period anew": lambda stripe: stripe.subscriptions.update_subscription(
        _subscription(stripe), SubscriptionRequest(billing_cycle_anchor_now=True)
    ),
    "canceling": lambda stripe: stripe.subscriptions.cancel_subscription(_subscription(stripe), Cancellation()),
    "canceling later": lambda stripe: stripe.subscriptions.cancel_subscription(
        _subscription(stripe), Cancellation(at_period_end=True)
    ),
    "reactivating": lambda stripe: stripe.subscriptions.reactivate_subscription(_ending(stripe)),
    "finalizing": lambda stripe: stripe.invoices.finalize_invoice(_invoice(stripe, is_open=False)),
    "paying": lambda stripe: stripe.invoices.pay_invoice(_invoice(stripe, is_open=True), InvoicePayment()),
    "voiding": lambda stripe: stripe.invoices.void_invoice(_invoice(stripe, is_open=True)),
    "sending": lambda stripe: stripe.invoices.send_invoice(_invoice(stripe, is_open=True)),
    "capturing": lambda stripe: stripe.payments.capture_payment(_held(stripe), 300),
    "canceling a payment": lambda stripe: stripe.payments.cancel_payment(_held(stripe)),
}


def _with_quantity(stripe: StripeOperations, subscription_id: str) -> PreparedWrite:
    (item,) = stripe.subscriptions.get_subscription(subscription_id).item.items
    request = SubscriptionRequest(items=(ItemRequest(id=item.id, quantity=8),))
    return stripe.subscriptions.update_subscription(subscription_id, request)


def _ending(stripe: StripeOperations) -> str:
    subscription_id = _subscription(stripe)
    done(stripe, stripe.subscriptions.cancel_subscription(subscription_id, Cancellation(at_period_end=True)))
    return subscription_id


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("kind", [FaultKind.DROP, FaultKind.DROP_UNDONE])
def test_a_change_without_an_answer_is_found_by_reading(
    sandbox: SandboxServer, stripe: StripeOperations, name: str, kind: FaultKind
) -> None:
    write, key, sent_at = CHANGES[name](stripe), new_key(), time.time()
    assert stripe.find(write, key, sent_at) is None
    fail(sandbox, kind, method=write.method)
    assert isinstance(stripe.perform(write, key), Unknown)
    found = stripe.find(write, key, sent_at)
    assert (found is not None) is (kind is FaultKind.DROP)
    again = stripe.perform(write, key)
    assert isinstance(again, Done), again
    assert found is None or found.item == again.item


def test_writes_take_their_turns_as_writes_and_reads_as_reads(sandbox: SandboxServer, operate: Operate) -> None:
    """Within an account's limits writes go first."""
    asked = list[tuple[str, bool]]()

    class Noting(Unlimited):
        def turn(self, endpoint: str, /, *, is_write: bool = False) -> Turn:
            asked.append((endpoint, is_write))
            return super().turn(endpoint, is_write=is_write)

    noting = operate(limits=Noting())
    made = done(noting, noting.customers.create_customer(NAMED))
    noting.customers.get_customer(made.object_id)
    assert asked == [("create customers", True), ("one of customers", False)]
