"""Listing one entity from beginning to end: page by page into the tables, each page with its checkpoint."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.rows import UnmappableObject
from cyphera_pipelines.model.sessions import Session, SessionEvent, SyncRequest
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.providers.base import CursorLostError, MappedPage, Page, ProviderClient
from cyphera_pipelines.store.cursors import SyncPosition, complete_listing, save_unfinished
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.events import insert_events
from cyphera_pipelines.store.loader import LoadResult, load
from cyphera_pipelines.sync.progress import SyncProgress
from cyphera_pipelines.sync.slicing import Listing, Slice

UNFINISHED_IS_STALE_AFTER = 7 * 86_400.0


class SyncCancelledError(Exception):
    """The session was cancelled; what is merged stays, and the next sync continues."""


@dataclass(frozen=True)
class ListingContext:
    """What every entity's listing of one session shares."""

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
    """A page ready to be loaded. `requests` counts those for nested lists too."""

    page: Page
    mapped: MappedPage
    requests: int


class EntityListing:
    """One entity's listing. While a page is merged, the next one is being fetched."""

    def __init__(self, context: ListingContext, entity: Entity, position: SyncPosition) -> None:
        self._context = context
        self._entity = entity
        self._listing = _start_or_resume(context, position)
        self._was_listed_before = position.full_listing_at is not None

    def run(self) -> None:
        """List until the entity is complete. Raises ProviderError, SyncCancelledError or a database error."""
        with ThreadPoolExecutor(1, thread_name_prefix=f"fetch-{self._entity.value}") as fetcher:
            while self._listing.slices:
                self._list_slice(fetcher)
        self._context.progress.done(self._entity)

    def _list_slice(self, fetcher: ThreadPoolExecutor) -> None:
        coming = fetcher.submit(self._fetch, self._listing.slices[0])
        while True:
            fetched = self._result_of(coming)
            current = self._listing.slices[0]
            following = None if fetched.page.cursor is None else current.advanced(fetched.page.cursor, _oldest(fetched))
            if following is not None:
                coming = fetcher.submit(self._fetch, following)
            self._load(fetched, following)
            if following is None:
                return

    def _result_of(self, coming: "Future[_FetchedPage]") -> _FetchedPage:
        try:
            return coming.result()
        except CursorLostError:
            if self._listing.slices[0].cursor is None:
                raise
            self._listing.slices[0] = self._listing.slices[0].without_cursor()
            return self._fetch(self._listing.slices[0])

    def _fetch(self, part: Slice) -> _FetchedPage:
        if self._context.is_cancelled():
            raise SyncCancelledError
        client = self._context.client
        page = client.list_page(
            self._entity, interval=part.interval, cursor=part.cursor, limit=self._context.request.batch_size
        )
        requests = page.requests + client.complete(page)
        return _FetchedPage(page, client.map_page(page), requests)

    def _load(self, fetched: _FetchedPage, following: Slice | None) -> None:
        """Merge the page and its checkpoint in one transaction."""
        context, source, livemode = self._context, self._context.source, self._context.livemode
        remaining = self._listing.slices[1:] if following is None else [following, *self._listing.slices[1:]]
        listing = Listing(self._listing.watermark, self._listing.covers_until, remaining)
        with context.database.tenant(source.workspace_id) as connection:
            result = load(connection, source, self._entity, fetched.mapped.objects, fetched.page.version)
            insert_events(connection, context.session, self._events(fetched.mapped, result))
            if remaining:
                save_unfinished(connection, source, self._entity, listing.as_json(), livemode=livemode)
            else:
                watermark = datetime.fromtimestamp(listing.watermark, UTC)
                complete_listing(connection, source, self._entity, watermark, livemode=livemode)
        self._listing = listing
        context.progress.loaded(
            self._entity,
            fetched=len(fetched.page.objects),
            requests=fetched.requests,
            unmappable=len(fetched.mapped.unmappable),
            result=result,
        )
        self._estimate(following)

    def _estimate(self, following: Slice | None) -> None:
        """Extrapolate the number of objects from the part of the account's lifetime that has been listed.

        Not if the entity was listed before: then the rows that there are tell better.
        """
        context = self._context
        if self._was_listed_before:
            return
        oldest = following.cursor_created if following is not None else None
        if oldest is None or context.account_created is None:
            return
        lifetime, listed = context.watermark - context.account_created, context.watermark - oldest
        if lifetime > 0 and listed > 0:
            fetched = context.progress.entity(self._entity).fetched
            context.progress.estimated(self._entity, round(fetched * max(1.0, lifetime / listed)))

    def _events(self, mapped: MappedPage, result: LoadResult) -> list[SessionEvent]:
        events = [_unmappable_event(self._entity, obj) for obj in mapped.unmappable + result.refused]
        if mapped.cleaned:
            names = ", ".join(mapped.cleaned[:5]) + (" and others" if len(mapped.cleaned) > 5 else "")
            events.append(
                SessionEvent(
                    "characters_removed",
                    f"Characters that Postgres cannot hold (NUL, lone surrogates) were taken out of {names}.",
                    entity_type=self._entity.value,
                    event_details={"level": "warning", "ids": mapped.cleaned},
                )
            )
        return events


def _unmappable_event(entity: Entity, obj: UnmappableObject) -> SessionEvent:
    raw = obj.raw.decode("utf-8", "replace") if isinstance(obj.raw, bytes) else obj.raw
    name = obj.id or "an object without an id"
    return SessionEvent(
        "row_unmappable",
        f"{name} of {entity.value} was not loaded: {obj.reason}. It is kept here as it was received.",
        entity_type=entity.value,
        external_id=obj.id,
        event_details={"level": "error", "reason": obj.reason, "raw": raw},
    )


def _oldest(fetched: _FetchedPage) -> int | None:
    """The creation time of the page's last object, if it is readable."""
    last = fetched.page.objects[-1] if fetched.page.objects else None
    created = last.get("created") if isinstance(last, dict) else None
    return created if isinstance(created, int) else None


def _start_or_resume(context: ListingContext, position: SyncPosition) -> Listing:
    now = int(context.watermark)
    if position.unfinished is not None and not context.request.full_sync:
        unfinished = Listing.from_json(position.unfinished)
        if context.watermark - unfinished.watermark < UNFINISHED_IS_STALE_AFTER:
            return unfinished.resumed(now)
    return Listing(context.watermark, now)
