"""What Stripe refuses to do, in our words: with the field at fault, and what to do."""

import re
from typing import Any

from cyphera_pipelines.model.storable import storable
from cyphera_pipelines.providers.base import ObjectKind, Rejected
from cyphera_pipelines.providers.http.answers import Answer
from cyphera_pipelines.providers.http.failures import LONGEST_MESSAGE
from cyphera_pipelines.providers.http.json_text import NotJsonError, parse_json
from cyphera_pipelines.security.secrets import redact

_BRACKETS = re.compile(r"\[([^\]]*)\]")
_WORDS = {
    "customer": "customer_id",
    "product": "product_id",
    "price": "price_id",
    "subscription": "subscription_id",
    "payment_method": "payment_method_id",
    "default_payment_method": "default_payment_method_id",
    "default_tax_rates": "default_tax_rate_ids",
    "charge": "charge_id",
    "payment_intent": "payment_id",
    "address": "billing_address",
    "preferred_locales": "preferred_locale",
    "tax_id_data": "tax_ids",
    "proration_behavior": "proration",
    "capture_method": "captures_later",
    "amount_to_capture": "amount",
    "external_account": "token",
    "source": "token",
    "deleted": "is_removed",
    "unit_amount_decimal": "unit_amount",
    "flat_amount_decimal": "flat_amount",
}
_OF_KIND: dict[ObjectKind, dict[str, str]] = {
    ObjectKind.PRICES: {"unit_amount": "money.amount", "currency": "money.currency"},
    ObjectKind.PAYMENTS: {"amount": "money.amount", "currency": "money.currency"},
}
_LEFT_OUT = ("pricing",)
_REMEDIES = {
    "card_error": "Ask the customer for another payment method, or to talk to their bank.",
    "idempotency_error": "Ask for this under another key, or repeat the first request as it was.",
}
_REMEDIES_BY_CODE = {
    "resource_missing": "Look whether the id is right, and of the same account and mode as the source's key.",
    "authentication_required": "The customer has to take part: make the payment while they are there.",
}


def refusal_of(answer: Answer, kind: ObjectKind) -> Rejected:
    """What an error response says about a write of that kind of object. Nothing in it can be relied on."""
    error = error_in(answer.body)
    code, category = _text(error, "code"), _text(error, "type")
    param, said = _text(error, "param"), _text(error, "message")
    message = redact(said).strip() if said else f"Stripe answers with HTTP {answer.status} and does not say why."
    return Rejected(
        code=_text(error, "decline_code") or code or category or f"http_{answer.status}",
        message=message,
        field=None if param is None else our_field(param, kind),
        remedy=_REMEDIES_BY_CODE.get(code or "") or _REMEDIES.get(category or ""),
        status=answer.status,
    )


def error_in(body: bytes) -> dict[str, Any]:
    """The error that a response's body tells; empty where it tells none."""
    try:
        said = parse_json(body)
    except NotJsonError:
        return {}
    error = said.get("error") if isinstance(said, dict) else None
    return error if isinstance(error, dict) else {}


def our_field(param: str, kind: ObjectKind) -> str:
    """Stripe's name of a parameter in our words: `items[0][price]` is `items.0.price_id`."""
    root, _, rest = param.partition("[")
    names = [root, *_BRACKETS.findall(f"[{rest}")] if rest else [root]
    of_kind, at_root = _OF_KIND.get(kind, {}), len(names) == 1
    words = [of_kind.get(name) if at_root and name in of_kind else _WORDS.get(name, name) for name in names if name]
    if words[:2] == ["shipping", "billing_address"]:
        words[:2] = ["shipping_address"]
    shown = [word for word in words if word is not None and word not in _LEFT_OUT]
    return redact(str(storable(".".join(shown))))[:LONGEST_MESSAGE]


def _text(error: dict[str, Any], name: str) -> str | None:
    value = error.get(name)
    return str(storable(value[:LONGEST_MESSAGE])) if isinstance(value, str) and value else None
