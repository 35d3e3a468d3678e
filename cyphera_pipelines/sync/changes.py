"""Bringing the tables up to date with what changed at the provider since a moment, from its provider events."""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.rows import MappedObject
from cyphera_pipelines.model.sessions import ConflictStrategy
from cyphera_pipelines.providers.base import Change, MappedPage, Page
from cyphera_pipelines.store.events import insert_events
from cyphera_pipelines.store.loader import LoadResult, load
from cyphera_pipelines.store.tombstones import tombstone_object
from cyphera_pipelines.sync.context import SyncContext
from cyphera_pipelines.sync.mapped_events import mapping_events
from cyphera_pipelines.sync.pages import SyncCancelledError

FETCHES_AT_ONCE = 32  # Stripe's 25 per second, up to 1.3 s each
NEVER = 0.0
"""The version of a state that is only there to be marked as gone."""


@dataclass
class _Batch:
    """The changes of one entity that one request told of, as rows and as objects that are gone.

    `last_states` are the latter's as far as they are known.
    """

    mapped: MappedPage = field(default_factory=MappedPage)
    gone: list[Change] = field(default_factory=list)
    last_states: list[MappedObject] = field(default_factory=list)
    requests: int = 0


def apply_changes(context: SyncContext, entities: Sequence[Entity], since: float) -> int:
    """Apply every change of the entities at or after `since`, in seconds since 1970, and return how many there were.

    A snapshot of the pinned API version with whole nested lists is taken as it is; other objects are fetched, several
    at once. Each state carries the moment at which the provider held it: what the tables know better stays. Raises
    ProviderError, SyncCancelledError or a database error; what was applied until then stays.
    """
    applied = 0
    with ThreadPoolExecutor(FETCHES_AT_ONCE, thread_name_prefix="fetch-changes") as fetchers:
        for changes in context.client.changes(entities, int(since)):
            if context.is_cancelled():
                raise SyncCancelledError
            for entity in entities:
                of_entity = [change for change in changes if change.entity is entity]
                if of_entity:
                    _apply(context, entity, _read(context, entity, of_entity, fetchers))
            applied += len(changes)
    return applied


def _read(context: SyncContext, entity: Entity, changes: Iterable[Change], fetchers: ThreadPoolExecutor) -> _Batch:
    batch, to_fetch, pages = _Batch(), list[Change](), list[Page]()
    for change in changes:
        if change.is_deleted:
            batch.gone.append(change)
        elif change.snapshot is not None:
            pages.append(Page(entity, [change.snapshot], has_more=False, version=change.version, requests=0))
        else:
            to_fetch.append(change)
    fetched = fetchers.map(context.client.fetch, to_fetch)
    for change, page in zip(to_fetch, fetched, strict=True):
        pages.append(page)
        if not page.objects:
            batch.gone.append(replace(change, version=page.version, is_deleted=True))
    for page, requests in zip(pages, fetchers.map(context.client.complete, pages), strict=True):
        batch.requests += page.requests + requests
        mapped = context.client.map_page(page)
        batch.mapped.objects += mapped.objects
        batch.mapped.unmappable += mapped.unmappable
        batch.mapped.cleaned += mapped.cleaned
    last_known = [change.last_known for change in batch.gone if change.last_known is not None]
    batch.last_states = context.client.map_page(Page(entity, last_known, has_more=False, version=NEVER)).objects
    return batch


def _apply(context: SyncContext, entity: Entity, batch: _Batch) -> None:
    source = context.source
    with context.database.tenant(source.workspace_id) as connection:
        objects: list[MappedObject] = batch.mapped.objects
        strategy = context.request.conflict_strategy
        result = load(connection, source, entity, objects, strategy, confirms=True)
        if strategy is ConflictStrategy.OVERWRITE:
            # A tombstone for what was never seen alive, too: an older state of it may still be on its way.
            result.add(load(connection, source, entity, batch.last_states, ConflictStrategy.SKIP))
            for change in batch.gone:
                gone = tombstone_object(
                    connection, source, entity, change.object_id, livemode=context.livemode, version=change.version
                )
                result.add(LoadResult(gone))
        unloaded = context.progress.first_mention(entity, batch.mapped.unmappable + result.refused)
        insert_events(
            connection, context.session, mapping_events(entity, batch.mapped.cleaned, unloaded, result.differing)
        )
    context.progress.loaded(
        entity,
        fetched=len(objects) + len(batch.gone) + len(batch.mapped.unmappable),
        requests=batch.requests,
        unloaded=len(unloaded),
        result=result,
    )
