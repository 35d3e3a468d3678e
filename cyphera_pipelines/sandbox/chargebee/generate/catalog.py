"""What a site sells: families of items, items, and their prices."""

from decimal import Decimal
from typing import NamedTuple

from cyphera_pipelines.sandbox.business.offers import OPTION_RATES, has_options, offer, product_name, scheme_of, terms
from cyphera_pipelines.sandbox.business.offers import tiers as tiers_of
from cyphera_pipelines.sandbox.business.world import World
from cyphera_pipelines.sandbox.chargebee.generate.ids import item_id, item_price_id
from cyphera_pipelines.sandbox.chargebee.generate.moments import stamped
from cyphera_pipelines.sandbox.chargebee.generate.money import in_major_units
from cyphera_pipelines.sandbox.chargebee.sites import ChargebeeSite
from cyphera_pipelines.sandbox.serialization import JsonObject

FAMILIES = (("core", "Core"), ("extras", "Extras"))
ITEM_TYPES = ("plan", "addon", "charge")
_MODELS = {"per_unit": "per_unit", "fraction": "per_unit", "graduated": "tiered", "volume": "volume"}


class PriceKey(NamedTuple):
    """One price of an item: of the business's price `number`, as a plan, an addon or a charge, in a currency.

    A subscription may hold a price once only: further ones of the same kind are variants of it.
    """

    number: int
    item_type: str
    currency: str
    variant: int = 0


def is_metered(key: PriceKey) -> bool:
    """Whether what is used is charged afterwards. Metering is a matter of the item: metered prices have items apart."""
    return scheme_of(key.number) == "fraction"


def item_of(site: ChargebeeSite, world: World, key: PriceKey) -> str:
    """Return the id of the item that a price is of."""
    return item_id(site, offer(world, key.number).product, key.item_type, is_metered=is_metered(key))


def period_of(world: World, number: int) -> tuple[str, int] | None:
    """Return the unit and count of a price's period; None if it is charged once."""
    interval = offer(world, number).interval
    return None if interval is None else (interval, terms(world, number).interval_count)


def price_id(site: ChargebeeSite, world: World, key: PriceKey) -> str:
    """Return the id of a price."""
    period = period_of(world, key.number)
    return item_price_id(item_of(site, world, key), key.number, key.currency, period, key.variant)


def base_keys(world: World) -> list[PriceKey]:
    """Return the prices that a site has, used or not: each as plan and addon, or as charge, in all its currencies."""
    keys = []
    for number in range(world.sizes["prices"]):
        own = offer(world, number)
        currencies = (own.currency, *OPTION_RATES) if has_options(world, number) else (own.currency,)
        types = ("charge",) if own.interval is None else ("plan", "addon")
        keys += [PriceKey(number, item_type, currency) for item_type in types for currency in dict.fromkeys(currencies)]
    return keys


def families(site: ChargebeeSite) -> list[JsonObject]:
    """Return the site's families of items."""
    started = site.newest_created - site.days * 86_400
    return [
        {
            "id": identifier,
            "name": name,
            "status": "active",
            "channel": "web",
            "deleted": False,
            "updated_at": started,
            "resource_version": started * 1_000,
            "object": "item_family",
        }
        for identifier, name in FAMILIES
    ]


def item(site: ChargebeeSite, world: World, product: int, item_type: str, *, is_metered: bool = False) -> JsonObject:
    """Return the item of a product that holds its prices of one type. It has no `created_at`."""
    dice = world.dice("chargebee items", product, item_type, is_metered)
    created = world.created_at("products", product)
    name = product_name(product) if item_type == "plan" else f"{product_name(product)} ({item_type})"
    status = dice.pick(("active",) * 17 + ("archived",) * 3)
    if dice.chance(site.deleted_share):
        status = "deleted"
    built: JsonObject = {
        "id": item_id(site, product, item_type, is_metered=is_metered),
        "name": name,
        "external_name": name,
        "status": status,
        "type": item_type,
        "item_family_id": "core" if item_type == "plan" else "extras",
        "is_shippable": False,
        "is_giftable": False,
        "enabled_for_checkout": True,
        "enabled_in_portal": True,
        "included_in_mrr": item_type != "charge",
        "item_applicability": "all",
        "metered": is_metered,
        "channel": "web",
        "deleted": status == "deleted",
        "object": "item",
    }
    if dice.chance(0.7):
        built["description"] = f"Everything in {name}, billed as you go."
    if dice.chance(0.3):
        built["unit"] = "seat"
    if is_metered:
        built["usage_calculation"] = "sum_of_usages"
    if dice.chance(0.5):
        built["metadata"] = {"sku": f"SKU-{product}", "dimensions": {"height": 1.5}}
    if site.custom_fields:
        built["cf_ledger_account"] = f"{4_000 + product}"
    stamped(site, built, created, dice)
    if status == "archived":
        built["archived_at"] = built["updated_at"]
    return built


def item_price(site: ChargebeeSite, world: World, key: PriceKey) -> JsonObject:
    """Return a price."""
    sold = offer(world, key.number, key.currency)
    scheme, period, billed = scheme_of(key.number), period_of(world, key.number), terms(world, key.number)
    dice = world.dice("chargebee prices", *key)
    created = world.created_at("prices", key.number)
    currency = key.currency.upper()
    identifier = price_id(site, world, key)
    built: JsonObject = {
        "id": identifier,
        "name": f"{sold.name} {key.item_type} {currency}{f' {key.variant}' if key.variant else ''}",
        "external_name": sold.name,
        "item_id": item_of(site, world, key),
        "item_family_id": "core" if key.item_type == "plan" else "extras",
        "item_type": key.item_type,
        "status": "active" if billed.is_active else "archived",
        "pricing_model": _MODELS[scheme],
        "currency_code": currency,
        "is_taxable": True,
        "free_quantity": 0,
        "channel": "web",
        "created_at": created,
        "deleted": False,
        "object": "item_price",
    }
    if period is not None:
        built |= {"period_unit": period[0], "period": period[1]}
    if key.variant:
        built["price_variant_id"] = f"variant-{key.variant}"
    if scheme in ("graduated", "volume"):
        built["tiers"] = [_tier(site, start, tier, currency) for start, tier in _starts(key)]
    else:
        amount = Decimal(sold.unit_amount_decimal or sold.unit_amount)
        built["price"] = int(amount)
        if site.in_decimal:
            built["price_in_decimal"] = in_major_units(amount, currency)
    if dice.chance(0.2):
        built["metadata"] = {"tier": dice.pick(("gold", "silver"))}
    stamped(site, built, created, dice)
    if not billed.is_active:
        built["archived_at"] = built["updated_at"]
    return built


def _starts(key: PriceKey) -> list[tuple[int, tuple[int | None, Decimal]]]:
    """The tiers of a price, each with the unit that it starts at: where it ends, and what a unit costs."""
    starts, start = [], 1
    for tier in tiers_of(key.number, key.currency):
        starts.append((start, (tier.up_to, Decimal(tier.unit_amount_decimal))))
        start = (tier.up_to or 0) + 1
    return starts


def _tier(site: ChargebeeSite, start: int, tier: tuple[int | None, Decimal], currency: str) -> JsonObject:
    end, amount = tier
    built: JsonObject = {"starting_unit": start, "price": int(amount), "object": "tier"}
    if end is not None:
        built["ending_unit"] = end
    if site.in_decimal:
        built["price_in_decimal"] = in_major_units(amount, currency)
        built["starting_unit_in_decimal"] = str(start)
        if end is not None:
            built["ending_unit_in_decimal"] = str(end)
    return built


def special_prices(site: ChargebeeSite, item: JsonObject, charge: JsonObject) -> list[JsonObject]:
    """Return prices of kinds that nobody subscribes to: flat fees, stairsteps, packages, dinars and yen."""
    started = site.newest_created - site.days * 86_400

    def built(name: str, of: JsonObject, **fields: object) -> JsonObject:
        return {
            "id": name,
            "name": name,
            "item_id": of["id"],
            "item_family_id": of["item_family_id"],
            "item_type": of["type"],
            "status": "active",
            "pricing_model": "per_unit",
            "currency_code": "USD",
            "is_taxable": True,
            "free_quantity": 0,
            "channel": "web",
            "created_at": started,
            "updated_at": started,
            "resource_version": started * 1_000,
            "deleted": False,
            "object": "item_price",
            **({} if of["type"] == "charge" else {"period": 1, "period_unit": "month"}),
            **fields,
        }

    def tier(start: int, end: int | None, price: int, **more: object) -> JsonObject:
        return {"starting_unit": start, **({} if end is None else {"ending_unit": end}), "price": price, **more}

    trial = {"trial_period": 14, "trial_period_unit": "day"}
    stairs = [tier(1, 10, 5_000), tier(11, 100, 20_000), tier(101, None, 90_000)]
    packages = [
        tier(1, 100, 1_000, pricing_type="flat_fee"),
        tier(101, None, 700, pricing_type="package", package_size=50),
    ]
    return [
        built("flat-fee-USD-monthly", item, pricing_model="flat_fee", price=9_900),
        built("stairstep-USD-monthly", item, pricing_model="stairstep", tiers=stairs),
        built("packages-USD-monthly", item, pricing_model="tiered", tiers=packages),
        built("weekly EUR/7 days", item, currency_code="EUR", price=1_250, period_unit="week", **trial),
        built("daily-JPY", item, currency_code="JPY", price=120, period_unit="day"),
        built("setup-KWD", charge, currency_code="KWD", price=1_050),
        built("free-USD-monthly", item, price=0, free_quantity=5),
    ]
