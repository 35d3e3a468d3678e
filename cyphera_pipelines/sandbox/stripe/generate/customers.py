"""Customers."""

from typing import Any

from cyphera_pipelines.sandbox.business.dice import Dice
from cyphera_pipelines.sandbox.business.discounts import customer_discount_of
from cyphera_pipelines.sandbox.business.people import contact, place
from cyphera_pipelines.sandbox.business.taxes import tax_ids_of
from cyphera_pipelines.sandbox.business.vocabulary import LOCALES
from cyphera_pipelines.sandbox.serialization import JsonObject
from cyphera_pipelines.sandbox.stripe.generate.discounts import discount_object
from cyphera_pipelines.sandbox.stripe.generate.taxes import tax_id_object
from cyphera_pipelines.sandbox.stripe.generate.world import StripeWorld


def invoice_prefix(number: int) -> str:
    """Return the eight characters that start a customer's invoice numbers."""
    return f"{(number * 0x9E3779B1 + 0x5F3759DF) & 0xFFFFFFFF:08X}"


def address(dice: Dice) -> JsonObject:
    """Return a postal address."""
    where = place(dice)
    return {
        "city": where.city,
        "country": where.country,
        "line1": where.line1,
        "line2": where.line2,
        "postal_code": where.postal_code,
        "state": where.state,
    }


def customer(world: StripeWorld, number: int) -> JsonObject:
    """Return customer `number`."""
    dice = world.dice("customers", number)
    name, email, is_company = contact(world, number)
    home: JsonObject | None = address(dice) if dice.chance(0.7) else None
    phone = f"+1555{dice.between(1_000_000, 9_999_999)}" if dice.chance(0.4) else None
    metadata: dict[str, Any] = {"crm_id": f"{number:08d}"} if dice.chance(0.5) else {}
    if dice.chance(0.1):
        metadata["segment"] = dice.pick(("self-serve", "enterprise", "mid-market"))
    discount, tax_ids = customer_discount_of(world, number), tax_ids_of(world, number)
    built = {
        "id": world.customer_id(number),
        "object": "customer",
        "address": home,
        "balance": dice.pick((-2_500, -100, 1_200, 50_000)) if dice.chance(0.1) else 0,
        "business_name": name if is_company else None,
        "created": world.created_at("customers", number),
        "currency": dice.pick(("usd", "usd", "eur", "gbp", "jpy", None)),
        "customer_account": None,
        "default_source": None,
        "delinquent": dice.chance(0.05),
        "description": "Met at the conference" if dice.chance(0.2) else None,
        "discount": None if discount is None else discount_object(world, discount, number),
        "email": email,
        "individual_name": None if is_company else name,
        "invoice_prefix": invoice_prefix(number),
        "invoice_settings": {
            "custom_fields": [{"name": "PO number", "value": str(number)}] if dice.chance(0.05) else None,
            "default_payment_method": f"pm_1{dice.hexadecimal(20)}" if dice.chance(0.6) else None,
            "footer": None,
            "rendering_options": None,
        },
        "livemode": world.livemode,
        "metadata": metadata,
        "name": name,
        "next_invoice_sequence": dice.between(1, 40),
        "phone": phone,
        "preferred_locales": [dice.pick(LOCALES)] if dice.chance(0.3) else [],
        "shipping": {"address": home, "name": name or "", "phone": phone} if home and dice.chance(0.2) else None,
        "tax_exempt": "reverse" if dice.chance(0.05) else "none",
        "test_clock": world.test_clock(number),
    }
    if tax_ids:
        built["tax_ids"] = {
            "object": "list",
            "data": [tax_id_object(world, each, number) for each in tax_ids],
            "has_more": False,
            "url": f"/v1/customers/{built['id']}/tax_ids",
        }
    return built
