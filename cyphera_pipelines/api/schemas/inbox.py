"""Webhooks in the inbox, for those who operate it."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue, WithJsonSchema

from cyphera_pipelines.api.schemas import examples
from cyphera_pipelines.api.schemas.fields import Moment
from cyphera_pipelines.model.webhooks import WebhookState
from cyphera_pipelines.security.secrets import redact_values

_EVENT: dict[str, JsonValue] = {
    "id": "evt_1Example",
    "provider_name": examples.PROVIDER_NAME,
    "livemode": False,
    "event_type": "invoice.paid",
    "entity_type": "invoices",
    "state": "failed",
    "received_at": "2026-03-01T09:30:00Z",
    "handled_at": None,
    "handled_by": None,
    "attempts": 2,
    "last_error": "The API key does not permit listing invoices: give it read access.",
    "error_code": "permission-missing",
    "retry_at": "2026-03-01T09:34:00Z",
    "dead_at": None,
    "waits_for": "The source's next sync.",
}


class WebhookOut(BaseModel):
    """A provider event that came in."""

    model_config = ConfigDict(from_attributes=True, json_schema_extra=examples.shown(_EVENT))

    id: str = Field(description="The provider's id of the event, as in `evt_...`.")
    provider_name: str = Field(description="The provider; see `GET /providers`.")
    livemode: bool = Field(description="True for live data, false for the provider's test mode.")
    event_type: str = Field(description="What happened, as the provider calls it.")
    entity_type: str | None = Field(description="The entity that it is about; null where nobody can tell.")
    state: WebhookState = Field(
        description="`applied`: it is in the tables. `waiting`: for the source's next sync. `failed`: a sync could not "
        "apply it, and it is tried again. `dead`: given up, until it is replayed. `unreadable`: nobody can tell what "
        "it says. What was refused is not kept: see the configuration's `last_webhook_refusal`."
    )
    received_at: Moment
    handled_at: Moment | None = Field(description="When what it tells was in the tables.")
    handled_by: str | None = Field(description="`at_once`: as it came in. `sync`: by a sync. null until then.")
    attempts: int = Field(description="How many syncs have failed to apply it.")
    last_error: str | None = Field(description="What the last of them said.")
    error_code: str | None = Field(description="What kind of error that is, as in docs/errors.md.")
    retry_at: Moment | None = Field(description="No sync is started just for it before; null: as soon as one can be.")
    dead_at: Moment | None = Field(description="When it was given up.")
    waits_for: str | None = Field(description="What it waits for, in words; null where it waits for nothing.")


class WebhookDetailsOut(WebhookOut):
    """The same with what is kept of the event itself."""

    model_config = ConfigDict(from_attributes=True, json_schema_extra=examples.shown(_EVENT | {"payload": {}}))

    payload: Annotated[Any, WithJsonSchema({"type": "object", "additionalProperties": True})] = Field(
        description="The event as it came in; empty once it is applied, as nothing of it is needed any more."
    )

    @classmethod
    def of(cls, event: object) -> "WebhookDetailsOut":
        """The event as it is shown: whatever looks like a secret of ours is cut out."""
        shown = cls.model_validate(event)
        return shown.model_copy(update={"payload": redact_values(shown.payload)})


class Webhooks(BaseModel):
    """A page of webhooks."""

    webhooks: list[WebhookOut] = Field(description="Newest first.")
    next: str | None = Field(description="Give it as `before` to get the page after this one; null at the end.")


class ReplayOut(BaseModel):
    """What a replay did."""

    replayed: int = Field(description="How many events wait for a sync again.")
    providers: list[str] = Field(description="For whose sources a sync is wanted now.")
