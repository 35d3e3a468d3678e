"""Bringing the tables up to date with what changed at the provider since a moment, from its provider events."""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import chain

from sqlalchemy import Connection

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.errors import CypheraError
from cyphera_pipelines.model.missing import MissingKind
from cyphera_pipelines.model.rows import MappedObject, UnmappableObject
from cyphera_pipelines.model.sessions import ConflictStrategy
from cyphera_pipelines.providers.base import (
    NOT_ABOUT_ONE_OBJECT,
    Change,
    CredentialsRejectedError,
    MappedPage,
    Page,
    ProviderError,
    ProviderUnavailableError,
    RequestAbandonedError,
)
from cyphera_pipelines.store.cursors import read_owed, save_owed
from cyphera_pipelines.store.events import insert_events, not_flagged_yet
from cyphera_pipelines.store.known_rows import find_known_rows
from cyphera_pipelines.store.load_result import LoadResult, TableCounts
from cyphera_pipelines.store.loader import load
from cyphera_pipelines.store.missing import forget_missing, note_missing
from cyphera_pipelines.store.tombstones import tombstone_object
from cyphera_pipelines.sync.context import SyncContext
from cyphera_pipelines.sync.foreign_events import ForeignEvents
from cyphera_pipelines.sync.listing import MOST_OWED
from cyphera_pipelines.sync.mapped_events import mapping_events
from cyphera_pipelines.sync.pages import SyncCancelledError
from cyphera_pipelines.sync.reading import Reading
from cyphera_pipelines.sync.untold import may_have_untold_children

FETCHES_AT_ONCE = 32  # 25 per second, up to 1.3 s each
OWED_AT_ONCE = 50
NEVER = 0.0
"""The version of a state that is only there to be marked as gone, or that is known to be out of date."""

Errors = dict[Entity, CypheraError]


@dataclass
class _Batch:
    """The changes of one entity that one request told of, as rows and as objects that are gone.

    `asked_for` are the objects that had to be fetched, `last_states` those of the objects that are gone, as far as they
    are known.
    """

    mapped: MappedPage = field(default_factory=MappedPage)
    asked_for: list[str] = field(default_factory=list)
    gone: list[Change] = field(default_factory=list)
    last_states: list[MappedObject] = field(default_factory=list)
    requests: int = 0


def apply_changes(
    context: SyncContext,
    entities: Sequence[Entity],
    since: float,
    reading: Reading,
    told: Iterable[Sequence[Change]] = (),
) -> tuple[int, Errors]:
    """Apply every change of the entities at or after `since`, in seconds since 1970, and those that we were told of.

    A snapshot of the pinned API version with whole nested lists is taken as it is; other objects are fetched, several
    at once. Each state carries the moment at which the provider held it: what the tables know better stays. An object
    that the provider cannot tell is owed. Returns of how many objects there were changes, and the errors of the
    entities whose changes could not be applied to the end. Raises ProviderError if the events cannot be read,
    SyncCancelledError or a database error; what was applied until then stays.
    """
    changed, errors, foreign = set[tuple[Entity, str]](), Errors(), ForeignEvents(context)
    with ThreadPoolExecutor(FETCHES_AT_ONCE, thread_name_prefix="fetch-changes") as fetchers:
        asked_for = context.client.changes(entities, int(since))
        listed = (foreign.keep_out(changes, were_sent=False) for changes in asked_for)
        sent = (foreign.keep_out(changes, were_sent=True) for changes in told)
        for changes in chain(sent, listed):
            if context.is_cancelled():
                raise SyncCancelledError
            for entity in entities:
                of_entity = [change for change in changes if change.entity is entity]
                if of_entity and entity not in errors:
                    _try(context, entity, of_entity, fetchers, errors, reading, since)
            changed |= {(change.entity, change.object_id) for change in changes}
    foreign.report()
    return len(changed), errors


def ask_for_owed(context: SyncContext, owed: Mapping[Entity, Sequence[str]], reading: Reading) -> Errors:
    """Fetch the objects that could not be read to their end before. Returns and raises as `apply_changes` does."""
    errors = Errors()
    with ThreadPoolExecutor(FETCHES_AT_ONCE, thread_name_prefix="fetch-owed") as fetchers:
        for entity, ids in owed.items():
            for at in range(0, len(ids), OWED_AT_ONCE):
                if context.is_cancelled():
                    raise SyncCancelledError
                changes = [Change(entity, object_id, NEVER) for object_id in ids[at : at + OWED_AT_ONCE]]
                if entity not in errors:
                    _try(context, entity, changes, fetchers, errors, reading)
    return errors


def load_page(context: SyncContext, entity: Entity, page: Page, reading: Reading) -> None:
    """Bring a page's objects into the tables, whole. Raises ProviderError or a database error."""
    batch = _Batch(requests=page.requests + context.client.complete(page), mapped=context.client.map_page(page))
    _apply(context, entity, batch, reading)


def _try(
    context: SyncContext,
    entity: Entity,
    changes: Sequence[Change],
    fetchers: ThreadPoolExecutor,
    errors: Errors,
    reading: Reading,
    since: float = NEVER,
) -> None:
    """Apply the changes of one entity, which are listed from `since` on. Its trouble does not stop the others."""
    try:
        certain = _without_doubtful(context, entity, changes, since)
        _apply(context, entity, _read(context, entity, certain, fetchers), reading)
    except (CredentialsRejectedError, RequestAbandonedError):
        raise
    except ProviderError as error:
        errors[entity] = error


def _read(context: SyncContext, entity: Entity, changes: Iterable[Change], fetchers: ThreadPoolExecutor) -> _Batch:
    batch, to_fetch, pages = _Batch(), list[Change](), list[Page]()
    for change in changes:
        if change.is_deleted:
            batch.gone.append(change)
        elif change.snapshot is not None:
            pages.append(Page(entity, [change.snapshot], has_more=False, version=change.version, requests=0))
        else:
            to_fetch.append(change)
    fetched = fetchers.map(lambda change: _fetch(context, change), to_fetch)
    for change, page in zip(to_fetch, fetched, strict=True):
        batch.asked_for.append(change.object_id)
        pages.append(page)
        if not page.objects and not page.incomplete:
            batch.gone.append(replace(change, version=page.version, is_deleted=True))
    for page, requests in zip(pages, fetchers.map(context.client.complete, pages), strict=True):
        batch.requests += page.requests + requests
        mapped = context.client.map_page(page)
        batch.mapped.objects += mapped.objects
        batch.mapped.unmappable += mapped.unmappable
        batch.mapped.incomplete += mapped.incomplete
        batch.mapped.cleaned += mapped.cleaned
    last_known = [change.last_known for change in batch.gone if change.last_known is not None]
    batch.last_states = context.client.map_page(Page(entity, last_known, has_more=False, version=NEVER)).objects
    return batch


def _without_doubtful(context: SyncContext, entity: Entity, changes: Sequence[Change], since: float) -> list[Change]:
    """The changes; where the tables leave doubt about what one tells, its object is to be fetched.

    The row is of another state of the same second, which a webhook may have brought: which came last, nobody can tell.
    Or what was sent to us is older than all that is listed here, and would change the row: what came after it need not
    be known here, so that an older state might come back. Or it may have children that nothing here tells of.
    """
    states = {change.object_id: change for change in changes if change.snapshot is not None or change.is_deleted}
    told = [change.last_known if change.is_deleted else change.snapshot for change in states.values()]
    page = Page(entity, [obj for obj in told if obj is not None], has_more=False, version=NEVER)
    objects = context.client.map_page(page).objects
    with context.database.tenant(context.source.workspace_id) as connection:
        known = find_known_rows(connection, context.source, entity, objects)
    doubtful = set()
    for obj in objects:
        change, row = states[obj.id], known.get((obj.livemode, obj.id))
        is_held = row is not None and (row.is_deleted if change.is_deleted else row.is_unchanged(obj))
        is_tie = row is not None and row.version == change.version
        is_late = change.version < since and (row is None or row.version < change.version)
        is_untold = not change.is_deleted and may_have_untold_children(entity, obj, row, since)
        if not is_held and (is_tie or is_late or is_untold):
            doubtful.add(obj.id)
    return [
        replace(change, snapshot=None, is_deleted=False) if change.object_id in doubtful else change
        for change in changes
    ]


def _fetch(context: SyncContext, change: Change) -> Page:
    """The object as it is now; one that the provider fails to tell is incomplete."""
    try:
        return context.client.fetch(change)
    except NOT_ABOUT_ONE_OBJECT:
        raise
    except ProviderError as error:
        failed = UnmappableObject(change.object_id, str(error), None)
        return Page(change.entity, [], has_more=False, version=NEVER, incomplete=[failed])


def _apply(context: SyncContext, entity: Entity, batch: _Batch, reading: Reading) -> None:
    source, incomplete = context.source, batch.mapped.incomplete
    objects, again = list[MappedObject](), list[MappedObject]()
    for obj in batch.mapped.objects:
        (objects if reading.is_first(entity, obj.id) else again).append(obj)
    others = [change.object_id for change in batch.gone]
    others += [obj.id for obj in (*batch.mapped.unmappable, *incomplete) if obj.id is not None]
    with context.database.tenant(source.workspace_id) as connection:
        strategy = context.request.conflict_strategy
        result = load(connection, source, entity, again, strategy, confirms=True).without_unchanged()
        new = result.tables.get(entity.value, TableCounts()).created
        result.add(load(connection, source, entity, objects, strategy, confirms=True))
        if strategy is ConflictStrategy.OVERWRITE:
            # A tombstone for what was never seen alive, too: an older state of it may still be on its way.
            seen = load(connection, source, entity, batch.last_states, ConflictStrategy.SKIP)
            result.add(seen.without_unchanged())
            for change in batch.gone:
                gone = tombstone_object(
                    connection, source, entity, change.object_id, livemode=context.livemode, version=change.version
                )
                result.add(LoadResult(gone))
        flagged = [change.object_id for change in batch.gone] if strategy is ConflictStrategy.FLAG else []
        unloaded = context.progress.first_mention(entity, batch.mapped.unmappable + result.refused)
        differing = not_flagged_yet(connection, context.session, entity, result.differing, flagged)
        events = mapping_events(entity, batch.mapped.cleaned, unloaded, incomplete, *differing)
        insert_events(connection, context.session, events)
        _note_owed(connection, context, entity, batch)
        _note_missing(connection, context, entity, batch, result)
        context.check_lock(connection)
    context.progress.loaded(
        entity,
        fetched=len(objects) + new + sum(reading.is_first(entity, object_id) for object_id in others),
        requests=batch.requests,
        unloaded=len(unloaded) + len(incomplete),
        flagged=len(differing[0]) + len(differing[1]),
        result=result,
    )


def _note_missing(
    connection: Connection, context: SyncContext, entity: Entity, batch: _Batch, result: LoadResult
) -> None:
    """Keep what could not be loaded until it is, and forget what was, or is gone."""
    unloaded = [*batch.mapped.unmappable, *result.refused]
    missing = {obj.id for obj in unloaded}
    mended = [obj.id for obj in batch.mapped.objects if obj.id not in missing]
    mended += [change.object_id for change in batch.gone]
    forget_missing(connection, context.source, entity, mended, livemode=context.livemode)
    for kind, these in ((MissingKind.NOT_LOADED, unloaded), (MissingKind.INCOMPLETE, batch.mapped.incomplete)):
        note_missing(connection, context.session, entity, these, kind, livemode=context.livemode, listing=None)


def _note_owed(connection: Connection, context: SyncContext, entity: Entity, batch: _Batch) -> None:
    """What was asked for and came is owed no more; what did not come is."""
    owed = set(read_owed(connection, context.source, entity, livemode=context.livemode))
    failed = {str(obj.id): obj.reason for obj in batch.mapped.incomplete}
    left = owed - set(batch.asked_for) | failed.keys()
    if len(left) > MOST_OWED and failed:
        raise ProviderUnavailableError(next(iter(failed.values())))
    if left != owed:
        save_owed(connection, context.source, entity, sorted(left), livemode=context.livemode)
