"""Every operation does at the provider what it says, and tells it in canonical objects."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.errors import InvalidInputError
from cyphera_pipelines.providers.base import (
    Address,
    Cancellation,
    CustomerRequest,
    ExternalAccountRequest,
    ExternalAccountType,
    InvoicePayment,
    ItemRequest,
    ListParameters,
    Money,
    NewExternalAccount,
    NewInvoice,
    NewInvoiceLine,
    NewPayment,
    NewPrice,
    NewRefund,
    NewSubscription,
    ObjectGoneError,
    PriceRequest,
    PriceTier,
    ProductRequest,
    Proration,
    Recurring,
    Rejected,
    SubscriptionRequest,
    TaxId,
    TransactionStatus,
    TransactionType,
    TransformQuantity,
)
from cyphera_pipelines.providers.stripe.operations.account import StripeOperations
from cyphera_pipelines.sandbox import SandboxServer
from cyphera_pipelines_tests.providers.conftest import ACCOUNT
from cyphera_pipelines_tests.providers.operations.conftest import done, new_key

ADA = CustomerRequest(
    email="ada@example.com",
    name="Ada",
    phone="+15550100",
    billing_address=Address(line1="1 Main Street", city="London", postal_code="N1", country="GB"),
    shipping_address=Address(line1="2 Side Street", country="GB"),
    tax_ids=(TaxId("eu_vat", "DE123456789"),),
    preferred_locale="en-GB",
    metadata={"crm": "42"},
)


def a_customer(stripe: StripeOperations) -> str:
    return str(
        done(stripe, stripe.customers.create_customer(CustomerRequest(name="Bo", email="bo@example.com"))).object_id
    )


def a_product(stripe: StripeOperations) -> str:
    return str(done(stripe, stripe.catalog.create_product(ProductRequest(name="Seats"))).object_id)


def a_price(stripe: StripeOperations, amount: int = 1_900, interval: str | None = "month") -> str:
    recurring = None if interval is None else Recurring(interval)
    request = NewPrice(a_product(stripe), Money(amount, "usd"), recurring=recurring)
    return str(done(stripe, stripe.catalog.create_price(request)).object_id)


def a_subscription(stripe: StripeOperations) -> str:
    request = NewSubscription(a_customer(stripe), (ItemRequest(a_price(stripe), 2),))
    return str(done(stripe, stripe.subscriptions.create_subscription(request)).object_id)


def test_customers(stripe: StripeOperations) -> None:
    made = done(stripe, stripe.customers.create_customer(ADA))
    customer = made.item
    assert (customer.email, customer.name, customer.phone) == ("ada@example.com", "Ada", "+15550100")
    assert customer.billing_address == Address(line1="1 Main Street", city="London", postal_code="N1", country="GB")
    assert customer.shipping_address == Address(line1="2 Side Street", country="GB")
    assert customer.tax_ids == ADA.tax_ids
    assert customer.preferred_locale == "en-GB"
    assert customer.metadata == {"crm": "42"}
    assert stripe.customers.get_customer(made.object_id).item == customer

    change = CustomerRequest(name="Ada L.", metadata={"crm": "", "tier": "gold"})
    changed = done(stripe, stripe.customers.update_customer(made.object_id, change)).item
    assert (changed.name, changed.email, changed.metadata) == ("Ada L.", "ada@example.com", {"tier": "gold"})
    assert changed.tax_ids == ADA.tax_ids

    found = stripe.customers.list_customers(ListParameters(filters={"email": "ada@example.com"}))
    assert found.items == (changed,)

    gone = done(stripe, stripe.customers.delete_customer(made.object_id))
    assert (gone.item, gone.changes[0].is_deleted) == (None, True)
    with pytest.raises(ObjectGoneError):
        stripe.customers.get_customer(made.object_id)


def test_products(stripe: StripeOperations) -> None:
    request = ProductRequest(name="Seats", description="One each", unit_label="seat", shippable=False)
    product = done(stripe, stripe.catalog.create_product(request)).item
    assert (product.name, product.description, product.unit_label, product.shippable, product.active) == (
        *("Seats", "One each", "seat", False, True),
    )
    archived = done(stripe, stripe.catalog.update_product(product.id, ProductRequest(active=False))).item
    assert archived.active is False
    assert stripe.catalog.get_product(product.id).item == archived
    chosen = stripe.catalog.list_products(ListParameters(ids=(product.id,)))
    assert chosen.items == (archived,)
    newest = stripe.catalog.list_products(ListParameters(limit=1, filters={"active": "false"}))
    assert newest.items == (archived,)
    assert done(stripe, stripe.catalog.delete_product(product.id)).item is None
    with pytest.raises(ObjectGoneError):
        stripe.catalog.get_product(product.id)


def test_prices(stripe: StripeOperations) -> None:
    product = done(stripe, stripe.catalog.create_product(ProductRequest(name="Units"))).object_id
    tiers = (PriceTier(100, Decimal(50)), PriceTier(None, Decimal("0.5"), Decimal(1_000)))
    request = NewPrice(product, Money(0, "EUR"), recurring=Recurring("month", 3), tiers=tiers, tiers_mode="volume")
    tiered = done(stripe, stripe.catalog.create_price(request))
    assert (tiered.item.currency, tiered.item.billing_scheme, tiered.item.tiers_mode) == ("eur", "tiered", "volume")
    assert [(tier.up_to, tier.unit_amount, tier.flat_amount) for tier in tiered.item.tiers] == [
        (100, Decimal(50), None),
        (None, Decimal("0.5"), Decimal(1_000)),
    ]
    assert (tiered.item.recurring.interval, tiered.item.recurring.interval_count) == ("month", 3)
    assert stripe.catalog.get_price(tiered.object_id).item == tiered.item
    (change,) = tiered.changes
    assert change.snapshot is not None
    assert change.snapshot["tiers"]

    packed = NewPrice(product, Money(500, "usd"), transform_quantity=TransformQuantity(10, "up"), nickname="Packs")
    once = done(stripe, stripe.catalog.create_price(packed)).item
    assert (once.type, once.unit_amount, once.transform_quantity) == ("one_time", 500, TransformQuantity(10, "up"))
    request_to_archive = PriceRequest(active=False, tax_behavior="exclusive")
    archived = done(stripe, stripe.catalog.update_price(once.id, request_to_archive)).item
    assert (archived.active, archived.tax_behavior) == (False, "exclusive")
    assert {price.id for price in stripe.catalog.list_prices(ListParameters(), product).items} == {
        once.id,
        tiered.object_id,
    }
    of_type = ListParameters(filters={"type": "recurring", "currency": "eur", "active": "true"})
    assert [price.id for price in stripe.catalog.list_prices(of_type, product).items] == [tiered.object_id]


def test_subscriptions(stripe: StripeOperations) -> None:
    customer_id, price_id, other = a_customer(stripe), a_price(stripe), a_price(stripe, 500)
    request = NewSubscription(customer_id, (ItemRequest(price_id, 2),), metadata={"order": "7"})
    made = done(stripe, stripe.subscriptions.create_subscription(request))
    subscription = made.item
    assert (subscription.status, subscription.customer_id, subscription.currency) == ("active", customer_id, "usd")
    assert [(item.price_id, item.quantity) for item in subscription.items] == [(price_id, 2)]
    assert subscription.current_period_start < subscription.current_period_end
    invoice = stripe.invoices.get_invoice(subscription.latest_invoice_id).item
    assert (invoice.status, invoice.total, invoice.subscription_id) == ("paid", 3_800, made.object_id)
    assert invoice.payment_intent_id is not None

    first = subscription.items[0].id
    items = (ItemRequest(id=first, quantity=5), ItemRequest(other, 1))
    change = SubscriptionRequest(items=items, proration=Proration.NONE, default_tax_rate_ids=("txr_1",))
    changed = done(stripe, stripe.subscriptions.update_subscription(made.object_id, change)).item
    assert [(item.price_id, item.quantity) for item in changed.items] == [(price_id, 5), (other, 1)]
    assert changed.default_tax_rate_ids == ("txr_1",)
    less = SubscriptionRequest(items=(ItemRequest(id=first, is_removed=True),), default_tax_rate_ids=())
    changed = done(stripe, stripe.subscriptions.update_subscription(made.object_id, less)).item
    assert ([item.price_id for item in changed.items], changed.default_tax_rate_ids) == ([other], ())
    now = SubscriptionRequest(billing_cycle_anchor_now=True)
    assert done(stripe, stripe.subscriptions.update_subscription(made.object_id, now)).item.billing_cycle_anchor

    ending = stripe.subscriptions.cancel_subscription(made.object_id, Cancellation(at_period_end=True))
    assert done(stripe, ending).item.cancel_at_period_end is True
    back = done(stripe, stripe.subscriptions.reactivate_subscription(made.object_id)).item
    assert (back.cancel_at_period_end, back.cancel_at) == (False, None)
    over = done(stripe, stripe.subscriptions.cancel_subscription(made.object_id, Cancellation(invoice_now=True))).item
    assert over.status == "canceled"
    assert stripe.subscriptions.get_subscription(made.object_id).item == over
    refused = stripe.perform(stripe.subscriptions.reactivate_subscription(made.object_id), new_key())
    assert isinstance(refused, Rejected)

    trial_end = datetime.now(UTC).replace(microsecond=0) + timedelta(days=9)
    request = NewSubscription(
        customer_id, (ItemRequest(price_id),), trial_end=trial_end, collection_method="send_invoice", days_until_due=9
    )
    trial = done(stripe, stripe.subscriptions.create_subscription(request)).item
    assert (trial.status, trial.trial_end, trial.collection_method) == ("trialing", trial_end, "send_invoice")
    listed = stripe.subscriptions.list_subscriptions(ListParameters(filters={"customer_id": customer_id}))
    assert [each.id for each in listed.items] == [trial.id, made.object_id]
    soon = {"current_period_end_before": (trial_end + timedelta(days=1)).isoformat(), "price_id": price_id}
    listed = stripe.subscriptions.list_subscriptions(ListParameters(filters=soon | {"customer_id": customer_id}))
    assert [each.id for each in listed.items] == [trial.id]


def test_invoices(stripe: StripeOperations) -> None:
    customer_id, price_id = a_customer(stripe), a_price(stripe, 700, interval=None)
    lines = (NewInvoiceLine(price_id, 3), NewInvoiceLine(amount=-100, description="Sorry"))
    made = done(stripe, stripe.invoices.create_invoice(NewInvoice(customer_id, "usd", lines, description="Hello")))
    draft = made.item
    assert (draft.status, draft.total, draft.amount_due) == ("draft", 2_000, 2_000)
    assert [(line.price_id, line.amount, line.quantity) for line in draft.lines] == [
        (price_id, 2_100, 3),
        (None, -100, 1),
    ]
    assert draft.lines[1].description == "Sorry"
    assert draft.lines[0].metadata == {}
    opened = done(stripe, stripe.invoices.finalize_invoice(made.object_id)).item
    assert (opened.status, opened.hosted_invoice_url is not None) == ("open", True)
    paid = done(stripe, stripe.invoices.pay_invoice(made.object_id, InvoicePayment("pm_card_visa"))).item
    assert (paid.status, paid.amount_paid, paid.paid_out_of_band) == ("paid", 2_000, False)
    assert paid.payment_intent_id is not None
    assert paid.paid_at is not None
    assert stripe.invoices.get_invoice(made.object_id).item == paid

    sent = NewInvoice(customer_id, "usd", (NewInvoiceLine(amount=900, description="Work"),), auto_advance=True,
                      collection_method="send_invoice", days_until_due=5)  # fmt: skip
    by_mail = done(stripe, stripe.invoices.create_invoice(sent))
    assert by_mail.raw is not None
    assert by_mail.raw["auto_advance"] is True
    assert done(stripe, stripe.invoices.send_invoice(by_mail.object_id)).item.status == "open"
    due = {"due_date_after": datetime.now(UTC).isoformat(), "customer_id": customer_id, "status": "open"}
    assert [each.id for each in stripe.invoices.list_invoices(ListParameters(filters=due)).items] == [by_mail.object_id]
    elsewhere = done(stripe, stripe.invoices.pay_invoice(by_mail.object_id, InvoicePayment(paid_out_of_band=True))).item
    assert (elsewhere.status, elsewhere.paid_out_of_band) == ("paid", True)

    third = done(stripe, stripe.invoices.create_invoice(NewInvoice(customer_id, "usd", lines[:1]))).object_id
    done(stripe, stripe.invoices.finalize_invoice(third))
    assert done(stripe, stripe.invoices.void_invoice(third)).item.status == "void"


def test_payments_and_refunds(stripe: StripeOperations) -> None:
    customer_id = a_customer(stripe)
    request = NewPayment(Money(2_500, "usd"), customer_id, "pm_card_visa", confirm=True, metadata={"order": "1"})
    made = done(stripe, stripe.payments.create_payment(request))
    payment = made.item
    assert (payment.type, payment.status, payment.money) == (
        *(TransactionType.PAYMENT, TransactionStatus.SUCCEEDED, Money(2_500, "usd")),
    )
    assert (payment.captured, payment.fee, payment.metadata) == (Money(2_500, "usd"), Money(102, "usd"), {"order": "1"})
    assert stripe.payments.get_transaction(made.object_id).item == payment
    assert stripe.payments.get_transaction(payment.charge_id).item == payment

    some = done(stripe, stripe.payments.create_refund(NewRefund(payment_id=made.object_id, amount=500))).item
    assert (some.type, some.status, some.money) == (
        TransactionType.REFUND,
        TransactionStatus.SUCCEEDED,
        Money(500, "usd"),
    )
    assert stripe.payments.get_refund(some.id).item == some
    rest = done(stripe, stripe.payments.create_refund(NewRefund(charge_id=payment.charge_id, reason="duplicate"))).item
    assert rest.money == Money(2_000, "usd")
    of_payment = ListParameters(filters={"payment_id": made.object_id})
    assert stripe.payments.list_refunds(of_payment).items == (rest, some)
    assert stripe.payments.get_transaction(made.object_id).item.refunded == Money(2_500, "usd")

    held = NewPayment(Money(900, "usd"), customer_id, "pm_card_visa", confirm=True, captures_later=True)
    first, second = (done(stripe, stripe.payments.create_payment(held)).item for _ in range(2))
    assert first.status is TransactionStatus.REQUIRES_CAPTURE
    assert done(stripe, stripe.payments.capture_payment(first.id, 400)).item.captured == Money(400, "usd")
    assert done(stripe, stripe.payments.cancel_payment(second.id)).item.status is TransactionStatus.CANCELED
    newest = stripe.payments.list_transactions(ListParameters(limit=2, filters={"customer_id": customer_id}))
    assert [each.id for each in newest.items] == [second.id, first.id]


def test_external_accounts_of_the_account(stripe: StripeOperations) -> None:
    request = NewExternalAccount(
        ExternalAccountType.PAYOUT_BANK_ACCOUNT,
        owner_id=ACCOUNT.account_id,
        country="US",
        currency="usd",
        account_holder_name="Ada",
        account_number="000999888777",
        routing_number="110000000",
    )
    write = stripe.external_accounts.create_external_account(request)
    assert "000999888777" not in str(write.shown())
    assert "110000000" not in str(write.shown())
    made = done(stripe, write).item
    assert (made.last4, made.type, made.is_default) == ("8777", ExternalAccountType.PAYOUT_BANK_ACCOUNT, True)
    card = NewExternalAccount(ExternalAccountType.PAYOUT_CARD, owner_id=ACCOUNT.account_id, token="tok_visa_debit")
    other = done(stripe, stripe.external_accounts.create_external_account(card)).item
    assert (other.type, other.is_default) == (ExternalAccountType.PAYOUT_CARD, False)
    listed = stripe.external_accounts.list_external_accounts(ListParameters(limit=1), ACCOUNT.account_id)
    assert [each.id for each in listed.items] == [other.id]
    after = ListParameters(starting_after=listed.next_cursor)
    listed = stripe.external_accounts.list_external_accounts(after, ACCOUNT.account_id)
    assert [each.id for each in listed.items] == [made.id]
    chosen = stripe.external_accounts.set_default_external_account(other.id, ACCOUNT.account_id)
    assert done(stripe, chosen).item.is_default is True
    change = ExternalAccountRequest("Ada L.", {"seen": "yes"})
    renamed = done(stripe, stripe.external_accounts.update_external_account(made.id, ACCOUNT.account_id, change)).item
    assert (renamed.account_holder_name, renamed.metadata, renamed.is_default) == ("Ada L.", {"seen": "yes"}, False)
    assert stripe.external_accounts.get_external_account(made.id, ACCOUNT.account_id).item == renamed
    assert done(stripe, stripe.external_accounts.delete_external_account(made.id, ACCOUNT.account_id)).item is None
    with pytest.raises(ObjectGoneError):
        stripe.external_accounts.get_external_account(made.id, ACCOUNT.account_id)
    with pytest.raises(InvalidInputError, match="owner_id"):
        stripe.external_accounts.list_external_accounts(ListParameters(), None)


def test_external_accounts_of_a_customer(stripe: StripeOperations) -> None:
    customer_id = a_customer(stripe)
    attached = NewExternalAccount(ExternalAccountType.PAYMENT_METHOD, owner_id=customer_id, token="pm_card_visa")
    card = done(stripe, stripe.external_accounts.create_external_account(attached)).item
    assert (card.type, card.owner_id, card.last4) == (ExternalAccountType.PAYMENT_METHOD, customer_id, "4242")
    by_token = NewExternalAccount(ExternalAccountType.PAYMENT_METHOD, owner_id=customer_id, token="btok_1")
    bank = done(stripe, stripe.external_accounts.create_external_account(by_token)).item
    assert (bank.type, bank.bank_name) == (ExternalAccountType.PAYMENT_METHOD, "STRIPE TEST BANK")
    chosen = done(stripe, stripe.external_accounts.set_default_external_account(card.id, customer_id))
    assert chosen.item.id == card.id
    assert [change.entity for change in chosen.changes] == [Entity.CUSTOMERS]
    listed = stripe.external_accounts.list_external_accounts(ListParameters(), customer_id).items
    assert [(each.id, each.is_default) for each in listed] == [(card.id, True), (bank.id, False)]
    renamed = stripe.external_accounts.update_external_account(card.id, customer_id, ExternalAccountRequest("Bo"))
    assert done(stripe, renamed).item.account_holder_name == "Bo"
    assert done(stripe, stripe.external_accounts.delete_external_account(card.id, customer_id)).item is None
    assert done(stripe, stripe.external_accounts.delete_external_account(bank.id, customer_id)).item is None
    assert stripe.external_accounts.list_external_accounts(ListParameters(), customer_id).items == ()


def test_lists_go_on_in_both_directions(stripe: StripeOperations) -> None:
    everything = [customer.id for customer in stripe.customers.list_customers(ListParameters(limit=100)).items]
    assert len(everything) == ACCOUNT.customers
    first = stripe.customers.list_customers(ListParameters(limit=15))
    second = stripe.customers.list_customers(ListParameters(limit=15, starting_after=first.next_cursor))
    third = stripe.customers.list_customers(ListParameters(limit=15, starting_after=second.next_cursor))
    assert [each.id for page in (first, second, third) for each in page.items] == everything
    assert (first.previous_cursor, third.next_cursor) == (None, None)
    back = stripe.customers.list_customers(ListParameters(limit=15, ending_before=third.previous_cursor))
    assert back.items == second.items
    start = stripe.customers.list_customers(ListParameters(limit=15, ending_before=back.previous_cursor))
    assert (start.items, start.previous_cursor) == (first.items, None)

    moment = second.items[7].created
    older = stripe.customers.list_customers(ListParameters(limit=100, created_before=moment))
    newer = stripe.customers.list_customers(ListParameters(limit=100, created_after=moment))
    assert [each.id for each in (*newer.items, *older.items)] == everything
    some = (everything[3], "cus_unknown", everything[1])
    chosen = stripe.customers.list_customers(ListParameters(ids=some))
    assert [each.id for each in chosen.items] == [everything[3], everything[1]]


def test_what_was_written_is_told_to_the_tables_as_a_sync_would(
    stripe: StripeOperations, sandbox: SandboxServer
) -> None:
    made = done(stripe, stripe.customers.create_customer(ADA))
    (change,) = made.changes
    assert (change.entity, change.object_id) == (Entity.CUSTOMERS, made.object_id)
    assert change.snapshot is not None
    shown = sandbox.state.object(ACCOUNT.account_id, made.object_id)
    assert change.snapshot == {name: value for name, value in shown.items() if name != "tax_ids"}
    price_id = a_price(stripe, 100, interval=None)
    lines = tuple(NewInvoiceLine(price_id, 1) for _ in range(11))
    long = done(stripe, stripe.invoices.create_invoice(NewInvoice(made.object_id, "usd", lines)))
    (change,) = long.changes
    assert (change.entity, change.object_id, change.snapshot) == (Entity.INVOICES, long.object_id, None)
    assert long.item.has_more_lines is True
