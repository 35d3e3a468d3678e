"""Subscriptions at Chargebee."""

from typing import Any

from cyphera_pipelines.model.errors import InvalidInputError
from cyphera_pipelines.providers.base import (
    THE_OBJECT,
    Cancellation,
    ItemRequest,
    ListPage,
    ListParameters,
    NewSubscription,
    ObjectKind,
    Operation,
    PreparedWrite,
    Proration,
    Subscription,
    SubscriptionRequest,
    Told,
    UnsupportedError,
)
from cyphera_pipelines.providers.chargebee.fields.subscriptions import COLLECTION, STATUSES
from cyphera_pipelines.providers.chargebee.operations.customers import with_steps
from cyphera_pipelines.providers.chargebee.operations.naming import NEW_ID
from cyphera_pipelines.providers.chargebee.operations.notes import BEGUN, by_id, by_state
from cyphera_pipelines.providers.chargebee.operations.objects.subscriptions import to_subscription
from cyphera_pipelines.providers.chargebee.operations.reading import (
    NAME,
    Reader,
    checked_id,
    is_in_words,
    is_word,
    seconds_of,
)
from cyphera_pipelines.providers.chargebee.transport import object_path

FILTERS = {
    "customer_id": is_word("customer_id"),
    "price_id": is_word("item_price_id"),
    "status": is_in_words("status", STATUSES),
}
REPLACES = "replaces"
"""In a write's note: what is to become of the items that are there, by their item prices. They are read first."""
ITEMS = "items"
"""In a write's note: the items that are to be there."""
_KIND = ObjectKind.SUBSCRIPTIONS
_PLACE = ("subscriptions", "subscription")
_THEIR_COLLECTION = {ours: theirs for theirs, ours in COLLECTION.items()}
_ENDS_WITH_TERM = {"cancel_option": "end_of_term"}


class ChargebeeSubscriptions:
    """See `SubscriptionOperations`. What is written as metadata takes the place of all that was there."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def create_subscription(self, request: NewSubscription) -> PreparedWrite:
        """See `SubscriptionOperations`."""
        if not request.items or any(not item.price_id or item.id or item.is_removed for item in request.items):
            raise InvalidInputError("A new subscription needs items, each with a price_id and nothing to remove.")
        if request.billing_cycle_anchor is not None or request.default_tax_rate_ids:
            raise UnsupportedError(
                NAME, _KIND, Operation.CREATE, "begin a subscription with billing_cycle_anchor or default_tax_rate_ids"
            )
        told = {
            "trial_end": None if request.trial_end is None else seconds_of(request.trial_end),
            "auto_collection": collection_word(request.collection_method),
            "net_term_days": request.days_until_due,
            "payment_source_id": request.default_payment_method_id,
            "meta_data": dict(request.metadata) or None,
        }
        parameters = {
            "id": NEW_ID,
            "subscription_items": [_item(str(item.price_id), item.quantity) for item in request.items],
            **{name: value for name, value in told.items() if value is not None},
        }
        path = f"{object_path('customers', checked_id(request.customer_id))}/subscription_for_items"
        ending = PreparedWrite(
            _KIND,
            Operation.CANCEL,
            THE_OBJECT,
            "POST",
            f"/subscriptions/{THE_OBJECT}/cancel_for_items",
            _ENDS_WITH_TERM,
            finding=by_state(*_PLACE, status=["non_renewing", "cancelled"]),
        )
        then = (ending,) if request.cancel_at_period_end else ()
        return PreparedWrite(_KIND, Operation.CREATE, None, "POST", path, parameters, finding=by_id(*_PLACE), then=then)

    def get_subscription(self, subscription_id: str) -> Told[Subscription]:
        """See `SubscriptionOperations`."""
        return self._reader.one(*_PLACE, subscription_id, to_subscription)

    def update_subscription(self, subscription_id: str, request: SubscriptionRequest) -> PreparedWrite:
        """See `SubscriptionOperations`. How it is paid, and its end, have requests of their own, which follow."""
        checked_id(subscription_id)
        if request.default_tax_rate_ids is not None:
            raise UnsupportedError(NAME, _KIND, Operation.UPDATE, "change a subscription's default_tax_rate_ids")
        steps = [
            *self._changes(subscription_id, request),
            *self._payment(subscription_id, request.default_payment_method_id),
            *self._end(subscription_id, request.cancel_at_period_end),
        ]
        if not steps:
            raise InvalidInputError("Nothing of the subscription is to change: name at least one field.")
        return with_steps(steps)

    def cancel_subscription(self, subscription_id: str, cancellation: Cancellation) -> PreparedWrite:
        """See `SubscriptionOperations`."""
        if cancellation.at_period_end:
            parameters = _ENDS_WITH_TERM
            note = by_state(*_PLACE, status=["non_renewing", "cancelled"])
        else:
            parameters = {
                "cancel_option": "immediately",
                "credit_option_for_current_term_charges": "prorate" if cancellation.prorate else "none",
                "unbilled_charges_option": "invoice" if cancellation.invoice_now else "delete",
            }
            note = by_state(*_PLACE, status="cancelled")
        return _asking(subscription_id, Operation.CANCEL, "cancel_for_items", parameters, note)

    def reactivate_subscription(self, subscription_id: str) -> PreparedWrite:
        """See `SubscriptionOperations`."""
        note = by_state(*_PLACE, status=["active", "in_trial"], cancelled_at=None)
        return _asking(subscription_id, Operation.REACTIVATE, "remove_scheduled_cancellation", {}, note)

    def list_subscriptions(self, parameters: ListParameters) -> ListPage[Subscription]:
        """See `SubscriptionOperations`."""
        return self._reader.page(_KIND, *_PLACE, parameters, to_subscription, axis="created_at", filters=FILTERS)

    def _changes(self, subscription_id: str, request: SubscriptionRequest) -> list[PreparedWrite]:
        told = {
            "auto_collection": collection_word(request.collection_method),
            "net_term_days": request.days_until_due,
            "force_term_reset": True if request.billing_cycle_anchor_now else None,
            "meta_data": None if request.metadata is None else dict(request.metadata),
        }
        seen = {name: value for name, value in told.items() if value is not None}
        items, replaced = _items(subscription_id, request.items)
        if not seen and not items and not replaced:
            return []
        states = {name: value for name, value in seen.items() if name != "force_term_reset"}
        note = by_state(*_PLACE, **dict[str, Any](states)) | {REPLACES: replaced, ITEMS: items}
        if request.billing_cycle_anchor_now:
            note[BEGUN] = "current_term_start"
        parameters = seen | _proration(request.proration)
        if replaced:
            parameters["replace_items_list"] = True
        if items:
            parameters["subscription_items"] = items
        return [_asking(subscription_id, Operation.UPDATE, "update_for_items", parameters, note)]

    def _payment(self, subscription_id: str, payment_method_id: str | None) -> list[PreparedWrite]:
        if payment_method_id is None:
            return []
        parameters: dict[str, Any] = {"payment_source_id": payment_method_id}
        note = by_state(*_PLACE, **parameters)
        return [_asking(subscription_id, Operation.UPDATE, "override_billing_profile", parameters, note)]

    def _end(self, subscription_id: str, ends_with_period: bool | None) -> list[PreparedWrite]:
        if ends_with_period is None:
            return []
        if ends_with_period:
            note = by_state(*_PLACE, status=["non_renewing", "cancelled"])
            return [_asking(subscription_id, Operation.UPDATE, "cancel_for_items", _ENDS_WITH_TERM, note)]
        note = by_state(*_PLACE, status=["active", "in_trial"], cancelled_at=None)
        return [_asking(subscription_id, Operation.UPDATE, "remove_scheduled_cancellation", {}, note)]


def _asking(
    subscription_id: str, operation: Operation, beneath: str, parameters: dict[str, Any], note: dict[str, Any]
) -> PreparedWrite:
    path = f"{object_path('subscriptions', checked_id(subscription_id))}/{beneath}"
    return PreparedWrite(_KIND, operation, subscription_id, "POST", path, parameters, finding=note)


def _items(
    subscription_id: str, requests: tuple[ItemRequest, ...]
) -> tuple[list[dict[str, Any]], dict[str, dict[str, Any] | None]]:
    """The items to be there as they are told; and of those that are there, by item price, what takes their place."""
    items, replaced = list[dict[str, Any]](), dict[str, dict[str, Any] | None]()
    for request in requests:
        if request.id is None:
            if request.is_removed or not request.price_id:
                raise InvalidInputError("An item that is removed needs its id; a new one needs a price_id.")
            items.append(_item(request.price_id, request.quantity))
            continue
        known = request.id.removeprefix(f"{subscription_id}:")
        if known == request.id:
            raise InvalidInputError(f"{request.id!r} is no item of {subscription_id}: its items are named so.")
        if request.is_removed:
            replaced[known] = None
        elif request.price_id is not None and request.price_id != known:
            replaced[known] = _item(request.price_id, request.quantity)
        else:
            items.append(_item(known, request.quantity))
    return items, replaced


def _item(price_id: str, quantity: int | None) -> dict[str, Any]:
    return {"item_price_id": price_id} | ({} if quantity is None else {"quantity": quantity})


def replaced_list(there: Any, items: list[dict[str, Any]], replaced: dict[str, Any]) -> list[dict[str, Any]]:
    """The whole list of items that is to be: what is there, with what takes its place, and what is told beside it."""
    told = {item["item_price_id"]: item for item in items}
    result = dict[str, dict[str, Any]]()
    for item in there if isinstance(there, list) else []:
        price_id = item.get("item_price_id") if isinstance(item, dict) else None
        if not isinstance(price_id, str):
            continue
        if price_id in replaced:
            other = replaced[price_id]
            if other is not None:
                result[other["item_price_id"]] = {**_kept(item, with_price=False), **other}
        elif price_id not in told:
            result[price_id] = _kept(item, with_price=True)
        else:
            result[price_id] = {**_kept(item, with_price=True), **told[price_id]}
    return [*result.values(), *(item for price_id, item in told.items() if price_id not in result)]


def _kept(item: dict[str, Any], *, with_price: bool) -> dict[str, Any]:
    """What has to be said of an item that stays, lest it be forgotten; a price that is not the item price's own too."""
    names = ["item_price_id", "quantity", "quantity_in_decimal", "billing_cycles", "trial_end"]
    if with_price:
        names += ["unit_price", "unit_price_in_decimal"]
    return {name: item[name] for name in names if item.get(name) is not None}


def _proration(proration: Proration | None) -> dict[str, Any]:
    if proration is None:
        return {}
    if proration is Proration.NONE:
        return {"prorate": False}
    return {"prorate": True, "invoice_immediately": proration is Proration.INVOICE_NOW}


def collection_word(method: str | None) -> str | None:
    """How invoices are paid, in Chargebee's word. Raises InvalidInputError for another one than ours."""
    if method is None:
        return None
    if method not in _THEIR_COLLECTION:
        raise InvalidInputError(f"collection_method is {' or '.join(_THEIR_COLLECTION)}, not {method!r}.")
    return _THEIR_COLLECTION[method]
