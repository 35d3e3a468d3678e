"""Invoices."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from cyphera_pipelines.api.schemas.fields import RequestBody
from cyphera_pipelines.api.schemas.objects import examples
from cyphera_pipelines.api.schemas.objects.subscriptions import CollectionMethod
from cyphera_pipelines.api.schemas.objects.values import (
    Currency,
    Days,
    Flag,
    LongText,
    MetadataIn,
    ObjectId,
    ObjectOut,
    PageOfObjects,
    Quantity,
    SignedAmountIn,
)


class LineIn(RequestBody):
    """A price so many times, or an amount with a description."""

    price_id: ObjectId | None = Field(default=None, description="The price; null where an amount is given.")
    quantity: Quantity | None = Field(default=None, description="How many times; null is once.")
    amount: SignedAmountIn | None = Field(
        default=None, description="In minor units of the invoice's currency; negative is a credit."
    )
    description: LongText | None = Field(default=None, description="What it is for.")


class CreateInvoice(RequestBody):
    """A draft to be made, with its lines."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "customer_id": "cus_1Example",
                    "currency": "usd",
                    "lines": [{"amount": 5000, "description": "Setup"}],
                    "collection_method": "send_invoice",
                    "days_until_due": 30,
                }
            ]
        }
    )

    customer_id: ObjectId = Field(description="Who pays.")
    currency: Currency = Field(description="ISO 4217, in lower case.")
    lines: list[LineIn] = Field(default=[], max_length=100, description="What for.")
    subscription_id: ObjectId | None = Field(default=None, description="The subscription that it belongs to.")
    auto_advance: Flag = Field(default=False, description="Whether the provider finalizes and collects it by itself.")
    collection_method: CollectionMethod | None = Field(default=None, description="How it is collected.")
    days_until_due: Days | None = Field(default=None, description="With `send_invoice`: days until it is to be paid.")
    description: LongText | None = Field(default=None, description="What is said on it.")
    metadata: MetadataIn = Field(default={}, description="Names and values to be noted on it.")


class PayInvoice(RequestBody):
    """How an invoice is to be paid. The body may be left out: with what is charged by default."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"paid_out_of_band": True}]})

    payment_method_id: ObjectId | None = Field(default=None, description="What is charged; null is the default one.")
    paid_out_of_band: Flag = Field(default=False, description="It was paid elsewhere: only note that.")


class TaxAmountOut(BaseModel):
    """A tax, in minor units of the invoice's currency."""

    amount: int = Field(description="The tax.")
    rate_id: str | None = Field(default=None, description="By which rate.")
    taxable_amount: int | None = Field(default=None, description="On which amount.")
    inclusive: bool | None = Field(default=None, description="Whether it is in the amount.")


class InvoiceLineOut(BaseModel):
    """One line of an invoice."""

    id: str = Field(description="The provider's id of it.")
    amount: int = Field(description="In minor units of the invoice's currency; negative for a credit.")
    description: str | None = Field(default=None, description="What it is for.")
    quantity: int | None = Field(default=None, description="How many times.")
    price_id: str | None = Field(default=None, description="The price.")
    product_id: str | None = Field(default=None, description="The product.")
    period_start: datetime | None = Field(default=None, description="From when on it counts.")
    period_end: datetime | None = Field(default=None, description="Until when.")
    type: str | None = Field(default=None, description="Where it comes from, as the provider calls it.")
    proration: bool | None = Field(default=None, description="Whether a change within a period gave rise to it.")
    subscription_item_id: str | None = Field(default=None, description="The subscription's item.")
    tax_amounts: list[TaxAmountOut] = Field(default=[], description="Its taxes.")
    metadata: dict[str, str] = Field(default={}, description="What whoever made it noted on it.")


class InvoiceOut(ObjectOut):
    """A bill. Amounts are in minor units of `currency`."""

    model_config = ConfigDict(json_schema_extra=examples.shown(examples.INVOICE))

    customer_id: str | None = Field(description="Who pays.")
    status: str = Field(description="`draft`, `open`, `paid`, `uncollectible` or `void`.")
    provider_status: str = Field(description="What the provider calls it.")
    currency: str = Field(description="ISO 4217, in lower case.")
    amount_due: int = Field(description="What is to be paid.")
    amount_paid: int = Field(description="What was paid of it.")
    amount_remaining: int = Field(description="What is left of it.")
    total: int | None = Field(default=None, description="All lines and taxes.")
    tax: int | None = Field(default=None, description="All taxes.")
    tax_amounts: list[TaxAmountOut] = Field(default=[], description="The taxes by rate.")
    subscription_id: str | None = Field(default=None, description="The subscription that it belongs to.")
    number: str | None = Field(default=None, description="What stands on it.")
    collection_method: str | None = Field(default=None, description="How it is collected.")
    billing_reason: str | None = Field(default=None, description="Why it was made.")
    due_date: datetime | None = Field(default=None, description="Until when it is to be paid.")
    paid_at: datetime | None = Field(default=None, description="When it was paid.")
    invoice_pdf: str | None = Field(default=None, description="Where it can be had as a PDF.")
    hosted_invoice_url: str | None = Field(default=None, description="Where it can be looked at and paid.")
    attempt_count: int | None = Field(default=None, description="How many times it was tried to collect it.")
    next_payment_attempt: datetime | None = Field(default=None, description="When it is tried next.")
    charge_id: str | None = Field(default=None, description="The charge that paid it.")
    payment_intent_id: str | None = Field(default=None, description="The payment that pays it.")
    paid_out_of_band: bool | None = Field(default=None, description="Whether it was paid elsewhere.")
    lines: list[InvoiceLineOut] = Field(default=[], description="What for.")
    has_more_lines: bool = Field(default=False, description="Whether these are only the first of its lines.")


class Invoices(PageOfObjects):
    """Some invoices."""

    items: list[InvoiceOut] = Field(description="Newest first.")
