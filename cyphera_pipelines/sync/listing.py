"""Listing one entity: several workers fetch pages of its slices, one thread merges them, each with its checkpoint."""

import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.sessions import ConflictStrategy, Session, SyncRequest
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.providers.base import CursorLostError, MappedPage, Page, ProviderClient
from cyphera_pipelines.store.cursors import SyncPosition, complete_listing, save_unfinished
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.events import insert_events
from cyphera_pipelines.store.loader import LoadResult, load
from cyphera_pipelines.store.tombstones import tombstone_missing
from cyphera_pipelines.sync.garbage import collect_if_due
from cyphera_pipelines.sync.mapped_events import mapping_events
from cyphera_pipelines.sync.progress import SyncProgress
from cyphera_pipelines.sync.slicing import Arrival, Listed, PageRequest, Slice, SlicePlan, restore

WORKERS = 8
"""Pages of one entity that may be on their way at once: Stripe's 25 per second at up to 300 ms each."""

PAGES_IN_MEMORY = 10
"""Pages of one entity that may have been fetched and not merged yet."""

UNFINISHED_IS_STALE_AFTER = 7 * 86_400.0
STRIPE_BEGAN = 1_262_304_000  # 2010: nothing is older, as far as dividing the work is concerned
_DAY = 86_400
LOOK_UP_EVERY = 0.5  # seconds after which a waiting worker looks whether the sync was cancelled


class SyncCancelledError(Exception):
    """The session was cancelled; what is merged stays, and the next sync continues."""


@dataclass(frozen=True)
class ListingContext:
    """What every entity's listing of one session shares.

    `watermark` was taken before the first request, in seconds since 1970 on the provider's clock.
    """

    database: Database
    client: ProviderClient
    source: Source
    session: Session
    request: SyncRequest
    livemode: bool
    watermark: float
    account_created: float | None
    progress: SyncProgress
    is_cancelled: Callable[[], bool]


@dataclass(frozen=True)
class _FetchedPage:
    """A page ready to be merged. `present` are the ids that the provider listed, mappable or not."""

    arrival: Arrival
    mapped: MappedPage
    present: tuple[str, ...]
    names_everything: bool
    version: float
    fetched: int
    requests: int


class EntityListing:
    """One entity's listing, from a fresh start or from where the last one was left."""

    def __init__(self, context: ListingContext, entity: Entity, position: SyncPosition) -> None:
        self._context = context
        self._entity = entity
        self._was_listed_before = position.full_listing_at is not None
        self._watermark, slices = _start_or_resume(context, position)
        floor = round(context.account_created) if context.account_created is not None else STRIPE_BEGAN
        ceiling = round(context.watermark) + _DAY
        self._plan = SlicePlan(slices, min(floor, ceiling), ceiling, context.request.batch_size)
        self._changed = threading.Condition()
        self._stopped = False
        self._room = threading.Semaphore(PAGES_IN_MEMORY)
        self._merging: queue.SimpleQueue[_FetchedPage | BaseException | None] = queue.SimpleQueue()

    def run(self) -> None:
        """List until the entity is complete. Raises ProviderError, SyncCancelledError or a database error."""
        with ThreadPoolExecutor(WORKERS, thread_name_prefix=f"fetch-{self._entity.value}") as workers:
            for _ in range(WORKERS):
                workers.submit(self._work)
            try:
                for page in self._in_order_of_their_slices():
                    self._merge(page)
                    self._room.release()
                    collect_if_due()
            finally:
                self._stop()
        self._context.progress.done(self._entity)

    def _work(self) -> None:
        """Fetch what the plan says until there is nothing more to fetch."""
        try:
            while (request := self._next_request()) is not None:
                self._fetch(request)
        except BaseException as error:  # the merging thread raises it
            self._merging.put(error)
        finally:
            self._merging.put(None)

    def _next_request(self) -> PageRequest | None:
        while not self._room.acquire(timeout=LOOK_UP_EVERY):
            if self._is_over():
                return None
        with self._changed:
            while not self._is_over():
                request = self._plan.take()
                if request is not None:
                    return request
                self._changed.wait(timeout=LOOK_UP_EVERY)
        self._room.release()
        return None

    def _is_over(self) -> bool:
        return self._stopped or self._plan.is_all_fetched or self._context.is_cancelled()

    def _fetch(self, request: PageRequest) -> None:
        client, limit = self._context.client, self._context.request.batch_size
        try:
            page = client.list_page(self._entity, interval=request.interval, cursor=request.cursor, limit=limit)
        except CursorLostError:
            if request.cursor is None:
                raise
            self._room.release()
            with self._changed:
                self._plan.lost_cursor(request)
                self._changed.notify_all()
            return
        with self._changed:
            arrival = self._plan.arrived(request, [_listed(obj) for obj in page.objects], has_more=page.has_more)
            self._changed.notify_all()
        page.objects = [obj for obj, counts in zip(page.objects, arrival.keep, strict=True) if counts]
        self._merging.put(self._complete(page, arrival))

    def _complete(self, page: Page, arrival: Arrival) -> _FetchedPage:
        requests = page.requests + self._context.client.complete(page)
        listed = [_listed(obj) for obj in page.objects]
        return _FetchedPage(
            arrival=arrival,
            mapped=self._context.client.map_page(page),
            present=tuple(obj.id for obj in listed if obj.id is not None),
            names_everything=all(obj.id is not None for obj in listed),
            version=page.version,
            fetched=len(listed),
            requests=requests,
        )

    def _in_order_of_their_slices(self) -> Iterator[_FetchedPage]:
        """The fetched pages, those of one slice in the order in which they were listed.

        A page whose nested lists took longer than those of its successor holds the successor back: a checkpoint must
        never be ahead of its rows.
        """
        early: dict[tuple[Slice, int], _FetchedPage] = {}
        due: dict[Slice, int] = {}
        working = WORKERS
        while working or not self._merging.empty():
            page = self._merging.get()
            if isinstance(page, BaseException):
                raise page
            if page is None:
                working -= 1
                continue
            part = page.arrival.part
            early[part, page.arrival.number] = page
            while (following := early.pop((part, due.get(part, 0)), None)) is not None:
                due[part] = following.arrival.number + 1
                yield following
        if self._context.is_cancelled():
            raise SyncCancelledError
        assert self._plan.is_complete, "every slice was merged to its end"

    def _merge(self, page: _FetchedPage) -> None:
        """Merge the page, what it proves to be gone, and its checkpoint in one transaction."""
        context, source, livemode = self._context, self._context.source, self._context.livemode
        with context.database.tenant(source.workspace_id) as connection:
            result = load(connection, source, self._entity, page.mapped.objects, context.request.conflict_strategy)
            coverage = page.arrival.coverage
            may_bury = self._was_listed_before and context.request.conflict_strategy is ConflictStrategy.OVERWRITE
            if may_bury and page.names_everything and not coverage.is_empty:
                gone = tombstone_missing(
                    connection,
                    source,
                    self._entity,
                    livemode=livemode,
                    created_after=coverage.after,
                    created_until=coverage.until,
                    present=[*page.present, *coverage.also],
                    version=page.version,
                )
                result.add(LoadResult(gone))
            unloaded = context.progress.first_mention(self._entity, page.mapped.unmappable + result.refused)
            insert_events(
                connection, context.session, mapping_events(self._entity, page.mapped, unloaded, result.differing)
            )
            with self._changed:
                slices = self._plan.checkpoint_after([page.arrival])
            if slices:
                unfinished = {"watermark": self._watermark, "listed_until": context.watermark, "slices": slices}
                save_unfinished(connection, source, self._entity, unfinished, livemode=livemode)
            else:
                watermark = datetime.fromtimestamp(self._watermark, UTC)
                complete_listing(connection, source, self._entity, watermark, livemode=livemode)
        with self._changed:
            self._plan.committed(page.arrival)
        context.progress.loaded(
            self._entity,
            fetched=page.fetched,
            requests=page.requests,
            unloaded=len(unloaded),
            result=result,
        )
        self._estimate()

    def _estimate(self) -> None:
        """Guess the number of objects from what the slices expect; the rows of an earlier listing tell better."""
        if not self._was_listed_before:
            with self._changed:
                left = self._plan.objects_left()
            fetched = self._context.progress.entity(self._entity).fetched
            self._context.progress.estimated(self._entity, fetched + left)

    def _stop(self) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify_all()


def _listed(obj: Any) -> Listed:
    """An object's id and creation time, as far as they can be read: the object may still prove unmappable."""
    if not isinstance(obj, dict):
        return Listed(None, None)
    object_id, created = obj.get("id"), obj.get("created")
    return Listed(
        object_id if isinstance(object_id, str) and object_id else None,
        created if isinstance(created, int) and not isinstance(created, bool) else None,
    )


def _start_or_resume(context: ListingContext, position: SyncPosition) -> tuple[float, list[Slice]]:
    """The listing's watermark and its slices.

    A resumed listing keeps the watermark of its first attempt; what was created since that attempt began is one more
    slice.
    """
    watermark = unfinished_since(context, position)
    if watermark is None or position.unfinished is None:
        return context.watermark, [Slice()]
    slices = restore(position.unfinished["slices"])
    if not any(part.lt is None and part.committed is None for part in slices):
        slices.append(Slice(gte=int(position.unfinished["listed_until"])))
    return watermark, slices


def unfinished_since(context: ListingContext, position: SyncPosition) -> float | None:
    """The watermark of the listing that is to be continued; None if there is none, or it is too old or not wanted."""
    if position.unfinished is None or context.request.full_sync:
        return None
    watermark = float(position.unfinished["watermark"])
    return watermark if context.watermark - watermark < UNFINISHED_IS_STALE_AFTER else None
