"""The business's discounts as Chargebee has them: coupons, and discounts that were given by hand.

Chargebee takes discounts off in an order of its own: from items before the whole, amounts before percentages. Where the
business has a percentage before an amount, it stands on each item here, so that bills come to the same. Customers have
no discounts: theirs stand on their subscriptions.
"""

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from typing import Any

from cyphera_pipelines.sandbox.business import discounts as business
from cyphera_pipelines.sandbox.business.discounts import Coupon, Discount
from cyphera_pipelines.sandbox.business.offers import product_of_price
from cyphera_pipelines.sandbox.business.subscriptions import Subscriptions
from cyphera_pipelines.sandbox.business.world import World
from cyphera_pipelines.sandbox.chargebee.generate.catalog import PriceKey, price_id
from cyphera_pipelines.sandbox.chargebee.sites import ChargebeeSite
from cyphera_pipelines.sandbox.serialization import JsonObject

ITEM_TYPES = ("plan", "addon", "charge")
_DURATIONS = {"once": "one_time", "repeating": "limited_period", "forever": "forever"}
_ON_ITEMS = ("each_specified_item", "specific_item_price")


def coupons(site: ChargebeeSite, world: World, keys: Sequence[PriceKey]) -> Iterator[JsonObject]:
    """Yield the site's coupons; `keys` are all prices of the site."""
    started = site.newest_created - site.days * 86_400
    for coupon in business.coupons(world):
        limited = [key for key in keys if product_of_price(world, key.number) in coupon.products]
        yield {
            "id": coupon.id,
            "name": coupon.name,
            **_worth(coupon, "discount_percentage", "discount_amount", "discount_type"),
            **_lasts(coupon),
            "apply_on": "each_specified_item" if coupon.products else "invoice_amount",
            "apply_discount_on": "not_applicable",
            "included_in_mrr": coupon.duration != "once",
            "status": "active",
            "redemptions": 0,
            "item_constraints": _constraints(site, world, limited) if coupon.products else [],
            "created_at": started,
            "updated_at": started,
            "resource_version": started * 1_000,
            "object": "coupon",
        }


def _constraints(site: ChargebeeSite, world: World, keys: Iterable[PriceKey]) -> list[JsonObject]:
    found: list[JsonObject] = []
    for item_type in ITEM_TYPES:
        names = [price_id(site, world, key) for key in keys if key.item_type == item_type]
        if names:
            found.append({"item_type": item_type, "constraint": "specific", "item_price_ids": names})
        else:
            found.append({"item_type": item_type, "constraint": "none"})
    return found


def discounts_on(
    site: ChargebeeSite, subscriptions: Subscriptions, number: int, keys: Sequence[PriceKey]
) -> tuple[list[JsonObject], list[JsonObject]]:
    """Return the coupons on a subscription, and the discounts that were given by hand; `keys` are its prices."""
    world = subscriptions.world
    found = list(business.discounts_of(subscriptions, number))
    # One that applies once makes way for the customer's with the next bill.
    if all(each.item is not None or each.coupon.duration == "once" for each in found):
        of_customer = business.customer_discount_of(world, subscriptions.facts(number).customer)
        found += [] if of_customer is None else [of_customer]
    names = [price_id(site, world, key) for key in keys]
    of_coupons, by_hand = list[JsonObject](), list[JsonObject]()
    for at, each in enumerate(found):
        if each.item is not None:
            by_hand.append(_by_hand(each, str(at), names[each.item]))
        elif each.coupon.percent_off is not None and any(_is_whole_amount(later) for later in found[at + 1 :]):
            by_hand += [_by_hand(each, f"{at}{place}", name) for place, name in enumerate(names)]
        elif is_given_by_hand(each) or any(each.coupon.id == other["coupon_id"] for other in of_coupons):
            # No coupon is on a subscription twice.
            by_hand.append(_by_hand(each, str(at), None))
        else:
            of_coupons.append({"coupon_id": each.coupon.id, "applied_count": 1, "object": "coupon"})
    return of_coupons, by_hand


def is_given_by_hand(discount: Discount) -> bool:
    """Whether it stands here without a coupon: of a coupon Chargebee does not tell when it began to apply."""
    return discount.item is not None or discount.coupon.duration == "repeating"


def _is_whole_amount(discount: Discount) -> bool:
    return discount.item is None and discount.coupon.amount_off is not None


def _by_hand(discount: Discount, suffix: str, item_price_id: str | None) -> JsonObject:
    coupon = discount.coupon
    built: JsonObject = {
        "id": f"disc_{discount.code}{suffix}",
        **_worth(coupon, "percentage", "amount", "type"),
        **_lasts(coupon),
        "included_in_mrr": coupon.duration != "once",
        "apply_on": "invoice_amount" if item_price_id is None else "specific_item_price",
        "created_at": discount.start,
        "applied_count": 1,
        "object": "discount",
    }
    if item_price_id is not None:
        built["item_price_id"] = item_price_id
    if discount.end is not None:
        built["apply_till"] = discount.end
    return built


def _worth(coupon: Coupon, percentage: str, amount: str, kind: str) -> JsonObject:
    if coupon.percent_off is not None:
        return {kind: "percentage", percentage: float(coupon.percent_off)}
    return {kind: "fixed_amount", amount: coupon.amount_off, "currency_code": str(coupon.currency).upper()}


def _lasts(coupon: Coupon) -> JsonObject:
    lasts: JsonObject = {"duration_type": _DURATIONS[coupon.duration]}
    if coupon.duration_in_months is not None:
        lasts |= {"period": coupon.duration_in_months, "period_unit": "month"}
    return lasts


def amounts_kept(items: Sequence[JsonObject], discounts: Iterable[JsonObject]) -> list[Fraction]:
    """Return what is left of each item's amount. `discounts` are coupons with their terms, then those given by hand."""
    kept = [Fraction(item.get("amount") or 0) for item in items]
    counted = [each for each in discounts if each.get("included_in_mrr", True)]
    for each in sorted(counted, key=lambda one: (one.get("apply_on") not in _ON_ITEMS, _percentage(one) is not None)):
        on = [at for at, item in enumerate(items) if _is_on(each, item)]
        percentage, amount, whole = _percentage(each), Fraction(_amount(each)), sum(kept[at] for at in on)
        for at in on:
            if percentage is not None:
                kept[at] -= kept[at] * percentage / 100
            elif each.get("apply_on") in _ON_ITEMS:
                kept[at] -= min(amount, kept[at])
            elif whole:
                kept[at] -= min(amount, whole) * kept[at] / whole
    return kept


def _percentage(discount: JsonObject) -> Fraction | None:
    told: Any = discount.get("discount_percentage", discount.get("percentage"))
    return None if told is None else min(Fraction(str(told)), Fraction(100))


def _amount(discount: JsonObject) -> int:
    return int(discount.get("discount_amount", discount.get("amount")) or 0)


def _is_on(discount: JsonObject, item: JsonObject) -> bool:
    if discount.get("apply_on") == "specific_item_price":
        return bool(discount.get("item_price_id") == item["item_price_id"])
    if discount.get("apply_on") != "each_specified_item":
        return True
    constraints = discount.get("item_constraints") or []
    return any(item["item_price_id"] in each.get("item_price_ids", ()) for each in constraints)
