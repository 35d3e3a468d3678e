"""Purges: what was asked for, and how far it is."""

from typing import Annotated
from uuid import UUID

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field

from cyphera_pipelines.api.schemas import examples
from cyphera_pipelines.api.schemas.fields import Moment
from cyphera_pipelines.model.purges import Purge, PurgeStatus

PurgeConfirmation = Annotated[
    str | None, Query(description="The workspace's slug, with `purge`: what cannot be undone is not done by a slip.")
]


class PurgeOut(BaseModel):
    """The removal of everything that is kept of a source, or of the whole workspace."""

    model_config = ConfigDict(from_attributes=True, json_schema_extra=examples.shown(examples.PURGE))

    id: UUID = Field(description="The purge's id. Whoever knows it may ask how far the purge is, without a key.")
    status_url: str = Field(description="Ask here how far it is; no key is asked for, since the workspace's go too.")
    provider_name: str | None = Field(description="The provider of the source; null for the whole workspace.")
    status: PurgeStatus = Field(description="`completed`: nothing is left but the audit trail's who, what and when.")
    deleted: dict[str, int] = Field(description="How many rows were deleted so far, by table, and `dagster_runs`.")
    rows: int = Field(description="How many rows that are in all.")
    waits_for: str | None = Field(description="What it cannot go on without, as a sync to stop; null while it does.")
    created_at: Moment
    updated_at: Moment
    completed_at: Moment | None = Field(description="When nothing was left.")

    @classmethod
    def of(cls, purge: Purge, status_url: str) -> "PurgeOut":
        """The purge as it is shown."""
        shown = {name: getattr(purge, name) for name in cls.model_fields if name != "status_url"}
        return cls(status_url=status_url, **shown)
