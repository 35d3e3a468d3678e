"""Objects that a provider leaves out of its lists by design: listed in a way of their own, or left as they are."""

import logging
from collections.abc import Sequence

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.errors import CypheraError
from cyphera_pipelines.model.sessions import ConflictStrategy, EventLevel, SessionEvent
from cyphera_pipelines.providers.base import CredentialsRejectedError, Page, RequestAbandonedError
from cyphera_pipelines.providers.registry import find_provider
from cyphera_pipelines.store.events import record_events
from cyphera_pipelines.store.rows import has_unlisted_rows
from cyphera_pipelines.store.tombstones import find_unlisted
from cyphera_pipelines.sync.changes import ask_for_owed, load_page
from cyphera_pipelines.sync.context import SyncContext
from cyphera_pipelines.sync.pages import SyncCancelledError

_log = logging.getLogger(__name__)

MOST_ASKED_FOR = 500
"""Objects that are asked for by their ids: 20 seconds' worth at Stripe's 25 requests per second. Others come next."""


def list_unlisted(context: SyncContext, entities: Sequence[Entity]) -> None:
    """Load what the entities' lists left out, and mark what of it is gone, as many as are asked for in one sync.

    Where the provider cannot tell, the rows stay as they are, and the session says so if there are any. Raises
    CredentialsRejectedError, RequestAbandonedError or a database error.
    """
    for entity, column in find_provider(context.source.provider).unlisted_with.items():
        if entity not in entities or context.is_cancelled():
            continue
        try:
            _list(context, entity, column)
        except SyncCancelledError:
            return
        except (CredentialsRejectedError, RequestAbandonedError):
            raise
        except CypheraError as error:
            _note(context, entity, column, error)


def _list(context: SyncContext, entity: Entity, column: str) -> None:
    pages = context.client.list_unlisted(entity)
    if pages is None:
        return
    present = list[str]()
    for page in pages:
        if context.is_cancelled():
            return
        present += _ids(page)
        load_page(context, entity, page)
    if context.request.conflict_strategy is ConflictStrategy.OVERWRITE:
        _ask_for_the_rest(context, entity, column, present)


def _ask_for_the_rest(context: SyncContext, entity: Entity, column: str, present: Sequence[str]) -> None:
    """What no list showed is gone if it is not there when it is asked for by its id either."""
    source = context.source
    with context.database.tenant(source.workspace_id) as connection:
        ids = find_unlisted(
            connection,
            source,
            entity,
            present,
            livemode=context.livemode,
            unlisted_with=column,
            limit=MOST_ASKED_FOR,
        )
    for error in ask_for_owed(context, {entity: ids}).values():
        raise error


def _ids(page: Page) -> list[str]:
    ids = [obj.get("id") for obj in page.objects if isinstance(obj, dict)]
    return [object_id for object_id in ids if isinstance(object_id, str)]


def _note(context: SyncContext, entity: Entity, column: str, error: CypheraError) -> None:
    if not has_unlisted_rows(context.database, context.source, entity, column, livemode=context.livemode):
        _log.info("What lists of %s leave out for %s cannot be told: %s", entity.value, context.source.key, error)
        return
    message = (
        f"Rows of {entity.value} with a {column} stay as they are, whether their objects still exist or not: the "
        f"provider leaves them out of its lists, and could not list them by themselves. {error}"
    )
    event = SessionEvent("unlisted_unknown", message, entity_type=entity.value, level=EventLevel.WARNING)
    record_events(context.database, context.session, [event])
