"""What is particular about writing at Chargebee: ids that follow from keys, requests in steps, finding by reading."""

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given, settings
from pydantic import SecretStr

from cyphera_pipelines.model.configuration import Credentials
from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.errors import InvalidInputError
from cyphera_pipelines.providers.base import (
    Address,
    Cancellation,
    ClientOptions,
    CustomerRequest,
    Done,
    InvoicePayment,
    ItemRequest,
    ListParameters,
    Money,
    NewInvoice,
    NewInvoiceLine,
    NewPrice,
    NewSubscription,
    PreparedWrite,
    PriceTier,
    ProductRequest,
    ProviderError,
    Recurring,
    Rejected,
    SubscriptionRequest,
    TaxId,
    Unknown,
    UnsupportedError,
)
from cyphera_pipelines.providers.chargebee.operations.account import ChargebeeOperations
from cyphera_pipelines.providers.chargebee.operations.naming import key_of_step, new_id
from cyphera_pipelines.providers.chargebee.operations.objects.catalog import to_price, to_product
from cyphera_pipelines.providers.chargebee.operations.objects.customers import to_customer
from cyphera_pipelines.providers.chargebee.operations.objects.external_accounts import to_external_account
from cyphera_pipelines.providers.chargebee.operations.objects.invoices import to_invoice
from cyphera_pipelines.providers.chargebee.operations.objects.subscriptions import to_subscription
from cyphera_pipelines.providers.chargebee.operations.objects.transactions import to_transaction
from cyphera_pipelines.providers.chargebee.operations.refusals import our_field
from cyphera_pipelines.sandbox import ChargebeeSite, Fault, FaultKind, SandboxOptions, SandboxServer
from cyphera_pipelines_tests.hostile.odd_values import ODD_VALUES, paths_in, replaced
from cyphera_pipelines_tests.providers.chargebee.sample_objects import (
    CUSTOMER,
    INVOICE,
    ITEM,
    PRICES,
    SUBSCRIPTIONS,
)

SITE = ChargebeeSite(
    site="operations-test",
    api_key="test_operations",
    name="Operations",
    seed=3,
    customers=20,
    products=6,
    prices=20,
    subscriptions=10,
    invoices=20,
)
TRANSACTION = {
    "id": "txn_1",
    "customer_id": "c",
    "type": "payment",
    "status": "success",
    "amount": 100,
    "currency_code": "KWD",
    "date": 1_772_323_200,
    "linked_invoices": [{"invoice_id": "i"}],
    "linked_refunds": [{"txn_amount": 10}],
}
SOURCE = {"id": "pm_1", "customer_id": "c", "type": "card", "status": "valid", "card": {"last4": "1111"}}


@pytest.fixture(scope="module")
def running() -> Iterator[SandboxServer]:
    with SandboxServer([SITE]) as server:
        yield server


@pytest.fixture
def server(running: SandboxServer) -> SandboxServer:
    running.state.set_options(SandboxOptions())
    return running


@pytest.fixture
def account(server: SandboxServer) -> Iterator[ChargebeeOperations]:
    credentials = Credentials(api_key=SecretStr(SITE.api_key), base_url=server.url, options={"site": SITE.site})
    operations = ChargebeeOperations(credentials, ClientOptions())
    yield operations
    operations.close()


def done(account: ChargebeeOperations, write: PreparedWrite, key: str | None = None) -> Done[Any]:
    outcome = account.perform(write, key or str(uuid4()))
    assert isinstance(outcome, Done), outcome
    return outcome


def item_of(account: ChargebeeOperations, write: PreparedWrite, key: str | None = None) -> Any:
    return done(account, write, key).item


def made_customer(account: ChargebeeOperations, **more: Any) -> Any:
    assert account.customers is not None
    return item_of(account, account.customers.create_customer(CustomerRequest(name="Ada Lovelace", **more)))


def plans(server: SandboxServer, count: int) -> list[str]:
    """Monthly plans in dollars, per unit."""
    found = [
        str(price["id"])
        for price in server.state.truth(SITE.site, "prices")
        if (price["pricing_model"], price["item_type"], price["status"]) == ("per_unit", "plan", "active")
        and (price["currency_code"], price.get("period_unit"), price.get("trial_period")) == ("USD", "month", None)
        and "metered" not in str(price["id"])
    ]
    return found[:count]


def made_subscription(account: ChargebeeOperations, server: SandboxServer) -> Any:
    assert account.subscriptions is not None
    (plan,) = plans(server, 1)
    request = NewSubscription(made_customer(account).id, (ItemRequest(plan, 2),))
    return item_of(account, account.subscriptions.create_subscription(request))


def test_an_id_follows_from_the_key(account: ChargebeeOperations) -> None:
    assert account.customers is not None
    key, prepared = "k" * 255, account.customers.create_customer(CustomerRequest(name="Ada", email="a@example.com"))
    first, again = done(account, prepared, key), done(account, prepared, key)
    assert first.object_id == again.object_id == new_id("customers", key)
    assert len(key_of_step(key, 3)) <= 100
    found = account.find(prepared, key, time.time())
    assert found is not None
    assert (found.object_id, found.was_found) == (first.object_id, True)


def test_a_key_that_was_forgotten_makes_no_second_object(account: ChargebeeOperations) -> None:
    """The same write under another idempotency key, as after the half hour in which Chargebee knows the first."""
    assert account.customers is not None
    prepared, key = account.customers.create_customer(CustomerRequest(name="Ada")), str(uuid4())
    made = done(account, prepared, key)
    named = replace(prepared, parameters={**prepared.parameters, "id": made.object_id})
    refused = account.perform(replace(named, finding={}), str(uuid4()))
    assert isinstance(refused, Rejected)
    assert refused.code == "duplicate_entry"
    assert account._carry_out(prepared, prepared, key, None, 1) == {"customer": made.raw}


def test_address_and_tax_number_follow_in_a_request_of_their_own(account: ChargebeeOperations) -> None:
    assert account.customers is not None
    customer_id = made_customer(account).id
    request = CustomerRequest(
        name="Grace Brewster Hopper",
        billing_address=Address(line1="Street 1", city="Paris", postal_code="75001", country="FR"),
        tax_ids=(TaxId("vat_number", "FR40303265045"),),
        metadata={"plan": "gold"},
    )
    write = account.customers.update_customer(customer_id, request)
    assert [each.path for each in (write, *write.then)] == [
        f"/customers/{customer_id}",
        f"/customers/{customer_id}/update_billing_info",
    ]
    assert account.find(write, "key", time.time()) is None
    item = item_of(account, write)
    assert (item.name, item.billing_address.city, item.metadata["plan"]) == ("Grace Brewster Hopper", "Paris", "gold")
    assert account.find(write, "key", time.time()) is not None


def test_what_chargebee_has_no_place_for_is_refused_before_any_request(account: ChargebeeOperations) -> None:
    assert account.customers is not None
    assert account.catalog is not None
    assert account.invoices is not None
    with pytest.raises(UnsupportedError):
        account.customers.create_customer(CustomerRequest(shipping_address=Address(city="Paris")))
    with pytest.raises(InvalidInputError, match="vat_number"):
        account.customers.create_customer(CustomerRequest(tax_ids=(TaxId("us_ein", "1"),)))
    with pytest.raises(UnsupportedError):
        account.customers.list_customers(ListParameters(ending_before="x"))
    with pytest.raises(UnsupportedError):
        account.catalog.list_products(ListParameters(created_after=datetime.now(UTC)))
    with pytest.raises(UnsupportedError):
        account.catalog.create_price(NewPrice("item", Money(1, "usd"), tax_behavior="exclusive"))
    with pytest.raises(InvalidInputError, match="counts KWD in hundredths"):
        account.catalog.create_price(NewPrice("item", Money(1255, "kwd"), recurring=Recurring("month")))
    with pytest.raises(UnsupportedError):
        account.invoices.create_invoice(NewInvoice("c", "usd", (NewInvoiceLine("p"),), metadata={"a": "b"}))


def test_a_product_is_made_archived_in_two_steps(account: ChargebeeOperations) -> None:
    assert account.catalog is not None
    request = ProductRequest(name=f"Old lamp {uuid4().hex[:6]}", active=False, unit_label="lamp")
    item = item_of(account, account.catalog.create_product(request))
    assert (item.active, item.unit_label, item.type) == (False, "lamp", "plan")


@pytest.mark.parametrize(
    ("mode", "tiers", "model"),
    [
        ("graduated", (PriceTier(10, Decimal(500)), PriceTier(None, Decimal(300))), "tiered"),
        ("volume", (PriceTier(10, Decimal(500)), PriceTier(None, Decimal(300))), "volume"),
        ("volume", (PriceTier(10, None, Decimal(500)), PriceTier(None, None, Decimal(900))), "stairstep"),
    ],
)
def test_tiers(mode: str, tiers: tuple[PriceTier, ...], model: str, account: ChargebeeOperations) -> None:
    assert account.catalog is not None
    product = item_of(account, account.catalog.create_product(ProductRequest(name=f"Tiers {uuid4().hex[:6]}")))
    request = NewPrice(product.id, Money(0, "usd"), recurring=Recurring("month"), tiers=tiers, tiers_mode=mode)
    made = done(account, account.catalog.create_price(request))
    assert made.raw is not None
    assert made.raw["pricing_model"] == model
    made_price: Any = made.item
    assert (made_price.tiers, made_price.tiers_mode) == (tiers, mode)
    assert [change.entity for change in made.changes] == [Entity.PRICES]


def test_a_plan_takes_another_s_place(account: ChargebeeOperations, server: SandboxServer) -> None:
    assert account.subscriptions is not None
    made, (_plan, other) = made_subscription(account, server), plans(server, 2)
    swap = SubscriptionRequest(items=(ItemRequest(other, 3, id=made.items[0].id),))
    write = account.subscriptions.update_subscription(made.id, swap)
    assert account.find(write, "key", time.time()) is None
    key = str(uuid4())
    changed = item_of(account, write, key)
    assert [(item.price_id, item.quantity) for item in changed.items] == [(other, 3)]
    assert account.find(write, "key", time.time()) is not None
    again = item_of(account, write, key)
    assert again.items == changed.items


def test_a_subscription_changes_and_ends_in_one_write(account: ChargebeeOperations, server: SandboxServer) -> None:
    assert account.subscriptions is not None
    made = made_subscription(account, server)
    request = SubscriptionRequest(items=(ItemRequest(quantity=5, id=made.items[0].id),), cancel_at_period_end=True)
    write = account.subscriptions.update_subscription(made.id, request)
    ending = item_of(account, write)
    assert ([item.quantity for item in ending.items], ending.cancel_at_period_end) == ([5], True)
    assert ending.cancel_at == ending.current_period_end
    assert account.find(write, "key", time.time()) is not None
    kept = account.subscriptions.update_subscription(made.id, SubscriptionRequest(cancel_at_period_end=False))
    assert item_of(account, kept).cancel_at is None
    now = account.subscriptions.cancel_subscription(made.id, Cancellation(prorate=True))
    assert item_of(account, now).provider_status == "cancelled"
    refused = account.perform(account.subscriptions.reactivate_subscription(made.id), str(uuid4()))
    assert isinstance(refused, Rejected)
    assert refused.remedy is not None


def test_a_term_that_is_to_begin_anew_is_not_found_before(account: ChargebeeOperations, server: SandboxServer) -> None:
    assert account.subscriptions is not None
    made = made_subscription(account, server)
    write = account.subscriptions.update_subscription(made.id, SubscriptionRequest(billing_cycle_anchor_now=True))
    an_hour = timedelta(hours=1)
    assert account.find(write, "key", (datetime.now(UTC) + an_hour).timestamp()) is None


def test_an_invoice_is_found_by_what_is_on_it(account: ChargebeeOperations) -> None:
    assert account.invoices is not None
    customer_id = made_customer(account).id
    lines = (NewInvoiceLine(amount=500, description="Work"), NewInvoiceLine(amount=700, description="Travel"))
    write = account.invoices.create_invoice(NewInvoice(customer_id, "usd", lines))
    sent_at = time.time()
    assert account.find(write, "key", sent_at) is None
    made = done(account, write)
    found = account.find(write, "key", sent_at)
    assert found is not None
    assert found.object_id == made.object_id
    other = account.invoices.create_invoice(NewInvoice(customer_id, "usd", lines[:1]))
    assert account.find(other, "key", sent_at) is None
    done(account, write)
    with pytest.raises(ProviderError, match="nobody can tell which it is"):
        account.find(write, "key", sent_at)


def test_a_refusal_names_our_field_and_what_to_do(account: ChargebeeOperations) -> None:
    assert account.invoices is not None
    line = NewInvoiceLine(amount=500, description="Work")
    customer_id = made_customer(account).id
    draft = item_of(account, account.invoices.create_invoice(NewInvoice(customer_id, "usd", (line,))))
    bill = item_of(account, account.invoices.finalize_invoice(draft.id))
    refused = account.perform(account.invoices.pay_invoice(bill.id, InvoicePayment()), str(uuid4()))
    assert isinstance(refused, Rejected)
    assert refused.remedy is not None
    assert our_field("subscription_items[item_price_id][0]") == "items.0.price_id"
    assert our_field("billing_address[zip]") == "billing_address.postal_code"


@pytest.mark.parametrize("kind", [FaultKind.DROP, FaultKind.TRUNCATE, FaultKind.ERROR_500], ids=str)
@pytest.mark.parametrize("times", [1, 2])
def test_steps_that_are_cut_end_in_one_state(
    kind: FaultKind, times: int, account: ChargebeeOperations, server: SandboxServer
) -> None:
    assert account.subscriptions is not None
    (plan,) = plans(server, 1)
    request = NewSubscription(made_customer(account).id, (ItemRequest(plan, 2),), cancel_at_period_end=True)
    write, key, sent_at = account.subscriptions.create_subscription(request), str(uuid4()), time.time()
    before = {obj["id"] for obj in server.state.truth(SITE.site, "subscriptions")}
    for _cut in range(times):
        fault = Fault(kind=kind, path="/api/v2/subscriptions/*" if times == 2 else "/api/v2/*", times=1)
        server.state.set_options(SandboxOptions(faults=(fault,)))
        outcome = account.perform(write, key)
        server.state.set_options(SandboxOptions())
        assert isinstance(outcome, Unknown | Done)
        if account.find(write, key, sent_at) is not None:
            break
    ended = done(account, write, key)
    after = {obj["id"]: obj for obj in server.state.truth(SITE.site, "subscriptions")}
    assert after.keys() - before == {ended.object_id}
    assert after[ended.object_id]["status"] == "non_renewing"


@settings(max_examples=60)
@given(odd=ODD_VALUES)
def test_odd_answers_are_objects_or_errors_of_ours(odd: Any) -> None:
    samples = [
        (CUSTOMER, to_customer),
        (ITEM, to_product),
        *((price, to_price) for price in PRICES),
        *((subscription, to_subscription) for subscription in SUBSCRIPTIONS),
        (INVOICE, to_invoice),
        (TRANSACTION, to_transaction),
        (SOURCE, to_external_account),
    ]
    for obj, to_item in samples:
        for place in paths_in(obj):
            with suppress(ProviderError):
                to_item(replaced(obj, place, odd))


def test_transactions_in_our_words() -> None:
    payment = to_transaction(TRANSACTION)
    assert (payment.money, payment.refunded, payment.invoice_id) == (Money(1000, "kwd"), Money(100, "kwd"), "i")
    assert payment.captured == payment.money
    refund = to_transaction({**TRANSACTION, "type": "refund", "refunded_txn_id": "txn_0", "linked_refunds": None})
    assert (refund.type.value, refund.charge_id, refund.captured) == ("refund", "txn_0", None)
