"""Customers."""

from typing import Any

from cyphera_pipelines.providers.chargebee.values import full_name, lower, metadata, one_of
from cyphera_pipelines.providers.mapping.rules import Rules, absent, derived, mapped

_tax_exemption = one_of({"taxable": "none"})


def _locales(customer: dict[str, Any]) -> Any:
    locale = customer.get("locale")
    return None if locale is None else [locale]


def _region(customer: dict[str, Any]) -> Any:
    address = customer.get("billing_address")
    if not isinstance(address, dict):
        return None
    return address.get("state") if address.get("state") is not None else address.get("state_code")


CUSTOMER: Rules = {
    "created": mapped("created_at"),
    "email": mapped("email"),
    "name": derived(
        "first_name, last_name, company", "first and last name; the company's where there is neither", full_name()
    ),
    "phone": mapped("phone"),
    "description": absent("Chargebee keeps comments apart from the customer"),
    "currency": lower("preferred_currency_code"),
    "balance": absent("there are several, in several currencies: `raw` has promotional_credits, balances, ..."),
    "delinquent": absent("the customer does not tell: see the invoices' status and due_date"),
    "tax_exempt": derived("taxability", "taxable is none", lambda obj: _tax_exemption(obj.get("taxability"))),
    "invoice_prefix": absent("the site's invoices share one sequence"),
    "default_source_id": absent("payment sources are payment methods here"),
    "default_payment_method_id": mapped("primary_payment_source_id"),
    "address_line1": mapped("billing_address", "line1"),
    "address_line2": mapped("billing_address", "line2", note="a third line is in `raw`"),
    "address_city": mapped("billing_address", "city"),
    "address_state": derived(
        "billing_address.state, billing_address.state_code", "the name, or the code without one", _region
    ),
    "address_postal_code": mapped("billing_address", "zip"),
    "address_country": mapped("billing_address", "country"),
    "preferred_locales": derived("locale", "a list of the one", _locales),
    "shipping": absent("addresses to ship to are the subscriptions': see their `raw`"),
    "discount": absent("discounts are the subscriptions' and invoices'"),
    "test_clock_id": absent("Chargebee's time machine is of a whole site"),
    "metadata": metadata("meta_data"),
}
