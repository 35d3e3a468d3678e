"""What the product's backend does at a provider: six groups of operations, each optional and declared.

Reads answer in canonical objects. Writes are prepared and make no request: see `writing`. Every method may raise
InvalidInputError for what no provider would take, and `UnsupportedError` for what this one does not offer; reads raise
ProviderError and its kinds, `ObjectGoneError` for an object that is not there (any more).
"""

from typing import Any, Protocol

from cyphera_pipelines.providers.base.objects import (
    Customer,
    ExternalAccount,
    Invoice,
    ListPage,
    ListParameters,
    Price,
    Product,
    Subscription,
    Told,
    Transaction,
)
from cyphera_pipelines.providers.base.requests import (
    Cancellation,
    CustomerRequest,
    ExternalAccountRequest,
    InvoicePayment,
    NewExternalAccount,
    NewInvoice,
    NewPayment,
    NewPrice,
    NewRefund,
    NewSubscription,
    PriceRequest,
    ProductRequest,
    SubscriptionRequest,
)
from cyphera_pipelines.providers.base.writing import Done, Outcome, PreparedWrite


class CustomerOperations(Protocol):
    """Customers."""

    def create_customer(self, request: CustomerRequest) -> PreparedWrite:
        """Make a customer."""
        ...

    def get_customer(self, customer_id: str) -> Told[Customer]:
        """The customer. Raises ObjectGoneError for a deleted one."""
        ...

    def update_customer(self, customer_id: str, request: CustomerRequest) -> PreparedWrite:
        """Change what the request names."""
        ...

    def delete_customer(self, customer_id: str) -> PreparedWrite:
        """Delete the customer, which ends its subscriptions."""
        ...

    def list_customers(self, parameters: ListParameters) -> ListPage[Customer]:
        """Some customers, newest first."""
        ...


class CatalogOperations(Protocol):
    """Products and their prices."""

    def create_product(self, request: ProductRequest) -> PreparedWrite:
        """Make a product."""
        ...

    def get_product(self, product_id: str) -> Told[Product]:
        """The product."""
        ...

    def update_product(self, product_id: str, request: ProductRequest) -> PreparedWrite:
        """Change what the request names; `active=False` archives it."""
        ...

    def delete_product(self, product_id: str) -> PreparedWrite:
        """Delete the product. Providers refuse that for one that has prices."""
        ...

    def list_products(self, parameters: ListParameters) -> ListPage[Product]:
        """Some products."""
        ...

    def create_price(self, request: NewPrice) -> PreparedWrite:
        """Make a price of a product."""
        ...

    def get_price(self, price_id: str) -> Told[Price]:
        """The price, with its tiers."""
        ...

    def update_price(self, price_id: str, request: PriceRequest) -> PreparedWrite:
        """Change what the request names; `active=False` archives it."""
        ...

    def list_prices(self, parameters: ListParameters, product_id: str | None = None) -> ListPage[Price]:
        """Some prices, of one product or of all."""
        ...


class SubscriptionOperations(Protocol):
    """Subscriptions."""

    def create_subscription(self, request: NewSubscription) -> PreparedWrite:
        """Make a subscription."""
        ...

    def get_subscription(self, subscription_id: str) -> Told[Subscription]:
        """The subscription, of whatever status."""
        ...

    def update_subscription(self, subscription_id: str, request: SubscriptionRequest) -> PreparedWrite:
        """Change what the request names."""
        ...

    def cancel_subscription(self, subscription_id: str, cancellation: Cancellation) -> PreparedWrite:
        """End it, now or with its period."""
        ...

    def reactivate_subscription(self, subscription_id: str) -> PreparedWrite:
        """Take back a cancellation that has not come to pass."""
        ...

    def list_subscriptions(self, parameters: ListParameters) -> ListPage[Subscription]:
        """Some subscriptions, of every status."""
        ...


class InvoiceOperations(Protocol):
    """Invoices."""

    def create_invoice(self, request: NewInvoice) -> PreparedWrite:
        """Make a draft with its lines."""
        ...

    def get_invoice(self, invoice_id: str) -> Told[Invoice]:
        """The invoice."""
        ...

    def finalize_invoice(self, invoice_id: str) -> PreparedWrite:
        """Make a draft a bill that can be paid."""
        ...

    def pay_invoice(self, invoice_id: str, payment: InvoicePayment) -> PreparedWrite:
        """Collect it now, or note that it was paid elsewhere."""
        ...

    def void_invoice(self, invoice_id: str) -> PreparedWrite:
        """Declare it void: it will not be paid."""
        ...

    def send_invoice(self, invoice_id: str) -> PreparedWrite:
        """Send it to the customer by mail."""
        ...

    def list_invoices(self, parameters: ListParameters) -> ListPage[Invoice]:
        """Some invoices."""
        ...


class PaymentOperations(Protocol):
    """Payments and refunds: the transactions."""

    def create_payment(self, request: NewPayment) -> PreparedWrite:
        """Make a payment; it is tried at once if it is confirmed."""
        ...

    def get_transaction(self, transaction_id: str) -> Told[Transaction]:
        """A payment, by the id of its intent or its charge."""
        ...

    def capture_payment(self, payment_id: str, amount: int | None) -> PreparedWrite:
        """Take the money that is held: all of it, or `amount` in minor units."""
        ...

    def cancel_payment(self, payment_id: str) -> PreparedWrite:
        """Let go of a payment that has not been made."""
        ...

    def list_transactions(self, parameters: ListParameters) -> ListPage[Transaction]:
        """Some payments, newest first."""
        ...

    def create_refund(self, request: NewRefund) -> PreparedWrite:
        """Give money back."""
        ...

    def get_refund(self, refund_id: str) -> Told[Transaction]:
        """A refund."""
        ...

    def list_refunds(self, parameters: ListParameters) -> ListPage[Transaction]:
        """Some refunds, newest first."""
        ...


class ExternalAccountOperations(Protocol):
    """Bank accounts and cards: to be paid out to, or to be charged. `owner_id`: see `NewExternalAccount`."""

    def create_external_account(self, request: NewExternalAccount) -> PreparedWrite:
        """Make one known at the provider."""
        ...

    def get_external_account(self, account_id: str, owner_id: str | None) -> Told[ExternalAccount]:
        """One of them."""
        ...

    def update_external_account(
        self, account_id: str, owner_id: str | None, request: ExternalAccountRequest
    ) -> PreparedWrite:
        """Change what the request names."""
        ...

    def delete_external_account(self, account_id: str, owner_id: str | None) -> PreparedWrite:
        """Forget it at the provider."""
        ...

    def list_external_accounts(self, parameters: ListParameters, owner_id: str | None) -> ListPage[ExternalAccount]:
        """Some of the owner's."""
        ...

    def set_default_external_account(self, account_id: str, owner_id: str | None) -> PreparedWrite:
        """Pay out to it, or charge it, where nothing else is said."""
        ...


class AccountOperations(Protocol):
    """One account, for its operations. A group is None where the provider offers nothing of it.

    Safe for threads. What can be retried has been retried before anything is raised or returned.
    """

    @property
    def customers(self) -> CustomerOperations | None:
        """Customers."""
        ...

    @property
    def catalog(self) -> CatalogOperations | None:
        """Products and prices."""
        ...

    @property
    def subscriptions(self) -> SubscriptionOperations | None:
        """Subscriptions."""
        ...

    @property
    def invoices(self) -> InvoiceOperations | None:
        """Invoices."""
        ...

    @property
    def payments(self) -> PaymentOperations | None:
        """Payments and refunds."""
        ...

    @property
    def external_accounts(self) -> ExternalAccountOperations | None:
        """Bank accounts and cards."""
        ...

    @property
    def keys_kept_for(self) -> float:
        """Seconds for which the provider knows an idempotency key: within them it happens once under the same key."""
        ...

    def perform(self, write: PreparedWrite, key: str) -> Outcome[Any]:
        """Send it under the key, and say what became of it.

        What certainly did not arrive (a refused connection, a limit) is tried again; whatever may have arrived without
        an answer is `Unknown`. Raises ProviderError's kinds only where it certainly did not happen, as for rejected
        credentials.
        """
        ...

    def find(self, write: PreparedWrite, key: str, sent_at: float) -> Done[Any] | None:
        """Whether it happened, by reading alone: None if it did not, as far as anybody can see.

        `sent_at` is when it was first sent, in seconds since 1970. Raises ProviderError's kinds if nobody can tell now.
        """
        ...

    def close(self) -> None:
        """Give back what it holds."""
        ...
