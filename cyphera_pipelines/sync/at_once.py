"""Webhooks, applied as they come: what an event tells for certain is merged in the transaction that keeps it.

By the same rules of order as everything else, whatever else goes on for the source: no lock is taken that a sync holds.
What cannot be decided from the event, in all that it changes, stays in the inbox, and one sync of the source's changes
is wanted for all that waits there:

- its object has to be asked for: another API version, unfinished nested lists, a time that cannot be believed;
- another state of the same second is known of the object: nobody can tell which came last;
- it would change a row, and is older than what the tables are known to hold: later changes may have been missed here;
- the tables are not (yet) of the account that the key opens, or were never listed;
- the object is noted as missing or owed: the sync that mends it also takes the note away;
- rows are to be left as they are: the source is paused, or a session or an unfinished listing skips or flags.

Watermarks stay where they are: the next sync of changes finds these rows as the provider has them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from enum import StrEnum

from sqlalchemy import Connection

from cyphera_pipelines.model.configuration import Credentials
from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.error_codes import ErrorCode
from cyphera_pipelines.model.errors import ConflictError, NotFoundError
from cyphera_pipelines.model.quotas import QuotaReachedError, Quotas
from cyphera_pipelines.model.sessions import ConflictStrategy
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.providers.base import WebhookEvent
from cyphera_pipelines.store.at_once import (
    Entry,
    TargetState,
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
from cyphera_pipelines.sync.told import (
    NEVER,
    Decided,
    Told,
    by_entity,
    decide_together,
    may_be_merged,
    tell,
    whole_events,
)


class Taken(StrEnum):
    """What became of an event."""

    APPLIED = "applied"
    KEPT = "kept"
    KNOWN = "known"


class ConfigurationChangedError(ConflictError):
    """The configuration is not any more what it was when the event's signature was checked: read it anew."""

    code = ErrorCode.CONFIGURATION_CHANGED


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
    told = tell(target, credentials, events)
    try:
        taken, is_note_due = _take_in(database, target, credentials, events, told, quotas)
    except (*DATABASE_ERRORS, OvertakenError) as error:
        # Somebody holds a row, or will not take one: that is not what the provider should wait for.
        if not isinstance(error, OvertakenError) and not (told and (gives_way(error) or is_about_data(error))):
            raise
        if len(events) > 1 and is_about_data(error):
            # One may be the fault of all.
            middle = len(events) // 2
            halves = (events[:middle], events[middle:])
            return [each for half in halves for each in take_in_events(database, target, credentials, half, quotas)]
        taken, is_note_due = _take_in(database, target, credentials, events, {}, quotas)
    if is_note_due:
        note_received(database, target)
    return taken


def _take_in(
    database: Database,
    target: WebhookTarget,
    credentials: Credentials,
    events: Sequence[WebhookEvent],
    told: Mapping[str, Sequence[Told]],
    quotas: Quotas | None,
) -> tuple[list[Taken | QuotaReachedError], bool]:
    with database.tenant(target.workspace_id) as connection:
        state = hold_target(connection, target, {event.id for event in events})
        if state is None:
            raise NotFoundError("There is no active configuration with this id and a webhook_secret.")
        if target.updated_at is not None and state.updated_at != target.updated_at:
            raise ConfigurationChangedError("The configuration was changed just now.")
        new = {event.id: event for event in events if event.id not in state.known}
        candidates = [each for event_id, these in told.items() if event_id in new for each in these]
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
    told: Sequence[Told],
) -> set[str]:
    """Merge what is certain. Returns the ids of the events that the tables hold now, or hold newer states than."""
    if not told or state.is_paused or state.leaves_rows:
        return set()
    digest = key_digest(credentials, target.connected_account_id, target.provider)
    tables = hold_tables(connection, target, digest, {each.obj.id for each in told})
    source = Source(
        target.workspace_id,
        state.slug,
        target.provider,
        target.configuration_id,
        target.is_test_mode,
        store_raw=state.store_raw,
        connected_account_id=target.connected_account_id,
    )
    certain = whole_events(told, [each for each in told if may_be_merged(each, tables)])
    known = dict[Entity, Mapping[tuple[bool, str], KnownRow]]()
    # Always in the same order, lest two transactions wait for each other.
    for entity, these in by_entity(certain).items():
        known[entity] = find_known_rows(connection, source, entity, [each.obj for each in these], locks=True)
    settled, refused = set[str](), set[str]()
    for entity, decided in decide_together(certain, tables, known).items():
        settled |= decided.event_ids
        refused |= _merge(connection, source, entity, decided, known[entity])
    return settled - refused


def _merge(
    connection: Connection,
    source: Source,
    entity: Entity,
    decided: Decided,
    known: Mapping[tuple[bool, str], KnownRow],
) -> set[str]:
    """Merge what was decided. Returns the ids of the events of which a row was refused."""
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
    return {each.event.id for name, these in decided.settled.items() if name[1] in refused for each in these}
