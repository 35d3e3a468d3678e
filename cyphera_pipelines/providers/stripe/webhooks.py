"""Webhooks of Stripe: signed provider events."""

from collections.abc import Mapping

import stripe

from cyphera_pipelines.providers.base import WebhookEvent, WebhookRejectedError
from cyphera_pipelines.providers.stripe.access import account_of_event
from cyphera_pipelines.providers.stripe.changes import entity_of
from cyphera_pipelines.providers.stripe.json_text import NotJsonError, parse_json

SIGNATURE_HEADER = "Stripe-Signature"
TOLERANCE_SECONDS = 300


def open_webhook(body: bytes, headers: Mapping[str, str], secret: str) -> WebhookEvent:
    """See `Provider`. An older signature than five minutes may have been overheard: Stripe signs each try anew."""
    try:
        stripe.WebhookSignature.verify_header(body, headers.get(SIGNATURE_HEADER), secret, TOLERANCE_SECONDS)
    except (stripe.SignatureVerificationError, UnicodeDecodeError):
        raise WebhookRejectedError(
            f"The header {SIGNATURE_HEADER} does not prove that Stripe sent this just now. "
            "Check the configuration's webhook_secret against the endpoint's signing secret."
        ) from None
    try:
        event = parse_json(body)
    except NotJsonError:
        event = None
    if not isinstance(event, dict) or not all(isinstance(event.get(name), str) for name in ("id", "type")):
        raise WebhookRejectedError("This is signed, but it is no event.")
    livemode, account = event.get("livemode") is True, account_of_event(event)
    return WebhookEvent(event["id"], event["type"], livemode, entity_of(event), event, account)
