"""Webhooks as Stripe sends them: a provider event, signed."""

import json
import time
from typing import Any

import stripe

SECRET = "whsec_tests_webhook_secret"


def event_about(
    obj: dict[str, Any], kind: str, *, event_id: str = "evt_1", created: int | None = None, livemode: bool = False
) -> dict[str, Any]:
    return {
        "id": event_id,
        "object": "event",
        "api_version": stripe.api_version,
        "created": int(time.time()) if created is None else created,
        "livemode": livemode,
        "type": kind,
        "data": {"object": obj},
    }


def signed(event: Any, *, secret: str = SECRET, at: int | None = None) -> tuple[bytes, dict[str, str]]:
    """The body of a webhook, and its headers."""
    body = event if isinstance(event, bytes) else json.dumps(event).encode()
    signature = stripe.WebhookSignature.generate_signature_header(body.decode(), secret, at)
    return body, {"Stripe-Signature": signature, "Content-Type": "application/json"}
