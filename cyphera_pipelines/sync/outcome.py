"""How a sync ended, said honestly."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.error_codes import ErrorCode
from cyphera_pipelines.model.errors import CypheraError
from cyphera_pipelines.model.merged_rows import about_merged_rows
from cyphera_pipelines.model.sessions import EntityProgress, Session, SessionStatus
from cyphera_pipelines.providers.base import CredentialsRejectedError, ProviderUnavailableError
from cyphera_pipelines.sync.cancellation import cancelled_message


@dataclass(frozen=True)
class SyncOutcome:
    """A session's final status, each entity's final counts, and what went wrong (None: nothing did).

    `code` says what kind of trouble that is; `errors` are those of the entities that did not make it.
    """

    session: Session
    status: SessionStatus
    entities: dict[Entity, EntityProgress]
    error_summary: dict[str, Any] | None = None
    code: ErrorCode | None = None
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
        summary = {"message": str(rejected), **summary}
        return SyncOutcome(session, SessionStatus.FAILED, entities, summary, rejected.code, errors)
    if is_cancelled:
        counted = {"entities": {entity.value: asdict(counts) for entity, counts in entities.items()}}
        message = cancelled_message("The sync was cancelled.", about_merged_rows(counted))
        summary = {"message": message, **summary}
        return SyncOutcome(session, SessionStatus.CANCELLED, entities, summary, ErrorCode.CANCELLED, errors)
    if not errors and not unloaded:
        return SyncOutcome(session, SessionStatus.COMPLETED, entities)
    message = " ".join([*_about_errors(errors), *_about_rows(unloaded)])
    got_nowhere = len(errors) == len(entities) and not any(
        counts.fetched or counts.done for counts in entities.values()
    )
    status = SessionStatus.FAILED if got_nowhere else SessionStatus.PARTIAL
    codes = {error.code for error in errors.values()} | ({ErrorCode.OBJECT_NOT_LOADED} if unloaded else set())
    code = codes.pop() if len(codes) == 1 else ErrorCode.SEVERAL_CAUSES
    return SyncOutcome(session, status, entities, {"message": message, **summary}, code, errors)


def _by_entity(
    entities: Mapping[Entity, EntityProgress], errors: Mapping[Entity, CypheraError]
) -> dict[str, dict[str, Any]]:
    return {
        entity.value: {
            "error": str(errors[entity]) if entity in errors else None,
            "error_code": (errors[entity].code if entity in errors else ErrorCode.OBJECT_NOT_LOADED).value,
            "rows_not_loaded": counts.failed,
        }
        for entity, counts in entities.items()
        if entity in errors or counts.failed
    }


def _about_errors(errors: Mapping[Entity, CypheraError]) -> list[str]:
    if not errors:
        return []
    if len({str(error) for error in errors.values()}) == 1 and len(errors) > 1:
        return [did_not_complete(errors, next(iter(errors.values())))]
    return [did_not_complete([entity], error) for entity, error in errors.items()]


def did_not_complete(entities: Iterable[Entity], error: CypheraError) -> str:
    """What is said of entities that an error ended: why, and that the next sync goes on where it helps to try again."""
    said = f"{', '.join(entity.value for entity in entities)} did not complete: {error}"
    return f"{said} The next sync continues from there." if isinstance(error, ProviderUnavailableError) else said


def _about_rows(unloaded: Mapping[Entity, int]) -> list[str]:
    if not unloaded:
        return []
    counts = ", ".join(f"{count} of {entity.value}" for entity, count in unloaded.items())
    return [f"Objects that could not be loaded: {counts}. An event names each, and the reason."]
