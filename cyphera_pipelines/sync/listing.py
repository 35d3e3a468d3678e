"""Listing one entity: its pages, as they come, are merged into the tables, each with its checkpoint."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.sessions import ConflictStrategy, SyncRequest
from cyphera_pipelines.store.cursors import SyncPosition, complete_listing, save_unfinished
from cyphera_pipelines.store.events import insert_events
from cyphera_pipelines.store.loader import LoadResult, TableCounts, load
from cyphera_pipelines.store.tombstones import tombstone_missing
from cyphera_pipelines.sync.context import SyncContext
from cyphera_pipelines.sync.mapped_events import mapping_events
from cyphera_pipelines.sync.memory import collect_if_due
from cyphera_pipelines.sync.pages import FetchedPage, PageStream
from cyphera_pipelines.sync.slicing import Slice, SlicePlan, restore

UNFINISHED_IS_STALE_AFTER = 7 * 86_400.0
STRIPE_BEGAN = 1_262_304_000  # 2010: nothing is older, as far as dividing the work is concerned
_DAY = 86_400


@dataclass(frozen=True)
class ListingStart:
    """When the listing of a source began, taken before its first request, and when its account did.

    `watermark` is in seconds since 1970 on the provider's clock; `account_created` is None where it is not known.
    """

    watermark: float
    account_created: float | None


class EntityListing:
    """One entity's listing, from a fresh start or from where the last one was left."""

    def __init__(self, context: SyncContext, start: ListingStart, entity: Entity, position: SyncPosition) -> None:
        self._context = context
        self._start = start
        self._entity = entity
        self._was_listed_before = position.full_listing_at is not None
        self._watermark, slices = _start_or_resume(context, start, position)
        plan = plan_listing(start, slices, context.request.batch_size)
        self._pages = PageStream(context.client, entity, plan, context.is_cancelled)

    def run(self) -> None:
        """List until the entity is complete. Raises ProviderError, SyncCancelledError or a database error."""
        context = self._context
        # One connection for all batches: each has staging tables of its own, which every commit has to empty.
        with context.database.engine.connect() as connection:
            for batch in self._pages.batches():
                self._merge(connection, batch)
                collect_if_due()
        context.progress.done(self._entity)

    def _merge(self, connection: Connection, batch: list[FetchedPage]) -> None:
        """Merge the pages, what they prove to be gone, and their checkpoint in one transaction."""
        context, source = self._context, self._context.source
        with context.database.tenant(source.workspace_id, connection):
            objects = [obj for page in batch for obj in page.mapped.objects]
            result = load(connection, source, self._entity, objects, context.request.conflict_strategy)
            for page in batch:
                result.add(LoadResult(self._tombstone(connection, page)))
            unmappable = [obj for page in batch for obj in page.mapped.unmappable]
            cleaned = [object_id for page in batch for object_id in page.mapped.cleaned]
            unloaded = context.progress.first_mention(self._entity, unmappable + result.refused)
            events = mapping_events(self._entity, cleaned, unloaded, result.differing)
            insert_events(connection, context.session, events)
            self._save_checkpoint(connection, batch)
        self._pages.committed(batch)
        context.progress.loaded(
            self._entity,
            fetched=sum(page.fetched for page in batch),
            requests=sum(page.requests for page in batch),
            unloaded=len(unloaded),
            result=result,
        )
        self._estimate()

    def _tombstone(self, connection: Connection, page: FetchedPage) -> dict[str, TableCounts]:
        """Mark what the page proves to be gone."""
        coverage, context = page.arrival.coverage, self._context
        may_bury = self._was_listed_before and context.request.conflict_strategy is ConflictStrategy.OVERWRITE
        if not may_bury or not page.names_everything or coverage.is_empty:
            return {}
        return tombstone_missing(
            connection,
            context.source,
            self._entity,
            livemode=context.livemode,
            created_after=coverage.after,
            created_until=coverage.until,
            present=[*page.present, *coverage.also],
            version=page.version,
        )

    def _save_checkpoint(self, connection: Connection, batch: list[FetchedPage]) -> None:
        context, source = self._context, self._context.source
        slices = self._pages.checkpoint_after(batch)
        unfinished = {"watermark": self._watermark, "listed_until": self._start.watermark, "slices": slices}
        if slices:
            save_unfinished(connection, source, self._entity, unfinished, livemode=context.livemode)
        else:
            watermark = datetime.fromtimestamp(self._watermark, UTC)
            complete_listing(connection, source, self._entity, unfinished, watermark, livemode=context.livemode)

    def _estimate(self) -> None:
        """Guess the number of objects from what the slices expect; the rows of an earlier listing tell better."""
        if not self._was_listed_before:
            fetched = self._context.progress.entity(self._entity).fetched
            self._context.progress.estimated(self._entity, fetched + self._pages.objects_left())


def plan_listing(start: ListingStart, slices: list[Slice], page_size: int) -> SlicePlan:
    """A plan for the slices, with the bounds of time in which the account's objects are likely to be."""
    floor = round(start.account_created) if start.account_created is not None else STRIPE_BEGAN
    ceiling = round(start.watermark) + _DAY
    return SlicePlan(slices, min(floor, ceiling), ceiling, page_size)


def _start_or_resume(context: SyncContext, start: ListingStart, position: SyncPosition) -> tuple[float, list[Slice]]:
    """The listing's watermark and its slices.

    A resumed listing keeps the watermark of its first attempt; what was created since that attempt began is one more
    slice.
    """
    unfinished = _to_be_continued(context.request, start, position)
    if unfinished is None:
        return start.watermark, [Slice()]
    slices = restore(unfinished["slices"])
    if not any(part.lt is None and part.committed is None for part in slices):
        slices.append(Slice(gte=int(unfinished["listed_until"])))
    return float(unfinished["watermark"]), slices


def has_been_listed(request: SyncRequest, start: ListingStart, position: SyncPosition) -> bool:
    """Whether the sync that is to be continued had listed the entity to its end: it only has to catch up."""
    unfinished = _to_be_continued(request, start, position)
    return unfinished is not None and has_no_slices_left(unfinished)


def has_no_slices_left(unfinished: dict[str, Any]) -> bool:
    """Whether every page of the listing is in the tables, and only what changed meanwhile is not."""
    return not unfinished["slices"]


def _to_be_continued(request: SyncRequest, start: ListingStart, position: SyncPosition) -> dict[str, Any] | None:
    """The listing that is to be continued; None if there is none, or it is too old or not wanted."""
    unfinished = position.unfinished
    if unfinished is None or request.full_sync:
        return None
    return unfinished if start.watermark - float(unfinished["watermark"]) < UNFINISHED_IS_STALE_AFTER else None
