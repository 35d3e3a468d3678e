"""Writes: what is answered of each, whatever it was of."""

from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from cyphera_pipelines.api.schemas.fields import Moment, PageOut
from cyphera_pipelines.api.schemas.objects import examples
from cyphera_pipelines.model.writes import WriteState
from cyphera_pipelines.providers.base import ObjectKind, Operation


class WriteOut(BaseModel):
    """A write, and what became of it."""

    model_config = ConfigDict(from_attributes=True, json_schema_extra=examples.shown(examples.WRITE))

    id: UUID = Field(description="The write's id.")
    provider_name: str = Field(description="The provider.")
    livemode: bool = Field(description="True for live data, false for the provider's test mode.")
    kind: ObjectKind = Field(description="The kind of object.")
    operation: Operation = Field(description="What was to be done with it.")
    object_id: str | None = Field(description="The object; null while one that is to be made has no id.")
    idempotency_key: str = Field(description="Makes it happen once: given, or made for it.")
    state: WriteState = Field(
        description="`done` and `rejected` are final. `sent`: it is on its way. `unknown`: no answer came that tells; "
        "it is being found out."
    )
    answer: dict[str, Any] | None = Field(description="The object afterwards; null unless it is done, or was deleted.")
    problem: dict[str, Any] | None = Field(
        description="Why it was rejected: `code`, `message`, and where they are known `field` and `remedy`; or why "
        "nobody knows what became of it."
    )
    was_found: bool = Field(description="Whether reading told what became of it, and not the answer.")
    was_sent: bool = Field(description="False: it did not reach the provider, and may be sent under the same key.")
    actor: str = Field(description="Who asked for it, as in the audit trail.")
    actor_name: str | None = Field(description="What the API key was called then; null for others.")
    attempts: int = Field(description="How many times it was taken up.")
    created_at: Moment
    sent_at: Moment
    settled_at: Moment | None = Field(description="When it was done or rejected; null until then.")


class Writes(PageOut):
    """A page of writes."""

    writes: list[WriteOut] = Field(description="Newest first.")


class DryRunOut(BaseModel):
    """What would be sent. Nothing was."""

    model_config = ConfigDict(extra="forbid", json_schema_extra=examples.shown(examples.DRY_RUN))

    kind: ObjectKind = Field(description="The kind of object.")
    operation: Operation = Field(description="What is to be done with it.")
    requests: list[dict[str, Any]] = Field(
        description="In order: `method`, `path`, and `parameters` in the provider's words, without secrets."
    )


class DeletedOut(BaseModel):
    """An object that is gone."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"id": "cus_1Example", "deleted": True}]})

    id: str = Field(description="The provider's id of it.")
    deleted: bool = Field(default=True, description="Always true.")
