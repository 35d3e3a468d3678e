"""Subscriptions and their items."""

from datetime import UTC, datetime
from typing import Any

from cyphera_pipelines.providers.base import Subscription, SubscriptionItem
from cyphera_pipelines.providers.chargebee.fields.subscriptions import (
    COLLECTION,
    STATUSES,
    cancel_at,
    canceled_at,
    ended_at,
)
from cyphera_pipelines.providers.chargebee.operations.objects.fields import fields_of, metadata_of
from cyphera_pipelines.providers.mapping.answer_fields import AnswerFields


def to_subscription(obj: Any) -> Subscription:
    """The subscription in Chargebee's object. Raises ProviderError for what is none."""
    fields = fields_of(obj, "the subscription")
    status, subscription_id, currency = fields.required_text("status"), fields.id(), fields.text("currency_code")
    fields.moment("cancelled_at"), fields.moment("cancel_schedule_created_at")  # believed below, so looked at here
    return Subscription(
        id=subscription_id,
        customer_id=fields.reference("customer_id"),
        status=STATUSES.get(status, status),
        provider_status=status,
        items=tuple(_to_item(item, subscription_id) for item in fields.each("subscription_items")),
        currency=None if currency is None else currency.lower(),
        current_period_start=fields.moment("current_term_start"),
        current_period_end=fields.moment("current_term_end"),
        trial_start=fields.moment("trial_start"),
        trial_end=fields.moment("trial_end"),
        cancel_at_period_end=status == "non_renewing",
        cancel_at=_moment(cancel_at(obj)),
        canceled_at=_moment(canceled_at(obj)),
        ended_at=_moment(ended_at(obj)),
        default_payment_method_id=fields.reference("payment_source_id"),
        collection_method=COLLECTION.get(fields.text("auto_collection") or ""),
        created=fields.moment("created_at"),
        metadata=metadata_of(fields, "meta_data"),
    )


def item_id(subscription_id: str, item_price_id: str) -> str:
    """What an item is called here: Chargebee's have no id of their own."""
    return f"{subscription_id}:{item_price_id}"


def _to_item(fields: AnswerFields, subscription_id: str) -> SubscriptionItem:
    price_id = fields.required_text("item_price_id")
    return SubscriptionItem(
        id=item_id(subscription_id, price_id), price_id=price_id, quantity=fields.integer("quantity")
    )


def _moment(seconds: Any) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(int(seconds), UTC)
