"""The items of a subscription as clients ask for them, and what they cost."""

from cyphera_pipelines.sandbox.chargebee.errors import missing, wrong_value
from cyphera_pipelines.sandbox.chargebee.writes.work import Work
from cyphera_pipelines.sandbox.serialization import JsonObject

_ROW = ("item_price_id", "item_type", "quantity", "quantity_in_decimal", "unit_price", "unit_price_in_decimal",
        "billing_cycles", "trial_end", "charge_once", "charge_on_event", "service_period_days")  # fmt: skip


def read_items(work: Work, before: list[JsonObject]) -> list[JsonObject]:
    """Return a subscription's items after those that are given took the place of their like, or joined them."""
    items = {item["item_price_id"]: item for item in before}
    for index, row in enumerate(work.form.rows("subscription_items", _ROW)):
        item = _item(work, row, index, items)
        if item["item_type"] == "plan":
            items = {name: each for name, each in items.items() if each["item_type"] != "plan"}
            items = {item["item_price_id"]: item, **items}
        items[item["item_price_id"]] = item
    currencies = {work.expect("item_prices", name)["currency_code"] for name in items}
    if len(currencies) > 1:
        raise wrong_value("subscription_items[item_price_id][0]", "should all be in one currency")
    return list(items.values())


def _item(work: Work, row: dict[str, str], index: int, before: dict[str, JsonObject]) -> JsonObject:
    name = row.get("item_price_id")
    if not name:
        raise missing(f"subscription_items[item_price_id][{index}]")
    price = work.expect("item_prices", name)
    if price["status"] != "active" and name not in before:
        raise wrong_value(f"subscription_items[item_price_id][{index}]", f"{name} is not active")
    item: JsonObject = {
        "item_price_id": name,
        "item_type": price["item_type"],
        "free_quantity": price.get("free_quantity", 0),
        "object": "subscription_item",
    }
    if work.expect("items", price["item_id"]).get("metered"):
        return {**item, "metered_quantity": "0", "unit_price": price.get("price", 0)}
    known = before.get(name, {})
    units = _number(row, "quantity", index, known.get("quantity", 1))
    each = _number(row, "unit_price", index, price.get("price"))
    item["quantity"] = units
    if each is not None:
        item["unit_price"] = each
    if row.get("trial_end"):
        item["trial_end"] = _number(row, "trial_end", index, 0)
    item["amount"] = cost(price, units or 0, each)
    return item


def _number(row: dict[str, str], name: str, index: int, otherwise: int | None) -> int | None:
    if not row.get(name):
        return otherwise
    try:
        return int(row[name])
    except ValueError:
        raise wrong_value(f"subscription_items[{name}][{index}]", "should be a number") from None


def cost(price: JsonObject, units: int, each: int | None) -> int:
    """Return what so many units of a price cost, in the currency's smallest unit."""
    model = price["pricing_model"]
    paid: int = max(0, units - int(price.get("free_quantity", 0)))
    if model == "flat_fee":
        return each or 0
    if model == "per_unit":
        return (each or 0) * paid
    tiers = sorted(price.get("tiers", ()), key=lambda tier: tier.get("starting_unit", 0))
    reached = [tier for tier in tiers if tier.get("starting_unit", 0) <= paid]
    if not reached:
        return 0
    if model == "stairstep":
        return int(reached[-1]["price"])
    if model == "volume":
        return int(reached[-1]["price"]) * paid
    return sum(
        int(tier["price"]) * (min(paid, tier.get("ending_unit", paid)) - max(1, tier.get("starting_unit", 1)) + 1)
        for tier in reached
    )


def worth(work: Work, coupon_id: str) -> int:
    """Return how many percent a coupon takes off."""
    return int(work.expect("coupons", coupon_id).get("discount_percentage", 0))
