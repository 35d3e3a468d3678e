"""Subscriptions."""

from collections.abc import Iterable, Mapping
from fractions import Fraction

from cyphera_pipelines.sandbox.business.offers import offer, scheme_of, tiers
from cyphera_pipelines.sandbox.business.subscriptions import Subscription, Subscriptions, quantity
from cyphera_pipelines.sandbox.business.timeline import DAY
from cyphera_pipelines.sandbox.business.world import World
from cyphera_pipelines.sandbox.chargebee.generate.catalog import PriceKey, is_metered, period_of, price_id
from cyphera_pipelines.sandbox.chargebee.generate.customers import BUSINESS_ENTITY, has_card, payment_source_id
from cyphera_pipelines.sandbox.chargebee.generate.discounts import amounts_kept, discounts_on
from cyphera_pipelines.sandbox.chargebee.generate.ids import customer_id, made_id
from cyphera_pipelines.sandbox.chargebee.generate.moments import stamped
from cyphera_pipelines.sandbox.chargebee.generate.money import in_major_units
from cyphera_pipelines.sandbox.chargebee.sites import ChargebeeSite
from cyphera_pipelines.sandbox.serialization import JsonObject

_STATUSES = {
    "active": "active", "past_due": "active", "trialing": "in_trial", "paused": "paused", "incomplete": "future",
    "canceled": "cancelled", "unpaid": "cancelled", "incomplete_expired": "cancelled",
}  # fmt: skip
_MONTHS = {"day": Fraction(365, 12), "week": Fraction(52, 12), "month": Fraction(1), "year": Fraction(1, 12)}
EARNING = frozenset({"active", "non_renewing"})
"""The statuses in which a subscription brings in money month by month."""


def subscription_id(site: ChargebeeSite, number: int) -> str:
    """Return a subscription's id; some are the merchant's own, with a space and a slash in them."""
    if site.odd_ids and number % 50 == 9:
        return f"sub 2026/{number}"
    return made_id(site, "", "subscriptions", number)


def keys_of(subscribed: Subscription) -> list[PriceKey]:
    """Return the prices of a subscription: the first is its plan, the others are addons."""
    keys: list[PriceKey] = []
    for position, number in enumerate(subscribed.price_numbers):
        key = PriceKey(number, "plan" if position == 0 else "addon", subscribed.currency)
        while key in keys:
            key = key._replace(variant=key.variant + 1)
        keys.append(key)
    return keys


def amount_of(world: World, key: PriceKey, units: int) -> tuple[int | None, int]:
    """Return what one unit costs (None with tiers) and what so many do, in the currency's smallest unit."""
    scheme = scheme_of(key.number)
    if scheme in ("graduated", "volume"):
        # No subscription has more units than the first tier holds.
        return None, (tiers(key.number, key.currency)[0].unit_amount or 0) * units
    sold = offer(world, key.number, key.currency)
    price = int(Fraction(sold.unit_amount_decimal or sold.unit_amount))
    return price, price * units


def monthly(
    items: list[JsonObject], periods: dict[str, tuple[str, int]], metered: set[str], discounts: Iterable[JsonObject]
) -> int:
    """Return what a subscription's items bring in a month, less its discounts, in the currency's smallest unit.

    `periods` are those of the items' prices by their ids; what is `metered` or charged once brings nothing. Of coupons
    `discounts` are the terms.
    """
    total = 0
    for item, kept in zip(items, amounts_kept(items, discounts), strict=True):
        period = periods.get(item["item_price_id"])
        if period is not None and item["item_price_id"] not in metered:
            total += round(kept * _MONTHS[period[0]] / period[1])
    return total


def subscription(
    site: ChargebeeSite, subscriptions: Subscriptions, number: int, known_coupons: Mapping[str, JsonObject]
) -> JsonObject:
    """Return subscription `number`. `known_coupons` are the site's, by their ids."""
    world, subscribed = subscriptions.world, subscriptions.facts(number)
    created, ended, period, _trial, cancels, canceled_at, by_invoice, dice = subscriptions.schedule(number)
    status = "non_renewing" if cancels else _STATUSES[subscribed.status]
    if status == "in_trial" and number % 3 == 0:
        # What is yet to start brings in as little as a trial.
        status = "future"
    if subscribed.status == "unpaid":
        ended = canceled_at = min(period[1], max(site.newest_created, created))
    keys = keys_of(subscribed)
    unit, count = period_of(world, keys[0].number) or ("month", 1)
    currency = subscribed.currency.upper()
    items = [_item(site, world, key, number, position) for position, key in enumerate(keys)]
    coupons, by_hand = discounts_on(site, subscriptions, number, keys)
    metered = {item["item_price_id"] for item, key in zip(items, keys, strict=True) if is_metered(key)}
    periods = {item["item_price_id"]: period_of(world, key.number) for item, key in zip(items, keys, strict=True)}
    known = {name: each for name, each in periods.items() if each is not None}
    terms = [known_coupons[each["coupon_id"]] for each in coupons]
    earned = monthly(items, known, metered, [*terms, *by_hand])
    built: JsonObject = {
        "id": subscription_id(site, number),
        "customer_id": customer_id(site, subscribed.customer),
        "status": status,
        "currency_code": currency,
        "billing_period": count,
        "billing_period_unit": unit,
        "created_at": created,
        "auto_collection": "off" if by_invoice else "on",
        "has_scheduled_changes": False,
        "has_scheduled_advance_invoices": False,
        "due_invoices_count": 1 if subscribed.status in ("past_due", "unpaid") else 0,
        "mrr": earned if status in EARNING else 0,
        "exchange_rate": 1.0,
        "base_currency_code": site.default_currency.upper(),
        "channel": "web",
        "business_entity_id": BUSINESS_ENTITY,
        "create_pending_invoices": False,
        "auto_close_invoices": True,
        "subscription_items": items,
        "deleted": False,
        "object": "subscription",
    }
    if status == "future":
        built["start_date"] = built["next_billing_at"] = period[1]
    else:
        built |= {"started_at": created, "current_term_start": period[0], "current_term_end": period[1]}
        built["arr"] = built["mrr"] * 12
    if status == "in_trial":
        built |= {"trial_start": period[0], "trial_end": period[1], "next_billing_at": period[1]}
    elif status != "future" and subscribed.status != "incomplete_expired":
        built["activated_at"] = created
    if status == "active":
        built["next_billing_at"] = period[1]
    if status == "non_renewing":
        built |= {"cancelled_at": period[1], "cancel_schedule_created_at": canceled_at, "remaining_billing_cycles": 0}
    if status == "cancelled":
        built["cancelled_at"] = ended
        if subscribed.status == "unpaid":
            built["cancel_reason"] = "not_paid"
        elif subscribed.status == "incomplete_expired":
            built["cancel_reason"] = "no_card"
        elif dice.chance(0.6):
            built["cancel_reason_code"] = dice.pick(("Too expensive", "Not used", "Other"))
    if status == "paused":
        built["pause_date"] = period[0]
        if dice.chance(0.5):
            built["resume_date"] = period[1] + 30 * DAY
    if built["due_invoices_count"]:
        built |= {"due_since": period[0], "total_dues": sum(item.get("amount", 0) for item in items)}
    if has_card(world, subscribed.customer):
        built["payment_source_id"] = payment_source_id(site, subscribed.customer)
    if by_invoice:
        built["net_term_days"] = 30
        built["po_number"] = f"PO/{number}"
    if coupons:
        built |= {"coupons": coupons, "coupon": coupons[0]["coupon_id"]}
    if by_hand:
        built["discounts"] = by_hand
    if dice.chance(0.4):
        built["meta_data"] = {"order": f"{number:06d}"}
    if site.custom_fields:
        built["cf_sales_region"] = dice.pick(("EMEA", "Américas", "日本"))
    changed = built["cancelled_at"] if status == "cancelled" else created
    return stamped(site, built, changed, dice, may_lack=True)


def _item(site: ChargebeeSite, world: World, key: PriceKey, number: int, position: int) -> JsonObject:
    units = quantity(number, position)
    price, amount = amount_of(world, key, units)
    built: JsonObject = {
        "item_price_id": price_id(site, world, key),
        "item_type": key.item_type,
        "free_quantity": 0,
        "object": "subscription_item",
    }
    if is_metered(key):
        built["metered_quantity"] = "0"
        built["unit_price"] = price
        return built
    built["quantity"] = units
    if price is not None:
        built["unit_price"] = price
        if site.in_decimal:
            built["unit_price_in_decimal"] = in_major_units(price, key.currency)
    built["amount"] = amount
    if site.in_decimal:
        built |= {"quantity_in_decimal": str(units), "amount_in_decimal": in_major_units(amount, key.currency)}
    return built
