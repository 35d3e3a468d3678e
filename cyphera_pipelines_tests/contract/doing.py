"""One way to do each operation, in canonical words alone: what every provider that declares it has to be able to do."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest

from cyphera_pipelines.providers.base import (
    AccountOperations,
    Cancellation,
    CustomerRequest,
    Done,
    ExternalAccountRequest,
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
    ObjectKind,
    Operation,
    PreparedWrite,
    PriceRequest,
    ProductRequest,
    Recurring,
    SubscriptionRequest,
    TransactionStatus,
)
from cyphera_pipelines.providers.base.objects import ExternalAccountType
from cyphera_pipelines_tests.contract.subject import Subject

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Doing:
    """Whoever does it: at which subject, and with which operations of its account."""

    subject: Subject
    account: AccountOperations

    def done(self, write: PreparedWrite) -> Any:
        """Perform it under a key of its own; it has to succeed. Returns the object afterwards."""
        outcome = self.account.perform(write, f"contract-{uuid4()}")
        assert isinstance(outcome, Done), outcome
        return outcome.item

    def customer(self) -> Any:
        assert self.account.customers is not None
        number = next(_numbers)
        request = CustomerRequest(name=f"Ada {number}", email=f"ada{number}@example.com", metadata={"tier": "gold"})
        return self.done(self.account.customers.create_customer(request))

    def subscription(self) -> Any:
        assert self.account.subscriptions is not None
        customer = self.customer()
        self.subject.card_of(customer.id)
        request = NewSubscription(customer.id, (ItemRequest(self.subject.monthly_price(), 2),))
        return self.done(self.account.subscriptions.create_subscription(request))

    def draft(self) -> Any:
        assert self.account.invoices is not None
        customer = self.customer()
        self.subject.card_of(customer.id)
        line = NewInvoiceLine(amount=1_500, description="An hour of work", quantity=1)
        return self.done(self.account.invoices.create_invoice(NewInvoice(customer.id, "usd", (line,))))

    def bill(self) -> Any:
        assert self.account.invoices is not None
        draft = self.draft()
        if draft.status != "draft":
            return draft
        return self.done(self.account.invoices.finalize_invoice(draft.id))

    def payment(self, *, captures_later: bool = False, confirm: bool = True) -> Any:
        assert self.account.payments is not None
        if not self.subject.provider.capabilities.supports(ObjectKind.PAYMENTS, Operation.CREATE):
            return self.payment_of_a_bill()
        customer = self.customer()
        request = NewPayment(
            Money(2_400, "usd"),
            customer.id,
            self.subject.card_of(customer.id),
            confirm=confirm,
            captures_later=captures_later,
        )
        return self.done(self.account.payments.create_payment(request))

    def payment_of_a_bill(self) -> Any:
        assert self.account.invoices is not None
        assert self.account.payments is not None
        bill = self.bill()
        if bill.status != "paid":
            bill = self.done(self.account.invoices.pay_invoice(bill.id, InvoicePayment()))
        of_customer = ListParameters(filters={"customer_id": bill.customer_id})
        (made,) = self.account.payments.list_transactions(of_customer).items
        assert (made.status, made.invoice_id) == (TransactionStatus.SUCCEEDED, bill.id)
        return made


def _customers(doing: Doing) -> None:
    customers = doing.account.customers
    assert customers is not None
    made = doing.customer()
    assert made.metadata == {"tier": "gold"}
    assert customers.get_customer(made.id).item == made
    assert made in customers.list_customers(ListParameters(limit=100)).items


def _change_customer(doing: Doing) -> None:
    customers = doing.account.customers
    assert customers is not None
    made = doing.customer()
    changed = doing.done(customers.update_customer(made.id, CustomerRequest(phone="+4930123456")))
    assert (changed.phone, changed.email, changed.name) == ("+4930123456", made.email, made.name)
    assert customers.get_customer(made.id).item == changed


def _delete_customer(doing: Doing) -> None:
    customers = doing.account.customers
    assert customers is not None
    made = doing.customer()
    assert doing.done(customers.delete_customer(made.id)) is None
    with pytest.raises(ObjectGoneError):
        customers.get_customer(made.id)


def _product(doing: Doing) -> Any:
    catalog = doing.account.catalog
    assert catalog is not None
    made = doing.done(catalog.create_product(ProductRequest(name=f"Lamp {uuid4().hex[:8]}", description="It shines")))
    assert made.active is True
    return made


def _products(doing: Doing) -> None:
    catalog = doing.account.catalog
    assert catalog is not None
    made = _product(doing)
    assert catalog.get_product(made.id).item == made
    assert made.id in {each.id for each in catalog.list_products(ListParameters(limit=100)).items}


def _change_product(doing: Doing) -> None:
    catalog = doing.account.catalog
    assert catalog is not None
    made = _product(doing)
    changed = doing.done(catalog.update_product(made.id, ProductRequest(description="It glows")))
    assert (changed.description, changed.name) == ("It glows", made.name)


def _delete_product(doing: Doing) -> None:
    catalog = doing.account.catalog
    assert catalog is not None
    made = _product(doing)
    doing.done(catalog.delete_product(made.id))
    with pytest.raises(ObjectGoneError):
        catalog.get_product(made.id)


def _price(doing: Doing) -> Any:
    catalog = doing.account.catalog
    assert catalog is not None
    product = _product(doing)
    request = NewPrice(product.id, Money(1_250, "usd"), recurring=Recurring("month", 3))
    made = doing.done(catalog.create_price(request))
    assert (made.product_id, made.currency, made.unit_amount) == (product.id, "usd", 1_250)
    assert (made.recurring.interval, made.recurring.interval_count) == ("month", 3)
    return made


def _prices(doing: Doing) -> None:
    catalog = doing.account.catalog
    assert catalog is not None
    made = _price(doing)
    assert catalog.get_price(made.id).item == made
    assert [each.id for each in catalog.list_prices(ListParameters(), made.product_id).items] == [made.id]


def _change_price(doing: Doing) -> None:
    catalog = doing.account.catalog
    assert catalog is not None
    made = _price(doing)
    assert doing.done(catalog.update_price(made.id, PriceRequest(active=False))).active is False


def _subscriptions(doing: Doing) -> None:
    subscriptions = doing.account.subscriptions
    assert subscriptions is not None
    made = doing.subscription()
    assert made.status == "active"
    assert [(item.price_id, item.quantity) for item in made.items] == [(doing.subject.monthly_price(), 2)]
    assert subscriptions.get_subscription(made.id).item.id == made.id
    assert made.id in {each.id for each in subscriptions.list_subscriptions(ListParameters(limit=100)).items}


def _change_subscription(doing: Doing) -> None:
    subscriptions = doing.account.subscriptions
    assert subscriptions is not None
    made = doing.subscription()
    item = ItemRequest(price_id=made.items[0].price_id, id=made.items[0].id, quantity=7)
    changed = doing.done(subscriptions.update_subscription(made.id, SubscriptionRequest(items=(item,))))
    assert [each.quantity for each in changed.items] == [7]


def _cancel_subscription(doing: Doing) -> None:
    subscriptions = doing.account.subscriptions
    assert subscriptions is not None
    made = doing.subscription()
    ended = doing.done(subscriptions.cancel_subscription(made.id, Cancellation()))
    assert ended.status == "canceled"
    assert ended.ended_at is not None


def _reactivate_subscription(doing: Doing) -> None:
    subscriptions = doing.account.subscriptions
    assert subscriptions is not None
    made = doing.subscription()
    ending = doing.done(subscriptions.cancel_subscription(made.id, Cancellation(at_period_end=True)))
    assert (ending.status, ending.cancel_at_period_end) == ("active", True)
    back = doing.done(subscriptions.reactivate_subscription(made.id))
    assert (back.status, back.cancel_at_period_end) == ("active", False)


def _invoices(doing: Doing) -> None:
    invoices = doing.account.invoices
    assert invoices is not None
    made = doing.draft()
    assert (made.total, made.currency) == (1_500, "usd")
    assert [line.amount for line in made.lines] == [1_500]
    assert invoices.get_invoice(made.id).item.id == made.id
    assert made.id in {each.id for each in invoices.list_invoices(ListParameters(limit=100)).items}


def _finalize_invoice(doing: Doing) -> None:
    assert doing.bill().status in ("open", "paid")


def _pay_invoice(doing: Doing) -> None:
    invoices = doing.account.invoices
    assert invoices is not None
    bill = doing.bill()
    paid = doing.done(invoices.pay_invoice(bill.id, InvoicePayment(paid_out_of_band=True)))
    assert (paid.status, paid.amount_remaining) == ("paid", 0)


def _void_invoice(doing: Doing) -> None:
    invoices = doing.account.invoices
    assert invoices is not None
    assert doing.done(invoices.void_invoice(doing.bill().id)).status == "void"


def _send_invoice(doing: Doing) -> None:
    invoices = doing.account.invoices
    assert invoices is not None
    customer = doing.customer()
    line = NewInvoiceLine(amount=900, description="A stamp")
    request = NewInvoice(customer.id, "usd", (line,), collection_method="send_invoice", days_until_due=14)
    draft = doing.done(invoices.create_invoice(request))
    assert doing.done(invoices.send_invoice(draft.id)).status == "open"


def _payments(doing: Doing) -> None:
    payments = doing.account.payments
    assert payments is not None
    made = doing.payment()
    assert (made.status, made.money) == (TransactionStatus.SUCCEEDED, Money(2_400, "usd"))
    assert payments.get_transaction(made.id).item.id == made.id
    assert made.id in {each.id for each in payments.list_transactions(ListParameters(limit=100)).items}


def _list_payments(doing: Doing) -> None:
    payments = doing.account.payments
    assert payments is not None
    listed = payments.list_transactions(ListParameters(limit=5)).items
    assert all(payments.get_transaction(each.id).item.id == each.id for each in listed)


def _capture_payment(doing: Doing) -> None:
    payments = doing.account.payments
    assert payments is not None
    held = doing.payment(captures_later=True)
    assert held.status is TransactionStatus.REQUIRES_CAPTURE
    taken = doing.done(payments.capture_payment(held.id, 2_000))
    assert (taken.status, taken.captured) == (TransactionStatus.SUCCEEDED, Money(2_000, "usd"))


def _cancel_payment(doing: Doing) -> None:
    payments = doing.account.payments
    assert payments is not None
    let_go = doing.done(payments.cancel_payment(doing.payment(captures_later=True).id))
    assert let_go.status is TransactionStatus.CANCELED


def _refunds(doing: Doing) -> None:
    payments = doing.account.payments
    assert payments is not None
    made = doing.payment()
    refund = doing.done(payments.create_refund(NewRefund(payment_id=made.id, amount=700)))
    assert refund.money == Money(700, "usd")
    assert payments.get_refund(refund.id).item.id == refund.id
    assert refund.id in {each.id for each in payments.list_refunds(ListParameters(limit=100)).items}


def _list_refunds(doing: Doing) -> None:
    payments = doing.account.payments
    assert payments is not None
    listed = payments.list_refunds(ListParameters(limit=5)).items
    assert all(payments.get_refund(each.id).item.id == each.id for each in listed)


def _external_accounts(doing: Doing) -> None:
    accounts = doing.account.external_accounts
    assert accounts is not None
    owner = doing.customer().id
    card = doing.subject.card_of(owner)
    assert accounts.get_external_account(card, owner).item.type is ExternalAccountType.PAYMENT_METHOD
    assert card in {each.id for each in accounts.list_external_accounts(ListParameters(), owner).items}


def _create_external_account(doing: Doing) -> None:
    accounts = doing.account.external_accounts
    assert accounts is not None
    request = NewExternalAccount(
        ExternalAccountType.PAYMENT_METHOD,
        owner_id=doing.customer().id,
        country="US",
        currency="usd",
        account_holder_name="Ada",
        account_number="000123456789",
        routing_number="110000000",
    )
    made = doing.done(accounts.create_external_account(request))
    assert made.last4 == "6789"
    assert "000123456789" not in repr(made)


def _change_external_account(doing: Doing) -> None:
    accounts = doing.account.external_accounts
    assert accounts is not None
    owner = doing.customer().id
    request = ExternalAccountRequest(account_holder_name="Grace")
    changed = doing.done(accounts.update_external_account(doing.subject.card_of(owner), owner, request))
    assert changed.account_holder_name == "Grace"


def _delete_external_account(doing: Doing) -> None:
    accounts = doing.account.external_accounts
    assert accounts is not None
    owner = doing.customer().id
    card = doing.subject.card_of(owner)
    doing.done(accounts.delete_external_account(card, owner))
    assert card not in {each.id for each in accounts.list_external_accounts(ListParameters(), owner).items}


def _default_external_account(doing: Doing) -> None:
    accounts = doing.account.external_accounts
    assert accounts is not None
    owner = doing.customer().id
    doing.subject.card_of(owner)
    second = doing.subject.card_of(owner)
    doing.done(accounts.set_default_external_account(second, owner))
    assert accounts.get_external_account(second, owner).item.is_default is True


_K, _O = ObjectKind, Operation
WAYS: dict[tuple[ObjectKind, Operation], Callable[[Doing], None]] = {
    (_K.CUSTOMERS, _O.CREATE): _customers,
    (_K.CUSTOMERS, _O.GET): _customers,
    (_K.CUSTOMERS, _O.LIST): _customers,
    (_K.CUSTOMERS, _O.UPDATE): _change_customer,
    (_K.CUSTOMERS, _O.DELETE): _delete_customer,
    (_K.PRODUCTS, _O.CREATE): _products,
    (_K.PRODUCTS, _O.GET): _products,
    (_K.PRODUCTS, _O.LIST): _products,
    (_K.PRODUCTS, _O.UPDATE): _change_product,
    (_K.PRODUCTS, _O.DELETE): _delete_product,
    (_K.PRICES, _O.CREATE): _prices,
    (_K.PRICES, _O.GET): _prices,
    (_K.PRICES, _O.LIST): _prices,
    (_K.PRICES, _O.UPDATE): _change_price,
    (_K.SUBSCRIPTIONS, _O.CREATE): _subscriptions,
    (_K.SUBSCRIPTIONS, _O.GET): _subscriptions,
    (_K.SUBSCRIPTIONS, _O.LIST): _subscriptions,
    (_K.SUBSCRIPTIONS, _O.UPDATE): _change_subscription,
    (_K.SUBSCRIPTIONS, _O.CANCEL): _cancel_subscription,
    (_K.SUBSCRIPTIONS, _O.REACTIVATE): _reactivate_subscription,
    (_K.INVOICES, _O.CREATE): _invoices,
    (_K.INVOICES, _O.GET): _invoices,
    (_K.INVOICES, _O.LIST): _invoices,
    (_K.INVOICES, _O.FINALIZE): _finalize_invoice,
    (_K.INVOICES, _O.PAY): _pay_invoice,
    (_K.INVOICES, _O.VOID): _void_invoice,
    (_K.INVOICES, _O.SEND): _send_invoice,
    (_K.PAYMENTS, _O.CREATE): _payments,
    (_K.PAYMENTS, _O.GET): _list_payments,
    (_K.PAYMENTS, _O.LIST): _list_payments,
    (_K.PAYMENTS, _O.CAPTURE): _capture_payment,
    (_K.PAYMENTS, _O.CANCEL): _cancel_payment,
    (_K.REFUNDS, _O.CREATE): _refunds,
    (_K.REFUNDS, _O.GET): _list_refunds,
    (_K.REFUNDS, _O.LIST): _list_refunds,
    (_K.EXTERNAL_ACCOUNTS, _O.CREATE): _create_external_account,
    (_K.EXTERNAL_ACCOUNTS, _O.GET): _external_accounts,
    (_K.EXTERNAL_ACCOUNTS, _O.LIST): _external_accounts,
    (_K.EXTERNAL_ACCOUNTS, _O.UPDATE): _change_external_account,
    (_K.EXTERNAL_ACCOUNTS, _O.DELETE): _delete_external_account,
    (_K.EXTERNAL_ACCOUNTS, _O.SET_DEFAULT): _default_external_account,
}
"""Which of them does which operation of which kind."""
