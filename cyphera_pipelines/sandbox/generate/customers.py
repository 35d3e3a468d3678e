"""Customers."""

from typing import Any

from cyphera_pipelines.sandbox.generate.dice import Dice
from cyphera_pipelines.sandbox.generate.vocabulary import COMPANIES, LOCALES, PEOPLE, PLACES, STREETS
from cyphera_pipelines.sandbox.generate.world import World
from cyphera_pipelines.sandbox.serialization import JsonObject


def contact(world: World, number: int) -> tuple[str | None, str | None, bool]:
    """Return (name, email, is a company) of a customer, for itself and for the invoices that repeat them."""
    dice = world.dice("contact", number)
    is_company = dice.chance(0.3)
    name = dice.pick(COMPANIES) if is_company else dice.pick(PEOPLE)
    email = None if dice.chance(0.04) else f"customer.{number}@example.com"
    return (None if dice.chance(0.03) else name), email, is_company


def invoice_prefix(number: int) -> str:
    """Return the eight characters that start a customer's invoice numbers."""
    return f"{(number * 0x9E3779B1 + 0x5F3759DF) & 0xFFFFFFFF:08X}"


def address(dice: Dice) -> JsonObject:
    """Return a postal address."""
    city, country, postal_code, state = dice.pick(PLACES)
    return {
        "city": city,
        "country": country,
        "line1": f"{dice.between(1, 400)} {dice.pick(STREETS)}",
        "line2": "2nd floor" if dice.chance(0.1) else None,
        "postal_code": postal_code,
        "state": state,
    }


def customer(world: World, number: int) -> JsonObject:
    """Return customer `number`."""
    dice = world.dice("customers", number)
    name, email, is_company = contact(world, number)
    home: JsonObject | None = address(dice) if dice.chance(0.7) else None
    phone = f"+1555{dice.between(1_000_000, 9_999_999)}" if dice.chance(0.4) else None
    metadata: dict[str, Any] = {"crm_id": f"{number:08d}"} if dice.chance(0.5) else {}
    if dice.chance(0.1):
        metadata["segment"] = dice.pick(("self-serve", "enterprise", "mid-market"))
    return {
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
        "discount": None,
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
