"""What can be asked to be made or changed. None leaves out, or leaves alone; amounts are in minor units."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from cyphera_pipelines.providers.base.objects import (
    Address,
    ExternalAccountType,
    Metadata,
    Money,
    PriceTier,
    Recurring,
    TaxId,
    TransformQuantity,
)


@dataclass(frozen=True)
class CustomerRequest:
    """A customer to be made, or what is to change of one. `tax_ids` are taken as it is made only."""

    email: str | None = None
    name: str | None = None
    phone: str | None = None
    billing_address: Address | None = None
    shipping_address: Address | None = None
    tax_ids: tuple[TaxId, ...] = ()
    preferred_locale: str | None = None
    metadata: Metadata | None = None


@dataclass(frozen=True)
class ProductRequest:
    """A product to be made, or what is to change of one. A new one needs a name."""

    name: str | None = None
    description: str | None = None
    active: bool | None = None
    tax_code: str | None = None
    unit_label: str | None = None
    shippable: bool | None = None
    metadata: Metadata | None = None


@dataclass(frozen=True)
class NewPrice:
    """A price to be made: `money` for one unit, or `tiers` (then `money.amount` is not used)."""

    product_id: str
    money: Money
    active: bool = True
    recurring: Recurring | None = None
    tiers: tuple[PriceTier, ...] = ()
    tiers_mode: str | None = None
    transform_quantity: TransformQuantity | None = None
    tax_behavior: str | None = None
    nickname: str | None = None
    metadata: Metadata = field(default_factory=dict)


@dataclass(frozen=True)
class PriceRequest:
    """What is to change of a price: its amount never does."""

    active: bool | None = None
    tax_behavior: str | None = None
    nickname: str | None = None
    metadata: Metadata | None = None


@dataclass(frozen=True)
class ItemRequest:
    """One price of a subscription. `id` names an item that is there; without it one is added.

    `is_removed` takes the item away, which needs its `id`.
    """

    price_id: str | None = None
    quantity: int | None = None
    id: str | None = None
    is_removed: bool = False


@dataclass(frozen=True)
class NewSubscription:
    """A subscription to be made. `collection_method` is charge_automatically, or send_invoice with `days_until_due`."""

    customer_id: str
    items: tuple[ItemRequest, ...]
    trial_end: datetime | None = None
    billing_cycle_anchor: datetime | None = None
    cancel_at_period_end: bool | None = None
    collection_method: str | None = None
    days_until_due: int | None = None
    default_payment_method_id: str | None = None
    default_tax_rate_ids: tuple[str, ...] = ()
    metadata: Metadata = field(default_factory=dict)


class Proration(StrEnum):
    """What becomes of the part of a period that a change leaves unused, or uses more of."""

    CREATE = "create_prorations"
    INVOICE_NOW = "always_invoice"
    NONE = "none"


@dataclass(frozen=True)
class SubscriptionRequest:
    """What is to change of a subscription. `items` are those that change; others stay."""

    items: tuple[ItemRequest, ...] = ()
    proration: Proration | None = None
    cancel_at_period_end: bool | None = None
    default_payment_method_id: str | None = None
    collection_method: str | None = None
    days_until_due: int | None = None
    billing_cycle_anchor_now: bool = False
    default_tax_rate_ids: tuple[str, ...] | None = None
    metadata: Metadata | None = None


@dataclass(frozen=True)
class Cancellation:
    """How a subscription is to end: now, or with its period. `invoice_now` bills what is left to be billed."""

    at_period_end: bool = False
    invoice_now: bool = False
    prorate: bool = False


@dataclass(frozen=True)
class NewInvoiceLine:
    """A line: a price so many times, or an amount with a description."""

    price_id: str | None = None
    quantity: int | None = None
    amount: int | None = None
    description: str | None = None


@dataclass(frozen=True)
class NewInvoice:
    """A draft to be made, with its lines. `auto_advance`: the provider finalizes and collects it by itself."""

    customer_id: str
    currency: str
    lines: tuple[NewInvoiceLine, ...] = ()
    subscription_id: str | None = None
    auto_advance: bool = False
    collection_method: str | None = None
    days_until_due: int | None = None
    description: str | None = None
    metadata: Metadata = field(default_factory=dict)


@dataclass(frozen=True)
class InvoicePayment:
    """How an invoice is to be paid: with a payment method, the default one where it names none, or elsewhere."""

    payment_method_id: str | None = None
    paid_out_of_band: bool = False


@dataclass(frozen=True)
class NewPayment:
    """A payment to be made. With `captures_later` the money is only held until it is captured."""

    money: Money
    customer_id: str | None = None
    payment_method_id: str | None = None
    confirm: bool = False
    off_session: bool = False
    captures_later: bool = False
    description: str | None = None
    metadata: Metadata = field(default_factory=dict)


@dataclass(frozen=True)
class NewRefund:
    """Money to be given back: of a charge or a payment, all of it where `amount` is None."""

    charge_id: str | None = None
    payment_id: str | None = None
    amount: int | None = None
    reason: str | None = None
    metadata: Metadata = field(default_factory=dict)


@dataclass(frozen=True)
class NewExternalAccount:
    """A bank account or card to be known at the provider.

    `token` stands for its number where the provider's own form took it; otherwise `account_number` and
    `routing_number`, which are never shown again. `owner_id` is the customer that is to be charged, or the connected
    account that is to be paid out to; None is the account of the credentials.
    """

    type: ExternalAccountType
    owner_id: str | None = None
    token: str | None = None
    country: str | None = None
    currency: str | None = None
    account_holder_name: str | None = None
    account_number: str | None = None
    routing_number: str | None = None
    metadata: Metadata = field(default_factory=dict)


@dataclass(frozen=True)
class ExternalAccountRequest:
    """What is to change of an external account."""

    account_holder_name: str | None = None
    metadata: Metadata | None = None


SECRET_FIELDS: Mapping[type, tuple[str, ...]] = {NewExternalAccount: ("token", "account_number", "routing_number")}
"""Fields of requests that nobody may see again: not in a log, an audit entry, or an answer."""
