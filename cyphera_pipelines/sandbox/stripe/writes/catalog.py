"""Products and prices: made, changed, and products deleted."""

from typing import Any

from cyphera_pipelines.sandbox.serialization import JsonObject
from cyphera_pipelines.sandbox.stripe.errors import ProviderError
from cyphera_pipelines.sandbox.stripe.writes.kept import new_id
from cyphera_pipelines.sandbox.stripe.writes.parameters import Given, missing
from cyphera_pipelines.sandbox.stripe.writes.work import Work

_TEXTS = ("name", "description", "tax_code", "unit_label", "url", "statement_descriptor")
PRODUCT = frozenset({*_TEXTS, "active", "shippable", "metadata", "images"})
NEW_PRODUCT = PRODUCT | {"id", "type"}
PRICE = frozenset({"active", "nickname", "tax_behavior", "metadata", "lookup_key"})
NEW_PRICE = PRICE | {
    "product", "currency", "unit_amount", "unit_amount_decimal", "recurring", "billing_scheme", "tiers", "tiers_mode",
    "transform_quantity",
}  # fmt: skip
INTERVALS = ("day", "week", "month", "year")


def create_product(work: Work, given: Given) -> JsonObject:
    """Make a product."""
    given.only(NEW_PRODUCT)
    given.required("name")
    made: JsonObject = {
        "id": given.text("id") or new_id("prod_"),
        "object": "product",
        "active": True,
        "attributes": [],
        "created": work.now,
        "default_price": None,
        "description": None,
        "images": [],
        "livemode": work.livemode,
        "marketing_features": [],
        "metadata": {},
        "name": None,
        "package_dimensions": None,
        "shippable": None,
        "statement_descriptor": None,
        "tax_code": None,
        "tax_details": None,
        "type": given.choice("type", ("service", "good")) or "service",
        "unit_label": None,
        "updated": work.now,
        "url": None,
    }
    return work.make("products", _applied(work, made, given))


def update_product(work: Work, given: Given, identifier: str) -> JsonObject:
    """Change a product."""
    given.only(PRODUCT)
    return work.change("products", _applied(work, work.find("products", identifier), given))


def delete_product(work: Work, given: Given, identifier: str) -> JsonObject:
    """Delete a product that has no prices."""
    given.only(())
    product = work.find("products", identifier)
    if work.every("prices", product=identifier):
        raise ProviderError(400, "This product cannot be deleted because it has one or more user-created prices.")
    return work.remove("products", product)


def _applied(work: Work, product: JsonObject, given: Given) -> JsonObject:
    for name in _TEXTS:
        if name in given:
            product[name] = given.text(name)
    for name in ("active", "shippable"):
        if name in given:
            product[name] = given.boolean(name)
    product["metadata"], product["updated"] = given.metadata(product["metadata"]), work.now
    return product


def create_price(work: Work, given: Given) -> JsonObject:
    """Make a price of a product."""
    given.only(NEW_PRICE)
    currency, product_id = given.required("currency").lower(), given.required("product")
    if len(currency) != 3 or not currency.isalpha():
        raise ProviderError(400, f"Invalid currency: {currency}.", param="currency")
    work.find("products", product_id, "product")
    recurring, transform = given.inner("recurring"), given.inner("transform_quantity")
    tiers, unit_amount = [_tier(each) for each in given.each("tiers")], given.integer("unit_amount", 0)
    exact = given.text("unit_amount_decimal")
    if not tiers and unit_amount is None and exact is None:
        raise missing("unit_amount")
    if tiers and given.choice("tiers_mode", ("graduated", "volume")) is None:
        raise missing("tiers_mode")
    made: JsonObject = {
        "id": new_id("price_1"),
        "object": "price",
        "active": True,
        "billing_scheme": "tiered" if tiers else "per_unit",
        "created": work.now,
        "currency": currency,
        "custom_unit_amount": None,
        "livemode": work.livemode,
        "lookup_key": given.text("lookup_key"),
        "metadata": {},
        "nickname": None,
        "product": product_id,
        "recurring": None if recurring is None else _recurring(recurring),
        "tax_behavior": "unspecified",
        "tiers_mode": given.text("tiers_mode"),
        "transform_quantity": None if transform is None else {
            "divide_by": transform.integer("divide_by", 1), "round": transform.choice("round", ("up", "down")),
        },
        "type": "one_time" if recurring is None else "recurring",
        "unit_amount": unit_amount,
        "unit_amount_decimal": exact if unit_amount is None else str(unit_amount),
    }  # fmt: skip
    if tiers:
        made["tiers"] = tiers
    own = {name: made[name] for name in ("custom_unit_amount", "tax_behavior", "unit_amount", "unit_amount_decimal")}
    made["currency_options"] = {currency: own}
    return work.make("prices", _applied_to_price(made, given))


def update_price(work: Work, given: Given, identifier: str) -> JsonObject:
    """Change a price, whose amount never changes."""
    given.only(PRICE)
    return work.change("prices", _applied_to_price(work.find("prices", identifier), given))


def _applied_to_price(price: JsonObject, given: Given) -> JsonObject:
    if "active" in given:
        price["active"] = given.boolean("active")
    if "nickname" in given:
        price["nickname"] = given.text("nickname")
    behavior = given.choice("tax_behavior", ("exclusive", "inclusive", "unspecified"))
    if behavior is not None:
        if price["tax_behavior"] not in ("unspecified", behavior):
            raise ProviderError(400, "You cannot change the tax_behavior of this price.", param="tax_behavior")
        price["tax_behavior"] = behavior
    price["metadata"] = given.metadata(price["metadata"])
    return price


def _recurring(given: Given) -> JsonObject:
    given.only(("interval", "interval_count", "usage_type", "trial_period_days"))
    given.required("interval")
    return {
        "interval": given.choice("interval", INTERVALS),
        "interval_count": given.integer("interval_count", 1) or 1,
        "meter": None,
        "trial_period_days": None,
        "usage_type": given.choice("usage_type", ("licensed", "metered")) or "licensed",
    }


def _tier(given: Given) -> JsonObject:
    up_to, tier = given.required("up_to"), dict[str, Any]()
    for name in ("flat_amount", "unit_amount"):
        whole, exact = given.integer(name, 0), given.text(f"{name}_decimal")
        tier[name], tier[f"{name}_decimal"] = whole, exact if whole is None else str(whole)
    return {**tier, "up_to": None if up_to == "inf" else given.integer("up_to", 1)}
