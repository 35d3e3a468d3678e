"""Objects that a provider leaves out of its lists by design: listed in a way of their own, or left as they are."""

import logging
from collections.abc import Sequence
from dataclasses import replace

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.error_codes import ErrorCode
from cyphera_pipelines.model.errors import CypheraError
from cyphera_pipelines.model.sessions import ConflictStrategy, EventLevel, SessionEvent
from cyphera_pipelines.model.synced_tables import entity_table, required_columns
from cyphera_pipelines.providers.base import CredentialsRejectedError, Provider, RequestAbandonedError
from cyphera_pipelines.providers.registry import find_provider
from cyphera_pipelines.store.events import record_events
from cyphera_pipelines.store.tombstones import Unlisted, find_unlisted
from cyphera_pipelines.sync.changes import ask_for_owed, load_page
from cyphera_pipelines.sync.context import SyncContext
from cyphera_pipelines.sync.pages import SyncCancelledError
from cyphera_pipelines.sync.reading import Reading

_log = logging.getLogger(__name__)

MOST_ASKED_FOR = 500
"""Objects that are asked for by their ids: 20 seconds' worth at 25 requests per second. Others come next."""


def list_unlisted(context: SyncContext, entity: Entity) -> None:
    """Load what the entity's list left out, and mark what of it is gone, as many as are asked for in one sync.

    Where the provider cannot tell, the rows stay as they are, and the session says so if there are any. Raises
    CredentialsRejectedError, RequestAbandonedError, SyncCancelledError or a database error.
    """
    provider = find_provider(context.source.provider)
    of_entity = Unlisted(provider.unlisted_with.get(entity), _undated(provider, entity))
    if of_entity == Unlisted() or context.is_cancelled():
        return
    try:
        _list(context, entity, of_entity)
    except (CredentialsRejectedError, RequestAbandonedError, SyncCancelledError):
        raise
    except CypheraError as error:
        _note(context, entity, of_entity, error)


def _undated(provider: Provider, entity: Entity) -> str | None:
    """The entity's axis, if objects may be without a moment on it: a list that was divided by it leaves them out."""
    axis = provider.capabilities.reading[entity].axis
    return None if axis in required_columns(entity_table(entity)) else axis


def _list(context: SyncContext, entity: Entity, of_entity: Unlisted) -> None:
    pages = context.client.list_unlisted(entity)
    if pages is None:
        # Then there are none, and only rows without a moment are left to be asked for.
        of_entity = replace(of_entity, with_value_in=None)
        if of_entity == Unlisted():
            return
    present, reading = list[str](), Reading()
    for page in pages or ():
        if context.is_cancelled():
            return
        listed = [context.client.listed(entity, obj).id for obj in page.objects]
        present += [object_id for object_id in listed if object_id is not None]
        load_page(context, entity, page, reading)
    if context.request.conflict_strategy is ConflictStrategy.OVERWRITE:
        _ask_for_the_rest(context, entity, of_entity, present, reading)


def _ask_for_the_rest(
    context: SyncContext, entity: Entity, of_entity: Unlisted, present: Sequence[str], reading: Reading
) -> None:
    """What no list showed is gone if it is not there when it is asked for by its id either."""
    source = context.source
    with context.database.tenant(source.workspace_id) as connection:
        ids = find_unlisted(
            connection,
            source,
            entity,
            present,
            livemode=context.livemode,
            unlisted=of_entity,
            limit=MOST_ASKED_FOR,
        )
    for error in ask_for_owed(context, {entity: ids}, reading).values():
        raise error


def _note(context: SyncContext, entity: Entity, of_entity: Unlisted, error: CypheraError) -> None:
    with context.database.tenant(context.source.workspace_id) as connection:
        found = find_unlisted(
            connection, context.source, entity, (), livemode=context.livemode, unlisted=of_entity, limit=1
        )
    if not found:
        _log.info("What lists of %s leave out for %s cannot be told: %s", entity.value, context.source.key, error)
        return
    message = (
        f"Rows of {entity.value} {of_entity.in_words} stay as they are, whether their objects still exist or not: the "
        f"provider leaves them out of its lists, and could not list them by themselves. {error}"
    )
    event = SessionEvent(
        "unlisted_unknown", message, entity_type=entity.value, level=EventLevel.WARNING, code=ErrorCode.ABSENCE_UNPROVEN
    )
    record_events(context.database, context.session, [event])
