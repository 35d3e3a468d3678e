"""Prices."""

from typing import Any, NamedTuple

from cyphera_pipelines.sandbox.business.offers import OPTION_RATES, SLOTS, Tier, has_options, offer, terms, tiers
from cyphera_pipelines.sandbox.serialization import JsonObject
from cyphera_pipelines.sandbox.stripe.generate.world import StripeWorld


class PriceFacts(NamedTuple):
    """What those that refer to a price repeat of it. Amounts in the currency's smallest unit."""

    id: str
    product: str
    currency: str
    interval: str | None
    unit_amount: int
    unit_amount_decimal: str | None
    name: str


def price_facts(world: StripeWorld, number: int, currency: str | None = None) -> PriceFacts:
    """Return the facts about price `number` that others repeat, in its own currency or one of its options."""
    offered = offer(world, number, currency)
    return PriceFacts(
        world.price_id(number),
        world.product_id(offered.product),
        offered.currency,
        offered.interval,
        offered.unit_amount,
        offered.unit_amount_decimal,
        offered.name,
    )


def _options(world: StripeWorld, number: int, built: JsonObject) -> JsonObject:
    """Return what a price costs in each currency, its own included, as Stripe tells it when asked to."""
    options: JsonObject = {}
    for currency in (built["currency"], *OPTION_RATES) if has_options(world, number) else (built["currency"],):
        facts = price_facts(world, number, currency)
        is_whole = facts.unit_amount_decimal is not None and "." not in facts.unit_amount_decimal
        options[currency] = {
            "custom_unit_amount": None,
            "tax_behavior": built["tax_behavior"],
            "unit_amount": int(facts.unit_amount_decimal or 0) if is_whole else None,
            "unit_amount_decimal": facts.unit_amount_decimal,
        }
        if "tiers" in built and currency != built["currency"]:
            options[currency]["tiers"] = [
                {**_tier(tier), "unit_amount_decimal": None} for tier in tiers(number, currency)
            ]
    return options


def _tier(tier: Tier) -> JsonObject:
    return {
        "flat_amount": tier.flat_amount,
        "flat_amount_decimal": None if tier.flat_amount is None else str(tier.flat_amount),
        "unit_amount": tier.unit_amount,
        "unit_amount_decimal": tier.unit_amount_decimal,
        "up_to": tier.up_to,
    }


def price(world: StripeWorld, number: int) -> JsonObject:
    """Return price `number` with its `tiers` and `currency_options`, which Stripe shows only when asked to."""
    slot = SLOTS[number % len(SLOTS)]
    facts = price_facts(world, number)
    interval_count, meter, is_active, dice = terms(world, number)
    tiered = slot.scheme in ("graduated", "volume")
    recurring: dict[str, Any] | None = None
    if slot.interval:
        recurring = {
            "interval": slot.interval,
            "interval_count": interval_count,
            "meter": None if meter is None else f"mtr_test_61{meter}",
            "trial_period_days": None,
            "usage_type": "metered" if meter else "licensed",
        }
    built: JsonObject = {
        "id": facts.id,
        "object": "price",
        "active": is_active,
        "billing_scheme": "tiered" if tiered else "per_unit",
        "created": world.created_at("prices", number),
        "currency": slot.currency,
        "custom_unit_amount": None,
        "livemode": world.livemode,
        "lookup_key": f"plan_{number}" if number % 3 == 0 else None,
        "metadata": {"tier": dice.pick(("gold", "silver"))} if dice.chance(0.2) else {},
        "nickname": facts.name if dice.chance(0.5) else None,
        "product": facts.product,
        "recurring": recurring,
        "tax_behavior": dice.pick(("unspecified", "exclusive", "inclusive")),
        "tiers_mode": slot.scheme if tiered else None,
        "transform_quantity": None,
        "type": "recurring" if slot.interval else "one_time",
        "unit_amount": facts.unit_amount if slot.scheme == "per_unit" else None,
        "unit_amount_decimal": facts.unit_amount_decimal,
    }
    if tiered:
        built["tiers"] = [_tier(tier) for tier in tiers(number)]
    built["currency_options"] = _options(world, number, built)
    return built


def plan_of(price_object: JsonObject) -> JsonObject:
    """Return the legacy `plan` that Stripe still shows beside a subscription item's price."""
    recurring = price_object["recurring"] or {}
    return {
        "id": price_object["id"],
        "object": "plan",
        "active": price_object["active"],
        "amount": price_object["unit_amount"],
        "amount_decimal": price_object["unit_amount_decimal"],
        "billing_scheme": price_object["billing_scheme"],
        "created": price_object["created"],
        "currency": price_object["currency"],
        "interval": recurring.get("interval", "month"),
        "interval_count": recurring.get("interval_count", 1),
        "livemode": price_object["livemode"],
        "metadata": price_object["metadata"],
        "meter": recurring.get("meter"),
        "nickname": price_object["nickname"],
        "product": price_object["product"],
        "tiers_mode": price_object["tiers_mode"],
        "transform_usage": None,
        "trial_period_days": None,
        "usage_type": recurring.get("usage_type", "licensed"),
    }
