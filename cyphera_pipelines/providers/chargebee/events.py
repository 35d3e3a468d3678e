"""Reading Chargebee's events: which objects changed, and the newest state that is known of each.

One event tells of several objects, each with its own version. No list of event types is needed: whatever of ours stands
in an event is a state that it had.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.storable import is_usable_id
from cyphera_pipelines.providers.base import Change
from cyphera_pipelines.providers.chargebee.resources import RESOURCES, id_of, is_deleted, moment_of, version_of
from cyphera_pipelines.providers.http.clock import ProviderClock, just_before

_API_VERSION = "v2"
_MOVED_AWAY = "_moved_out"
_CREDIT_NOTES = ("credit_note", "credit_notes")
_Name = tuple[Entity, str]


class UnreadableEventError(Exception):
    """An event does not tell plainly what changed."""


@dataclass(frozen=True)
class EventReader:
    """Reads single events, whatever they hold."""

    clock: ProviderClock

    def read(self, event: Any) -> tuple[Change, ...]:
        """What the event says of objects of ours: first of the one that it is named for, if there is one.

        Raises UnreadableEventError, which says why, if that is not plain.
        """
        if not isinstance(event, dict):
            raise UnreadableEventError("it is no object")
        kind, content = event.get("event_type"), event.get("content")
        if not isinstance(kind, str):
            raise UnreadableEventError("`event_type` is no text")
        if content is None:
            return ()
        if not isinstance(content, dict):
            raise UnreadableEventError("`content` is no object")
        told = list(self._changes(event, kind, content))
        return tuple(sorted(told, key=lambda change: not kind.startswith(f"{RESOURCES[change.entity].name}_")))

    def _changes(self, event: Mapping[str, Any], kind: str, content: Mapping[str, Any]) -> Iterator[Change]:
        for entity, resource in RESOURCES.items():
            for obj in _told(content, resource.name, resource.plural):
                yield self._change(event, kind, entity, obj)
        if not _told(content, "invoice", "invoices"):
            # A credit note changes what is left to be paid of its invoice.
            for note in chain.from_iterable(_told(content, name, name) for name in _CREDIT_NOTES):
                invoice_id = note.get("reference_invoice_id")
                if is_usable_id(invoice_id):
                    yield Change(Entity.INVOICES, invoice_id, self._moment_of(event))

    def _change(self, event: Mapping[str, Any], kind: str, entity: Entity, obj: dict[str, Any]) -> Change:
        name, object_id = RESOURCES[entity].name, id_of(obj)
        if object_id is None:
            raise UnreadableEventError(f"`content.{name}.id` is no usable id")
        version = version_of(obj, self.clock)
        is_ours = event.get("api_version") in (None, _API_VERSION)
        if version is None or not is_ours or kind == f"{name}{_MOVED_AWAY}":
            return Change(entity, object_id, version or self._moment_of(event), last_known=obj if is_ours else None)
        if is_deleted(obj) or kind == f"{name}_deleted":
            return Change(entity, object_id, version, is_deleted=True, last_known=obj)
        return Change(entity, object_id, version, snapshot=obj, last_known=obj)

    def _moment_of(self, event: Mapping[str, Any]) -> float:
        """When it happened; or the moment before now, where that cannot be believed, so that what is read wins."""
        occurred = moment_of(event, "occurred_at")
        if occurred is not None and occurred >= 0 and self.clock.believes(occurred):
            return float(occurred)
        return max(0.0, just_before(self.clock.now() - 1.0))


@dataclass
class ChangeReader:
    """Reduces events, given in whatever order they come, to the newest change of each object.

    Two different states of one version do not tell which is right: then the object has to be fetched.
    """

    _events: EventReader
    _seen_events: set[str] = field(default_factory=set)
    _newest: dict[_Name, float] = field(default_factory=dict)
    _unreadable: list[tuple[str, str]] = field(default_factory=list)

    def read(self, events: Iterable[Any], entities: frozenset[Entity]) -> list[Change]:
        """What these events tell of the entities that is newer than all that was told before."""
        changes = dict[_Name, Change]()
        for change in chain.from_iterable(map(self._told, events)):
            name = (change.entity, change.object_id)
            if change.entity not in entities or change.version < self._newest.get(name, -1.0):
                continue
            before = changes.get(name)
            if before is not None and before.version == change.version:
                change = _agreed(before, change)
            self._newest[name] = change.version
            changes[name] = change
        return list(changes.values())

    def take_unreadable(self) -> list[tuple[str, str]]:
        """The ids of the events that could not be read since this was last asked, and why not."""
        unreadable, self._unreadable = self._unreadable, []
        return unreadable

    def _told(self, event: Any) -> tuple[Change, ...]:
        event_id = id_of(event)
        if event_id is not None and event_id in self._seen_events:
            return ()
        if event_id is not None:
            self._seen_events.add(event_id)
        try:
            return self._events.read(event)
        except UnreadableEventError as why:
            self._unreadable.append((event_id or "one without an id", str(why)))
            return ()


def _agreed(one: Change, other: Change) -> Change:
    if one.is_deleted == other.is_deleted and one.snapshot == other.snapshot:
        return other
    return replace(other, snapshot=None, is_deleted=False)


def _told(content: Mapping[str, Any], name: str, plural: str) -> list[dict[str, Any]]:
    """The objects of that name in an event's content: one, or a list of them."""
    found = list[Any]()
    for each in dict.fromkeys((name, plural)):
        value = content.get(each)
        found += value if isinstance(value, list) else [] if value is None else [value]
    if not all(isinstance(obj, dict) for obj in found):
        raise UnreadableEventError(f"`content.{name}` is no object")
    return found
