"""The providers that there are."""

from pydantic import BaseModel, ConfigDict, Field

from cyphera_pipelines.api.schemas import examples
from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.sessions import ConflictStrategy, SessionType
from cyphera_pipelines.providers.base import ObjectKind, Operation, WebhookProof


class SourceOptionOut(BaseModel):
    """What a configuration has to name, or may, besides the key: in `configuration.options`."""

    model_config = ConfigDict(from_attributes=True)

    name: str = Field(description="Its name there.")
    title: str = Field(description="What it is called for people.")
    help: str = Field(description="What it is, and where to find it.")
    is_required: bool = Field(description="Whether a configuration needs it.")
    pattern: str = Field(description="A regular expression that the whole value matches.")
    example: str = Field(description="How it looks.")


class CapabilityOut(BaseModel):
    """What can be done with a kind of object."""

    kind: ObjectKind = Field(description="The kind of object, as in paths.")
    operations: list[Operation] = Field(description="What is offered; the rest is refused before any request.")
    filters: list[str] = Field(description="Names that lists can be filtered by.")


class ProviderOut(BaseModel):
    """A provider and what can be done with it."""

    model_config = ConfigDict(json_schema_extra=examples.shown(examples.PROVIDER))

    name: str = Field(description="What it is called in paths and fields.")
    title: str = Field(description="What it is called for people.")
    entities: list[Entity] = Field(description="What can be synced.")
    session_types: list[SessionType] = Field(description="The kinds of syncs that it supports.")
    conflict_strategies: list[ConflictStrategy] = Field(description="What a sync can do with rows that differ.")
    capabilities: list[CapabilityOut] = Field(description="What can be done with each kind of object.")
    options: list[SourceOptionOut] = Field(description="What else than a key a configuration names; often nothing.")
    webhook_proof: WebhookProof = Field(
        description="How a webhook proves who sent it. `signature`: the configuration's `webhook_secret` is the key "
        "that it is signed with. `basic_auth`: it is `user:password`, which come with it."
    )


class Providers(BaseModel):
    """All providers."""

    providers: list[ProviderOut] = Field(description="All that there are.")
