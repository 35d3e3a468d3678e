"""What a business sells.

A price's number decides its currency and kind, so that prices that go together are found by arithmetic.
"""

from decimal import Decimal
from typing import NamedTuple

from cyphera_pipelines.sandbox.business.dice import Dice
from cyphera_pipelines.sandbox.business.vocabulary import PRODUCTS
from cyphera_pipelines.sandbox.business.world import World


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
    return slot in _OPTION_SLOTS or (world.business.tiered_options and slot in _TIERED_OPTION_SLOTS)


class Offer(NamedTuple):
    """What a price costs. Amounts in the currency's smallest unit."""

    number: int
    product: int
    currency: str
    interval: str | None
    unit_amount: int
    unit_amount_decimal: str | None
    name: str


class Terms(NamedTuple):
    """How a price is billed, and the dice to go on with."""

    interval_count: int
    meter: str | None
    is_active: bool
    dice: Dice


class Tier(NamedTuple):
    """So much a unit, and for reaching the tier, up to so many units (None: all that follow)."""

    up_to: int | None
    unit_amount: int | None
    unit_amount_decimal: str
    flat_amount: int | None


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


def product_of_price(world: World, price_number: int) -> int:
    """Return the number of the product that a price belongs to."""
    products = world.sizes["products"]
    return min(price_number * products // max(world.sizes["prices"], 1), products - 1)


def product_name(number: int) -> str:
    """Return the name of a product."""
    return f"{PRODUCTS[number % len(PRODUCTS)]} {number // len(PRODUCTS) + 1}"


def scheme_of(number: int) -> str:
    """Return how a price counts: `per_unit`, `fraction` (a part of the smallest unit), `graduated` or `volume`."""
    return SLOTS[number % len(SLOTS)].scheme


def offer(world: World, number: int, currency: str | None = None) -> Offer:
    """Return price `number`, in its own currency or one of its options."""
    slot = SLOTS[number % len(SLOTS)]
    amount = slot.unit_amount + 100 * (number // len(SLOTS))
    decimal: str | None = str(amount)
    if slot.scheme == "fraction":
        amount, decimal = 500, "12.345"
    elif slot.scheme != "per_unit":
        # Nobody buys more units than the first tier holds.
        amount, decimal = tiers(number)[0].unit_amount or 0, None
    own = Offer(
        number,
        product_of_price(world, number),
        slot.currency,
        slot.interval,
        amount,
        decimal,
        f"Plan {number}",
    )
    if currency in (None, slot.currency):
        return own
    rate = OPTION_RATES[currency]
    other = None if decimal is None else _decimal(Decimal(decimal) * rate / 100)
    if slot.scheme in ("graduated", "volume"):
        return own._replace(currency=currency, unit_amount=tiers(number, currency)[0].unit_amount or 0)
    return own._replace(currency=currency, unit_amount=own.unit_amount * rate // 100, unit_amount_decimal=other)


def _decimal(amount: Decimal) -> str:
    return format(amount.normalize(), "f")


def terms(world: World, number: int) -> Terms:
    """Return how price `number` is billed."""
    dice, slot = world.dice("prices", number), SLOTS[number % len(SLOTS)]
    interval_count = 3 if slot.interval == "month" and dice.chance(0.05) else 1
    meter = dice.hexadecimal(20) if slot.interval and slot.scheme == "fraction" else None
    return Terms(interval_count, meter, not (slot.unit_amount == 4_900 or dice.chance(0.1)), dice)


def tiers(number: int, currency: str | None = None) -> tuple[Tier, ...]:
    """Return the tiers of a price that has some, in its own currency or one of its options."""
    base = 100 + number % 50
    own = (
        Tier(100, base, str(base), None),
        Tier(10_000, base // 2, str(base // 2), 5_000),
        Tier(None, None, "0.5", None),
    )
    if currency in (None, SLOTS[number % len(SLOTS)].currency):
        return own
    amount = number % 50 + OPTION_RATES[currency]
    return tuple(tier._replace(unit_amount=amount, unit_amount_decimal=str(amount)) for tier in own)
