"""What webhooks tell of objects, and which of it the tables can take at once: decided without any I/O."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from cyphera_pipelines.model.configuration import Credentials
from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.rows import MappedObject
from cyphera_pipelines.providers.base import Change, WebhookEvent
from cyphera_pipelines.providers.registry import find_provider
from cyphera_pipelines.store.at_once import TableState
from cyphera_pipelines.store.known_rows import KnownRow
from cyphera_pipelines.store.webhooks import WebhookTarget
from cyphera_pipelines.sync.untold import may_have_untold_children

NEVER = 0.0
ObjectName = tuple[Entity, str]


@dataclass(frozen=True)
class Told:
    """What one event tells of one object: its state, as a row, or that it is gone.

    Of an object that is gone `obj` is what was known of it last.
    """

    event: WebhookEvent
    change: Change
    obj: MappedObject

    @property
    def name(self) -> ObjectName:
        """The object that it is about."""
        return self.change.entity, self.obj.id

    def is_held_by(self, row: KnownRow) -> bool:
        """Whether the row says the same."""
        return row.is_deleted if self.change.is_deleted else row.is_unchanged(self.obj)

    def says_as(self, other: "Told") -> bool:
        """Whether another event tells the same."""
        if self.change.is_deleted or other.change.is_deleted:
            return self.change.is_deleted and other.change.is_deleted
        return self.obj.content_hash == other.obj.content_hash


def tell(target: WebhookTarget, credentials: Credentials, events: Iterable[WebhookEvent]) -> dict[str, list[Told]]:
    """What can be decided from the events alone, by their ids: all that an event changes, or nothing of it."""
    told = dict[str, list[Told]]()
    for event in events:
        changes = () if event.problem is not None else event.changes
        parts = [_told_by(target, credentials, event, change) for change in changes]
        certain = [part for part in parts if part is not None]
        if certain and len(certain) == len(parts):
            told[event.id] = certain
    return told


def _told_by(target: WebhookTarget, credentials: Credentials, event: WebhookEvent, change: Change) -> Told | None:
    """What the event tells of one object, if that is plain."""
    state = change.last_known if change.is_deleted else change.snapshot
    if state is None:
        return None
    version = NEVER if change.is_deleted else change.version
    mapped = find_provider(target.provider).map_told(credentials, change.entity, [state], version=version)
    # Whatever is odd about it, a session's events have to tell.
    if len(mapped.objects) != 1 or mapped.cleaned:
        return None
    (obj,) = mapped.objects
    is_plain = obj.id == change.object_id and obj.livemode is not target.is_test_mode
    return Told(event, change, obj) if is_plain else None


def may_be_merged(told: Told, tables: Mapping[Entity, TableState]) -> bool:
    """Whether the object's table takes what webhooks tell, and no sync has to mend the object."""
    table = tables.get(told.change.entity)
    if table is None or table.since is None or table.leaves_rows:
        return False
    return told.obj.id not in table.missing and told.obj.id not in table.owed


def by_entity(told: Iterable[Told]) -> dict[Entity, list[Told]]:
    """What is told, by entity, in the order of the entities."""
    found = defaultdict[Entity, list[Told]](list)
    for each in told:
        found[each.change.entity].append(each)
    return {entity: found[entity] for entity in Entity if entity in found}


def whole_events(told: Iterable[Told], some: Sequence[Told]) -> list[Told]:
    """Those of `some` whose events change nothing beside: an event is applied as a whole, or waits as a whole."""
    wanted, found = Counter(each.event.id for each in told), Counter(each.event.id for each in some)
    return [each for each in some if found[each.event.id] == wanted[each.event.id]]


@dataclass
class Decided:
    """Of one entity: what is to be merged, and the events that are in the tables when it is."""

    newer: list[Told] = field(default_factory=list)
    gone: list[Told] = field(default_factory=list)
    settled: dict[ObjectName, list[Told]] = field(default_factory=dict)

    @property
    def event_ids(self) -> set[str]:
        """The ids of those events."""
        return {each.event.id for these in self.settled.values() for each in these}


def decide_together(
    told: Sequence[Told],
    tables: Mapping[Entity, TableState],
    known: Mapping[Entity, Mapping[tuple[bool, str], KnownRow]],
) -> dict[Entity, Decided]:
    """Decide of each entity, without the events of which some part cannot be decided."""
    while True:
        decided = {entity: _decide(these, tables[entity], known[entity]) for entity, these in by_entity(told).items()}
        settled = [each for of_entity in decided.values() for these in of_entity.settled.values() for each in these]
        whole = whole_events(told, settled)
        if len(whole) == len(told):
            return decided
        told = whole


def _decide(told: Iterable[Told], table: TableState, known: Mapping[tuple[bool, str], KnownRow]) -> Decided:
    """Of each object its newest event decides, and the older ones with it."""
    decided, by_name = Decided(), defaultdict[ObjectName, list[Told]](list)
    for each in told:
        by_name[each.name].append(each)
    for name, these in by_name.items():
        newest = max(these, key=lambda each: each.change.version)
        of_its_second = [each for each in these if each.change.version == newest.change.version]
        if not all(each.says_as(newest) for each in of_its_second):
            continue
        row = known.get((newest.obj.livemode, newest.obj.id))
        if row is not None and not row.is_version_known:
            continue
        if row is not None and (
            newest.change.version < row.version or (newest.change.version == row.version and newest.is_held_by(row))
        ):
            decided.settled[name] = these
            continue
        if row is not None and newest.change.version == row.version:
            continue
        is_new = row is None or not newest.is_held_by(row)
        if is_new and (table.since is None or newest.change.version < table.since):
            continue
        if not newest.change.is_deleted and may_have_untold_children(name[0], newest.obj, row, table.since or NEVER):
            continue
        decided.settled[name] = these
        (decided.gone if newest.change.is_deleted else decided.newer).append(newest)
    return decided
