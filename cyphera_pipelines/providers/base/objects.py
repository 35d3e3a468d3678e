"""What any provider's objects are called here: plain values, the same whoever the provider is.

Money is in minor units (cents, yen) beside its lower-case ISO 4217 currency; moments are aware datetimes in UTC; `id`
is the provider's. What a provider does not tell is None, or empty. The whole object, as the provider has it, is in the
synced tables' `raw`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Generic, TypeVar

Item = TypeVar("Item", covariant=True)

Metadata = Mapping[str, str]


@dataclass(frozen=True)
class Money:
    """An amount in minor units of a currency, as in `Money(1999, "usd")`; whole yen, thousandths of a dinar."""

    amount: int
    currency: str


@dataclass(frozen=True)
class Address:
    """A postal address. `country` is a two-letter ISO 3166 code."""

    line1: str | None = None
    line2: str | None = None
    city: str | None = None
    state: str | None = None
    postal_code: str | None = None
    country: str | None = None


@dataclass(frozen=True)
class TaxId:
    """A number by which a tax office knows a customer; `type` as the provider calls it, as in `eu_vat`."""

    type: str
    value: str


@dataclass(frozen=True)
class Customer:
    """A person or company that is billed."""

    id: str
    email: str | None = None
    name: str | None = None
    phone: str | None = None
    billing_address: Address | None = None
    shipping_address: Address | None = None
    tax_ids: tuple[TaxId, ...] = ()
    preferred_locale: str | None = None
    created: datetime | None = None
    metadata: Metadata = field(default_factory=dict)


@dataclass(frozen=True)
class Product:
    """What is sold. `type` is `service` or `good`, or what the provider calls it."""

    id: str
    name: str | None = None
    description: str | None = None
    active: bool | None = None
    type: str | None = None
    tax_code: str | None = None
    unit_label: str | None = None
    shippable: bool | None = None
    created: datetime | None = None
    metadata: Metadata = field(default_factory=dict)


@dataclass(frozen=True)
class Recurring:
    """How often a price is billed: every `interval_count` times `interval`, which is day, week, month or year."""

    interval: str
    interval_count: int = 1
    usage_type: str | None = None


@dataclass(frozen=True)
class PriceTier:
    """One tier: up to `up_to` units, None for all that follow; amounts in minor units, which may be fractions."""

    up_to: int | None
    unit_amount: Decimal | None = None
    flat_amount: Decimal | None = None


@dataclass(frozen=True)
class TransformQuantity:
    """The quantity is divided by `divide_by` and rounded `up` or `down` before it is billed."""

    divide_by: int
    round: str


@dataclass(frozen=True)
class Price:
    """What a product costs. `unit_amount` is in minor units and may be a fraction; None for tiered prices.

    `type` is one_time or recurring, `billing_scheme` per_unit or tiered, `tiers_mode` graduated or volume.
    """

    id: str
    product_id: str | None
    currency: str
    active: bool | None = None
    unit_amount: Decimal | None = None
    recurring: Recurring | None = None
    billing_scheme: str | None = None
    type: str | None = None
    tax_behavior: str | None = None
    tiers: tuple[PriceTier, ...] = ()
    tiers_mode: str | None = None
    transform_quantity: TransformQuantity | None = None
    created: datetime | None = None
    metadata: Metadata = field(default_factory=dict)


@dataclass(frozen=True)
class SubscriptionItem:
    """One price of a subscription, so many times."""

    id: str
    price_id: str | None
    quantity: int | None = None
    tax_rate_ids: tuple[str, ...] = ()
    metadata: Metadata = field(default_factory=dict)


@dataclass(frozen=True)
class Subscription:
    """What a customer pays for again and again.

    `status` is one of the synced tables' (`provider_status` what the provider calls it). `collection_method` is
    charge_automatically or send_invoice.
    """

    id: str
    customer_id: str | None
    status: str
    provider_status: str
    items: tuple[SubscriptionItem, ...] = ()
    currency: str | None = None
    current_period_start: datetime | None = None
    current_period_end: datetime | None = None
    trial_start: datetime | None = None
    trial_end: datetime | None = None
    cancel_at_period_end: bool | None = None
    cancel_at: datetime | None = None
    canceled_at: datetime | None = None
    ended_at: datetime | None = None
    default_payment_method_id: str | None = None
    latest_invoice_id: str | None = None
    billing_cycle_anchor: datetime | None = None
    collection_method: str | None = None
    default_tax_rate_ids: tuple[str, ...] = ()
    created: datetime | None = None
    metadata: Metadata = field(default_factory=dict)


@dataclass(frozen=True)
class TaxAmount:
    """A tax on a line or an invoice, in minor units of the invoice's currency."""

    amount: int
    rate_id: str | None = None
    taxable_amount: int | None = None
    inclusive: bool | None = None


@dataclass(frozen=True)
class InvoiceLine:
    """One line of an invoice; `amount` in minor units of the invoice's currency, negative for a credit."""

    id: str
    amount: int
    description: str | None = None
    quantity: int | None = None
    price_id: str | None = None
    product_id: str | None = None
    period_start: datetime | None = None
    period_end: datetime | None = None
    type: str | None = None
    proration: bool | None = None
    subscription_item_id: str | None = None
    tax_amounts: tuple[TaxAmount, ...] = ()
    metadata: Metadata = field(default_factory=dict)


@dataclass(frozen=True)
class Invoice:
    """A bill. Amounts are in minor units of `currency`; `status` is draft, open, paid, uncollectible or void.

    `provider_status` is what the provider calls it. `lines` are all of them, or those that the provider told at once
    where `has_more_lines`.
    """

    id: str
    customer_id: str | None
    status: str
    provider_status: str
    currency: str
    amount_due: int
    amount_paid: int
    amount_remaining: int
    total: int | None = None
    tax: int | None = None
    tax_amounts: tuple[TaxAmount, ...] = ()
    subscription_id: str | None = None
    number: str | None = None
    collection_method: str | None = None
    billing_reason: str | None = None
    due_date: datetime | None = None
    paid_at: datetime | None = None
    invoice_pdf: str | None = None
    hosted_invoice_url: str | None = None
    attempt_count: int | None = None
    next_payment_attempt: datetime | None = None
    charge_id: str | None = None
    payment_intent_id: str | None = None
    paid_out_of_band: bool | None = None
    lines: tuple[InvoiceLine, ...] = ()
    has_more_lines: bool = False
    created: datetime | None = None
    metadata: Metadata = field(default_factory=dict)


class TransactionType(StrEnum):
    """What moved money, or is to."""

    PAYMENT = "payment"
    REFUND = "refund"


class TransactionStatus(StrEnum):
    """How far it is: the provider's own word is in `provider_status`."""

    PENDING = "pending"
    REQUIRES_ACTION = "requires_action"
    REQUIRES_CAPTURE = "requires_capture"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"


@dataclass(frozen=True)
class Transaction:
    """A payment or a refund. `charge_id` is what a refund is asked for."""

    id: str
    type: TransactionType
    status: TransactionStatus
    provider_status: str
    money: Money
    captured: Money | None = None
    refunded: Money | None = None
    fee: Money | None = None
    customer_id: str | None = None
    invoice_id: str | None = None
    subscription_id: str | None = None
    charge_id: str | None = None
    payment_intent_id: str | None = None
    payment_method_id: str | None = None
    description: str | None = None
    failure_code: str | None = None
    failure_message: str | None = None
    created: datetime | None = None
    metadata: Metadata = field(default_factory=dict)


class ExternalAccountType(StrEnum):
    """What an external account is for: money is paid out to it, or charged to it."""

    PAYOUT_BANK_ACCOUNT = "payout_bank_account"
    PAYOUT_CARD = "payout_card"
    PAYMENT_METHOD = "payment_method"


@dataclass(frozen=True)
class ExternalAccount:
    """A bank account or card beyond the provider. Its full number is never told: `last4` are its last digits.

    `owner_id` is the customer that it charges, or the account that is paid out to it.
    """

    id: str
    type: ExternalAccountType
    owner_id: str | None
    status: str | None = None
    is_default: bool | None = None
    account_holder_name: str | None = None
    bank_name: str | None = None
    last4: str | None = None
    routing_number: str | None = None
    country: str | None = None
    currency: str | None = None
    created: datetime | None = None
    metadata: Metadata = field(default_factory=dict)


@dataclass(frozen=True)
class ListParameters:
    """Which objects to list, newest first. `limit` is 1 to 100; one cursor at most, which is an object's id or opaque.

    `created_after` is inclusive, `created_before` exclusive. `filters` are those that the provider declares for the
    kind of object: see `Capabilities.filters`.
    """

    limit: int = 20
    starting_after: str | None = None
    ending_before: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    ids: tuple[str, ...] = ()
    filters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ListPage(Generic[Item]):
    """Some objects, and where the list goes on.

    `next_cursor` is the `starting_after` of the page that follows, `previous_cursor` the `ending_before` of the one
    before; None where there is none.
    """

    items: tuple[Item, ...]
    next_cursor: str | None = None
    previous_cursor: str | None = None


@dataclass(frozen=True)
class Told(Generic[Item]):
    """An object as it was read: in the field's own terms, and whole, as the provider told it."""

    item: Item
    raw: Mapping[str, Any]
