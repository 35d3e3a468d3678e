"""The two ways to bring a source's tables up to date: list everything and catch up, or apply what changed."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from sqlalchemy import Connection

from cyphera_pipelines.model.counted import counted
from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.error_codes import ErrorCode
from cyphera_pipelines.model.sessions import ConflictStrategy, EventLevel, SessionEvent
from cyphera_pipelines.model.synced_tables import SUBSCRIPTION_ITEMS
from cyphera_pipelines.providers.base import (
    Change,
    CredentialsRejectedError,
    ProviderError,
    ProviderUnavailableError,
    RequestAbandonedError,
)
from cyphera_pipelines.store.billed_amounts import settle_billed_amounts
from cyphera_pipelines.store.cursors import SyncPosition, end_listing, read_positions, save_watermark
from cyphera_pipelines.store.events import record_events
from cyphera_pipelines.store.inbox import settle_listed
from cyphera_pipelines.store.webhooks import (
    MOST_AT_ONCE,
    ReceivedWebhook,
    list_unhandled,
    list_unreadable,
    mark_handled,
)
from cyphera_pipelines.sync.account import ask_for_account, settle_account
from cyphera_pipelines.sync.changes import Errors, apply_changes, ask_for_owed
from cyphera_pipelines.sync.context import SyncContext
from cyphera_pipelines.sync.failed_webhooks import note_failed_webhooks
from cyphera_pipelines.sync.full_sync import list_entities, record_failure
from cyphera_pipelines.sync.obstacles import obstacles_to_changes
from cyphera_pipelines.sync.pages import SyncCancelledError
from cyphera_pipelines.sync.reading import Reading
from cyphera_pipelines.sync.unfinished import unfinished_of, without_times_to_come
from cyphera_pipelines.sync.watermarks import watermark_at

_PRICED = (Entity.PRICES, Entity.SUBSCRIPTIONS)
MOST_NAMED = 5
Positions = Mapping[Entity, SyncPosition]
Owed = dict[Entity, list[str]]


class _EventsUnreadableError(Exception):
    """The key may not read the provider's events, or the provider has none; the message says why."""


def bring_up_to_date(context: SyncContext) -> Errors:
    """Do what the session asks for and return the errors of the entities that did not make it.

    Webhooks that could not be applied for such an error count an attempt. Raises CredentialsRejectedError,
    ProviderUnavailableError, RequestAbandonedError or a database error where nothing more can be done.
    """
    try:
        errors = _bring_up_to_date(context)
    except (CredentialsRejectedError, ProviderUnavailableError) as error:
        note_failed_webhooks(context, dict.fromkeys(context.request.entities, error))
        raise
    note_failed_webhooks(context, errors)
    return errors


def _bring_up_to_date(context: SyncContext) -> Errors:
    account = settle_account(context)
    positions = _positions(context)
    if any(position.unfinished is not None for position in positions.values()):
        # A sync that was killed may have loaded items and prices, and not come to this.
        with context.database.tenant(context.source.workspace_id) as connection:
            _settle_billed_amounts(connection, context)
    errors = Errors()
    if context.request.only_changes:
        obstacles = obstacles_to_changes(
            context.source.provider, context.request.entities, positions, context.client.now()
        )
        followed = [entity for entity in context.request.entities if entity not in obstacles]
        if followed:
            try:
                errors = _recorded(context, _apply_changes_only(_only(context, followed), positions))
            except _EventsUnreadableError as error:
                obstacles = dict.fromkeys(context.request.entities, str(error))
        if not obstacles or context.is_cancelled():
            return errors
        _tell_what_is_listed(context, obstacles)
        context = _only(context, list(obstacles))
        account = account or ask_for_account(context)
    positions = {entity: without_times_to_come(position) for entity, position in positions.items()}
    errors |= list_entities(context, account, positions)
    listed = [entity for entity in context.request.entities if context.progress.entity(entity).done]
    return errors | _recorded(context, _catch_up(context, listed, positions))


def _only(context: SyncContext, entities: Sequence[Entity]) -> SyncContext:
    """The same sync, for some of its entities."""
    return replace(context, request=replace(context.request, entities=tuple(entities)))


def _tell_what_is_listed(context: SyncContext, obstacles: Mapping[Entity, str]) -> None:
    """Say what is listed although changes were asked for, and the first reason for it."""
    is_everything = len(obstacles) == len(context.request.entities)
    what = "everything" if is_everything else ", ".join(entity.value for entity in obstacles)
    obstacle = next(iter(obstacles.values()))
    context.progress.goes(f"Listing {what}: {obstacle}")
    message = f"{obstacle} A full listing {'' if is_everything else f'of {what} '}runs instead."
    record_events(
        context.database,
        context.session,
        [SessionEvent("delta_not_possible", message, code=ErrorCode.CATCH_UP_IMPOSSIBLE)],
    )


def _positions(context: SyncContext) -> Positions:
    return read_positions(context.database, context.source, livemode=context.livemode)


def _recorded(context: SyncContext, errors: Errors) -> Errors:
    for entity, error in errors.items():
        record_failure(context, entity, error)
    return errors


def _apply_changes_only(context: SyncContext, positions: Positions) -> Errors:
    entities = context.request.entities
    watermarks = [positions[entity].watermark for entity in entities]
    since = min(watermark.timestamp() for watermark in watermarks if watermark is not None)
    owed = {entity: list(positions[entity].owed) for entity in entities}
    context.progress.goes(f"Applying what changed since {datetime.fromtimestamp(since, UTC):%Y-%m-%d %H:%M} UTC.")
    try:
        errors = _apply_since(context, entities, since, owed, Reading())
    except (SyncCancelledError, RequestAbandonedError):
        return {}
    except (CredentialsRejectedError, _EventsUnreadableError):
        raise
    except ProviderError as error:
        return dict.fromkeys(entities, error)
    for entity in entities:
        if entity not in errors:
            context.progress.done(entity)
    return errors


def _catch_up(context: SyncContext, listed: Sequence[Entity], before: Positions) -> Errors:
    """Apply what changed while the entities were being listed, in this session or in those that it continued.

    What was owed `before` and still is, is asked for: what came to be owed in this session was asked for just now.
    """
    if not listed or context.is_cancelled():
        return {}
    positions = _positions(context)
    since = min(_listed_since(context, positions[entity]).timestamp() for entity in listed)
    owed = {
        entity: [object_id for object_id in positions[entity].owed if object_id in before[entity].owed]
        for entity in listed
        if entity in before
    }
    try:
        errors = _apply_since(context, listed, since, owed, Reading(follows_listing=True))
        _settle_listed_webhooks(context, [entity for entity in listed if entity not in errors], since)
        return errors
    except (SyncCancelledError, RequestAbandonedError):
        return {}
    except CredentialsRejectedError:
        raise
    except ProviderError as error:
        return dict.fromkeys(listed, error)
    except _EventsUnreadableError as error:
        # A restricted key need not be allowed to read provider events: the listing stands, and so will the next one.
        message = f"What changed during the listing could not be read: {error} The next sync lists it."
        event = SessionEvent(
            "changes_unreadable", message, level=EventLevel.WARNING, code=ErrorCode.CATCH_UP_IMPOSSIBLE
        )
        record_events(context.database, context.session, [event])
        _save_watermark(context, listed, None)
        _settle_listed_webhooks(context, listed, since)
    return {}


def _listed_since(context: SyncContext, position: SyncPosition) -> datetime:
    """From when on changes are to be applied after a listing."""
    unfinished = unfinished_of(position)
    if context.request.conflict_strategy is not ConflictStrategy.OVERWRITE and unfinished is not None:
        return watermark_at(unfinished.watermark)
    assert position.watermark is not None, "a listing that overwrites leaves a watermark"
    return position.watermark


def _apply_since(
    context: SyncContext, entities: Sequence[Entity], since: float, owed: Owed, reading: Reading
) -> Errors:
    began = time.monotonic()
    _name_unreadable_webhooks(context)
    received = list[ReceivedWebhook]()
    try:
        changes, errors = apply_changes(context, entities, since, reading, _told(context, entities, received))
    except (CredentialsRejectedError, ProviderUnavailableError, RequestAbandonedError):
        raise
    except ProviderError as error:
        raise _EventsUnreadableError(str(error)) from None
    # The provider's clock is known for certain only from its answers: what it showed when the first was asked for.
    asked_at = context.client.now() - (time.monotonic() - began)
    errors |= ask_for_owed(context, {entity: ids for entity, ids in owed.items() if entity not in errors}, reading)
    watermark = max(datetime.fromtimestamp(since, UTC), watermark_at(asked_at))
    _save_watermark(context, [entity for entity in entities if entity not in errors], watermark)
    _settle_webhooks(context, [webhook for webhook in received if webhook.entity not in errors])
    if changes:
        objects = "object" if changes == 1 else "objects"
        message = f"{changes} {objects} changed since {datetime.fromtimestamp(since, UTC):%Y-%m-%d %H:%M:%S} UTC."
        event = SessionEvent("changes_applied", message, level=EventLevel.INFO, event_details={"changes": changes})
        record_events(context.database, context.session, [event])
    return errors


def _told(context: SyncContext, entities: Sequence[Entity], received: list[ReceivedWebhook]) -> Iterator[list[Change]]:
    """What all webhooks tell that wait, however many, a part at a time; they are noted in `received`."""
    while True:
        part = list_unhandled(
            context.database, context.source, entities, livemode=context.livemode, offset=len(received)
        )
        received += [replace(webhook, payload={}) for webhook in part]
        yield context.client.changes_of([webhook.payload for webhook in part])
        if len(part) < MOST_AT_ONCE:
            return


def _name_unreadable_webhooks(context: SyncContext) -> None:
    """People have to look at them: nothing that they tell can be applied, now or later."""
    unreadable = list_unreadable(context.database, context.source, livemode=context.livemode)
    if not unreadable:
        return
    shown = "; ".join(f"{event_id} ({why})" for event_id, why in list(unreadable.items())[:MOST_NAMED])
    others = " and others" if len(unreadable) > MOST_NAMED else ""
    message = (
        f"{counted(len(unreadable), 'webhook', 'are')} signed, could not be read, and cannot be applied: {shown}"
        f"{others}. The beginning of each is kept: cyphera webhook list {context.source.workspace_slug} --state "
        "unreadable"
    )
    details = {"webhooks": unreadable}
    event = SessionEvent(
        "webhooks_unreadable",
        message,
        event_details=details,
        level=EventLevel.WARNING,
        code=ErrorCode.WEBHOOK_UNREADABLE,
    )
    record_events(context.database, context.session, [event])
    mark_handled(context.database, context.source, list(unreadable), livemode=context.livemode, keeps_content=True)


def _settle_webhooks(context: SyncContext, webhooks: Sequence[ReceivedWebhook]) -> None:
    """What they told is in the tables; unless rows were left as they are."""
    if webhooks and context.request.conflict_strategy is ConflictStrategy.OVERWRITE:
        external_ids = [webhook.external_id for webhook in webhooks]
        mark_handled(context.database, context.source, external_ids, livemode=context.livemode)


def _settle_listed_webhooks(context: SyncContext, listed: Sequence[Entity], since: float) -> None:
    """What came in before everything was listed is in the tables, also what was given up or may not be asked for."""
    if context.request.conflict_strategy is ConflictStrategy.OVERWRITE:
        began = datetime.fromtimestamp(since, UTC)
        settle_listed(context.database, context.source, listed, began, livemode=context.livemode)


def _save_watermark(context: SyncContext, entities: Sequence[Entity], watermark: datetime | None) -> None:
    """Move on, unless rows were left as they are: then the tables are no nearer to the provider than before."""
    source, livemode = context.source, context.livemode
    overwrites = context.request.conflict_strategy is ConflictStrategy.OVERWRITE
    priced = [entity for entity in _PRICED if entity in context.request.entities]
    with context.database.tenant(source.workspace_id) as connection:
        if any(context.progress.entity(entity).fetched for entity in priced):
            _settle_billed_amounts(connection, context)
        for entity in entities:
            if overwrites:
                save_watermark(connection, source, entity, watermark, livemode=livemode)
            elif not context.request.only_changes:
                end_listing(connection, source, entity, livemode=livemode)
        context.check_lock(connection)


def _settle_billed_amounts(connection: Connection, context: SyncContext) -> None:
    """Settle them, and count the items that this session had left as they were."""
    since = context.session.created_at
    settled = settle_billed_amounts(connection, context.source, since, livemode=context.livemode)
    context.progress.settled(Entity.SUBSCRIPTIONS, SUBSCRIPTION_ITEMS.name, settled)
