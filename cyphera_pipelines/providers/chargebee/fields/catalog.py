"""Items, which are products here, and item prices with their tiers."""

from typing import Any

from cyphera_pipelines.providers.chargebee.values import (
    exact_price,
    lower,
    metadata,
    whole_number,
    whole_price,
)
from cyphera_pipelines.providers.mapping.rules import Rule, Rules, absent, derived, mapped

_ONE_CURRENCY = "an item price has one currency, which stands with the price"
TIERED = {"tiered": "graduated", "volume": "volume", "stairstep": "volume"}
SCHEMES = {"flat_fee": "per_unit", "per_unit": "per_unit", **dict.fromkeys(TIERED, "tiered")}
_FLAT = ("flat_fee", "package")


def _is_active(obj: dict[str, Any]) -> Any:
    status = obj.get("status")
    return None if status is None else status == "active"


def _scheme(price: dict[str, Any]) -> Any:
    model = price.get("pricing_model")
    return SCHEMES.get(model, model) if isinstance(model, str) else model


def _tiers_mode(price: dict[str, Any]) -> Any:
    model = price.get("pricing_model")
    return TIERED.get(model) if isinstance(model, str) else None


def _trial_days(price: dict[str, Any]) -> Any:
    return price.get("trial_period") if price.get("trial_period_unit") == "day" else None


def is_flat(tier: dict[str, Any]) -> bool:
    """Whether the tier costs one amount, whatever the quantity within it."""
    kind = tier.get("pricing_type")
    return tier.get("pricing_model") == "stairstep" if kind is None else kind in _FLAT


def _tier_price(rule: Rule, note: str, *, of_flat: bool) -> Rule:
    def get(tier: dict[str, Any]) -> Any:
        if tier.get("pricing_type") == "package" or is_flat(tier) is not of_flat:
            return None
        return rule.get(tier)

    return derived(rule.source, note, get)


PRODUCT: Rules = {
    "created": absent("an item does not tell when it was made"),
    "updated": mapped("updated_at"),
    "name": mapped("name"),
    "active": derived("status", "whether it is active: archived items are not", _is_active),
    "description": mapped("description"),
    "type": mapped("type", note="plan, addon or charge"),
    "default_price_id": absent("an item has no default price"),
    "unit_label": mapped("unit"),
    "statement_descriptor": absent("it is the subscriptions' and invoices'"),
    "tax_code_id": absent("tax details are the item prices': see their `raw`"),
    "shippable": mapped("is_shippable"),
    "url": absent("an item has no public page of its own"),
    "images": absent("an item has none"),
    "marketing_features": absent("an item has none"),
    "package_dimensions": absent("an item has none"),
    "metadata": metadata("metadata"),
}

PRICE: Rules = {
    "created": mapped("created_at"),
    "product_id": mapped("item_id"),
    "active": derived("status", "whether it is active: archived item prices are not", _is_active),
    "type": derived(
        "period",
        "recurring with a period, or else one_time",
        lambda obj: "one_time" if obj.get("period") is None else "recurring",
    ),
    "currency": lower("currency_code"),
    "unit_amount": whole_price("price"),
    "unit_amount_decimal": exact_price("price"),
    "billing_scheme": derived(
        "pricing_model", "flat_fee and per_unit are per_unit; tiered, volume and stairstep are tiered", _scheme
    ),
    "tiers_mode": derived("pricing_model", "tiered is graduated; volume and stairstep are volume", _tiers_mode),
    "nickname": mapped("name"),
    "lookup_key": absent("the id itself is chosen by the site"),
    "recurring_interval": mapped("period_unit"),
    "recurring_interval_count": mapped("period"),
    "recurring_usage_type": absent("the item tells whether it is metered: see the product's `raw`"),
    "recurring_meter_id": absent("the item tells whether it is metered: see the product's `raw`"),
    "recurring_trial_period_days": derived(
        "trial_period, trial_period_unit", "of trials that are told in days; months are in `raw`", _trial_days
    ),
    "tax_behavior": absent("the invoices' price_type tells"),
    "transform_quantity_divide_by": absent("packages are told with the tiers: see `raw`"),
    "transform_quantity_round": absent("packages are told with the tiers: see `raw`"),
    "custom_unit_amount": absent("customers choose no amounts"),
    "metadata": metadata("metadata"),
}

PRICE_TIER: Rules = {
    "price_id": mapped("price_id", note="the item price that the tier stands in"),
    "tier_index": mapped("tier_index", note="the tier's place in the list"),
    "currency": lower("currency_code"),
    "up_to": whole_number("ending_unit"),
    "unit_amount": _tier_price(whole_price("price"), "of tiers that cost so much per unit", of_flat=False),
    "unit_amount_decimal": _tier_price(exact_price("price"), "of tiers that cost so much per unit", of_flat=False),
    "flat_amount": _tier_price(whole_price("price"), "of stairs, and tiers of a flat fee", of_flat=True),
    "flat_amount_decimal": _tier_price(exact_price("price"), "of stairs, and tiers of a flat fee", of_flat=True),
}

PRICE_CURRENCY_OPTION: Rules = {
    "price_id": absent(_ONE_CURRENCY),
    "currency": absent(_ONE_CURRENCY),
    "unit_amount": absent(_ONE_CURRENCY),
    "unit_amount_decimal": absent(_ONE_CURRENCY),
    "tax_behavior": absent(_ONE_CURRENCY),
    "custom_unit_amount": absent(_ONE_CURRENCY),
    "tiers": absent(_ONE_CURRENCY),
}
