"""Webhooks of Chargebee: events that come with a user and a password, for it signs nothing."""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

from cyphera_pipelines.model.storable import is_usable_id
from cyphera_pipelines.providers.base import WebhookEvent, WebhookRejectedError
from cyphera_pipelines.providers.chargebee.events import EventReader, UnreadableEventError
from cyphera_pipelines.providers.http.clock import ProviderClock
from cyphera_pipelines.providers.http.json_text import NotJsonError, is_too_deep, parse_json

HEADER = "Authorization"
KEPT_OF_UNREADABLE = 4_000
"""Bytes."""


def open_webhook(body: bytes, headers: Mapping[str, str], secret: str) -> WebhookEvent:
    """See `Provider`. `secret` is `user:password`, as they were given to Chargebee for the endpoint."""
    given = headers.get(HEADER, "")
    expected = base64.b64encode(secret.encode("utf-8", "surrogatepass")).decode()
    scheme, _, token = given.partition(" ")
    # As bytes: what comes in may hold any characters. Always compared, lest the time tells.
    is_same = hmac.compare_digest(token.strip().encode("utf-8", "surrogatepass"), expected.encode())
    if not is_same or scheme.lower() != "basic":
        raise WebhookRejectedError(
            "The webhook does not come with the user and password that prove that Chargebee sent it. Check the "
            "configuration's webhook_secret, which is user:password, against the webhook's basic authentication."
        )
    try:
        event = parse_json(body)
        if is_too_deep(event):
            raise NotJsonError("it nests too deeply")
        return _read(event)
    except (NotJsonError, UnreadableEventError) as why:
        return _unreadable(body, str(why))


def _read(event: Any) -> WebhookEvent:
    told = EventReader(ProviderClock()).read(event)
    kind = event["event_type"]
    if not told:
        return WebhookEvent("", kind, None, None, event)
    if not is_usable_id(event.get("id")):
        raise UnreadableEventError("`id` is no usable id")
    return WebhookEvent(event["id"], kind, None, told[0].entity, event, changes=told)


def _unreadable(body: bytes, why: str) -> WebhookEvent:
    """An event that was proven and nobody can read: sending it again would not help, so it is kept for people."""
    name = f"unreadable_{hashlib.sha256(body).hexdigest()[:32]}"
    kept = {"problem": why, "body": body[:KEPT_OF_UNREADABLE].decode("utf-8", "replace")}
    return WebhookEvent(name, "unreadable", livemode=None, entity=None, payload=kept, problem=why)
