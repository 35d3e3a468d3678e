"""Tax rates that subscriptions and their items are billed with, and the numbers by which tax offices know customers."""

from typing import NamedTuple

from cyphera_pipelines.sandbox.business.subscriptions import Subscriptions
from cyphera_pipelines.sandbox.business.world import World


class TaxRate(NamedTuple):
    """A tax in percent, in decimal digits; if it is `inclusive`, prices contain it."""

    code: str
    """Lower case letters and digits, to make ids of."""
    display_name: str
    percentage: str
    inclusive: bool
    country: str
    jurisdiction: str


class AppliedTaxRate(NamedTuple):
    """A tax rate of a whole subscription, or of the item at a position."""

    rate: TaxRate
    item: int | None = None


class TaxId(NamedTuple):
    """A tax office's number of a customer. `type` is Stripe's word."""

    code: str
    """Twenty hexadecimal digits."""
    type: str
    value: str
    country: str
    verification: str
    created: int


TAX_RATES = (
    TaxRate("vatde", "VAT", "19", False, "DE", "Germany"),
    TaxRate("vatgb", "VAT", "20", True, "GB", "United Kingdom"),
    TaxRate("salesny", "Sales tax", "8.875", False, "US", "New York City"),
    TaxRate("ctjp", "Consumption tax", "10", True, "JP", "Japan"),
)
_MANY_TAX_IDS = 12


def tax_rates_of(subscriptions: Subscriptions, number: int) -> tuple[AppliedTaxRate, ...]:
    """The tax rates that are set on a subscription and on its items, the subscription's first."""
    world = subscriptions.world
    if not world.business.tax_rate_share:
        return ()
    dice = world.dice("tax rates", number)
    if not dice.chance(world.business.tax_rate_share):
        return ()
    first = dice.below(len(TAX_RATES))
    found = [AppliedTaxRate(TAX_RATES[first])]
    if dice.chance(0.2):
        found.append(AppliedTaxRate(TAX_RATES[(first + 2) % len(TAX_RATES)]))
    if dice.chance(0.3):
        item = dice.below(len(subscriptions.facts(number).price_numbers))
        found.append(AppliedTaxRate(dice.pick(TAX_RATES), item))
    return tuple(found)


def tax_ids_of(world: World, customer: int) -> tuple[TaxId, ...]:
    """The tax ids of a customer, newest first; a few customers have a dozen."""
    if not world.business.tax_id_share:
        return ()
    dice = world.dice("tax ids", customer)
    if not dice.chance(world.business.tax_id_share):
        return ()
    count = _MANY_TAX_IDS if dice.chance(0.05) else dice.pick((1, 1, 1, 2))
    created = world.created_at("customers", customer)
    found = []
    for at in range(count):
        kind, prefix, country = dice.pick(
            (("eu_vat", "DE", "DE"), ("eu_vat", "FR", "FR"), ("gb_vat", "GB", "GB"), ("us_ein", "", "US"))
        )
        digits = str(dice.between(100_000_000, 999_999_999))
        value = f"{digits[:2]}-{digits[2:]}" if kind == "us_ein" else f"{prefix}{digits}"
        status = "unavailable" if kind == "us_ein" else dice.pick(("verified", "pending", "unverified"))
        found.append(TaxId(dice.hexadecimal(20), kind, value, country, status, created + count - 1 - at))
    return tuple(found)
