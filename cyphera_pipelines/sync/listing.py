"""Listing one entity: its pages, as they come, are merged into the tables, each with its checkpoint."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.error_codes import ErrorCode
from cyphera_pipelines.model.missing import MissingKind
from cyphera_pipelines.model.rows import MappedObject, UnmappableObject
from cyphera_pipelines.model.sessions import ConflictStrategy, EventLevel, SessionEvent
from cyphera_pipelines.model.synced_tables import entity_table
from cyphera_pipelines.providers.base import MappedPage, Provider, ProviderUnavailableError
from cyphera_pipelines.providers.registry import find_provider
from cyphera_pipelines.store.cursors import SyncPosition, complete_listing, save_unfinished
from cyphera_pipelines.store.encoding import encode_ahead
from cyphera_pipelines.store.events import insert_events, not_flagged_yet
from cyphera_pipelines.store.load_result import LoadResult
from cyphera_pipelines.store.loader import load
from cyphera_pipelines.store.missing import (
    forget_missing,
    forget_missing_before,
    has_missing,
    note_missing,
    note_unproven_absence,
)
from cyphera_pipelines.store.rows import has_rows
from cyphera_pipelines.store.tombstones import TimeSpan, find_missing, tombstone_missing
from cyphera_pipelines.sync.context import SyncContext
from cyphera_pipelines.sync.mapped_events import mapping_events
from cyphera_pipelines.sync.memory import collect_if_due
from cyphera_pipelines.sync.merges import Turn, merge_in_order
from cyphera_pipelines.sync.pages import FetchedPage, PageStream
from cyphera_pipelines.sync.slices import Coverage, Slice, restore
from cyphera_pipelines.sync.slicing import MOMENT_OF_A_LANE, SlicePlan
from cyphera_pipelines.sync.unfinished import UnfinishedListing, to_be_continued
from cyphera_pipelines.sync.watermarks import watermark_at

MOST_UNDATED = 1_000
"""Objects of one entity with impossible times of creation. Where there are more, nothing is concluded from times."""
MOST_OWED = 100
"""Objects of one entity that may be owed. Where more cannot be read to their end, it is not their fault."""
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
        self._provider = find_provider(context.source.provider)
        self._start = start
        self._entity = entity
        self._position = position
        self._strategy = context.request.conflict_strategy
        self._axis = self._provider.capabilities.reading[entity].axis
        continued = to_be_continued(context, start.watermark, position)
        if continued is None:
            slices = [Slice()]
            self._watermark = start.watermark
            self._met_rows = has_rows(context.database, context.source, entity_table(entity), livemode=context.livemode)
            self._leaves_gaps, self._not_loaded = False, 0
            self._owed = set[str]() if self._strategy is ConflictStrategy.OVERWRITE else set(position.owed)
        else:
            slices = restore(continued.slices) if self._axis is None else _slices_left(continued)
            self._watermark = continued.watermark
            self._met_rows = continued.met_rows
            self._leaves_gaps, self._not_loaded = continued.leaves_gaps, continued.not_loaded
            self._owed = set(position.owed)
        # Of a first listing that never began the next sync knows without a checkpoint that it is wanted. One that
        # leaves rows as they are must not take the place of one that overwrites them, and is to be gone on with.
        self._is_known_to_be_wanted = (
            continued is not None
            or position.full_listing_at is None
            or self._strategy is not ConflictStrategy.OVERWRITE
        )
        self._knows_missing = has_missing(context.database, context.source, entity, livemode=context.livemode)
        self._undated = set[str]()
        self._guesses_total = continued is not None or position.full_listing_at is None
        plan = plan_listing(self._provider, entity, start, slices, context.request.batch_size)
        self._pages = PageStream(context.client, entity, plan, context.published, context.is_cancelled, self._prepare)

    def run(self) -> None:
        """List until the entity is complete. Raises ProviderError, SyncCancelledError or a database error."""
        try:
            merge_in_order(self._pages.batches, self._merge, name=self._entity.value)
        except ProviderUnavailableError:
            self._leave_it_to_the_next_sync()
            raise
        assert self._pages.is_complete, "every slice was merged to its end"
        self._context.progress.done(self._entity)

    def _leave_it_to_the_next_sync(self) -> None:
        """A listing of which no page came is wanted as much as one that broke off in the middle."""
        if not self._is_known_to_be_wanted:
            with self._context.database.tenant(self._context.source.workspace_id) as connection:
                self._save_checkpoint(connection, [])
                self._context.check_lock(connection)

    def _prepare(self, page: MappedPage) -> None:
        """Of a first listing everything will be written. Later ones mostly find what is there already."""
        if not self._met_rows:
            encode_ahead(self._entity, page.objects, store_raw=self._context.source.store_raw)

    def _merge(self, batch: list[FetchedPage], turn: Turn) -> None:
        """Merge the pages, what they prove to be gone, and their checkpoint in one transaction.

        What a first listing brings may go into staging before the batch's turn has come: it looks nothing up. Not where
        others wait for a connection, of which it would hold a second one.
        """
        context, source = self._context, self._context.source
        if self._met_rows or context.database.is_in_demand:
            turn.wait()
        # No connection is held while pages are waited for: all entities of a sync share two.
        with context.database.tenant(source.workspace_id) as connection:
            turn.has_begun()
            objects = [obj for page in batch for obj in page.mapped.objects]
            result = load(
                connection,
                source,
                self._entity,
                objects,
                self._strategy,
                finds_nothing=not self._met_rows,
                when_staged=turn.wait,
            )
            incomplete = [obj for page in batch for obj in page.mapped.incomplete]
            self._owe(incomplete)
            gone = [object_id for page in batch for object_id in self._bury(connection, page, result)]
            unmappable = [obj for page in batch for obj in page.mapped.unmappable]
            cleaned = [object_id for page in batch for object_id in page.mapped.cleaned]
            unloaded = context.progress.first_mention(self._entity, unmappable + result.refused)
            self._not_loaded += len(unloaded)
            differing = not_flagged_yet(connection, context.session, self._entity, result.differing, gone)
            events = mapping_events(self._entity, cleaned, unloaded, incomplete, *differing)
            insert_events(connection, context.session, events)
            self._note_missing(connection, objects, [*unmappable, *result.refused], incomplete)
            self._save_checkpoint(connection, batch)
            context.check_lock(connection)
        self._pages.committed(batch)
        self._is_known_to_be_wanted = True
        context.progress.loaded(
            self._entity,
            fetched=sum(page.fetched for page in batch),
            requests=sum(page.requests for page in batch),
            unloaded=len(unloaded) + len(incomplete),
            flagged=len(differing[0]) + len(differing[1]),
            result=result,
        )
        self._estimate()
        collect_if_due()

    def _note_missing(
        self,
        connection: Connection,
        objects: Sequence[MappedObject],
        unloaded: Sequence[UnmappableObject],
        incomplete: Sequence[UnmappableObject],
    ) -> None:
        """Keep what could not be loaded until it is, and forget what was."""
        context, entity, livemode = self._context, self._entity, self._context.livemode
        if self._knows_missing:
            missing = {obj.id for obj in unloaded}
            loaded = [obj.id for obj in objects if obj.id not in missing]
            forget_missing(connection, context.source, entity, loaded, livemode=livemode)
        for kind, these in ((MissingKind.NOT_LOADED, unloaded), (MissingKind.INCOMPLETE, incomplete)):
            note_missing(connection, context.session, entity, these, kind, livemode=livemode, listing=self._watermark)
            self._knows_missing = self._knows_missing or bool(these)

    def _owe(self, incomplete: Iterable[UnmappableObject]) -> None:
        for obj in incomplete:
            self._owed.add(str(obj.id))
            if len(self._owed) > MOST_OWED:
                raise ProviderUnavailableError(obj.reason)

    def _bury(self, connection: Connection, page: FetchedPage, result: LoadResult) -> list[str]:
        """Mark what the page proves to be gone; or return its ids, where rows are to be flagged and left alone."""
        coverage, context = page.arrival.coverage, self._context
        self._undated |= set(page.undated)
        names_everything = page.names_everything and len(self._undated) <= MOST_UNDATED
        self._leaves_gaps = self._leaves_gaps or coverage.leaves_a_gap or not names_everything
        span = self._span(coverage)
        if not self._met_rows or not names_everything or span is None:
            return []
        present = [*page.present, *coverage.also, *self._undated]
        about = (connection, context.source, self._entity, span, present)
        unlisted = self._provider.unlisted_with.get(self._entity)
        if self._strategy is ConflictStrategy.OVERWRITE:
            marked = tombstone_missing(*about, livemode=context.livemode, version=page.version, unlisted_with=unlisted)
            result.add(LoadResult(marked))
        elif self._strategy is ConflictStrategy.FLAG:
            return find_missing(*about, livemode=context.livemode, version=page.version, unlisted_with=unlisted)
        return []

    def _span(self, coverage: Coverage) -> TimeSpan | None:
        """Of which rows the page tells whether they are gone; None if it does so of none."""
        if coverage.is_empty:
            return None
        if self._axis is not None:
            return TimeSpan(self._axis, coverage.after, coverage.until)
        reaches_all = coverage.until is None or coverage.until >= MOMENT_OF_A_LANE
        return TimeSpan(None, None, None) if coverage.after is None and reaches_all else None

    def _save_checkpoint(self, connection: Connection, batch: list[FetchedPage]) -> None:
        context, source, entity = self._context, self._context.source, self._entity
        unfinished = UnfinishedListing(
            session_id=str(context.session.id),
            strategy=self._strategy,
            watermark=self._watermark,
            listed_until=self._start.watermark,
            slices=self._pages.checkpoint_after(batch),
            met_rows=self._met_rows,
            leaves_gaps=self._leaves_gaps,
            not_loaded=self._not_loaded,
            mapping_version=self._provider.mapping_version,
        )
        owed = sorted(self._owed)
        save_unfinished(connection, source, entity, unfinished.as_json(), owed, livemode=context.livemode)
        # A listing that leaves rows as they are says nothing of what the tables hold.
        if unfinished.is_listed and self._strategy is ConflictStrategy.OVERWRITE:
            complete_listing(
                connection,
                source,
                entity,
                self._watermark_after(connection),
                livemode=context.livemode,
                mapping_version=self._provider.mapping_version,
            )
            forget_missing_before(connection, source, entity, livemode=context.livemode, listing=self._watermark)

    def _watermark_after(self, connection: Connection) -> datetime:
        """From when on changes are to be applied: where the listing could not prove what is gone, from long before it.

        That is known, unless this is the source's first complete listing or the last one is too long ago.
        """
        previous = self._position.watermark
        if not self._met_rows or not self._leaves_gaps:
            return watermark_at(self._watermark)
        kept_for = self._provider.capabilities.reading[self._entity].changes_kept_for
        if previous is not None and (kept_for is None or self._start.watermark - previous.timestamp() < kept_for):
            return previous
        source = self._context.source
        message = (
            f"Of some rows of {self._entity.value} it could not be told whether their objects still exist. "
            f"Compare them: cyphera verify {source.workspace_slug} {source.provider} --repair"
        )
        event = SessionEvent(
            "absence_unproven",
            message,
            entity_type=self._entity.value,
            level=EventLevel.WARNING,
            code=ErrorCode.ABSENCE_UNPROVEN,
        )
        insert_events(connection, self._context.session, [event])
        note_unproven_absence(
            connection, self._context.session, self._entity, livemode=self._context.livemode, listing=self._watermark
        )
        return watermark_at(self._watermark)

    def _estimate(self) -> None:
        """Guess the number of objects from what the slices expect; the rows of an earlier listing tell better."""
        if self._guesses_total:
            fetched = self._context.progress.entity(self._entity).fetched
            left = self._pages.objects_left(fetched)
            self._context.progress.estimated(self._entity, None if left is None else fetched + left)


def plan_listing(
    provider: Provider, entity: Entity, start: ListingStart, slices: list[Slice], page_size: int
) -> SlicePlan:
    """A plan for the slices, with the bounds of time in which the account's objects are likely to be."""
    if provider.capabilities.reading[entity].axis is None:
        return SlicePlan.lane(slices, page_size)
    floor = round(start.account_created) if start.account_created is not None else provider.oldest
    ceiling = round(start.watermark) + _DAY
    return SlicePlan(slices, min(floor, ceiling), ceiling, page_size, oldest=provider.oldest)


def _slices_left(continued: UnfinishedListing) -> list[Slice]:
    """What the earlier attempts left, and what was created since the last of them began as one more slice."""
    slices = restore(continued.slices)
    if not any(part.lt is None and part.committed is None for part in slices):
        slices.append(Slice(gte=int(continued.listed_until)))
    return slices
