"""Tax ids of customers. Rates are found out bill by bill: a subscription has none of its own."""

from typing import Any

from cyphera_pipelines.providers.chargebee.values import one_of
from cyphera_pipelines.providers.mapping.rules import Rules, absent, derived, mapped

VAT_NUMBER = "vat_number"
_status = one_of(
    {"valid": "verified", "invalid": "unverified", "not_validated": "pending", "undetermined": "unavailable"}
)
_PER_INVOICE = "rates are found out for each invoice: see the invoices' lines"


def _value(tax_id: dict[str, Any]) -> Any:
    number, prefix = tax_id.get("value"), tax_id.get("vat_number_prefix")
    is_prefixed = isinstance(number, str) and isinstance(prefix, str) and not number.startswith(prefix)
    return f"{prefix}{number}" if is_prefixed else number


CUSTOMER_TAX_ID: Rules = {
    "customer_id": mapped("customer_id", note="the customer that it stands in"),
    "type": derived(
        "entity_identifiers[].scheme",
        f"`{VAT_NUMBER}` for the customer's own number; of others the scheme",
        lambda obj: obj.get("scheme"),
    ),
    "value": derived(
        "vat_number, vat_number_prefix, entity_identifiers[].value", "with the prefix that is told apart", _value
    ),
    "country": derived(
        "billing_address.country", f"of `{VAT_NUMBER}`; others do not tell", lambda obj: obj.get("country")
    ),
    "verification_status": derived(
        "vat_number_status",
        "valid is verified, invalid is unverified, not_validated is pending, undetermined is unavailable; "
        f"of `{VAT_NUMBER}` only",
        lambda obj: _status(obj.get("vat_number_status")),
    ),
    "created": absent("a customer does not tell when it was entered"),
}

SUBSCRIPTION_TAX_RATE: Rules = dict.fromkeys(
    (
        "subscription_id",
        "subscription_item_id",
        "position",
        "tax_rate_id",
        "display_name",
        "percentage",
        "inclusive",
        "country",
        "jurisdiction",
    ),
    absent(_PER_INVOICE),
)
