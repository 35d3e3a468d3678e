"""Webhooks, applied as they come: what an event tells for certain is merged in the transaction that keeps it.

By the same rules of order as everything else, whatever else goes on for the source: no lock is taken that a sync holds.
What cannot be decided from the event stays in the inbox, and one sync of the source's changes is wanted for all that
waits there:

- its object has to be asked for: another API version, unfinished nested lists, a time that cannot be believed;
- another state of the same second is known of the object: nobody can tell which came last;
- it would change a row, and is older than what the tables are known to hold: later changes may have been missed here;
- the tables are not (yet) of the account that the key opens, or were never listed;
- the object is noted as missing or owed: the sync that mends it also takes the note away;
- rows are to be left as they are: the source is paused, or a session or an unfinished listing skips or flags.

Watermarks stay where they are: the next sync of changes finds these rows as the provider has them.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from sqlalchemy import Connection

from cyphera_pipelines.model.configuration import Credentials
from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.errors import ConflictError, NotFoundError
from cyphera_pipelines.model.quotas import QuotaReachedError, Quotas
from cyphera_pipelines.model.rows import MappedObject
from cyphera_pipelines.model.sessions import ConflictStrategy
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.providers.base import Change, WebhookEvent
from cyphera_pipelines.providers.registry import find_provider
from cyphera_pipelines.store.at_once import (
    Entry,
    TableState,
    TargetState,
    bound_waits,
    find_known,
    find_missing_ids,
    hold_tables,
    hold_target,
    insert_entries,
    note_received,
    want_sync,
)
from cyphera_pipelines.store.billed_amounts import settle_billed_amounts_of
from cyphera_pipelines.store.database import DATABASE_ERRORS, Database
from cyphera_pipelines.store.database_errors import gives_way, is_about_data
from cyphera_pipelines.store.known_rows import KnownRow, find_known_rows
from cyphera_pipelines.store.loader import OvertakenError, load, load_newer
from cyphera_pipelines.store.quotas import check_webhooks
from cyphera_pipelines.store.tombstones import tombstone_object
from cyphera_pipelines.store.webhooks import WebhookTarget
from cyphera_pipelines.sync.client import key_digest

NEVER = 0.0
_Name = tuple[Entity, str]


class Taken(StrEnum):
    """What became of an event."""

    APPLIED = "applied"
    KEPT = "kept"
    KNOWN = "known"


class ConfigurationChangedError(ConflictError):
    """The configuration is not any more what it was when the event's signature was checked: read it anew."""


@dataclass(frozen=True)
class _Told:
    """What one event tells of one object: its state, as a row, or that it is gone.

    Of an object that is gone `obj` is what was known of it last.
    """

    event: WebhookEvent
    change: Change
    obj: MappedObject

    @property
    def name(self) -> _Name:
        return self.change.entity, self.obj.id

    def is_held_by(self, row: KnownRow) -> bool:
        """Whether the row says the same."""
        return row.is_deleted if self.change.is_deleted else row.is_unchanged(self.obj)

    def says_as(self, other: "_Told") -> bool:
        """Whether another event tells the same."""
        if self.change.is_deleted or other.change.is_deleted:
            return self.change.is_deleted and other.change.is_deleted
        return self.obj.content_hash == other.obj.content_hash


def take_in_events(
    database: Database,
    target: WebhookTarget,
    credentials: Credentials,
    events: Sequence[WebhookEvent],
    quotas: Quotas | None = None,
) -> list[Taken | QuotaReachedError]:
    """Take events of the source's own account in together, in one transaction; say of each what became of it.

    Raises NotFoundError if the configuration was removed meanwhile, ConfigurationChangedError if it was changed since
    `target` was read, and database errors.
    """
    told = _tell(target, credentials, events)
    try:
        taken, is_note_due = _take_in(database, target, credentials, events, told, quotas)
    except (*DATABASE_ERRORS, OvertakenError) as error:
        # Somebody holds a row, or will not take one: that is not what the provider should wait for.
        if not isinstance(error, OvertakenError) and not (told and (gives_way(error) or is_about_data(error))):
            raise
        taken, is_note_due = _take_in(database, target, credentials, events, {}, quotas)
    if is_note_due:
        note_received(database, target)
    return taken


def _tell(target: WebhookTarget, credentials: Credentials, events: Iterable[WebhookEvent]) -> dict[str, _Told]:
    """What can be decided from the events alone, by their ids."""
    provider, api_key = find_provider(target.provider), credentials.api_key.get_secret_value()
    told = {}
    for event in events:
        if event.problem is not None or len(event.changes) != 1:
            continue
        (change,) = event.changes
        state = change.last_known if change.is_deleted else change.snapshot
        if state is None:
            continue
        version = NEVER if change.is_deleted else change.version
        mapped = provider.map_told(api_key, change.entity, [state], version=version)
        # Whatever is odd about it, a session's events have to tell.
        if len(mapped.objects) == 1 and not mapped.cleaned:
            (obj,) = mapped.objects
            if obj.id == change.object_id and obj.livemode is not target.is_test_mode:
                told[event.id] = _Told(event, change, obj)
    return told


def _take_in(
    database: Database,
    target: WebhookTarget,
    credentials: Credentials,
    events: Sequence[WebhookEvent],
    told: Mapping[str, _Told],
    quotas: Quotas | None,
) -> tuple[list[Taken | QuotaReachedError], bool]:
    with database.tenant(target.workspace_id) as connection:
        bound_waits(connection)
        state = hold_target(connection, target)
        if state is None:
            raise NotFoundError("There is no active configuration with this id and a webhook_secret.")
        if target.updated_at is not None and state.updated_at != target.updated_at:
            raise ConfigurationChangedError("The configuration was changed just now.")
        known = find_known(connection, target, {event.id for event in events})
        new = {event.id: event for event in events if event.id not in known}
        candidates = [each for event_id, each in told.items() if event_id in new]
        applied = _apply(connection, target, credentials, state, candidates)
        entries = {
            event.id: Entry(event.id, event.kind, event.entity, event.payload, event.id in applied)
            for event in new.values()
        }
        error = _check_quota(connection, target, entries.values(), quotas)
        if error is not None:
            entries = {event_id: entry for event_id, entry in entries.items() if entry.is_applied}
        inserted = insert_entries(connection, target, list(entries.values())) if entries else set()
        if state.was_listed and any(event_id not in applied for event_id in inserted):
            want_sync(connection, target)
    outcomes = list[Taken | QuotaReachedError]()
    for event in events:
        if event.id in inserted:
            inserted.discard(event.id)  # the same event once more is known
            outcomes.append(Taken.APPLIED if event.id in applied else Taken.KEPT)
        elif error is not None and event.id in new and event.id not in applied:
            outcomes.append(error)
        else:
            outcomes.append(Taken.KNOWN)
    return outcomes, state.is_note_due


def _check_quota(
    connection: Connection, target: WebhookTarget, entries: Iterable[Entry], quotas: Quotas | None
) -> QuotaReachedError | None:
    """Only what has to wait takes a place in the inbox that counts."""
    sizes = [entry.as_json()["payload_bytes"] for entry in entries if not entry.is_applied]
    if quotas is None or not sizes:
        return None
    try:
        check_webhooks(connection, quotas, target.workspace_id, sum(sizes))
    except QuotaReachedError as error:
        return error
    return None


def _apply(
    connection: Connection,
    target: WebhookTarget,
    credentials: Credentials,
    state: TargetState,
    told: Sequence[_Told],
) -> set[str]:
    """Merge what is certain. Returns the ids of the events that the tables hold now, or hold newer states than."""
    if not told or state.is_paused or state.leaves_rows:
        return set()
    digest = key_digest(credentials, target.connected_account_id, target.provider)
    tables = hold_tables(connection, target, digest)
    source = Source(
        target.workspace_id,
        state.slug,
        target.provider,
        target.configuration_id,
        target.is_test_mode,
        store_raw=state.store_raw,
        connected_account_id=target.connected_account_id,
    )
    by_entity = defaultdict[Entity, list[_Told]](list)
    for each in told:
        by_entity[each.change.entity].append(each)
    missing = find_missing_ids(
        connection, target, {entity: {each.obj.id for each in these} for entity, these in by_entity.items()}
    )
    applied = set[str]()
    for entity in Entity:  # always in the same order, lest two transactions wait for each other
        table = tables.get(entity)
        if table is None or table.since is None or table.leaves_rows:
            continue
        certain = [
            each for each in by_entity.get(entity, []) if each.name not in missing and each.obj.id not in table.owed
        ]
        if certain:
            applied |= _apply_to(connection, source, entity, table, certain)
    return applied


@dataclass
class _Decided:
    """Of one entity: what is to be merged, and the events that are in the tables when it is."""

    newer: list[_Told] = field(default_factory=list)
    gone: list[_Told] = field(default_factory=list)
    settled: dict[_Name, list[str]] = field(default_factory=dict)


def _apply_to(
    connection: Connection, source: Source, entity: Entity, table: TableState, told: Sequence[_Told]
) -> set[str]:
    known = find_known_rows(connection, source, entity, [each.obj for each in told], locks=True)
    decided = _decide(told, table, known)
    refused = set[str | None]()
    if decided.newer:
        objects = sorted((each.obj for each in decided.newer), key=lambda obj: obj.id)
        refused = {obj.id for obj in load_newer(connection, source, entity, objects, known).refused}
        if entity is Entity.SUBSCRIPTIONS:
            ids = [obj.id for obj in objects]
            settle_billed_amounts_of(connection, source, ids, livemode=not source.is_test_mode)
    for each in sorted(decided.gone, key=lambda each: each.obj.id):
        # A tombstone for what was never seen alive, too: an older state of it may still be on its way.
        load(connection, source, entity, [replace(each.obj, version=NEVER)], ConflictStrategy.SKIP)
        tombstone_object(
            connection, source, entity, each.obj.id, livemode=each.obj.livemode, version=each.change.version
        )
    return {event_id for name, event_ids in decided.settled.items() if name[1] not in refused for event_id in event_ids}


def _decide(told: Iterable[_Told], table: TableState, known: Mapping[tuple[bool, str], KnownRow]) -> _Decided:
    """Of each object its newest event decides, and the older ones with it."""
    decided, by_name = _Decided(), defaultdict[_Name, list[_Told]](list)
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
            decided.settled[name] = [each.event.id for each in these]
            continue
        if row is not None and newest.change.version == row.version:
            continue
        is_new = row is None or not newest.is_held_by(row)
        if is_new and (table.since is None or newest.change.version < table.since):
            continue
        decided.settled[name] = [each.event.id for each in these]
        (decided.gone if newest.change.is_deleted else decided.newer).append(newest)
    return decided
