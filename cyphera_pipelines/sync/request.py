"""Asking for a sync: the session that stands for it from the start."""

from collections.abc import Collection
from dataclasses import replace
from datetime import UTC, datetime

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.errors import InvalidInputError
from cyphera_pipelines.model.quotas import Quotas
from cyphera_pipelines.model.sessions import (
    ASKED_FOR,
    SILENT_FOR,
    Session,
    SessionOrigin,
    SessionStatus,
    SessionType,
    SyncRequest,
)
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.providers.registry import find_provider
from cyphera_pipelines.store.cursors import read_positions
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.locks import is_being_synced
from cyphera_pipelines.store.sessions import create_only_session, create_session, list_active_sessions


def open_session(
    database: Database,
    source: Source,
    request: SyncRequest,
    *,
    dagster_run_id: str | None = None,
    kind: SessionType | None = None,
    origin: SessionOrigin = ASKED_FOR,
) -> Session:
    """Create the pending session of a requested sync, with the run that will carry it out if that is known.

    It is of the type that fits the request unless a `kind` is given. Raises InvalidInputError if the provider has
    nothing of what is asked for.
    """
    request = of_provider(request, source.provider)
    kind = kind or session_type(request, source.provider)
    return create_session(database, source, kind, request, dagster_run_id=dagster_run_id, origin=origin)


def open_only_session(
    database: Database,
    source: Source,
    request: SyncRequest,
    quotas: Quotas | None = None,
    *,
    kind: SessionType | None = None,
    dagster_run_id: str | None = None,
    silent_for: float = SILENT_FOR,
    origin: SessionOrigin = ASKED_FOR,
) -> Session:
    """The same, but raise SourceActiveError if a session of the source waits or runs already.

    It is of the type that fits the request unless a `kind` is given. One that says `running` but whose process is gone,
    and was silent for so many seconds, does not count: the new session's sync will end it. Raises QuotaReachedError
    too.
    """
    request = of_provider(request, source.provider)
    dead = {each.id for each in list_active_sessions(database, source) if _is_dead(database, each, silent_for)}
    return create_only_session(
        database,
        source,
        kind or session_type(request, source.provider),
        request,
        ignoring=dead,
        quotas=quotas,
        dagster_run_id=dagster_run_id,
        origin=origin,
    )


def type_of_cheapest(database: Database, source: Source, request: SyncRequest) -> SessionType:
    """The type of a sync of changes, or of what it comes to where nothing was ever listed: that is no delta sync.

    Whether changes suffice is the engine's to decide, when it begins.
    """
    positions = read_positions(database, source, livemode=not source.is_test_mode)
    is_new = not any(position.full_listing_at is not None for position in positions.values())
    return session_type(replace(request, only_changes=False) if is_new else request, source.provider)


def session_type(request: SyncRequest, provider: str) -> SessionType:
    """A sync of changes is a delta sync; a listing of all that there is is an initial sync, of less a partial one."""
    if request.only_changes:
        return SessionType.DELTA_SYNC
    is_all = set(request.entities) >= set(find_provider(provider).entities)
    return SessionType.INITIAL_SYNC if is_all else SessionType.PARTIAL_SYNC


def of_provider(request: SyncRequest, provider: str) -> SyncRequest:
    """The request for those of its entities that the provider has."""
    return replace(request, entities=entities_of(provider, request.entities))


def entities_of(provider: str, entities: Collection[Entity]) -> tuple[Entity, ...]:
    """Those of the entities that the provider has. Raises InvalidInputError if there is none among them."""
    implementation = find_provider(provider)
    found = tuple(entity for entity in implementation.entities if entity in entities)
    if not found:
        wanted, known = (", ".join(each.value for each in these) for these in (entities, implementation.entities))
        raise InvalidInputError(f"{implementation.title} has no {wanted} here: choose from {known}.")
    return found


def _is_dead(database: Database, session: Session, longest_silence: float) -> bool:
    """Whether nobody has been heard of for a while, and nobody holds the source's lock."""
    if session.status is not SessionStatus.RUNNING:
        return False
    silent_for = (datetime.now(UTC) - session.updated_at).total_seconds()
    return silent_for > longest_silence and not is_being_synced(database, session.workspace_id, session.provider_name)
