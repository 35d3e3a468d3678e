"""Subscriptions and their items."""

from typing import Any

from cyphera_pipelines.providers.chargebee.values import (
    exact_price,
    lower,
    metadata,
    one_of,
    whole_number,
    whole_price,
)
from cyphera_pipelines.providers.mapping.rules import Rule, Rules, absent, derived, mapped

STATUSES = {
    "future": "scheduled",
    "in_trial": "trialing",
    "active": "active",
    "non_renewing": "active",
    "paused": "paused",
    "cancelled": "canceled",
    "transferred": "canceled",
}
_status = one_of(STATUSES)
COLLECTION = {"on": "charge_automatically", "off": "send_invoice"}
_collection = one_of(COLLECTION)
_ENDED = ("cancelled", "transferred")


def cancel_at(subscription: dict[str, Any]) -> Any:
    """When the subscription will end, as far as that is decided; None for one that has ended."""
    status, at = subscription.get("status"), subscription.get("cancelled_at")
    if status in _ENDED:
        return None
    return subscription.get("current_term_end") if at is None and status == "non_renewing" else at


def canceled_at(subscription: dict[str, Any]) -> Any:
    """When its end was asked for."""
    asked = subscription.get("cancel_schedule_created_at")
    return subscription.get("cancelled_at") if asked is None and subscription.get("status") in _ENDED else asked


def ended_at(subscription: dict[str, Any]) -> Any:
    """When it ended."""
    return subscription.get("cancelled_at") if subscription.get("status") in _ENDED else None


def _start(subscription: dict[str, Any]) -> Any:
    started = subscription.get("started_at")
    return subscription.get("start_date") if started is None else started


def _discounts(subscription: dict[str, Any]) -> Any:
    told = [subscription.get(name) for name in ("coupons", "discounts")]
    if not all(value is None or isinstance(value, list) for value in told):
        return {"coupons": told[0], "discounts": told[1]}
    found = [entry for value in told if value is not None for entry in value]
    return found or None


def _of_term(name: str) -> Rule:
    """The item's own term, or the subscription's where it has none."""

    def get(item: dict[str, Any]) -> Any:
        own = item.get(name)
        return item.get(f"subscription_{name}") if own is None else own

    return derived(f"{name}, subscription.{name}", "the item's own, or the subscription's", get)


SUBSCRIPTION: Rules = {
    "created": mapped("created_at"),
    "customer_id": mapped("customer_id"),
    "status": derived(
        "status",
        "; ".join(f"{theirs} is {ours}" for theirs, ours in STATUSES.items() if theirs != ours),
        lambda obj: _status(obj.get("status")),
    ),
    "provider_status": mapped("status"),
    "currency": lower("currency_code"),
    "collection_method": derived(
        "auto_collection",
        "on is charge_automatically, off is send_invoice; without it the customer's own holds",
        lambda obj: _collection(obj.get("auto_collection")),
    ),
    "start_date": derived("started_at, start_date", "when it started, or is to start", _start),
    "ended_at": derived("cancelled_at", "of those that have ended", ended_at),
    "cancel_at": derived(
        "cancelled_at, current_term_end", "of those that are to end; the term's end where no moment is told", cancel_at
    ),
    "cancel_at_period_end": derived(
        "status", "whether it is non_renewing", lambda obj: obj.get("status") == "non_renewing"
    ),
    "canceled_at": derived(
        "cancel_schedule_created_at, cancelled_at", "when its end was asked for; when it ended without", canceled_at
    ),
    "cancellation_reason": mapped("cancel_reason"),
    "cancellation_feedback": mapped("cancel_reason_code"),
    "cancellation_comment": absent("Chargebee keeps comments apart from the subscription"),
    "trial_start": mapped("trial_start"),
    "trial_end": mapped("trial_end"),
    "billing_cycle_anchor": absent("the current term and next_billing_at tell: see `raw`"),
    "days_until_due": mapped("net_term_days"),
    "latest_invoice_id": absent("the subscription does not tell: see the invoices"),
    "default_payment_method_id": mapped("payment_source_id"),
    "schedule_id": absent("changes that are scheduled have no id: `raw` has has_scheduled_changes"),
    "pause_collection_behavior": absent("a whole subscription is paused: see the status"),
    "pause_collection_resumes_at": mapped("resume_date"),
    "description": absent("a subscription has none"),
    "discounts": derived("coupons, discounts", "coupons, then discounts that were given by hand", _discounts),
    "test_clock_id": absent("Chargebee's time machine is of a whole site"),
    "metadata": metadata("meta_data"),
}

SUBSCRIPTION_ITEM: Rules = {
    "subscription_id": mapped("subscription_id", note="the subscription that the item stands in"),
    "created": absent("an item does not tell"),
    "price_id": mapped("item_price_id"),
    "product_id": absent("an item names its item price only: see the price"),
    "currency": lower("currency_code"),
    "unit_amount": whole_price("unit_price"),
    "unit_amount_decimal": exact_price("unit_price"),
    "quantity": whole_number("quantity"),
    "current_period_start": _of_term("current_term_start"),
    "current_period_end": _of_term("current_term_end"),
    "discounts": absent("they are told with the subscription"),
    "metadata": absent("an item has none"),
}
