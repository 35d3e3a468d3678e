"""Subscriptions at Stripe."""

from datetime import UTC, datetime
from typing import Any

from cyphera_pipelines.model.errors import InvalidInputError
from cyphera_pipelines.providers.base import (
    Cancellation,
    ItemRequest,
    ListPage,
    ListParameters,
    NewSubscription,
    ObjectKind,
    Operation,
    PreparedWrite,
    Subscription,
    SubscriptionRequest,
    Told,
)
from cyphera_pipelines.providers.stripe.operations.listing import Reader, checked_id, path_of
from cyphera_pipelines.providers.stripe.operations.mark import checked_metadata, marked
from cyphera_pipelines.providers.stripe.operations.notes import Condition, by_mark, by_state, one_of, told
from cyphera_pipelines.providers.stripe.operations.objects.subscriptions import to_subscription

FILTERS = {
    "customer_id": "customer",
    "price_id": "price",
    "status": "status",
    "collection_method": "collection_method",
    "current_period_start_after": "current_period_start[gte]",
    "current_period_start_before": "current_period_start[lt]",
    "current_period_end_after": "current_period_end[gte]",
    "current_period_end_before": "current_period_end[lt]",
}
_KIND = ObjectKind.SUBSCRIPTIONS
_UPDATED = ["customer.subscription.updated"]
_ENDED = ("canceled", "incomplete_expired")
_NOT_ENDED = ("trialing", "active", "incomplete", "past_due", "unpaid", "paused")


class StripeSubscriptions:
    """See `SubscriptionOperations`."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def create_subscription(self, request: NewSubscription) -> PreparedWrite:
        """See `SubscriptionOperations`."""
        if not request.items:
            raise InvalidInputError("A new subscription needs at least one item with a price_id.")
        parameters: dict[str, Any] = {
            "customer": checked_id(request.customer_id),
            "items": [_new_item(item) for item in request.items],
            "metadata": marked(request.metadata),
        }
        for name, moment in (
            ("trial_end", request.trial_end),
            ("billing_cycle_anchor", request.billing_cycle_anchor),
        ):
            if moment is not None:
                parameters[name] = _seconds(moment)
        parameters |= _common(
            cancel_at_period_end=request.cancel_at_period_end,
            collection_method=request.collection_method,
            days_until_due=request.days_until_due,
            default_payment_method=request.default_payment_method_id,
        )
        if request.default_tax_rate_ids:
            parameters["default_tax_rates"] = list(request.default_tax_rate_ids)
        path = path_of("subscriptions")
        note = by_mark(path, {"customer": request.customer_id, "status": "all"})
        return PreparedWrite(_KIND, Operation.CREATE, None, "POST", path, parameters, finding=note)

    def get_subscription(self, subscription_id: str) -> Told[Subscription]:
        """See `SubscriptionOperations`."""
        return self._reader.one("subscriptions", subscription_id, to_subscription)

    def update_subscription(self, subscription_id: str, request: SubscriptionRequest) -> PreparedWrite:
        """See `SubscriptionOperations`."""
        parameters = _common(
            cancel_at_period_end=request.cancel_at_period_end,
            collection_method=request.collection_method,
            days_until_due=request.days_until_due,
            default_payment_method=request.default_payment_method_id,
        )
        if request.metadata is not None:
            parameters["metadata"] = checked_metadata(request.metadata)
        conditions = told(parameters)
        if request.items:
            parameters["items"] = [_changed_item(item) for item in request.items]
            conditions += [_item_is(item) for item in request.items]
        if request.default_tax_rate_ids is not None:
            # An empty list cannot be said in a form: an empty text stands for it.
            parameters["default_tax_rates"] = list(request.default_tax_rate_ids) or ""
            conditions += told({"default_tax_rates": list(request.default_tax_rate_ids)})
        if request.proration is not None:
            parameters["proration_behavior"] = request.proration.value
        if request.billing_cycle_anchor_now:
            parameters["billing_cycle_anchor"] = "now"
            # Where it stands afterwards depends on when it happened: only a provider event tells.
            conditions = []
        path = path_of("subscriptions", checked_id(subscription_id))
        note = by_state(path, conditions, _UPDATED)
        return PreparedWrite(_KIND, Operation.UPDATE, subscription_id, "POST", path, parameters, finding=note)

    def cancel_subscription(self, subscription_id: str, cancellation: Cancellation) -> PreparedWrite:
        """See `SubscriptionOperations`. With the end of its period Stripe bills what is left by itself."""
        path = path_of("subscriptions", checked_id(subscription_id))
        if cancellation.at_period_end:
            note = by_state(path, [one_of(True, at=["cancel_at_period_end"])], _UPDATED)
            parameters: dict[str, Any] = {"cancel_at_period_end": True}
            return PreparedWrite(_KIND, Operation.CANCEL, subscription_id, "POST", path, parameters, finding=note)
        note = by_state(path, [one_of(*_ENDED, at=["status"])], ["customer.subscription.deleted"])
        parameters = {"invoice_now": cancellation.invoice_now, "prorate": cancellation.prorate}
        return PreparedWrite(_KIND, Operation.CANCEL, subscription_id, "DELETE", path, parameters, finding=note)

    def reactivate_subscription(self, subscription_id: str) -> PreparedWrite:
        """See `SubscriptionOperations`. One that has ended stays so: Stripe refuses to bring it back."""
        path = path_of("subscriptions", checked_id(subscription_id))
        conditions = [
            one_of(False, at=["cancel_at_period_end"]),
            one_of(None, at=["cancel_at"]),
            one_of(*_NOT_ENDED, at=["status"]),
        ]
        note, parameters = by_state(path, conditions, _UPDATED), {"cancel_at_period_end": False}
        return PreparedWrite(_KIND, Operation.REACTIVATE, subscription_id, "POST", path, parameters, finding=note)

    def list_subscriptions(self, parameters: ListParameters) -> ListPage[Subscription]:
        """See `SubscriptionOperations`."""
        return self._reader.page(
            path_of("subscriptions"),
            "subscriptions",
            parameters,
            to_subscription,
            filters=FILTERS,
            fixed={"status": "all"},
        )


def _common(**named: Any) -> dict[str, Any]:
    return {name: value for name, value in named.items() if value is not None}


def _new_item(item: ItemRequest) -> dict[str, Any]:
    if item.price_id is None or item.id is not None or item.is_removed:
        raise InvalidInputError("An item of a new subscription is a price_id, and a quantity if it has one.")
    return _common(price=checked_id(item.price_id), quantity=item.quantity)


def _changed_item(item: ItemRequest) -> dict[str, Any]:
    if item.is_removed:
        if item.id is None:
            raise InvalidInputError("To take an item away, give its id.")
        return {"id": checked_id(item.id), "deleted": True}
    if item.id is None and item.price_id is None:
        raise InvalidInputError("An item names the price_id to add, or the id of the item to change.")
    return _common(id=item.id, price=item.price_id, quantity=item.quantity)


def _item_is(item: ItemRequest) -> Condition:
    return {"item": item.id, "price": item.price_id, "quantity": item.quantity, "is_removed": item.is_removed}


def _seconds(moment: datetime) -> int:
    return int((moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp())
