"""The providers that there are."""

from pydantic import BaseModel, Field

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.sessions import ConflictStrategy, SessionType


class ProviderOut(BaseModel):
    """A provider and what can be done with it."""

    name: str = Field(examples=["stripe"])
    title: str = Field(examples=["Stripe"])
    entities: list[Entity] = Field(description="What can be synced.")
    session_types: list[SessionType] = Field(description="The kinds of syncs that it supports.")
    conflict_strategies: list[ConflictStrategy]


class Providers(BaseModel):
    """All providers."""

    providers: list[ProviderOut]
