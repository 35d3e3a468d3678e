"""The identifiers of a site's objects: such as Chargebee makes, and such as merchants choose."""

from cyphera_pipelines.sandbox.business.dice import Dice
from cyphera_pipelines.sandbox.chargebee.sites import ChargebeeSite

_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_PERIODS = {("month", 1): "monthly", ("year", 1): "yearly", ("month", 3): "quarterly"}


def made_id(site: ChargebeeSite, prefix: str, *key: object) -> str:
    """Return an id as Chargebee makes them: sixteen letters and digits, the same each time for a key."""
    dice = Dice("chargebee", site.site, site.seed, prefix, *key)
    return prefix + "".join(dice.pick(_ALPHABET) for _ in range(16))


def customer_id(site: ChargebeeSite, number: int) -> str:
    """Return a customer's id; some are mail addresses, or names with spaces and slashes."""
    if site.odd_ids and number % 40 == 7:
        return f"Müller & Söhne/{number} #1"
    if site.odd_ids and number % 40 == 11:
        return f"customer+{number}@example.com"
    return made_id(site, "", "customers", number)


def item_id(site: ChargebeeSite, product: int, item_type: str, *, is_metered: bool) -> str:
    """Return the id of a product's item of a type (`plan`, `addon`, `charge`), as merchants choose them."""
    name = f"Product {product}/{item_type}" if site.odd_ids and product % 8 == 5 else f"product-{product}"
    return f"{name}{'' if item_type == 'plan' else f'-{item_type}'}{'-metered' if is_metered else ''}"


def item_price_id(item: str, number: int, currency: str, period: tuple[str, int] | None, variant: int) -> str:
    """Return the id of an item's price, as in `product-1-3-USD-monthly`; of a variant of it with its number."""
    length = "" if period is None else f"-{_PERIODS.get(period, f'{period[1]}-{period[0]}s')}"
    return f"{item}-{number}-{currency.upper()}{length}{f'-v{variant}' if variant else ''}"
