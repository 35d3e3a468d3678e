"""What Chargebee refuses to do, in our words: with the field at fault, and what to do."""

import re
from collections.abc import Mapping

from cyphera_pipelines.providers.base import Rejected
from cyphera_pipelines.providers.chargebee.errors import CATALOG_REMEDY, WRONG_CATALOG, Refusal
from cyphera_pipelines.providers.http.answers import Answer

NOT_THERE = "resource_not_found"
EXISTS_ALREADY = "duplicate_entry"
PENDING = "create_pending_invoice"
_NO_DRAFTS = "The site makes no drafts: ask for the invoice with auto_advance, which bills it at once."
_PARTS = re.compile(r"[^\[\]]+")
_WORDS: Mapping[str, str] = {
    "first_name": "name",
    "last_name": "name",
    "zip": "postal_code",
    "locale": "preferred_locale",
    "vat_number": "tax_ids",
    "meta_data": "metadata",
    "item_id": "product_id",
    "unit": "unit_label",
    "is_shippable": "shippable",
    "status": "active",
    "price": "money.amount",
    "currency_code": "money.currency",
    "period": "recurring.interval_count",
    "period_unit": "recurring.interval",
    "item_price_id": "price_id",
    "subscription_items": "items",
    "item_prices": "lines",
    "charges": "lines",
    "auto_collection": "collection_method",
    "net_term_days": "days_until_due",
    "payment_source_id": "payment_method_id",
    "refund_amount": "amount",
    "invoice_note": "description",
    PENDING: "auto_advance",
    "item_family_id": "configuration.options.item_family",
}
_REMEDIES: Mapping[str, str] = {
    NOT_THERE: "Look whether the id is right, and of the same site as the source.",
    EXISTS_ALREADY: "Choose another name or id: there is an object that has it.",
    "payment_processing_failed": "Ask the customer for another payment method, or to talk to their bank.",
    "payment_method_not_present": "Add a payment method to the customer, or collect the payment elsewhere.",
    "invalid_state_for_request": "Look at the object's status: it does not allow this now.",
    "unable_to_process_request": "Ask for this under another key, or repeat the first request as it was.",
    WRONG_CATALOG: CATALOG_REMEDY,
}


def refusal_of(answer: Answer) -> Rejected:
    """What an error answer says about a write. Nothing in it can be relied on."""
    refusal = Refusal.in_body(answer.body)
    code = refusal.code or f"http_{answer.status}"
    remedy = _NO_DRAFTS if refusal.param == PENDING else _REMEDIES.get(code)
    return Rejected(
        code=code,
        message=f"Chargebee refuses it: {refusal.message}.",
        field=None if refusal.param is None else our_field(refusal.param),
        remedy=remedy,
        status=answer.status,
    )


def our_field(param: str) -> str:
    """Chargebee's name of a parameter in our words: `subscription_items[item_price_id][0]` is `items.0.price_id`."""
    parts = _PARTS.findall(param)
    places = [part for part in parts[1:] if part.isdecimal()]
    names = [_WORDS.get(part, part) for part in parts if not part.isdecimal()]
    return ".".join([*names[:1], *places, *names[1:]])
