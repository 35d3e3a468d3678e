"""Subscriptions made, changed, cancelled and brought back."""

from datetime import UTC, datetime
from typing import Any

from cyphera_pipelines.sandbox.chargebee.answers import beside_of
from cyphera_pipelines.sandbox.chargebee.billing import resumed_earning
from cyphera_pipelines.sandbox.chargebee.errors import missing, wrong_state, wrong_value
from cyphera_pipelines.sandbox.chargebee.writes.bills import draw_up
from cyphera_pipelines.sandbox.chargebee.writes.form import Form, changed
from cyphera_pipelines.sandbox.chargebee.writes.invoices import issue
from cyphera_pipelines.sandbox.chargebee.writes.items import read_items, worth
from cyphera_pipelines.sandbox.chargebee.writes.work import Work
from cyphera_pipelines.sandbox.serialization import JsonObject

DAY = 86_400
_LIVE = ("future", "in_trial", "active", "non_renewing", "paused")


def create(work: Work, customer_id: str) -> JsonObject:
    """Subscribe a customer to a plan, with addons and charges; what is due is billed at once."""
    form = work.form
    customer = work.expect("customers", customer_id)
    items = read_items(work, [])
    plan = next((item for item in items if item["item_type"] == "plan"), None)
    if plan is None:
        raise missing("subscription_items[item_price_id][0]")
    price = work.expect("item_prices", plan["item_price_id"])
    subscription: JsonObject = {
        "id": form.text("id") or work.new_id(),
        "customer_id": customer_id,
        "currency_code": price["currency_code"],
        "billing_period": price["period"],
        "billing_period_unit": price["period_unit"],
        "created_at": work.now,
        "has_scheduled_changes": False,
        "has_scheduled_advance_invoices": False,
        "due_invoices_count": 0,
        "channel": "web",
        "subscription_items": items,
        "deleted": False,
        "object": "subscription",
    }
    trial_end, start = form.integer("trial_end"), form.integer("start_date")
    is_billed_now = form.boolean("invoice_immediately")
    subscription = changed(subscription, _given(work))
    form.end()
    if trial_end is None and price.get("trial_period"):
        days = 30 if price.get("trial_period_unit") == "month" else 1
        trial_end = (start or work.now) + price["trial_period"] * days * DAY
    subscription = resumed_earning(work.objects, _begun(subscription, work.now, start, trial_end))
    whole = work.add("subscriptions", subscription)
    work.tell("subscription_created", ("subscriptions", whole))
    answer = _answer(work, whole)
    if whole["status"] == "active" and is_billed_now is not False:
        answer |= _billed(work, whole, customer)
        answer["subscription"] = work.expect("subscriptions", whole["id"])
    return answer


def _begun(subscription: JsonObject, now: int, start: int | None, trial_end: int | None) -> JsonObject:
    """The subscription with its status and terms: from now, from a moment to come, or with a trial before."""
    if start is not None and start > now:
        return {**subscription, "status": "future", "start_date": start, "next_billing_at": start}
    begin = start or now
    begun = {**subscription, "started_at": begin, "current_term_start": begin}
    if trial_end:
        if trial_end <= now:
            raise wrong_value("trial_end", "should be in the future")
        return {
            **begun,
            "status": "in_trial",
            "trial_start": begin,
            "trial_end": trial_end,
            "current_term_end": trial_end,
            "next_billing_at": trial_end,
        }
    end = term_end(begin, subscription["billing_period"], subscription["billing_period_unit"])
    return {**begun, "status": "active", "activated_at": begin, "current_term_end": end, "next_billing_at": end}


def term_end(begin: int, count: int, unit: str) -> int:
    """Return when a term of so many days, weeks, months or years ends that begins then (Unix seconds)."""
    if unit in ("day", "week"):
        return begin + count * DAY * (7 if unit == "week" else 1)
    moment = datetime.fromtimestamp(begin, UTC)
    months = moment.month - 1 + count * (12 if unit == "year" else 1)
    # The 28th is there in every month: what began later ends so much later.
    ended = moment.replace(year=moment.year + months // 12, month=months % 12 + 1, day=min(moment.day, 28))
    return int(ended.timestamp()) + (moment.day - min(moment.day, 28)) * DAY


def update(work: Work, subscription_id: str) -> JsonObject:
    """Change items and terms, now or with the term's end."""
    form, before = work.form, work.expect("subscriptions", subscription_id)
    replaces = form.boolean("replace_items_list")
    items = read_items(work, [] if replaces else before["subscription_items"])
    option = form.choice("change_option", ("immediately", "end_of_term"))
    at_end = form.boolean("end_of_term") or option == "end_of_term"
    for name in ("prorate", "invoice_immediately", "force_term_reset", "reactivate", "replace_coupon_list"):
        form.boolean(name)
    trial_end = form.integer("trial_end")
    given = _given(work)
    form.end()
    if before["status"] == "cancelled":
        raise wrong_state(f"The subscription {subscription_id} is cancelled")
    if not any(item["item_type"] == "plan" for item in items):
        raise missing("subscription_items[item_price_id][0]")
    if at_end:
        scheduled = {"has_scheduled_changes": True, "changes_scheduled_at": before.get("current_term_end", work.now)}
        return _changed(work, {**before, **scheduled}, "subscription_changes_scheduled")
    after = changed(before, given) | {"subscription_items": items}
    if trial_end and trial_end > work.now:
        after |= {"status": "in_trial", "trial_end": trial_end, "next_billing_at": trial_end}
    elif trial_end is not None and before["status"] == "in_trial":
        end = term_end(work.now, after["billing_period"], after["billing_period_unit"])
        after |= {"status": "active", "trial_end": work.now, "activated_at": work.now, "current_term_end": end}
    return _changed(work, after, "subscription_changed")


def cancel(work: Work, subscription_id: str) -> JsonObject:
    """End a subscription: at once, with its term, or at a moment."""
    form, before = work.form, work.expect("subscriptions", subscription_id)
    options = ("immediately", "end_of_term", "specific_date", "end_of_billing_term")
    option, at_end = form.choice("cancel_option", options), form.boolean("end_of_term")
    moment, reason = form.integer("cancel_at"), form.text("cancel_reason_code")
    form.choice("credit_option_for_current_term_charges", ("none", "prorate", "full"))
    form.choice("unbilled_charges_option", ("invoice", "delete"))
    form.choice("account_receivables_handling", ("no_action", "schedule_payment_collection", "write_off"))
    form.choice("refundable_credits_handling", ("no_action", "schedule_refund"))
    form.end()
    if before["status"] not in _LIVE:
        raise wrong_state(f"The subscription {subscription_id} is {before['status']} already")
    after = {**before, **({} if reason is None else {"cancel_reason_code": reason})}
    if at_end or option in ("end_of_term", "end_of_billing_term"):
        moment = before.get("current_term_end")
    elif option != "specific_date":
        moment = None
    elif moment is None:
        raise missing("cancel_at")
    if moment is None or moment <= work.now or before["status"] == "future":
        after = {field: value for field, value in after.items() if field != "next_billing_at"}
        after |= {"status": "cancelled", "cancelled_at": work.now, "current_term_end": work.now}
        return _changed(work, after, "subscription_cancelled")
    after.pop("next_billing_at", None)
    after |= {"cancelled_at": moment, "cancel_schedule_created_at": work.now, "remaining_billing_cycles": 0}
    if before["status"] != "in_trial":
        after["status"] = "non_renewing"
    return _changed(work, after, "subscription_cancellation_scheduled")


def remove_scheduled_cancellation(work: Work, subscription_id: str) -> JsonObject:
    """Take back a cancellation that has not come to pass."""
    before = work.expect("subscriptions", subscription_id)
    work.form.integer("billing_cycles")
    work.form.end()
    if before["status"] == "cancelled" or "cancel_schedule_created_at" not in before:
        raise wrong_state(f"The subscription {subscription_id} has no scheduled cancellation")
    gone = ("cancelled_at", "cancel_schedule_created_at", "remaining_billing_cycles", "cancel_reason_code")
    after = {field: value for field, value in before.items() if field not in gone}
    if before["status"] == "non_renewing":
        after["status"] = "active"
    after["next_billing_at"] = before["current_term_end"]
    return _changed(work, after, "subscription_scheduled_cancellation_removed")


def reactivate(work: Work, subscription_id: str) -> JsonObject:
    """Bring a cancelled subscription back."""
    form, before = work.form, work.expect("subscriptions", subscription_id)
    trial_end, start = form.integer("trial_end"), form.integer("reactivate_from")
    is_billed_now = form.boolean("invoice_immediately")
    form.integer("billing_cycles")
    form.end()
    if before["status"] != "cancelled":
        raise wrong_state(f"The subscription {subscription_id} is not cancelled")
    gone = ("cancelled_at", "cancel_reason", "cancel_reason_code", "cancel_schedule_created_at", "trial_start",
            "trial_end", "remaining_billing_cycles")  # fmt: skip
    kept = {field: value for field, value in before.items() if field not in gone}
    answer = _changed(work, _begun(kept, work.now, start, trial_end), "subscription_reactivated")
    whole = answer["subscription"]
    if whole["status"] == "active" and is_billed_now is not False:
        answer |= _billed(work, whole, work.expect("customers", whole["customer_id"]))
        answer["subscription"] = work.expect("subscriptions", subscription_id)
    return answer


def pause(work: Work, subscription_id: str) -> JsonObject:
    """Pause a subscription at once."""
    form, before = work.form, work.expect("subscriptions", subscription_id)
    option = form.choice("pause_option", ("immediately", "end_of_term", "specific_date", "billing_cycles"))
    pause_date, resume_date = form.integer("pause_date"), form.integer("resume_date")
    form.integer("skip_billing_cycles")
    form.choice("unbilled_charges_handling", ("no_action", "invoice"))
    form.choice("invoice_dunning_handling", ("continue", "stop"))
    form.end()
    if before["status"] not in ("active", "non_renewing", "in_trial"):
        raise wrong_state(f"The subscription {subscription_id} cannot be paused: it is {before['status']}")
    moments = {} if resume_date is None else {"resume_date": resume_date}
    if option in (None, "immediately"):
        after = {**before, **moments, "status": "paused", "pause_date": work.now}
        after.pop("next_billing_at", None)
        return _changed(work, after, "subscription_paused")
    moment = pause_date if option == "specific_date" else before.get("current_term_end")
    return _changed(work, {**before, **moments, "pause_date": moment or work.now}, "subscription_pause_scheduled")


def resume(work: Work, subscription_id: str) -> JsonObject:
    """Let a paused subscription go on."""
    form, before = work.form, work.expect("subscriptions", subscription_id)
    form.choice("resume_option", ("immediately", "specific_date"))
    form.integer("resume_date")
    form.choice("charges_handling", ("invoice_immediately", "add_to_unbilled_charges"))
    form.end()
    if before["status"] != "paused":
        raise wrong_state(f"The subscription {subscription_id} is not paused")
    after = {field: value for field, value in before.items() if field not in ("pause_date", "resume_date")}
    end = term_end(work.now, before["billing_period"], before["billing_period_unit"])
    after |= {"status": "active", "current_term_start": work.now, "current_term_end": end, "next_billing_at": end}
    return _changed(work, after, "subscription_resumed")


def delete(work: Work, subscription_id: str) -> JsonObject:
    """Delete a subscription."""
    before = work.expect("subscriptions", subscription_id)
    work.form.end()
    return _changed(work, {**before, "deleted": True}, "subscription_deleted")


def _given(work: Work) -> JsonObject:
    form: Form = work.form
    given: JsonObject = form.fields(("po_number", "payment_source_id", "invoice_notes", "business_entity_id"))
    given |= form.custom_fields()
    if form.has("auto_collection"):
        given["auto_collection"] = form.choice("auto_collection", ("on", "off"))
    for name in ("net_term_days", "billing_cycles"):
        if form.has(name):
            given["remaining_billing_cycles" if name == "billing_cycles" else name] = form.integer(name)
    if form.has("meta_data"):
        given["meta_data"] = form.json_object("meta_data")
    coupons = form.values("coupon_ids")
    if coupons is not None:
        for coupon in coupons:
            work.expect("coupons", coupon)
        given["coupons"] = [{"coupon_id": coupon, "applied_count": 0, "object": "coupon"} for coupon in coupons]
    if given.get("payment_source_id") is not None:
        work.expect("payment_sources", given["payment_source_id"])
    return given


def _billed(work: Work, subscription: JsonObject, customer: JsonObject) -> JsonObject:
    """Bill a term; return the invoice. What cannot be collected is due."""
    lines = [
        {
            "date_from": subscription["current_term_start"],
            "date_to": subscription["current_term_end"],
            "unit_amount": item.get("unit_price", 0),
            "quantity": item.get("quantity", 1),
            "amount": item["amount"],
            "pricing_model": work.expect("item_prices", item["item_price_id"])["pricing_model"],
            "description": item["item_price_id"],
            "entity_type": f"{item['item_type']}_item_price",
            "entity_id": item["item_price_id"],
        }
        for item in subscription["subscription_items"]
        if "amount" in item
    ]
    percent = min(sum(worth(work, each["coupon_id"]) for each in subscription.get("coupons", ())), 100)
    invoice = draw_up(
        work,
        customer,
        subscription["currency_code"],
        lines,
        subscription["id"],
        work.now,
        subscription.get("net_term_days"),
        percent,
    )
    collection = subscription.get("auto_collection") or customer.get("auto_collection", "on")
    answer = issue(work, invoice, customer, collection)
    if answer["invoice"]["status"] == "payment_due":
        due = answer["invoice"]["amount_due"]
        counted: dict[str, Any] = {
            "due_invoices_count": subscription.get("due_invoices_count", 0) + 1,
            "due_since": work.now,
            "total_dues": subscription.get("total_dues", 0) + due,
        }
        work.put("subscriptions", {**subscription, **counted})
    return {"invoice": answer["invoice"]}


def _changed(work: Work, after: JsonObject, event_type: str) -> JsonObject:
    whole = work.put("subscriptions", resumed_earning(work.objects, after))
    work.tell(event_type, ("subscriptions", whole))
    return _answer(work, whole)


def _answer(work: Work, whole: JsonObject) -> JsonObject:
    return {"subscription": whole, **beside_of(work.dataset, whole)}
