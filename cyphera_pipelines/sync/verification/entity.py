"""Verifying one entity: what the provider lists is compared with the tables, and what differs is looked at again.

Both sides change while one lists. So a difference counts only if a second look at the object, fetched by its id, shows
it too, and if the object did not change at the provider since the verification began: the next sync will bring such a
change, and nothing is wrong with the tables until then.
"""

import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import Connection

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.rows import MappedObject
from cyphera_pipelines.model.synced_tables import SYNCED_TABLES, child_tables, entity_table
from cyphera_pipelines.providers.base import (
    CredentialsRejectedError,
    MappedPage,
    ProviderError,
    ProviderUnavailableError,
    RequestAbandonedError,
)
from cyphera_pipelines.providers.registry import find_provider
from cyphera_pipelines.store import differences
from cyphera_pipelines.store import verification as store
from cyphera_pipelines.store.differences import Difference, DifferenceKind, RowKey
from cyphera_pipelines.store.load_result import LoadResult
from cyphera_pipelines.store.synced_accounts import read_synced_account
from cyphera_pipelines.store.verification import Listed
from cyphera_pipelines.sync.listing import plan_listing
from cyphera_pipelines.sync.memory import collect_if_due
from cyphera_pipelines.sync.pages import PageStream, SyncCancelledError
from cyphera_pipelines.sync.slices import Slice
from cyphera_pipelines.sync.verification.context import VerificationContext
from cyphera_pipelines.sync.verification.mending import mend, mend_versions, record_unmappable
from cyphera_pipelines.sync.verification.report import EntityReport, TableReport
from cyphera_pipelines.sync.verification.second_look import Rows, SecondLook, look_again, real_differences

_log = logging.getLogger(__name__)

PAGE_SIZE = 100

LOOKS_AT_ONCE = 8
OBJECTS_PER_BATCH = 50
MOST_LOOKS = 500
"""Objects of one entity that are looked at again: 20 seconds' worth at 25 requests per second.

Where more differ, an empty table for instance, the rest is reported as listed: that it did not change meanwhile is
known of those objects too. A repair has to fetch every one of them anyway.
"""

CLOCK_MARGIN = 60.0
"""Seconds. What claims to be created later than so far ahead of the provider's clock is on a clock of its own."""


class EntityVerification:
    """One entity's verification, on a database connection of its own."""

    def __init__(self, context: VerificationContext, entity: Entity) -> None:
        self._context = context
        self._entity = entity
        columns = [column.name for column in entity_table(entity).columns]
        self._created_at = columns.index("created")
        self._provider = find_provider(context.source.provider)
        self._unlisted_with = self._provider.unlisted_with.get(entity)
        self._has_rows = context.progress.entity(entity).estimated is not None
        self._changed = 0
        self._note: str | None = None

    def run(self) -> EntityReport:
        """Verify the entity, and mend it if that is asked for.

        Raises ProviderError, SyncCancelledError or a database error: then nothing is known of the entity.
        """
        context = self._context
        with store.comparison(context.database, context.source, self._entity) as connection:
            self._list(connection)
            self._list_unlisted(connection)
            with context.tenant(connection):
                store.compare(connection, context.source, self._entity, livemode=context.livemode)
                suspects = differences.count_unconfirmed(connection)
                mend_versions(connection, context, self._entity)
            if suspects:
                looks = suspects if context.session is not None else min(suspects, MOST_LOOKS)
                context.progress.estimated(self._entity, context.progress.entity(self._entity).fetched + looks)
                self._look_again(connection)
                if self._unlisted_with is not None:
                    with context.tenant(connection):
                        store.drop_unproven(connection, context.source, self._entity, self._unlisted_with)
            self._drop_changed(connection)
            report = self._report(connection)
        context.progress.done(self._entity)
        return report

    def _list(self, connection: Connection) -> None:
        context, entity = self._context, self._entity
        plan = plan_listing(self._provider, entity, context.start, [Slice()], PAGE_SIZE)
        pages = PageStream(context.client, entity, plan, context.published, context.is_cancelled)
        for batch in pages.batches():
            fetched, requests = sum(page.fetched for page in batch), sum(page.requests for page in batch)
            self._note_listed(connection, [page.mapped for page in batch], fetched, requests)
            pages.committed(batch)
            if not self._has_rows:
                fetched = context.progress.entity(entity).fetched
                left = pages.objects_left(fetched)
                context.progress.estimated(entity, None if left is None else fetched + left)
            collect_if_due()

    def _list_unlisted(self, connection: Connection) -> None:
        """List what lists leave out by design. Where that cannot be done, a second look has to tell."""
        context = self._context
        try:
            for page in context.client.list_unlisted(self._entity) or ():
                if context.is_cancelled():
                    raise SyncCancelledError
                fetched, requests = len(page.objects), page.requests + context.client.complete(page)
                self._note_listed(connection, [context.client.map_page(page)], fetched, requests)
        except (CredentialsRejectedError, RequestAbandonedError):
            raise
        except ProviderError as error:
            _log.info("What lists of %s leave out cannot be listed: %s", self._entity.value, error)

    def _note_listed(self, connection: Connection, mapped: Sequence[MappedPage], fetched: int, requests: int) -> None:
        context, entity = self._context, self._entity
        for obj in (obj for page in mapped for obj in page.incomplete):
            raise ProviderUnavailableError(obj.reason)
        objects = [Listed(obj, self._is_new(obj)) for page in mapped for obj in page.objects]
        unmappable = [obj for page in mapped for obj in page.unmappable]
        with context.tenant(connection):
            store.add_listed(connection, entity, objects, [obj.id for obj in unmappable])
            unloaded = record_unmappable(connection, context, entity, unmappable)
        context.progress.loaded(
            entity,
            fetched=fetched,
            requests=requests,
            unloaded=unloaded,
            result=LoadResult(),
        )

    def _is_new(self, obj: MappedObject) -> bool:
        """Whether it was created after the verification began. Objects on a test clock may lie in the far future."""
        created, began = obj.values[self._created_at], int(self._context.start.watermark)
        return created is not None and bool(began <= created <= self._context.client.now() + CLOCK_MARGIN)

    def _look_again(self, connection: Connection) -> None:
        """Keep what is real of the differences; mend it if that is asked for."""
        context = self._context
        with ThreadPoolExecutor(LOOKS_AT_ONCE, thread_name_prefix=f"look-{self._entity.value}") as threads:
            for object_ids in self._suspects(connection):
                if context.is_cancelled():
                    raise SyncCancelledError
                looks = look_again(context.client, self._entity, object_ids, threads)
                with context.tenant(connection):
                    self._settle(connection, object_ids, looks)

    def _suspects(self, connection: Connection) -> Iterator[list[str]]:
        """The objects to look at, in batches: all of them for a repair, or else as many as is reasonable."""
        context = self._context
        if context.session is not None:
            last = ""
            while True:
                with context.tenant(connection):
                    batch = differences.objects_after(connection, last, OBJECTS_PER_BATCH)
                if not batch:
                    return
                yield batch
                last = batch[-1]
        with context.tenant(connection):
            sample = differences.sample_objects(connection, MOST_LOOKS)
        for at in range(0, len(sample), OBJECTS_PER_BATCH):
            yield sample[at : at + OBJECTS_PER_BATCH]

    def _settle(self, connection: Connection, object_ids: Sequence[str], looks: dict[str, SecondLook]) -> None:
        context, entity = self._context, self._entity
        found = differences.differences_of(connection, object_ids)
        rows = self._rows_of(connection, found)
        real = real_differences(found, looks, rows)
        result, unmappable = LoadResult(), [look.unmappable for look in looks.values() if look.unmappable is not None]
        if context.session is not None:
            result = mend(connection, context, entity, real, looks, rows)
            unmappable += result.refused
            refused = {obj.id for obj in result.refused}
            real = [difference for difference in real if difference.object_id not in refused]
        differences.settle(connection, object_ids, real, are_mended=context.session is not None)
        store.mark_unmappable(connection, entity, [obj.id for obj in unmappable if obj.id is not None])
        unloaded = record_unmappable(connection, context, entity, unmappable)
        requests = sum(look.requests for look in looks.values())
        context.progress.loaded(entity, fetched=len(looks), requests=requests, unloaded=unloaded, result=result)

    def _rows_of(self, connection: Connection, found: Sequence[Difference]) -> Rows:
        keys: dict[str, set[RowKey]] = {}
        for difference in found:
            keys.setdefault(difference.table, set()).add(difference.key)
        return {
            name: store.live_rows(connection, self._context.source, SYNCED_TABLES[name], of_table)
            for name, of_table in keys.items()
        }

    def _drop_changed(self, connection: Connection) -> None:
        """Forget the differences of objects that changed at the provider since the verification began.

        Last of all, since a provider event can be found a little later than it happens.
        """
        context, began = self._context, int(self._context.start.watermark)
        with context.tenant(connection):
            if not differences.has_differences(connection):
                return
        try:
            last = read_synced_account(context.database, context.source, livemode=context.livemode)
            known_id = None if last is None else last.id
            for changes in context.client.changes([self._entity], began):
                changed = [
                    change.object_id
                    for change in changes
                    if not context.scope.is_foreign(change.account, known_id, was_sent=False)
                ]
                if changed:
                    with context.tenant(connection):
                        self._changed += differences.drop_objects(connection, changed)
        except (CredentialsRejectedError, RequestAbandonedError):
            raise
        except ProviderError as error:
            self._note = (
                "What changed while the verification ran could not be read, so that some of the differences may be "
                f"such changes: {error}"
            )

    def _report(self, connection: Connection) -> EntityReport:
        context, entity = self._context, self._entity
        tables = []
        with context.tenant(connection):
            if context.session is not None:
                store.forget_mended(connection, context.source, entity, livemode=context.livemode)
            for table in (entity_table(entity), *child_tables(entity)):
                by_kind = {kind.value: differences.find_rows(connection, table, kind) for kind in DifferenceKind}
                checked, mended = store.count_checked(connection, table), differences.count_mended(connection, table)
                tables.append(TableReport(table.name, checked, mended=mended, **by_kind))
            unmappable = store.find_unmappable(connection, entity)
            unconfirmed = differences.count_unconfirmed(connection)
        return EntityReport(entity, tuple(tables), unmappable, self._changed, unconfirmed, self._note)
