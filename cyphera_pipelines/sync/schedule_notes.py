"""What the end of a sync tells the schedule of its source."""

from collections.abc import Mapping
from datetime import datetime

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.error_codes import ErrorCode
from cyphera_pipelines.model.sessions import ConflictStrategy, Session, SessionStatus, SyncRequest
from cyphera_pipelines.providers.registry import find_provider
from cyphera_pipelines.store.cursors import SyncPosition
from cyphera_pipelines.store.schedules import SyncEnd, SyncResult
from cyphera_pipelines.sync.outcome import SyncOutcome


def end_of_sync(outcome: SyncOutcome, request: SyncRequest, positions: Mapping[Entity, SyncPosition]) -> SyncEnd | None:
    """What a session that ended so tells; None if it says nothing of the whole source.

    That is one of some entities only, or one that leaves rows as they are: whoever asked for it looks after it, and
    the source is due when it was. Rejected credentials are rejected for all, though.
    """
    began_at, code = began(outcome.session), outcome.code
    message = str((outcome.error_summary or {}).get("message") or "")
    if outcome.is_rejected:
        return SyncEnd(SyncResult.REJECTED, began_at, message, code)
    if not _is_of_whole_source(outcome.session, request):
        return None
    match outcome.status:
        case SessionStatus.CANCELLED:
            return SyncEnd(SyncResult.CANCELLED, began_at, message, code)
        case SessionStatus.FAILED:
            return SyncEnd(SyncResult.FAILED, began_at, message, code)
        case _ if outcome.errors:
            return SyncEnd(SyncResult.BEHIND, began_at, message, code)
        case _:
            return level(outcome.session.provider_name, began_at, positions)


def failure_of_sync(session: Session, request: SyncRequest, message: str, code: ErrorCode) -> SyncEnd | None:
    """What a session tells that an error ended; None if it says nothing of the whole source."""
    is_whole = _is_of_whole_source(session, request)
    return SyncEnd(SyncResult.FAILED, began(session), message, code) if is_whole else None


def level(provider: str, began_at: datetime, positions: Mapping[Entity, SyncPosition]) -> SyncEnd:
    """What a sync or a check tells that began then, left those positions, and found or made the tables level.

    Where the provider's events cannot be read, that is as of when it began to list.
    """
    positions = {entity: positions.get(entity, SyncPosition()) for entity in find_provider(provider).entities}
    listed = [each.full_listing_at for each in positions.values()]
    knows_of_changes = all(each.watermark is not None for each in positions.values())
    return SyncEnd(
        SyncResult.LEVEL,
        began_at,
        level_since=None if knows_of_changes else began_at,
        listed_at=None if None in listed else min(moment for moment in listed if moment is not None),
    )


def began(session: Session) -> datetime:
    """When the session's credentials had not been read yet."""
    return session.started_at or session.created_at


def _is_of_whole_source(session: Session, request: SyncRequest) -> bool:
    covers_all = set(request.entities) >= set(find_provider(session.provider_name).entities)
    return covers_all and request.conflict_strategy is ConflictStrategy.OVERWRITE
