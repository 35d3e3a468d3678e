"""How a sync ended, said honestly."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.errors import CypheraError
from cyphera_pipelines.model.merged_rows import about_merged_rows
from cyphera_pipelines.model.sessions import EntityProgress, Session, SessionStatus
from cyphera_pipelines.providers.base import CredentialsRejectedError
from cyphera_pipelines.sync.cancellation import cancelled_message


@dataclass(frozen=True)
class SyncOutcome:
    """A session's final status, each entity's final counts, and what went wrong (None: nothing did).

    `errors` are those of the entities that did not make it.
    """

    session: Session
    status: SessionStatus
    entities: dict[Entity, EntityProgress]
    error_summary: dict[str, Any] | None = None
    errors: Mapping[Entity, CypheraError] = field(default_factory=dict)

    @property
    def is_rejected(self) -> bool:
        """Whether the provider rejected the credentials."""
        return any(isinstance(error, CredentialsRejectedError) for error in self.errors.values())


def judge(
    session: Session,
    entities: dict[Entity, EntityProgress],
    errors: Mapping[Entity, CypheraError],
    *,
    is_cancelled: bool,
) -> SyncOutcome:
    """Derive the session's status.

    completed: every entity is whole, and every row was loaded. failed: the credentials were rejected, or no entity
    got anywhere. partial: anything between.
    """
    unloaded = {entity: counts.failed for entity, counts in entities.items() if counts.failed}
    rejected = next((error for error in errors.values() if isinstance(error, CredentialsRejectedError)), None)
    summary: dict[str, Any] = {"entities": _by_entity(entities, errors)}
    if rejected is not None:
        return SyncOutcome(session, SessionStatus.FAILED, entities, {"message": str(rejected), **summary}, errors)
    if is_cancelled:
        counted = {"entities": {entity.value: asdict(counts) for entity, counts in entities.items()}}
        message = cancelled_message("The sync was cancelled.", about_merged_rows(counted))
        return SyncOutcome(session, SessionStatus.CANCELLED, entities, {"message": message, **summary}, errors)
    if not errors and not unloaded:
        return SyncOutcome(session, SessionStatus.COMPLETED, entities)
    message = " ".join([*_about_errors(errors), *_about_rows(unloaded)])
    got_nowhere = len(errors) == len(entities) and not any(
        counts.fetched or counts.done for counts in entities.values()
    )
    status = SessionStatus.FAILED if got_nowhere else SessionStatus.PARTIAL
    return SyncOutcome(session, status, entities, {"message": message, **summary}, errors)


def _by_entity(
    entities: Mapping[Entity, EntityProgress], errors: Mapping[Entity, CypheraError]
) -> dict[str, dict[str, Any]]:
    return {
        entity.value: {"error": str(errors[entity]) if entity in errors else None, "rows_not_loaded": counts.failed}
        for entity, counts in entities.items()
        if entity in errors or counts.failed
    }


def _about_errors(errors: Mapping[Entity, CypheraError]) -> list[str]:
    if not errors:
        return []
    if len({str(error) for error in errors.values()}) == 1 and len(errors) > 1:
        return [f"{', '.join(entity.value for entity in errors)} did not complete: {next(iter(errors.values()))}"]
    return [f"{entity.value} did not complete: {error}" for entity, error in errors.items()]


def _about_rows(unloaded: Mapping[Entity, int]) -> list[str]:
    if not unloaded:
        return []
    counts = ", ".join(f"{count} of {entity.value}" for entity, count in unloaded.items())
    return [f"Objects that could not be loaded: {counts}. An event names each, and the reason."]
