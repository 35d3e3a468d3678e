"""What changed at a site since a moment: by its events, or by its lists where events may not be read or end sooner."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.providers.base import Change, PermissionDeniedError, RefusedRequestError
from cyphera_pipelines.providers.chargebee.events import ChangeReader
from cyphera_pipelines.providers.chargebee.lists import ListReader
from cyphera_pipelines.providers.chargebee.resources import RESOURCES, id_of, is_deleted
from cyphera_pipelines.providers.http.clock import ProviderClock, just_before

LOOKS_BACK = 300
"""Seconds. Events appear in the list a little after they occurred."""
EVENTS_REACH_BACK = 30 * 86_400
"""Seconds. Chargebee shows events of 90 days, and promises none of its API's."""


def changes_by_events(
    lists: ListReader, reader: ChangeReader, entities: Sequence[Entity], since: int
) -> Iterator[list[Change]]:
    """Yield what the events since then tell, page by page. Raises ProviderError's kinds."""
    # The newest first, so that hardly any object has to be told of twice.
    parameters = {"occurred_at[after]": max(0, since - LOOKS_BACK - 1)}
    pages = lists.pages("events", "event", parameters, "listing events", moment="occurred_at", newest_first=True)
    for events in pages:
        yield reader.read(events, frozenset(entities))


def changes_by_lists(
    lists: ListReader, clock: ProviderClock, entities: Sequence[Entity], since: int
) -> Iterator[list[Change]]:
    """Yield what was updated since then, entity by entity, page by page. Raises ProviderError's kinds.

    What has no `updated_at` did not change since 2016, and is not shown.
    """
    after = max(0, since - LOOKS_BACK - 1)
    for entity in entities:
        resource = RESOURCES[entity]
        updated = {"updated_at[after]": after}
        wanted = {**updated, **resource.shows_deleted}
        told = _pages(lists, entity, wanted)
        try:
            version, first = just_before(clock.now()), next(told, None)
        except RefusedRequestError:
            if "include_deleted" in resource.shows_deleted:
                raise
            # Not every site lets deleted items be asked for: then a full listing tells of them.
            told = _pages(lists, entity, {**updated, "status[in]": json.dumps(["active", "archived"])})
            version, first = just_before(clock.now()), next(told, None)
        while first is not None:
            yield [_change(entity, obj, version) for obj in first if id_of(obj) is not None]
            version, first = just_before(clock.now()), next(told, None)


def _pages(lists: ListReader, entity: Entity, parameters: dict[str, Any]) -> Iterator[list[Any]]:
    resource, operation = RESOURCES[entity], f"listing what changed of {entity.value}"
    return lists.pages(resource.plural, resource.name, parameters, operation, moment="updated_at", entity=entity)


def _change(entity: Entity, obj: dict[str, Any], version: float) -> Change:
    if is_deleted(obj):
        return Change(entity, str(id_of(obj)), version, is_deleted=True, last_known=obj)
    return Change(entity, str(id_of(obj)), version, snapshot=obj, last_known=obj)


def changes_since(
    lists: ListReader, reader: ChangeReader, clock: ProviderClock, entities: Sequence[Entity], since: int
) -> Iterator[list[Change]]:
    """Yield what changed, by events where they reach back so far and may be read, or else by lists."""
    if clock.now() - since <= EVENTS_REACH_BACK:
        by_events = changes_by_events(lists, reader, entities, since)
        try:
            first = next(by_events)
        except PermissionDeniedError:
            pass
        else:
            yield first
            yield from by_events
            return
    yield from changes_by_lists(lists, clock, entities, since)
