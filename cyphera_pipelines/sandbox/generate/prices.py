"""Prices. A price's number decides its currency and kind, so that prices that go together are found by arithmetic."""

from decimal import Decimal
from typing import Any, NamedTuple

from cyphera_pipelines.sandbox.generate.dice import Dice
from cyphera_pipelines.sandbox.generate.products import product_of_price
from cyphera_pipelines.sandbox.generate.world import World
from cyphera_pipelines.sandbox.serialization import JsonObject


class Slot(NamedTuple):
    """The kind of price that stands at one place of each dozen."""

    currency: str
    interval: str | None
    scheme: str
    unit_amount: int


SLOTS = (
    Slot("usd", "month", "per_unit", 1_900),
    Slot("usd", "year", "per_unit", 19_000),
    Slot("eur", "month", "per_unit", 1_700),
    Slot("usd", None, "per_unit", 25_000),
    Slot("usd", "month", "graduated", 0),
    Slot("gbp", "month", "per_unit", 1_500),
    Slot("jpy", "month", "per_unit", 2_800),
    Slot("usd", "month", "fraction", 0),
    Slot("eur", "year", "per_unit", 17_000),
    Slot("usd", "month", "volume", 0),
    Slot("eur", None, "per_unit", 22_000),
    Slot("usd", "month", "per_unit", 4_900),
)

GROUPS: dict[tuple[str, str | None], tuple[int, ...]] = {
    group: tuple(index for index, slot in enumerate(SLOTS) if (slot.currency, slot.interval) == group)
    for group in {(slot.currency, slot.interval) for slot in SLOTS}
}
"""Places of the prices that may stand on one subscription or invoice: same currency, same interval."""


OPTION_RATES = {"eur": 90, "gbp": 80}
"""Further currencies of the prices that have them, and their amounts in hundredths of the price's own."""
_OPTION_SLOTS = (0, 7, 11)
_TIERED_OPTION_SLOTS = (4, 9)


def has_options(world: World, number: int) -> bool:
    """Whether a price can be billed in the currencies of OPTION_RATES too."""
    slot = number % len(SLOTS)
    return slot in _OPTION_SLOTS or (world.account.tiered_options and slot in _TIERED_OPTION_SLOTS)


class PriceFacts(NamedTuple):
    """What those that refer to a price repeat of it. Amounts in the currency's smallest unit."""

    id: str
    product: str
    currency: str
    interval: str | None
    unit_amount: int
    unit_amount_decimal: str | None
    name: str


def group_of(number: int) -> tuple[str, str | None]:
    """Return the (currency, interval) of a price."""
    slot = SLOTS[number % len(SLOTS)]
    return slot.currency, slot.interval


def pick_price(world: World, group: tuple[str, str | None], ceiling: int, dice: Dice) -> int:
    """Return the number of a price of a group, at most `ceiling` if there is one; price 0 if the group is empty."""
    dozens = min(ceiling, world.sizes["prices"] - 1) // len(SLOTS)
    number = dice.below(dozens + 1) * len(SLOTS) + dice.pick(GROUPS[group])
    if number < world.sizes["prices"]:
        return number
    lowest = GROUPS[group][0]
    return lowest if lowest < world.sizes["prices"] else 0


def price_facts(world: World, number: int, currency: str | None = None) -> PriceFacts:
    """Return the facts about price `number` that others repeat, in its own currency or one of its options."""
    slot = SLOTS[number % len(SLOTS)]
    product_number = product_of_price(world, number)
    amount = slot.unit_amount + 100 * (number // len(SLOTS))
    decimal: str | None = str(amount)
    if slot.scheme == "fraction":
        decimal = "12.345"
    elif slot.scheme != "per_unit":
        decimal = None
    facts = PriceFacts(
        world.price_id(number),
        world.product_id(product_number),
        slot.currency,
        slot.interval,
        amount if slot.scheme == "per_unit" else 500,
        decimal,
        f"Plan {number}",
    )
    if currency in (None, slot.currency):
        return facts
    rate = OPTION_RATES[currency]
    other = None if decimal is None else _decimal(Decimal(decimal) * rate / 100)
    return facts._replace(currency=currency, unit_amount=facts.unit_amount * rate // 100, unit_amount_decimal=other)


def _decimal(amount: Decimal) -> str:
    return format(amount.normalize(), "f")


def _options(world: World, number: int, built: JsonObject) -> JsonObject:
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
                {**tier, "unit_amount": number % 50 + OPTION_RATES[currency], "unit_amount_decimal": None}
                for tier in built["tiers"]
            ]
    return options


def _tiers(number: int) -> list[JsonObject]:
    base = 100 + number % 50
    return [
        {
            "flat_amount": None,
            "flat_amount_decimal": None,
            "unit_amount": base,
            "unit_amount_decimal": str(base),
            "up_to": 100,
        },
        {
            "flat_amount": 5_000,
            "flat_amount_decimal": "5000",
            "unit_amount": base // 2,
            "unit_amount_decimal": str(base // 2),
            "up_to": 10_000,
        },
        {
            "flat_amount": None,
            "flat_amount_decimal": None,
            "unit_amount": None,
            "unit_amount_decimal": "0.5",
            "up_to": None,
        },
    ]


def price(world: World, number: int) -> JsonObject:
    """Return price `number` with its `tiers` and `currency_options`, which Stripe shows only when asked to."""
    dice = world.dice("prices", number)
    slot = SLOTS[number % len(SLOTS)]
    facts = price_facts(world, number)
    tiered = slot.scheme in ("graduated", "volume")
    recurring: dict[str, Any] | None = None
    if slot.interval:
        recurring = {
            "interval": slot.interval,
            "interval_count": 3 if slot.interval == "month" and dice.chance(0.05) else 1,
            "meter": f"mtr_test_61{dice.hexadecimal(20)}" if slot.scheme == "fraction" else None,
            "trial_period_days": None,
            "usage_type": "metered" if slot.scheme == "fraction" else "licensed",
        }
    built: JsonObject = {
        "id": facts.id,
        "object": "price",
        "active": not (slot.unit_amount == 4_900 or dice.chance(0.1)),
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
        built["tiers"] = _tiers(number)
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
