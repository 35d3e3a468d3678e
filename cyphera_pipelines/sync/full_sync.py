"""A full sync: every entity listed, all of them at once."""

import logging
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor, wait

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.error_codes import ErrorCode
from cyphera_pipelines.model.errors import CypheraError
from cyphera_pipelines.model.sessions import EventLevel, SessionEvent
from cyphera_pipelines.model.synced_tables import entity_table
from cyphera_pipelines.providers.base import CredentialsRejectedError, ProviderAccount, RequestAbandonedError
from cyphera_pipelines.security.secrets import redact
from cyphera_pipelines.store.cursors import SyncPosition
from cyphera_pipelines.store.database import DATABASE_ERRORS
from cyphera_pipelines.store.events import record_events
from cyphera_pipelines.store.rows import count_rows
from cyphera_pipelines.sync.context import SyncContext
from cyphera_pipelines.sync.listing import EntityListing, ListingStart
from cyphera_pipelines.sync.outcome import did_not_complete
from cyphera_pipelines.sync.pages import SyncCancelledError
from cyphera_pipelines.sync.unfinished import to_be_continued
from cyphera_pipelines.sync.unlisted import list_unlisted

_log = logging.getLogger(__name__)


def list_entities(
    context: SyncContext, account: ProviderAccount | None, positions: Mapping[Entity, SyncPosition]
) -> dict[Entity, CypheraError]:
    """List the session's entities at once, with what lists leave out, and return the errors of the incomplete ones.

    One entity's trouble does not stop the others, but for rejected credentials and database errors that are not about
    an object, which would stop them anyway: those cancel the sync. Database errors are raised when all listings have
    stopped, and so is an interruption of the calling thread.
    """
    created = None if account is None else account.created
    start = ListingStart(context.client.now(), None if created is None else created.timestamp())
    _expect_known_rows(context, start, positions)
    _tell_what_is_continued(context, start, positions)
    errors = _Errors()

    def run(entity: Entity) -> None:
        position = positions.get(entity, SyncPosition())
        continued = to_be_continued(context, start.watermark, position)
        if continued is not None and continued.session_id != str(context.session.id):
            context.progress.could_not_be_loaded(entity, continued.not_loaded)
        is_listed = continued is not None and continued.is_listed
        try:
            if is_listed:
                context.progress.done(entity)
            else:
                EntityListing(context, start, entity, position).run()
            list_unlisted(context, entity)
            if not is_listed:
                _record_completion(context, entity)
        except (SyncCancelledError, RequestAbandonedError):
            _log.debug("The listing of %s stopped between two pages.", entity.value)
        except DATABASE_ERRORS as error:
            errors.fatal = errors.fatal or error
            context.cancel()
        except CypheraError as error:
            errors.add(entity, error)
            if isinstance(error, CredentialsRejectedError):
                context.cancel()
        except Exception as error:
            _log.exception("The listing of %s for %s failed.", entity.value, context.source.key)
            message = redact(f"An error of ours: {type(error).__name__}: {error}")
            errors.add(entity, CypheraError(message, code=ErrorCode.UNEXPECTED))

    with ThreadPoolExecutor(len(context.request.entities), thread_name_prefix="list") as listings:
        running = [listings.submit(run, entity) for entity in context.request.entities]
        try:
            wait(running)
        except BaseException:
            context.cancel()
            raise
    if errors.fatal is not None:
        raise errors.fatal
    for entity, error in errors.by_entity.items():
        record_failure(context, entity, error)
    return errors.by_entity


class _Errors:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.by_entity: dict[Entity, CypheraError] = {}
        self.fatal: Exception | None = None

    def add(self, entity: Entity, error: CypheraError) -> None:
        with self._lock:
            self.by_entity[entity] = error


def _expect_known_rows(context: SyncContext, start: ListingStart, positions: Mapping[Entity, SyncPosition]) -> None:
    """An entity that was listed before, and is listed anew, will have about as many objects as there are rows."""
    listed = [
        entity
        for entity, position in positions.items()
        if position.full_listing_at is not None and to_be_continued(context, start.watermark, position) is None
    ]
    wanted = [entity_table(entity) for entity in listed if entity in context.request.entities]
    for name, rows in count_rows(context.database, context.source, wanted).items():
        context.progress.estimated(Entity(name), rows)


def _tell_what_is_continued(
    context: SyncContext, start: ListingStart, positions: Mapping[Entity, SyncPosition]
) -> None:
    """Say once of which session's unfinished listing this is the rest."""
    begun: dict[str, list[str]] = {}
    for entity in context.request.entities:
        continued = to_be_continued(context, start.watermark, positions.get(entity, SyncPosition()))
        if continued is not None:
            begun.setdefault(continued.session_id, []).append(entity.value)
    for session_id, entities in begun.items():
        is_own = session_id == str(context.session.id)
        which = "an earlier process of this session" if is_own else f"session {session_id}"
        message = f"{', '.join(entities)}: continued from {which}, which had not come to its end."
        details = {"session_id": session_id, "entities": entities}
        event = SessionEvent("listing_continued", message, event_details=details)
        record_events(context.database, context.session, [event])


def _record_completion(context: SyncContext, entity: Entity) -> None:
    counts = context.progress.entity(entity)
    message = (
        f"{entity.value} complete: {counts.fetched} fetched, {counts.created} created, {counts.updated} updated, "
        f"{counts.unchanged} unchanged, {counts.failed} not loaded."
    )
    details = {"fetched": counts.fetched, "requests": counts.requests, "children": counts.children}
    event = SessionEvent("entity_completed", message, entity_type=entity.value, event_details=details)
    record_events(context.database, context.session, [event])


def record_failure(context: SyncContext, entity: Entity, error: CypheraError) -> None:
    """Note in the progress and in the session's events that the entity did not complete."""
    context.progress.failed(entity, error)
    message = did_not_complete([entity], error)
    details = {"error": type(error).__name__}
    event = SessionEvent(
        "entity_failed",
        message,
        entity_type=entity.value,
        level=EventLevel.ERROR,
        event_details=details,
        code=error.code,
    )
    record_events(context.database, context.session, [event])
