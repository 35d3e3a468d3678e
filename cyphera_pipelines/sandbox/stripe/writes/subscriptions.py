"""Subscriptions: made, changed, ended."""

from typing import Any

from cyphera_pipelines.sandbox.serialization import JsonObject
from cyphera_pipelines.sandbox.stripe.errors import ProviderError, no_such
from cyphera_pipelines.sandbox.stripe.generate.prices import plan_of
from cyphera_pipelines.sandbox.stripe.writes.amounts import DAY, period_seconds
from cyphera_pipelines.sandbox.stripe.writes.invoices import bill
from cyphera_pipelines.sandbox.stripe.writes.kept import new_id
from cyphera_pipelines.sandbox.stripe.writes.parameters import Given, missing
from cyphera_pipelines.sandbox.stripe.writes.work import Work

_COMMON = frozenset({
    "items", "metadata", "cancel_at_period_end", "cancel_at", "collection_method", "days_until_due", "description",
    "default_payment_method", "default_tax_rates", "proration_behavior", "billing_cycle_anchor", "trial_end",
    "payment_behavior",
})  # fmt: skip
CREATE = _COMMON | {"customer", "currency"}
UPDATE = _COMMON
METHODS = ("charge_automatically", "send_invoice")
PRORATIONS = ("create_prorations", "always_invoice", "none")
ENDED = ("canceled", "incomplete_expired")
_EXPANDED_ONLY = ("tiers", "currency_options")


def create(work: Work, given: Given) -> JsonObject:
    """Make a subscription, and bill its first period unless it begins with a trial."""
    given.only(CREATE)
    customer = work.find("customers", given.required("customer"), "customer")
    entries = given.each("items")
    if not entries:
        raise missing("items")
    identifier, trial_end = new_id("sub_1"), given.integer("trial_end")
    items = [_item(work, identifier, each) for each in entries]
    currency = items[0]["price"]["currency"]
    if any(item["price"]["currency"] != currency for item in items):
        raise ProviderError(400, "All prices on a subscription must have the same currency.", param="items")
    if trial_end is not None and trial_end <= work.now:
        message = "Invalid timestamp: must be an integer Unix timestamp in the future."
        raise ProviderError(400, message, param="trial_end")
    period_end = trial_end or work.now + period_seconds(items[0]["price"])
    for item in items:
        item["current_period_start"], item["current_period_end"] = work.now, period_end
    made: JsonObject = {
        "id": identifier,
        "object": "subscription",
        "application": None,
        "application_fee_percent": None,
        "automatic_tax": {"disabled_reason": None, "enabled": False, "liability": None},
        "billing_cycle_anchor": given.integer("billing_cycle_anchor") or trial_end or work.now,
        "billing_cycle_anchor_config": None,
        "billing_mode": {
            "flexible": {"proration_discounts": "included"},
            "type": "flexible",
            "updated_at": None,
        },
        "billing_schedules": [],
        "billing_thresholds": None,
        "cancel_at": None,
        "cancel_at_period_end": False,
        "canceled_at": None,
        "cancellation_details": {"comment": None, "feedback": None, "feedback_option": None, "reason": None},
        "collection_method": "charge_automatically",
        "created": work.now,
        "currency": currency,
        "customer": customer["id"],
        "customer_account": None,
        "days_until_due": None,
        "default_payment_method": None,
        "default_source": None,
        "default_tax_rates": [],
        "description": None,
        "discounts": [],
        "ended_at": None,
        "invoice_settings": {
            "account_tax_ids": None,
            "custom_fields": None,
            "description": None,
            "footer": None,
            "issuer": {"type": "self"},
        },
        "items": _listed(identifier, items),
        "latest_invoice": None,
        "livemode": work.livemode,
        "managed_payments": {"enabled": False},
        "metadata": {},
        "next_pending_invoice_item_invoice": None,
        "on_behalf_of": None,
        "pause_collection": None,
        "payment_settings": {
            "payment_method_options": None,
            "payment_method_types": None,
            "save_default_payment_method": "off",
        },
        "pending_invoice_item_interval": None,
        "pending_setup_intent": None,
        "pending_update": None,
        "presentment_details": None,
        "schedule": None,
        "start_date": work.now,
        "status": "active" if trial_end is None else "trialing",
        "status_details": None,
        "test_clock": customer.get("test_clock"),
        "transfer_data": None,
        "trial_end": trial_end,
        "trial_settings": {"end_behavior": {"missing_payment_method": "create_invoice"}},
        "trial_start": None if trial_end is None else work.now,
    }
    _apply(made, given)
    if made["collection_method"] == "send_invoice" and made["days_until_due"] is None:
        raise missing("days_until_due")
    if trial_end is None:
        made["latest_invoice"] = bill(work, made, "subscription_create")["id"]
    return work.make("subscriptions", made)


def update(work: Work, given: Given, identifier: str) -> JsonObject:
    """Change a subscription that has not ended."""
    given.only(UPDATE)
    subscription = _running(work.find("subscriptions", identifier))
    given.choice("proration_behavior", PRORATIONS)
    items = subscription["items"]["data"]
    for each in given.each("items"):
        items = _with_changed_item(work, subscription, items, each)
    if not items:
        raise ProviderError(400, "A subscription must have at least one item.", param="items")
    if given.choice("billing_cycle_anchor", ("now", "unchanged")) == "now":
        subscription["billing_cycle_anchor"] = work.now
        for item in items:
            item["current_period_start"] = work.now
            item["current_period_end"] = work.now + period_seconds(item["price"])
    subscription["items"] = _listed(identifier, items)
    _apply(subscription, given)
    if given.text("proration_behavior") == "always_invoice":
        subscription["latest_invoice"] = bill(work, subscription, "subscription_update")["id"]
    return work.change("subscriptions", subscription)


def cancel(work: Work, given: Given, identifier: str) -> JsonObject:
    """End a subscription now."""
    given.only(("invoice_now", "prorate", "cancellation_details"))
    subscription = work.find("subscriptions", identifier)
    if subscription["status"] in ENDED:
        raise no_such("subscription", identifier)
    return end(work, subscription)


def end(work: Work, subscription: JsonObject) -> JsonObject:
    """Make it a canceled one, which Stripe calls deleted."""
    reason = {**(subscription["cancellation_details"] or {}), "reason": "cancellation_requested"}
    subscription |= {
        "status": "canceled",
        "canceled_at": subscription["canceled_at"] or work.now,
        "ended_at": work.now,
        "cancel_at_period_end": False,
        "cancellation_details": reason,
    }
    return work.change("subscriptions", subscription, "deleted")


def _running(subscription: JsonObject) -> JsonObject:
    if subscription["status"] in ENDED:
        message = "A canceled subscription can only update its cancellation_details and metadata."
        raise ProviderError(400, message)
    return subscription


def _apply(subscription: JsonObject, given: Given) -> None:
    if "cancel_at_period_end" in given:
        is_ending = given.boolean("cancel_at_period_end") is True
        end_of_period = max(item["current_period_end"] for item in subscription["items"]["data"])
        subscription["cancel_at_period_end"] = is_ending
        subscription["cancel_at"] = end_of_period if is_ending else None
        subscription["canceled_at"] = subscription["start_date"] if is_ending else None
        reason = "cancellation_requested" if is_ending else None
        subscription["cancellation_details"] = {**(subscription["cancellation_details"] or {}), "reason": reason}
    method, days = given.choice("collection_method", METHODS), given.integer("days_until_due", 0)
    subscription["collection_method"] = method or subscription["collection_method"]
    subscription["days_until_due"] = subscription["days_until_due"] if days is None else days
    for name in ("default_payment_method", "description"):
        if name in given:
            subscription[name] = given.text(name)
    if "default_tax_rates" in given:
        subscription["default_tax_rates"] = [
            {"id": each, "object": "tax_rate", "active": True} for each in given.texts("default_tax_rates")
        ]
    subscription["metadata"] = given.metadata(subscription["metadata"])


def _with_changed_item(work: Work, subscription: JsonObject, items: list[JsonObject], given: Given) -> list[JsonObject]:
    given.only(("id", "price", "quantity", "deleted", "metadata", "tax_rates"))
    item_id = given.text("id")
    if item_id is None:
        added = _item(work, subscription["id"], given)
        period = {name: items[0][name] for name in ("current_period_start", "current_period_end")} if items else {}
        return [*items, added | period]
    present = next((item for item in items if item["id"] == item_id), None)
    if present is None:
        raise no_such("subscription_item", item_id, given.named("id"), 400)
    if given.boolean("deleted"):
        return [item for item in items if item["id"] != item_id]
    quantity = given.integer("quantity", 0)
    changed = dict(present)
    if "price" in given:
        changed |= _of_price(work, given)
    if quantity is not None:
        changed["quantity"] = quantity
    changed["metadata"] = given.metadata(present["metadata"])
    return [changed if item["id"] == item_id else item for item in items]


def _item(work: Work, subscription_id: str, given: Given) -> JsonObject:
    given.only(("price", "quantity", "metadata", "tax_rates"))
    priced, quantity = _of_price(work, given), given.integer("quantity", 0)
    item: JsonObject = {
        "id": new_id("si_"),
        "object": "subscription_item",
        "billing_thresholds": None,
        "created": work.now,
        "current_period_end": work.now + 30 * DAY,
        "current_period_start": work.now,
        "discounts": [],
        "metadata": given.metadata(),
        **priced,
        "subscription": subscription_id,
        "tax_rates": [],
    }
    if priced["plan"]["usage_type"] != "metered":
        item["quantity"] = 1 if quantity is None else quantity
    return item


def _of_price(work: Work, given: Given) -> JsonObject:
    found = work.find("prices", given.required("price"), given.named("price"))
    price: dict[str, Any] = {name: value for name, value in found.items() if name not in _EXPANDED_ONLY}
    if price["type"] != "recurring":
        message = (
            "The price specified is set to `type=one_time` but this field only accepts prices with `type=recurring`."
        )
        raise ProviderError(400, message, param=given.named("price"))
    if not price["active"]:
        message = "The price specified is inactive. This field only accepts active prices."
        raise ProviderError(400, message, param=given.named("price"))
    return {"price": price, "plan": plan_of(price)}


def _listed(subscription_id: str, items: list[JsonObject]) -> JsonObject:
    return {
        "object": "list",
        "data": items,
        "has_more": False,
        "total_count": len(items),
        "url": f"/v1/subscription_items?subscription={subscription_id}",
    }
