"""Subscriptions."""

from datetime import datetime
from typing import Any

from cyphera_pipelines.providers.base import Subscription, SubscriptionItem
from cyphera_pipelines.providers.stripe.operations.objects.fields import Fields


def to_subscription(obj: Any) -> Subscription:
    """The subscription in Stripe's object. Raises ProviderError for what is none.

    Its items have periods of their own: the subscription's is the one that ends first.
    """
    fields = Fields(obj, "the subscription")
    items, status = fields.each("items"), fields.required_text("status")
    start, end = _period(fields, items)
    return Subscription(
        id=fields.id(),
        customer_id=fields.reference("customer"),
        status=status,
        provider_status=status,
        items=tuple(
            SubscriptionItem(
                id=item.id(),
                price_id=item.reference("price"),
                quantity=item.integer("quantity"),
                tax_rate_ids=item.references("tax_rates"),
                metadata=item.metadata(),
            )
            for item in items
        ),
        currency=fields.currency(),
        current_period_start=start,
        current_period_end=end,
        trial_start=fields.moment("trial_start"),
        trial_end=fields.moment("trial_end"),
        cancel_at_period_end=fields.boolean("cancel_at_period_end"),
        cancel_at=fields.moment("cancel_at"),
        canceled_at=fields.moment("canceled_at"),
        ended_at=fields.moment("ended_at"),
        default_payment_method_id=fields.reference("default_payment_method"),
        latest_invoice_id=fields.reference("latest_invoice"),
        billing_cycle_anchor=fields.moment("billing_cycle_anchor"),
        collection_method=fields.text("collection_method"),
        default_tax_rate_ids=fields.references("default_tax_rates"),
        created=fields.moment("created"),
        metadata=fields.metadata(),
    )


def _period(subscription: Fields, items: list[Fields]) -> tuple[datetime | None, datetime | None]:
    ended = [(end, item) for item in items if (end := item.moment("current_period_end")) is not None]
    if not ended:
        # Where versions before 2025-03-31 have it.
        return subscription.moment("current_period_start"), subscription.moment("current_period_end")
    end, item = min(ended, key=lambda each: each[0])
    return item.moment("current_period_start"), end
