"""One entity's pages: several workers fetch what the plan says, and they come out ready to be merged."""

import queue
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.limits import RateLimits
from cyphera_pipelines.providers.base import (
    CursorLostError,
    EndlessListError,
    MappedPage,
    Page,
    ProviderClient,
)
from cyphera_pipelines.sync.concurrency import MOST_AT_ONCE, Concurrency
from cyphera_pipelines.sync.slices import Arrival, PageRequest, Slice
from cyphera_pipelines.sync.slicing import SlicePlan

PAGES_AT_ONCE = 8
"""Pages that are handed out together when they are ready: a transaction for each costs Postgres a fifth more."""

_mapping = threading.Lock()
"""Mapping is nothing but work for the interpreter. Two threads at it would not be sooner done than one, but whoever has
an answer of Postgres' or the provider's in hand would have to wait for both: a first load took a ninth longer."""

LOOK_UP_EVERY = 0.5  # seconds after which a waiting worker looks whether the sync was cancelled


class SyncCancelledError(Exception):
    """The session was cancelled; what is merged stays, and the next sync continues."""


@dataclass(frozen=True)
class FetchedPage:
    """A page ready to be merged. `present` are the ids that the provider listed, mappable or not.

    `undated` are those of objects whose time of creation cannot be right: any page may be the one that brings them.
    """

    arrival: Arrival
    mapped: MappedPage
    present: tuple[str, ...]
    names_everything: bool
    version: float
    fetched: int
    requests: int
    undated: tuple[str, ...] = ()


class PageStream:
    """The pages of a plan, each slice's in the order in which they were listed.

    Whoever takes pages says so with `committed` when they are where they belong: only then are others fetched in their
    place. Some threads fetch pages; others complete what was fetched, so that the next page need not wait for the
    nested lists of the last, and `prepare` them, so that merging one page and preparing the next go on at once. The
    plan is asked and told through the stream only, which is safe for threads. `published` is what the provider allows.
    """

    def __init__(
        self,
        client: ProviderClient,
        entity: Entity,
        plan: SlicePlan,
        published: RateLimits,
        is_cancelled: Callable[[], bool],
        prepare: Callable[[MappedPage], None] = lambda _page: None,
    ) -> None:
        self._client = client
        self._entity = entity
        self._plan = plan
        self._is_cancelled = is_cancelled
        self._prepare = prepare
        self._changed = threading.Condition()
        self._stopped = False
        self._endless: EndlessListError | None = None
        name = entity.value
        self._fetchers = ThreadPoolExecutor(MOST_AT_ONCE, thread_name_prefix=f"fetch-{name}")
        self._completers = ThreadPoolExecutor(MOST_AT_ONCE, thread_name_prefix=f"complete-{name}")
        self._concurrency = Concurrency(published)
        self._fetching = 0
        self._completing = 0
        self._held = 0
        self._ready: queue.SimpleQueue[FetchedPage | BaseException | None] = queue.SimpleQueue()
        self._early: dict[tuple[Slice, int], FetchedPage] = {}
        self._due: dict[Slice, int] = {}

    def batches(self) -> Iterator[list[FetchedPage]]:
        """Yield the pages as they become ready, all that are at once, until the plan is complete.

        Raises ProviderError or SyncCancelledError.
        """
        with self._completers, self._fetchers:
            with self._changed:
                self._start_fetching(self._concurrency.at_once)
            try:
                yield from self._in_order_of_their_slices()
            finally:
                self._stop()
        if self._is_cancelled():
            raise SyncCancelledError

    @property
    def is_complete(self) -> bool:
        """Whether every page is where it belongs."""
        with self._changed:
            return self._plan.is_complete

    def checkpoint_after(self, pages: list[FetchedPage]) -> list[dict[str, Any]]:
        """What would be left to do if these pages were committed too; see `SlicePlan.checkpoint_after`."""
        with self._changed:
            return self._plan.checkpoint_after([page.arrival for page in pages])

    def committed(self, pages: list[FetchedPage]) -> None:
        """The pages are where they belong, in the order in which they were yielded."""
        with self._changed:
            for page in pages:
                self._plan.committed(page.arrival)
            self._held -= len(pages)
            self._changed.notify_all()

    def objects_left(self, fetched: int) -> int | None:
        """A guess at how many objects are still to be fetched; see `SlicePlan.objects_left`."""
        with self._changed:
            return self._plan.objects_left(fetched)

    def _start_fetching(self, threads: int) -> None:
        """Let so many threads fetch pages, if there are fewer."""
        while self._fetching < threads and not self._stopped:
            self._fetching += 1
            self._fetchers.submit(self._fetch_pages)

    def _fetch_pages(self) -> None:
        """Fetch what the plan says until there is nothing more to fetch."""
        try:
            while (request := self._next_request()) is not None:
                self._fetch(request)
        except EndlessListError as error:
            # What has come is good: it is handed out first.
            self._endless = error
        except BaseException as error:  # the thread that takes the pages raises it
            self._ready.put(error)
        finally:
            with self._changed:
                self._fetching -= 1
                self._say_if_over()

    def _next_request(self) -> PageRequest | None:
        with self._changed:
            while not self._is_over():
                request = self._plan.take() if self._held < self._concurrency.held else None
                if request is not None:
                    self._held += 1
                    return request
                self._changed.wait(timeout=LOOK_UP_EVERY)
        return None

    def _is_over(self) -> bool:
        return self._stopped or self._endless is not None or self._plan.is_all_fetched or self._is_cancelled()

    def _fetch(self, request: PageRequest) -> None:
        client, limit, began = self._client, self._plan.page_size, time.monotonic()
        try:
            page = client.list_page(self._entity, interval=request.interval, cursor=request.cursor, limit=limit)
        except CursorLostError:
            if request.cursor is None:
                raise
            with self._changed:
                self._held -= 1
                self._plan.lost_cursor(request)
                self._changed.notify_all()
            return
        listed = [self._plan.believed(request, client.listed(self._entity, obj)) for obj in page.objects]
        with self._changed:
            self._concurrency.observe(time.monotonic() - began)
            arrival = self._plan.arrived(request, listed, has_more=page.has_more, next_cursor=page.next_cursor)
            self._start_fetching(self._concurrency.at_once)
            self._completing += 1
            self._changed.notify_all()
        page.objects = [obj for obj, counts in zip(page.objects, arrival.keep, strict=True) if counts]
        undated = tuple(obj.id for obj in listed if obj.moment is None and obj.id is not None)
        self._completers.submit(self._complete, page, arrival, undated)

    def _complete(self, page: Page, arrival: Arrival, undated: tuple[str, ...]) -> None:
        try:
            self._ready.put(self._completed(page, arrival, undated))
        except BaseException as error:  # the thread that takes the pages raises it
            self._ready.put(error)
        finally:
            with self._changed:
                self._completing -= 1
                self._say_if_over()

    def _say_if_over(self) -> None:
        """Whoever waits for pages has to know that none will come any more."""
        if not self._fetching and not self._completing:
            self._ready.put(self._endless)

    def _completed(self, page: Page, arrival: Arrival, undated: tuple[str, ...]) -> FetchedPage:
        requests = page.requests + self._client.complete(page)
        with _mapping:
            ids = [self._client.listed(self._entity, obj).id for obj in page.objects]
            ids += [obj.id for obj in page.incomplete]
            mapped = self._client.map_page(page)
            self._prepare(mapped)
        return FetchedPage(
            arrival=arrival,
            mapped=mapped,
            present=tuple(object_id for object_id in ids if object_id is not None),
            names_everything=None not in ids,
            version=page.version,
            fetched=len(ids),
            requests=requests,
            undated=undated,
        )

    def _in_order_of_their_slices(self) -> Iterator[list[FetchedPage]]:
        """A page whose nested lists took longer than those of its successor holds the successor back.

        A checkpoint must never be ahead of its rows.
        """
        is_over, error = False, None
        while not is_over and error is None:
            batch: list[FetchedPage] = []
            while not is_over and error is None and (not batch or not self._ready.empty()):
                page = self._ready.get()
                if page is None:
                    is_over = True
                elif isinstance(page, BaseException):
                    error = page
                else:
                    batch += self._due_after(page)
                if len(batch) >= PAGES_AT_ONCE:
                    break
            if batch:
                yield batch
        if error is not None:
            raise error

    def _due_after(self, page: FetchedPage) -> Iterator[FetchedPage]:
        part = page.arrival.part
        self._early[part, page.arrival.number] = page
        while (following := self._early.pop((part, self._due.get(part, 0)), None)) is not None:
            self._due[part] = following.arrival.number + 1
            yield following

    def _stop(self) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
