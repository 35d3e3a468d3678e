"""However connections break off: what is asked for once under one key is there once."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cyphera_pipelines.providers.base import (
    CustomerRequest,
    Done,
    ItemRequest,
    Money,
    NewInvoice,
    NewInvoiceLine,
    NewPayment,
    NewPrice,
    NewRefund,
    NewSubscription,
    PreparedWrite,
    ProductRequest,
)
from cyphera_pipelines.providers.stripe.operations.account import StripeOperations
from cyphera_pipelines.sandbox import SandboxServer
from cyphera_pipelines.sandbox.options import Fault, FaultKind
from cyphera_pipelines_tests.providers.conftest import ACCOUNT
from cyphera_pipelines_tests.providers.operations.conftest import done, new_key
from cyphera_pipelines_tests.providers.operations.test_groups import a_price, a_product

FAULTS = (
    FaultKind.DROP,
    FaultKind.DROP_UNDONE,
    FaultKind.TRUNCATE,
    FaultKind.CUT_JSON,
    FaultKind.ERROR_502,
    FaultKind.ERROR_503,
    FaultKind.ERROR_500_DONE,
)


def settled(operations: StripeOperations, write: PreparedWrite, key: str) -> Done[object]:
    """Perform and find, as whoever keeps the write would, until its outcome is known."""
    sent_at = time.time()
    for _attempt in range(20):
        outcome = operations.perform(write, key)
        if isinstance(outcome, Done):
            return outcome
        found = operations.find(write, key, sent_at)
        if found is not None:
            return found
    pytest.fail(f"not settled: {outcome}")


@dataclass(frozen=True)
class Making:
    """A kind of creation, and what it is about."""

    collection: str
    prepare: Callable[[StripeOperations], PreparedWrite]


def _a_refund(stripe: StripeOperations) -> PreparedWrite:
    payment = NewPayment(Money(900, "usd"), None, "pm_card_visa", confirm=True)
    charge_id = done(stripe, stripe.payments.create_payment(payment)).item.charge_id
    return stripe.payments.create_refund(NewRefund(charge_id=charge_id, amount=100))


def _a_subscription(stripe: StripeOperations) -> PreparedWrite:
    customer_id = done(stripe, stripe.customers.create_customer(CustomerRequest(name="Ada"))).object_id
    return stripe.subscriptions.create_subscription(NewSubscription(customer_id, (ItemRequest(a_price(stripe), 1),)))


def _an_invoice(stripe: StripeOperations) -> PreparedWrite:
    customer_id = done(stripe, stripe.customers.create_customer(CustomerRequest(name="Ada"))).object_id
    lines = (NewInvoiceLine(amount=700, description="Work"), NewInvoiceLine(amount=-100, description="Sorry"))
    return stripe.invoices.create_invoice(NewInvoice(customer_id, "usd", lines, auto_advance=True))


MAKINGS = (
    Making("customers", lambda stripe: stripe.customers.create_customer(CustomerRequest(name="Ada"))),
    Making("products", lambda stripe: stripe.catalog.create_product(ProductRequest(name="Seats"))),
    Making("prices", lambda stripe: stripe.catalog.create_price(NewPrice(a_product(stripe), Money(900, "usd")))),
    Making("subscriptions", _a_subscription),
    Making("invoices", _an_invoice),
    Making(
        "payment_intents",
        lambda stripe: stripe.payments.create_payment(
            NewPayment(Money(900, "usd"), None, "pm_card_visa", confirm=True)
        ),
    ),
    Making("refunds", _a_refund),
)


@settings(max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.lists(st.sampled_from(FAULTS), max_size=5), st.sampled_from(MAKINGS))
def test_there_is_exactly_one(
    sandbox: SandboxServer, stripe: StripeOperations, faults: list[FaultKind], making: Making
) -> None:
    sandbox.state.faults.clear()
    write = making.prepare(stripe)

    def present() -> dict[str, Any]:
        return {each["id"]: each for each in sandbox.state.truth(ACCOUNT.account_id, making.collection)}

    before = present()
    # The n-th request that changes something meets the n-th fault.
    sandbox.state.faults.set([Fault(kind=each, method="POST", times=1) for each in faults])
    made = settled(stripe, write, new_key())
    (new,) = [each for each in present().values() if each["id"] not in before]
    assert new["id"] == made.object_id
    if making.collection == "invoices":
        assert [line["amount"] for line in new["lines"]["data"]] == [700, -100]
        assert new["auto_advance"] is True
