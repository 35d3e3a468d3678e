"""The audit trail of a workspace."""

from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from cyphera_pipelines.api.schemas import examples
from cyphera_pipelines.api.schemas.fields import Moment, PageOut
from cyphera_pipelines.model.audit import Outcome


class AuditEntryOut(BaseModel):
    """Who did what, and to what."""

    model_config = ConfigDict(from_attributes=True, json_schema_extra=examples.shown(examples.AUDIT_ENTRY))

    id: UUID = Field(description="The entry's id.")
    occurred_at: Moment
    actor: str = Field(
        description="Who did it: `api_key:<id>`, `cli:<user>@<host>` for an operator's command line, "
        "`process:<user>@<host>` for the pipeline itself."
    )
    actor_name: str | None = Field(description="What the API key was called then; null for others.")
    action: str = Field(
        description="What was done: `workspace.created`, `configuration.created`, `configuration.changed`, "
        "`configuration.removed`, `account.registered`, `key.created`, `key.revoked`, `key.used` (told only where it "
        "was refused), `analyst.added`, ... There may come more."
    )
    subject_id: str = Field(description="The id, or the name, of what it was done to.")
    outcome: Outcome = Field(description="`refused`: it changed nothing; `details` say why.")
    details: dict[str, Any] = Field(description="Which fields were changed, and the like. Never a secret.")


class AuditTrail(PageOut):
    """A page of the audit trail."""

    entries: list[AuditEntryOut] = Field(description="Newest first.")
