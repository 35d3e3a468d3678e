"""How Stripe tells of tax rates and of customers' tax ids."""

from cyphera_pipelines.sandbox.business.taxes import TaxId, TaxRate
from cyphera_pipelines.sandbox.serialization import JsonObject
from cyphera_pipelines.sandbox.stripe.generate.world import StripeWorld


def tax_rate_object(world: StripeWorld, rate: TaxRate) -> JsonObject:
    """Return a tax rate: Stripe tells it whole wherever it is used."""
    return {
        "id": f"txr_1{world.account.account_id.removeprefix('acct_')}{rate.code}",
        "object": "tax_rate",
        "active": True,
        "country": rate.country,
        "created": world.account.newest_created - world.account.days * 86_400,
        "description": None,
        "display_name": rate.display_name,
        "effective_percentage": float(rate.percentage),
        "flat_amount": None,
        "inclusive": rate.inclusive,
        "jurisdiction": rate.jurisdiction,
        "jurisdiction_level": None,
        "livemode": world.livemode,
        "metadata": {},
        "percentage": float(rate.percentage),
        "rate_type": "percentage",
        "state": None,
        "tax_type": None,
    }


def tax_id_object(world: StripeWorld, tax_id: TaxId, customer: int) -> JsonObject:
    """Return one tax id of a customer."""
    customer_id = world.customer_id(customer)
    return {
        "id": f"txi_1{tax_id.code}",
        "object": "tax_id",
        "country": tax_id.country,
        "created": tax_id.created,
        "customer": customer_id,
        "customer_account": None,
        "livemode": world.livemode,
        "owner": {"customer": customer_id, "type": "customer"},
        "type": tax_id.type,
        "value": tax_id.value,
        "verification": {"status": tax_id.verification, "verified_address": None, "verified_name": None},
    }
