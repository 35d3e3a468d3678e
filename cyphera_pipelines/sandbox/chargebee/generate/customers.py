"""Customers, and what they pay with."""

from cyphera_pipelines.sandbox.business.people import contact, place
from cyphera_pipelines.sandbox.business.vocabulary import LOCALES
from cyphera_pipelines.sandbox.business.world import World
from cyphera_pipelines.sandbox.chargebee.generate.ids import customer_id, made_id
from cyphera_pipelines.sandbox.chargebee.generate.moments import stamped
from cyphera_pipelines.sandbox.chargebee.sites import ChargebeeSite
from cyphera_pipelines.sandbox.serialization import JsonObject

BUSINESS_ENTITY = "be_cyphera_sandbox"


def has_card(world: World, number: int) -> bool:
    """Whether a customer has given a card."""
    return world.dice("chargebee card", number).chance(0.6)


def customer(site: ChargebeeSite, world: World, number: int) -> JsonObject:
    """Return customer `number`."""
    dice = world.dice("chargebee customers", number)
    name, email, is_company = contact(world, number)
    first, _, last = (name or "").partition(" ")
    created = world.created_at("customers", number)
    is_carded, currency = has_card(world, number), dice.pick(("USD", "USD", "EUR", "GBP", "JPY", "KWD"))
    credit = dice.pick((0, 0, 0, 0, 0, 0, 0, 0, 2_500, 100))
    built: JsonObject = {
        "id": customer_id(site, number),
        "auto_collection": "on" if is_carded else "off",
        "net_term_days": 30 if dice.chance(0.15) else 0,
        "allow_direct_debit": False,
        "taxability": "taxable",
        "created_at": created,
        "created_from_ip": "203.0.113.7",
        "pii_cleared": "active",
        "channel": "web",
        "card_status": "valid" if is_carded else "no_card",
        "promotional_credits": credit,
        "refundable_credits": 0,
        "excess_payments": 0,
        "unbilled_charges": 0,
        "preferred_currency_code": currency,
        "business_entity_id": BUSINESS_ENTITY,
        "deleted": dice.chance(site.deleted_share),
        "object": "customer",
    }
    if is_company and name:
        built["company"] = name
    elif name:
        built["first_name"] = first
        if last:
            built["last_name"] = last
    if email:
        built["email"] = email
    if dice.chance(0.4):
        built["phone"] = f"+1555{dice.between(1_000_000, 9_999_999)}"
    if dice.chance(0.3):
        built["locale"] = dice.pick(LOCALES)
    if dice.chance(0.1):
        built["vat_number"] = f"DE{dice.between(100_000_000, 999_999_999)}"
    if dice.chance(0.7):
        where = place(dice)
        built["billing_address"] = {
            **{field: built[field] for field in ("first_name", "last_name", "email", "company") if field in built},
            "line1": where.line1,
            **({"line2": where.line2} if where.line2 else {}),
            "city": where.city,
            **({"state": where.state} if where.state else {}),
            "country": where.country,
            "zip": where.postal_code,
            "validation_status": "not_validated",
            "object": "billing_address",
        }
    if dice.chance(0.5):
        built["meta_data"] = {"crm_id": f"{number:08d}", "seats": dice.between(1, 40)}
    if credit:
        built["balances"] = [
            {
                "promotional_credits": credit,
                "refundable_credits": 0,
                "excess_payments": 0,
                "unbilled_charges": 0,
                "currency_code": currency,
                "balance_currency_code": currency,
                "object": "customer_balance",
            }
        ]
    if is_carded:
        source = payment_source_id(site, number)
        built["primary_payment_source_id"] = source
        built["payment_method"] = {
            "type": "card",
            "gateway": "chargebee",
            "gateway_account_id": "gw_cyphera_sandbox",
            "status": "valid",
            "reference_id": f"tok_{source}",
            "object": "payment_method",
        }
    if site.custom_fields:
        built["cf_segment"] = dice.pick(("self-serve", "enterprise", "mid-market"))
        built["cf_crm_score"] = dice.between(0, 100)
    return stamped(site, built, created, dice, may_lack=True)


def payment_source_id(site: ChargebeeSite, number: int) -> str:
    """Return the id of a customer's card."""
    return made_id(site, "pm_", "payment_sources", number)


def payment_source(site: ChargebeeSite, world: World, number: int) -> JsonObject:
    """Return the card of customer `number`."""
    created = world.created_at("customers", number)
    dice = world.dice("chargebee payment source", number)
    source = payment_source_id(site, number)
    built: JsonObject = {
        "id": source,
        "customer_id": customer_id(site, number),
        "type": "card",
        "reference_id": f"tok_{source}",
        "status": "valid",
        "gateway": "chargebee",
        "gateway_account_id": "gw_cyphera_sandbox",
        "created_at": created,
        "deleted": False,
        "card": {
            "iin": "411111",
            "last4": f"{dice.below(10_000):04d}",
            "brand": dice.pick(("visa", "mastercard", "american_express")),
            "funding_type": "credit",
            "expiry_month": dice.between(1, 12),
            "expiry_year": 2_031,
            "object": "card",
        },
        "object": "payment_source",
    }
    return stamped(site, built, created, dice)
