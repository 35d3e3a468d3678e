"""The providers that there are."""

from pydantic import BaseModel, ConfigDict, Field

from cyphera_pipelines.api.schemas import examples
from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.sessions import ConflictStrategy, SessionType


class ProviderOut(BaseModel):
    """A provider and what can be done with it."""

    model_config = ConfigDict(json_schema_extra=examples.shown(examples.PROVIDER))

    name: str = Field(description="What it is called in paths and fields.")
    title: str = Field(description="What it is called for people.")
    entities: list[Entity] = Field(description="What can be synced.")
    session_types: list[SessionType] = Field(description="The kinds of syncs that it supports.")
    conflict_strategies: list[ConflictStrategy] = Field(description="What a sync can do with rows that differ.")


class Providers(BaseModel):
    """All providers."""

    providers: list[ProviderOut] = Field(description="All that there are.")
