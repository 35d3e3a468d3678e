"""Operations at a Stripe that others wrote: localstripe, in a process of its own, over real HTTP.

It knows an older API: no prices, no expanded payments, no times in most lists, and nothing of idempotency. What it does
know has to take what we send, and its answers have to be told.
"""

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from pydantic import SecretStr

from cyphera_pipelines.model.configuration import Credentials
from cyphera_pipelines.providers.base import (
    Address,
    Cancellation,
    ClientOptions,
    CustomerRequest,
    ExternalAccountType,
    ListParameters,
    Money,
    NewExternalAccount,
    NewPayment,
    NewRefund,
    ObjectGoneError,
    ProductRequest,
    Rejected,
    TaxId,
    TransactionStatus,
)
from cyphera_pipelines.providers.stripe.operations.account import StripeOperations
from cyphera_pipelines_tests.providers.operations.conftest import done, new_key

KEY = "sk_test_localstripe"
_PROGRAM = "cyphera_pipelines_tests.providers.operations.localstripe_server"
CARD = {
    "type": "card",
    "card[number]": "4242424242424242",
    "card[exp_month]": "12",
    "card[exp_year]": "2040",
    "card[cvc]": "123",
}


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    command = [sys.executable, "-m", _PROGRAM]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        port = process.stdout.readline().strip()
        assert port, "localstripe did not start"
        yield f"http://127.0.0.1:{port}"
        process.terminate()


@pytest.fixture
def stripe(address: str) -> StripeOperations:
    return StripeOperations(Credentials(api_key=SecretStr(KEY), base_url=address), ClientOptions(attempts=2))


def post(address: str, path: str, **parameters: str) -> dict[str, Any]:
    """Make by hand what our operations do not make, as it makes it."""
    answer = requests.post(f"{address}{path}", data=parameters, auth=(KEY, ""), timeout=120)
    assert answer.status_code == 200, answer.text
    made: dict[str, Any] = answer.json()
    return made


def a_customer(stripe: StripeOperations) -> str:
    return str(done(stripe, stripe.customers.create_customer(CustomerRequest(name="Bo"))).object_id)


def test_customers(stripe: StripeOperations) -> None:
    address = Address(line1="1 Main Street", city="London", country="GB")
    request = CustomerRequest(
        "ada@example.com", "Ada", "+15550100", address, tax_ids=(TaxId("eu_vat", "DE123456789"),), metadata={"crm": "4"}
    )
    made = done(stripe, stripe.customers.create_customer(request)).item
    assert (made.email, made.name, made.phone, made.billing_address) == ("ada@example.com", "Ada", "+15550100", address)
    assert (made.tax_ids, made.metadata) == (request.tax_ids, {"crm": "4"})
    assert stripe.customers.get_customer(made.id).item == made
    change = stripe.customers.update_customer(made.id, CustomerRequest(name="Ada L.", metadata={"tier": "gold"}))
    key = new_key()
    changed = done(stripe, change, key).item
    assert (changed.name, changed.email, changed.metadata) == ("Ada L.", made.email, {"crm": "4", "tier": "gold"})
    found = stripe.find(change, key, 0.0)
    assert found is not None
    assert found.item == changed
    by_email = stripe.customers.list_customers(ListParameters(filters={"email": "ada@example.com"}))
    assert by_email.items == (changed,)
    gone = done(stripe, stripe.customers.delete_customer(made.id))
    assert (gone.item, gone.changes[0].is_deleted) == (None, True)
    with pytest.raises(ObjectGoneError):
        stripe.customers.get_customer(made.id)


def test_products(stripe: StripeOperations) -> None:
    made = done(stripe, stripe.catalog.create_product(ProductRequest(name="Seats", description="One each"))).item
    assert (made.name, made.description, made.active) == ("Seats", "One each", True)
    archived = done(stripe, stripe.catalog.update_product(made.id, ProductRequest(active=False))).item
    assert archived.active is False
    assert archived in stripe.catalog.list_products(ListParameters(limit=100)).items
    assert done(stripe, stripe.catalog.delete_product(made.id)).item is None


def test_payment_methods(stripe: StripeOperations, address: str) -> None:
    customer_id, method = a_customer(stripe), post(address, "/v1/payment_methods", **CARD)["id"]
    request = NewExternalAccount(ExternalAccountType.PAYMENT_METHOD, customer_id, token=method)
    made = done(stripe, stripe.external_accounts.create_external_account(request)).item
    assert (made.id, made.owner_id, made.last4) == (method, customer_id, "4242")
    done(stripe, stripe.external_accounts.set_default_external_account(method, customer_id))
    assert stripe.external_accounts.get_external_account(method, customer_id).item.is_default is True
    assert done(stripe, stripe.external_accounts.delete_external_account(method, customer_id)).item is None


def test_payments_and_refunds(stripe: StripeOperations, address: str) -> None:
    customer_id, method = a_customer(stripe), post(address, "/v1/payment_methods", **CARD)["id"]
    post(address, f"/v1/payment_methods/{method}/attach", customer=customer_id)
    held = {"amount": "900", "currency": "usd", "customer": customer_id, "payment_method": method}
    first, second = (
        post(address, "/v1/payment_intents", **held, confirm="true", capture_method="manual")["id"] for _ in range(2)
    )
    assert stripe.payments.get_transaction(first).item.status is TransactionStatus.REQUIRES_CAPTURE
    captured = done(stripe, stripe.payments.capture_payment(first, 400)).item
    assert (captured.status, captured.money) == (TransactionStatus.SUCCEEDED, Money(900, "usd"))
    assert done(stripe, stripe.payments.cancel_payment(second)).item.status is TransactionStatus.CANCELED
    refund = done(stripe, stripe.payments.create_refund(NewRefund(payment_id=first, amount=100))).item
    assert (refund.status, refund.money) == (TransactionStatus.SUCCEEDED, Money(100, "usd"))
    assert stripe.payments.get_refund(refund.id).item == refund
    of_payment = ListParameters(filters={"payment_id": first})
    assert refund in stripe.payments.list_refunds(of_payment).items
    later = done(stripe, stripe.payments.create_payment(NewPayment(Money(900, "usd"), customer_id))).item
    assert (later.status, later.money, later.metadata) == (TransactionStatus.PENDING, Money(900, "usd"), {})
    # It does not know the parameter by which Stripe keeps customers from being led elsewhere, and says so.
    at_once = NewPayment(Money(900, "usd"), customer_id, method, confirm=True)
    refused = stripe.perform(stripe.payments.create_payment(at_once), new_key())
    assert isinstance(refused, Rejected)
    assert "automatic_payment_methods" in refused.message


def test_subscriptions(stripe: StripeOperations, address: str) -> None:
    customer_id, method = a_customer(stripe), post(address, "/v1/payment_methods", **CARD)["id"]
    post(address, f"/v1/payment_methods/{method}/attach", customer=customer_id)
    done(stripe, stripe.external_accounts.set_default_external_account(method, customer_id))
    product = done(stripe, stripe.catalog.create_product(ProductRequest(name="Seats"))).object_id
    plan = post(address, "/v1/plans", amount="1000", currency="usd", interval="month", product=product)["id"]
    made = post(address, "/v1/subscriptions", customer=customer_id, **{"items[0][plan]": plan})["id"]
    assert stripe.subscriptions.get_subscription(made).item.status == "active"
    listed = stripe.subscriptions.list_subscriptions(ListParameters(filters={"customer_id": customer_id}))
    assert [each.id for each in listed.items] == [made]
    (invoice,) = stripe.invoices.list_invoices(ListParameters(filters={"customer_id": customer_id})).items
    assert (invoice.subscription_id, invoice.status, invoice.amount_due) == (made, "paid", 1_000)
    assert stripe.invoices.get_invoice(invoice.id).item == invoice
    ending = stripe.subscriptions.cancel_subscription(made, Cancellation(at_period_end=True))
    assert done(stripe, ending).item.cancel_at_period_end is True
    assert done(stripe, stripe.subscriptions.reactivate_subscription(made)).item.cancel_at_period_end is False
    over = stripe.subscriptions.cancel_subscription(made, Cancellation())
    assert done(stripe, over).item.status == "canceled"
    assert stripe.find(over, new_key(), 0.0) is not None
