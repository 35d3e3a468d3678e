"""Objects that are not as documented: told as such, by the field's name, and never with another error."""

import json
from collections.abc import Callable
from contextlib import suppress
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cyphera_pipelines.providers.base import (
    CustomerRequest,
    ExternalAccountType,
    ItemRequest,
    Money,
    NewExternalAccount,
    NewPayment,
    NewPrice,
    NewRefund,
    NewSubscription,
    ProductRequest,
    ProviderError,
    Recurring,
)
from cyphera_pipelines.providers.stripe.operations.account import StripeOperations
from cyphera_pipelines.providers.stripe.operations.objects.catalog import to_price, to_product
from cyphera_pipelines.providers.stripe.operations.objects.customers import to_customer
from cyphera_pipelines.providers.stripe.operations.objects.external_accounts import to_external_account
from cyphera_pipelines.providers.stripe.operations.objects.invoices import to_invoice
from cyphera_pipelines.providers.stripe.operations.objects.subscriptions import to_subscription
from cyphera_pipelines.providers.stripe.operations.objects.transactions import to_charge, to_payment, to_refund
from cyphera_pipelines.sandbox import SandboxServer
from cyphera_pipelines_tests.providers.conftest import ACCOUNT
from cyphera_pipelines_tests.providers.operations.conftest import done
from cyphera_pipelines_tests.providers.operations.test_groups import ADA, a_price

Json = dict[str, Any]
MAPPERS: dict[str, Callable[[Any], Any]] = {
    "customer": to_customer,
    "product": to_product,
    "price": to_price,
    "subscription": to_subscription,
    "invoice": to_invoice,
    "payment_intent": to_payment,
    "charge": to_charge,
    "refund": to_refund,
    "bank_account": lambda obj: to_external_account(obj, None),
    "payment_method": lambda obj: to_external_account(obj, None),
}
ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just("\x00") | st.just("\ud800"),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@pytest.fixture
def objects(stripe: StripeOperations, sandbox: SandboxServer) -> dict[str, Json]:
    """One of each kind, whole."""
    customer = done(stripe, stripe.customers.create_customer(ADA))
    product = done(stripe, stripe.catalog.create_product(ProductRequest(name="Seats")))
    price_id = a_price(stripe)
    request = NewSubscription(customer.object_id, (ItemRequest(price_id, 2),))
    subscription = done(stripe, stripe.subscriptions.create_subscription(request))
    payment = NewPayment(Money(900, "usd"), None, "pm_card_visa", confirm=True)
    paid = done(stripe, stripe.payments.create_payment(payment))
    refund = done(stripe, stripe.payments.create_refund(NewRefund(charge_id=paid.item.charge_id)))
    token = NewExternalAccount(ExternalAccountType.PAYOUT_BANK_ACCOUNT, ACCOUNT.account_id, token="btok_1")
    bank = done(stripe, stripe.external_accounts.create_external_account(token))
    method = NewExternalAccount(ExternalAccountType.PAYMENT_METHOD, customer.object_id, token="pm_card_visa")
    price = NewPrice(product.object_id, Money(1, "usd"), recurring=Recurring("year"))
    invoice = stripe.invoices.get_invoice(subscription.item.latest_invoice_id)
    raws = (
        *(customer.raw, product.raw, done(stripe, stripe.catalog.create_price(price)).raw, subscription.raw),
        *(invoice.raw, paid.raw, paid.raw["latest_charge"], refund.raw, bank.raw),
        done(stripe, stripe.external_accounts.create_external_account(method)).raw,
    )
    return {raw["object"]: json.loads(json.dumps(raw)) for raw in raws}


def paths_of(value: Any, above: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The places of everything within a value."""
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path for name, each in entries for path in ((*above, name), *paths_of(each, (*above, name)))]


@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data())
def test_only_provider_errors_are_raised(objects: dict[str, Json], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(MAPPERS)))
    obj = deepcopy(objects[name])
    for path in data.draw(st.lists(st.sampled_from(paths_of(obj)), min_size=1, max_size=3)):
        place: Any = obj
        try:
            for part in path[:-1]:
                place = place[part]
            place[path[-1]] = data.draw(ODD)
        except (KeyError, IndexError, TypeError):
            continue  # what stood there was replaced before
    with suppress(ProviderError):
        MAPPERS[name](obj)


@pytest.mark.parametrize("odd", [None, [], "text", 3, {}])
@pytest.mark.parametrize("name", MAPPERS)
def test_what_is_no_object_is_refused(name: str, odd: Any) -> None:
    with pytest.raises(ProviderError):
        MAPPERS[name](odd)


def test_the_error_names_the_field(objects: dict[str, Json]) -> None:
    with pytest.raises(ProviderError, match=r"`amount_due` of the invoice .* should be a whole number"):
        to_invoice(objects["invoice"] | {"amount_due": "much"})
    with pytest.raises(ProviderError, match=r"`total` of the invoice .* 64 bits"):
        to_invoice(objects["invoice"] | {"total": 2**63})
    with pytest.raises(ProviderError, match="`created` of the customer"):
        to_customer(objects["customer"] | {"created": 10**30})


def test_what_was_done_is_done_though_its_answer_cannot_be_mapped(
    stripe: StripeOperations, sandbox: SandboxServer
) -> None:
    made = done(stripe, stripe.customers.create_customer(ADA))
    sandbox.state.patch(ACCOUNT.account_id, made.object_id, {"phone": {"odd": True}})
    outcome = done(stripe, stripe.customers.update_customer(made.object_id, CustomerRequest(name="Bo")))
    assert outcome.item is None
    assert outcome.raw["name"] == "Bo"
