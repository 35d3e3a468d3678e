"""Webhooks as Stripe sends them: a provider event, signed."""

import json
import time
from typing import Any

import stripe

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.errors import NotFoundError
from cyphera_pipelines.store.at_once import Entry, hold_target, insert_entries
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.webhooks import WebhookTarget

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


def keep_webhook(
    database: Database,
    target: WebhookTarget,
    *,
    external_id: str,
    kind: str,
    entity: Entity | None,
    payload: dict[str, Any],
) -> bool:
    """Put an event into the inbox for the next sync, whatever it tells. Returns False if it is there already."""
    with database.tenant(target.workspace_id) as connection:
        if hold_target(connection, target, ()) is None:
            raise NotFoundError("The configuration was removed.")
        return bool(insert_entries(connection, target, [Entry(external_id, kind, entity, payload)]))
