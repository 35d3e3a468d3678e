"""Subscriptions."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from cyphera_pipelines.api.schemas.fields import RequestBody
from cyphera_pipelines.api.schemas.objects import examples
from cyphera_pipelines.api.schemas.objects.values import (
    Days,
    Flag,
    MetadataIn,
    MomentIn,
    ObjectId,
    ObjectOut,
    PageOfObjects,
    Quantity,
)
from cyphera_pipelines.providers.base import Proration

CollectionMethod = Literal["charge_automatically", "send_invoice"]


class NewItem(RequestBody):
    """A price, so many times."""

    price_id: ObjectId = Field(description="The price.")
    quantity: Quantity | None = Field(default=None, description="How many times; null is once.")


class ItemChange(RequestBody):
    """An item that changes or goes (`id`), or that is added (without one)."""

    id: ObjectId | None = Field(default=None, description="An item that is there; null adds one.")
    price_id: ObjectId | None = Field(default=None, description="The price; null leaves it.")
    quantity: Quantity | None = Field(default=None, description="How many times; null leaves it.")
    is_removed: Flag = Field(default=False, description="Whether the item goes.")


class CreateSubscription(RequestBody):
    """A subscription to be made."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"customer_id": "cus_1Example", "items": [{"price_id": "price_1Example", "quantity": 3}]}]
        }
    )

    customer_id: ObjectId = Field(description="Who pays.")
    items: list[NewItem] = Field(min_length=1, max_length=20, description="What for.")
    trial_end: MomentIn | None = Field(default=None, description="Until when it costs nothing.")
    billing_cycle_anchor: MomentIn | None = Field(default=None, description="When its first whole period begins.")
    cancel_at_period_end: Flag | None = Field(default=None, description="Whether it ends with its first period.")
    collection_method: CollectionMethod | None = Field(
        default=None, description="Charged by itself, or by an invoice that is sent."
    )
    days_until_due: Days | None = Field(default=None, description="With `send_invoice`: days until it is to be paid.")
    default_payment_method_id: ObjectId | None = Field(default=None, description="What is charged.")
    default_tax_rate_ids: list[ObjectId] = Field(default=[], max_length=5, description="Taxes on all its items.")
    metadata: MetadataIn = Field(default={}, description="Names and values to be noted on it.")


class ChangeSubscription(RequestBody):
    """What is to change of a subscription: what is left out or null stays as it is."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"items": [{"id": "si_1Example", "quantity": 5}], "proration": "none"}]}
    )

    items: list[ItemChange] = Field(default=[], max_length=20, description="Those that change; others stay.")
    proration: Proration | None = Field(
        default=None, description="What becomes of the part of a period that the change leaves unused."
    )
    cancel_at_period_end: Flag | None = Field(default=None, description="Whether it ends with its period.")
    default_payment_method_id: ObjectId | None = Field(default=None, description="What is charged.")
    collection_method: CollectionMethod | None = Field(
        default=None, description="Charged by itself, or by an invoice that is sent."
    )
    days_until_due: Days | None = Field(default=None, description="With `send_invoice`: days until it is to be paid.")
    billing_cycle_anchor_now: Flag = Field(default=False, description="Whether a new period begins now.")
    default_tax_rate_ids: list[ObjectId] | None = Field(
        default=None, max_length=5, description="Taxes on all its items; empty takes them away."
    )
    metadata: MetadataIn | None = Field(default=None, description="Names and values to be noted on it.")


class CancelSubscription(RequestBody):
    """How a subscription is to end. The body may be left out: it ends now."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"at_period_end": True}]})

    at_period_end: Flag = Field(default=False, description="With its period, and not now.")
    invoice_now: Flag = Field(default=False, description="Bill what is left to be billed.")
    prorate: Flag = Field(default=False, description="Credit the part of the period that is left.")


class SubscriptionItemOut(BaseModel):
    """A price of a subscription, so many times."""

    id: str = Field(description="The provider's id of it.")
    price_id: str | None = Field(description="The price.")
    quantity: int | None = Field(default=None, description="How many times.")
    tax_rate_ids: list[str] = Field(default=[], description="Taxes on it.")
    metadata: dict[str, str] = Field(default={}, description="What whoever made it noted on it.")


class SubscriptionOut(ObjectOut):
    """What a customer pays for again and again."""

    model_config = ConfigDict(json_schema_extra=examples.shown(examples.SUBSCRIPTION))

    customer_id: str | None = Field(description="Who pays.")
    status: str = Field(description="As in the synced tables.")
    provider_status: str = Field(description="What the provider calls it.")
    items: list[SubscriptionItemOut] = Field(default=[], description="What for.")
    currency: str | None = Field(default=None, description="ISO 4217, in lower case.")
    current_period_start: datetime | None = Field(default=None, description="When the present period began.")
    current_period_end: datetime | None = Field(default=None, description="When it ends.")
    trial_start: datetime | None = Field(default=None, description="When its trial began.")
    trial_end: datetime | None = Field(default=None, description="When its trial ends.")
    cancel_at_period_end: bool | None = Field(default=None, description="Whether it ends with its period.")
    cancel_at: datetime | None = Field(default=None, description="When it is to end.")
    canceled_at: datetime | None = Field(default=None, description="When it was cancelled.")
    ended_at: datetime | None = Field(default=None, description="When it ended.")
    default_payment_method_id: str | None = Field(default=None, description="What is charged.")
    latest_invoice_id: str | None = Field(default=None, description="Its last bill.")
    billing_cycle_anchor: datetime | None = Field(default=None, description="What its periods go by.")
    collection_method: str | None = Field(default=None, description="How it is collected.")
    default_tax_rate_ids: list[str] = Field(default=[], description="Taxes on all its items.")


class Subscriptions(PageOfObjects):
    """Some subscriptions."""

    items: list[SubscriptionOut] = Field(description="Newest first.")
