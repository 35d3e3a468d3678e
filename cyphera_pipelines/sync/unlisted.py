"""Objects that a provider leaves out of its lists by design: listed in a way of their own, or left as they are."""

import logging
from collections.abc import Sequence

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.sessions import ConflictStrategy, EventLevel, SessionEvent
from cyphera_pipelines.providers.base import CredentialsRejectedError, Page, ProviderError, RequestAbandonedError
from cyphera_pipelines.providers.registry import find_provider
from cyphera_pipelines.store.events import record_events
from cyphera_pipelines.store.loader import LoadResult
from cyphera_pipelines.store.rows import has_unlisted_rows
from cyphera_pipelines.store.tombstones import tombstone_unlisted
from cyphera_pipelines.sync.changes import load_page
from cyphera_pipelines.sync.context import SyncContext

_log = logging.getLogger(__name__)


def list_unlisted(context: SyncContext, entities: Sequence[Entity]) -> None:
    """Load what the entities' lists left out, and mark what of it is gone.

    Where the provider cannot tell, the rows stay as they are, and the session says so if there are any. Raises
    CredentialsRejectedError, RequestAbandonedError or a database error.
    """
    for entity, column in find_provider(context.source.provider).unlisted_with.items():
        if entity not in entities or context.is_cancelled():
            continue
        try:
            _list(context, entity, column)
        except (CredentialsRejectedError, RequestAbandonedError):
            raise
        except ProviderError as error:
            _note(context, entity, column, error)


def _list(context: SyncContext, entity: Entity, column: str) -> None:
    began, pages = context.client.now(), context.client.list_unlisted(entity)
    if pages is None:
        return
    present, all_are_named = list[str](), True
    for page in pages:
        if context.is_cancelled():
            return
        ids = _ids(page)
        all_are_named = all_are_named and len(ids) == len(page.objects)
        present += ids
        load_page(context, entity, page)
    if not all_are_named or context.request.conflict_strategy is not ConflictStrategy.OVERWRITE:
        return
    source = context.source
    with context.database.tenant(source.workspace_id) as connection:
        deleted = tombstone_unlisted(
            connection, source, entity, present, livemode=context.livemode, version=began, unlisted_with=column
        )
    context.progress.loaded(entity, fetched=0, requests=0, unloaded=0, result=LoadResult(deleted))


def _ids(page: Page) -> list[str]:
    ids = [obj.get("id") for obj in page.objects if isinstance(obj, dict)]
    return [object_id for object_id in ids if isinstance(object_id, str)]


def _note(context: SyncContext, entity: Entity, column: str, error: ProviderError) -> None:
    if not has_unlisted_rows(context.database, context.source, entity, column, livemode=context.livemode):
        _log.info("What lists of %s leave out for %s cannot be told: %s", entity.value, context.source.key, error)
        return
    message = (
        f"Rows of {entity.value} with a {column} stay as they are, whether their objects still exist or not: the "
        f"provider leaves them out of its lists, and could not list them by themselves. {error}"
    )
    event = SessionEvent("unlisted_unknown", message, entity_type=entity.value, level=EventLevel.WARNING)
    record_events(context.database, context.session, [event])
