"""Webhooks of Stripe: signed provider events."""

import hashlib
import re
from collections.abc import Mapping
from email.utils import formatdate
from typing import Any

import stripe

from cyphera_pipelines.model.storable import is_usable_id
from cyphera_pipelines.providers.base import WebhookEvent, WebhookRejectedError
from cyphera_pipelines.providers.http.clock import ProviderClock
from cyphera_pipelines.providers.http.json_text import NotJsonError, is_too_deep, parse_json
from cyphera_pipelines.providers.stripe.access import account_of_event
from cyphera_pipelines.providers.stripe.changes import EventReader, UnreadableEventError

SIGNATURE_HEADER = "Stripe-Signature"
TOLERANCE_SECONDS = 300
KEPT_OF_UNREADABLE = 4_000
"""Bytes."""


def open_webhook(body: bytes, headers: Mapping[str, str], secret: str) -> WebhookEvent:
    """See `Provider`. An older signature than five minutes may have been overheard: Stripe signs each try anew."""
    try:
        # No signature has other characters, and Stripe's own comparison does not bear them.
        signature = headers.get(SIGNATURE_HEADER, "").encode("ascii").decode("ascii")
        stripe.WebhookSignature.verify_header(body, signature, secret, TOLERANCE_SECONDS)
    except (stripe.SignatureVerificationError, UnicodeError):
        raise WebhookRejectedError(
            f"The header {SIGNATURE_HEADER} does not prove that Stripe sent this just now. "
            "Check the configuration's webhook_secret against the endpoint's signing secret."
        ) from None
    try:
        event = parse_json(body)
        if is_too_deep(event):
            raise NotJsonError("it nests too deeply")
        return _read(event, _clock_of(headers))
    except (NotJsonError, UnreadableEventError) as why:
        return _unreadable(body, str(why))


def _clock_of(headers: Mapping[str, str]) -> ProviderClock:
    """The provider's clock, as it was when the webhook was signed: with one that is far off, no order is known."""
    clock = ProviderClock()
    signed_at = re.search(r"(?:^|,)\s*t=(\d{1,12})(?:,|$)", headers.get(SIGNATURE_HEADER, ""), re.ASCII)
    if signed_at is not None:
        clock.observe(formatdate(int(signed_at[1]), usegmt=True))
    return clock


def _read(event: Any, clock: ProviderClock) -> WebhookEvent:
    told, livemode = EventReader(clock).read(event), event.get("livemode")
    if not told:
        return WebhookEvent("", event["type"], livemode is True, None, event)
    if not is_usable_id(event.get("id")):
        raise UnreadableEventError("`id` is no usable id")
    if livemode is not None and not isinstance(livemode, bool):
        raise UnreadableEventError("`livemode` is neither true nor false")
    return WebhookEvent(
        event["id"], event["type"], livemode is True, told[0].entity, event, account_of_event(event), changes=told
    )


def _unreadable(body: bytes, why: str) -> WebhookEvent:
    """An event that Stripe signed and nobody can read: sending it again would not help, so it is kept for people."""
    name = f"unreadable_{hashlib.sha256(body).hexdigest()[:32]}"
    kept = {"problem": why, "body": body[:KEPT_OF_UNREADABLE].decode("utf-8", "replace")}
    return WebhookEvent(name, "unreadable", livemode=None, entity=None, payload=kept, problem=why)
