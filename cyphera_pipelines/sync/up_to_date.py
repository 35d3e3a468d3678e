"""The two ways to bring a source's tables up to date: list everything and catch up, or apply what changed."""

import logging
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.errors import CypheraError
from cyphera_pipelines.model.sessions import EventLevel, SessionEvent
from cyphera_pipelines.providers.base import (
    CredentialsRejectedError,
    ProviderError,
    ProviderUnavailableError,
    RequestAbandonedError,
)
from cyphera_pipelines.store.cursors import SyncPosition, read_positions, save_watermark
from cyphera_pipelines.store.events import record_events
from cyphera_pipelines.sync.changes import apply_changes
from cyphera_pipelines.sync.context import SyncContext
from cyphera_pipelines.sync.full_sync import list_entities, record_failure
from cyphera_pipelines.sync.listing import has_no_slices_left
from cyphera_pipelines.sync.pages import SyncCancelledError

# Provider events can be found a little later than they happen: the watermark stays this many seconds behind the clock.
WATERMARK_LAG = 60.0
# Stripe keeps provider events for 30 days; the margin is for a sync that takes long.
EVENTS_ARE_KEPT_FOR = 28 * 86_400.0
_log = logging.getLogger(__name__)

Errors = dict[Entity, CypheraError]


def bring_up_to_date(context: SyncContext) -> Errors:
    """Do what the session asks for and return the errors of the entities that did not make it.

    Raises CredentialsRejectedError, ProviderUnavailableError or a database error where nothing more can be done.
    """
    if context.request.only_changes:
        positions = read_positions(context.database, context.source, livemode=context.livemode)
        obstacle = _obstacle(context, positions)
        if obstacle is None:
            return _recorded(context, _apply_changes_only(context, positions))
        message = f"{obstacle} A full listing runs instead."
        record_events(context.database, context.session, [SessionEvent("delta_not_possible", message)])
    errors = list_entities(context)
    listed = [entity for entity in context.request.entities if context.progress.entity(entity).done]
    return errors | _recorded(context, _catch_up(context, listed))


def _recorded(context: SyncContext, errors: Errors) -> Errors:
    for entity, error in errors.items():
        record_failure(context, entity, error)
    return errors


def _obstacle(context: SyncContext, positions: Mapping[Entity, SyncPosition]) -> str | None:
    """Why the provider events do not suffice; None if they do."""
    for entity in context.request.entities:
        position = positions.get(entity, SyncPosition())
        if position.full_listing_at is None:
            return f"{entity.value} was never listed to its end."
        if position.unfinished is not None and not has_no_slices_left(position.unfinished):
            return f"The last listing of {entity.value} did not come to its end."
        if position.watermark is None:
            return f"What changed since {entity.value} was last listed could not be read from the provider's events."
        if context.client.now() - position.watermark.timestamp() > EVENTS_ARE_KEPT_FOR:
            return f"{entity.value} was last synced longer ago than the provider keeps its events."
    return None


def _apply_changes_only(context: SyncContext, positions: Mapping[Entity, SyncPosition]) -> Errors:
    entities = context.request.entities
    watermarks = [position.watermark for entity, position in positions.items() if entity in entities]
    since = min(watermark.timestamp() for watermark in watermarks if watermark is not None)
    try:
        _apply_since(context, entities, since)
    except (SyncCancelledError, RequestAbandonedError):
        return {}
    except CredentialsRejectedError:
        raise
    except ProviderError as error:
        return dict.fromkeys(entities, error)
    for entity in entities:
        context.progress.done(entity)
    return {}


def _catch_up(context: SyncContext, listed: Sequence[Entity]) -> Errors:
    """Apply what changed while the entities were being listed, in this session or in those that it continued."""
    if not listed or context.is_cancelled():
        return {}
    positions = read_positions(context.database, context.source, livemode=context.livemode)
    watermarks = [positions[entity].watermark for entity in listed]
    since = min(watermark.timestamp() for watermark in watermarks if watermark is not None)
    try:
        _apply_since(context, listed, since)
    except (SyncCancelledError, RequestAbandonedError):
        return {}
    except CredentialsRejectedError:
        raise
    except ProviderUnavailableError as error:
        return dict.fromkeys(listed, error)
    except ProviderError as error:
        # A restricted key need not be allowed to read provider events: the listing stands, and so will the next one.
        message = f"What changed during the listing could not be read: {error} The next sync lists it."
        event = SessionEvent("changes_unreadable", message, level=EventLevel.WARNING)
        record_events(context.database, context.session, [event])
        _save_watermark(context, listed, None)
    return {}


def _apply_since(context: SyncContext, entities: Sequence[Entity], since: float) -> None:
    began = time.monotonic()
    changes = apply_changes(context, entities, since)
    # The provider's clock is known for certain only from its answers: what it showed when the first was asked for.
    asked_at = context.client.now() - (time.monotonic() - began)
    watermark = datetime.fromtimestamp(max(since, asked_at - WATERMARK_LAG), UTC)
    _save_watermark(context, entities, watermark)
    if changes:
        message = f"{changes} objects changed since {datetime.fromtimestamp(since, UTC):%Y-%m-%d %H:%M:%S} UTC."
        event = SessionEvent("changes_applied", message, level=EventLevel.INFO, event_details={"changes": changes})
        record_events(context.database, context.session, [event])


def _save_watermark(context: SyncContext, entities: Sequence[Entity], watermark: datetime | None) -> None:
    with context.database.tenant(context.source.workspace_id) as connection:
        for entity in entities:
            save_watermark(connection, context.source, entity, watermark, livemode=context.livemode)
