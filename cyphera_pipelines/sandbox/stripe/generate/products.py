"""Products."""

from cyphera_pipelines.sandbox.business.offers import product_name, product_of_price
from cyphera_pipelines.sandbox.serialization import JsonObject
from cyphera_pipelines.sandbox.stripe.generate.world import StripeWorld


def _default_price(world: StripeWorld, number: int) -> str | None:
    prices, products = world.sizes["prices"], world.sizes["products"]
    first = -(-number * prices // products) if products else 0
    if number >= products or first >= prices or product_of_price(world, first) != number:
        return None
    return world.price_id(first)


def product(world: StripeWorld, number: int) -> JsonObject:
    """Return product `number`."""
    dice = world.dice("products", number)
    created = world.created_at("products", number)
    name = product_name(number)
    return {
        "id": world.product_id(number),
        "object": "product",
        "active": not dice.chance(0.15),
        "attributes": [],
        "created": created,
        "default_price": _default_price(world, number),
        "description": f"Everything in {name}, billed as you go." if dice.chance(0.7) else None,
        "images": [f"https://files.example.com/{dice.hexadecimal(12)}.png"] if dice.chance(0.3) else [],
        "livemode": world.livemode,
        "marketing_features": [{"name": "Unlimited projects"}, {"name": "24/7 support"}] if dice.chance(0.4) else [],
        "metadata": {"sku": f"SKU-{number}"} if dice.chance(0.5) else {},
        "name": name,
        "package_dimensions": (
            {"height": 1.5, "length": 20.0, "weight": 12.25, "width": 8.0} if dice.chance(0.05) else None
        ),
        "shippable": None,
        "statement_descriptor": "SANDBOX" if dice.chance(0.2) else None,
        "tax_code": "txcd_10103001" if dice.chance(0.3) else None,
        "tax_details": None,
        "type": "service",
        "unit_label": "seat" if dice.chance(0.3) else None,
        "updated": created,
        "url": f"https://www.example.com/{number}" if dice.chance(0.2) else None,
    }
