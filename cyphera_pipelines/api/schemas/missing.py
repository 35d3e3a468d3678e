"""What is missing from a source's tables, as the API shows it."""

from uuid import UUID

from pydantic import BaseModel, Field

from cyphera_pipelines.api.schemas.fields import Moment
from cyphera_pipelines.model.entities import Entity


class MissingOut(BaseModel):
    """What is missing from the tables of one entity, whichever session met it, until it is mended."""

    entity: Entity = Field(description="The entity.")
    objects: int = Field(description="Objects that are known by name.")
    up_to_more: int = Field(description="How many more there may be; 0 as long as fewer than 1,000 are missing.")
    is_absence_unproven: bool = Field(description="Whether rows may be there whose objects are gone.")
    session_id: UUID = Field(description="The session that first met what is missing longest.")
    since: Moment = Field(description="When that was.")
    message: str = Field(description="All of that for people, with the first objects and reasons.")
