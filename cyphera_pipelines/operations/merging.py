"""Bringing what a write's answer tells into the tables, by the rules of order that a sync and webhooks keep.

What is certain is merged in the transaction that settles the write. The rest is not lost: a sync of the source's
changes is wanted then, to which the provider tells of the write as of any change. It is left to that sync where

- the object could not be asked for, or tells of something that a session's events have to tell;
- the tables hold another state of the same moment or a later one: which came last, nobody can tell from an answer;
- it is older than what the tables are known to hold: later changes may have been missed here;
- the tables are not (yet) of the account that the key opens, or the object is noted as missing or owed there;
- rows are to be left as they are: the source is paused, or a session or an unfinished listing skips or flags;
- somebody holds a row.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.rows import MappedObject
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.operations.opening import OpenedOperations
from cyphera_pipelines.providers.base import Change, ProviderError
from cyphera_pipelines.store.at_once import (
    TableState,
    hold_tables,
    hold_target,
    wait_patiently,
    want_sync,
)
from cyphera_pipelines.store.billed_amounts import settle_billed_amounts_of
from cyphera_pipelines.store.database import DATABASE_ERRORS
from cyphera_pipelines.store.database_errors import gives_way, is_about_data
from cyphera_pipelines.store.known_rows import find_known_rows, find_rows
from cyphera_pipelines.store.loader import OvertakenError, load_newer
from cyphera_pipelines.store.tombstones import tombstone_object
from cyphera_pipelines.store.webhooks import WebhookTarget

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ToldChange:
    """A change and the state that it leads to; None for what is gone, and for what has to be left to a sync."""

    change: Change
    obj: MappedObject | None


def tell(source: Source, opened: OpenedOperations, changes: Sequence[Change]) -> list[ToldChange]:
    """The changes as rows, asking the provider for what they do not tell whole. Raises nothing: see `ToldChange`."""
    return [ToldChange(change, None if change.is_deleted else _told(source, opened, change)) for change in changes]


def bring_in(connection: Connection, source: Source, opened: OpenedOperations, told: Sequence[ToldChange]) -> None:
    """Merge what is certain, and want a sync for the rest; within the transaction of the source's workspace."""
    target = WebhookTarget(
        source.workspace_id,
        source.configuration_id,
        source.provider,
        source.is_test_mode,
        connected_account_id=source.connected_account_id,
    )
    is_all = False
    try:
        with connection.begin_nested():
            is_all = _merge(connection, source, target, opened, told)
    except (*DATABASE_ERRORS, OvertakenError) as error:
        if not isinstance(error, OvertakenError) and not (gives_way(error) or is_about_data(error)):
            raise
        _log.info("What a write to %s told is left to a sync: %s", source.key, type(error).__name__)
    if not is_all:
        wait_patiently(connection)
        want_sync(connection, target)


def _merge(
    connection: Connection,
    source: Source,
    target: WebhookTarget,
    opened: OpenedOperations,
    told: Sequence[ToldChange],
) -> bool:
    """Whether the tables hold all of it now."""
    state = hold_target(connection, target, ())
    if state is None or state.is_paused or state.leaves_rows:
        return False
    tables = hold_tables(connection, target, opened.key_digest, {each.change.object_id for each in told})
    is_all = True
    for entity in Entity:  # always in the same order, lest two transactions wait for each other
        table, of_entity = tables.get(entity), [each for each in told if each.change.entity is entity]
        for each in sorted(of_entity, key=lambda told_change: told_change.change.object_id):
            is_merged = (
                table is not None
                and not table.leaves_rows
                and each.change.object_id not in table.missing | table.owed
                and _merge_one(connection, source, table, each)
            )
            is_all = is_all and is_merged
    return is_all


def _merge_one(connection: Connection, source: Source, table: TableState, told: ToldChange) -> bool:
    if table.since is None:
        return False
    if told.change.is_deleted:
        return _mark_gone(connection, source, told.change)
    if told.obj is None:
        return False
    entity, obj = told.change.entity, told.obj
    known = find_known_rows(connection, source, entity, [obj], locks=True)
    row = known.get((obj.livemode, obj.id))
    is_held = row is not None and row.is_unchanged(obj)
    if row is not None and (not row.is_version_known or row.version >= obj.version):
        return is_held and row.is_version_known
    if not is_held and obj.version < table.since:
        return False
    result = load_newer(connection, source, entity, [obj], known)
    if entity is Entity.SUBSCRIPTIONS:
        settle_billed_amounts_of(connection, source, [obj.id], livemode=obj.livemode)
    return not result.refused


def _mark_gone(connection: Connection, source: Source, change: Change) -> bool:
    livemode = not source.is_test_mode
    known = find_rows(connection, source, change.entity, [change.object_id], livemodes=[livemode], locks=True)
    row = known.get((livemode, change.object_id))
    if row is None or not row.is_version_known or (row.version >= change.version and not row.is_deleted):
        # An older state of what was never seen alive may still be on its way.
        return False
    tombstone_object(connection, source, change.entity, change.object_id, livemode=livemode, version=change.version)
    return True


def _told(source: Source, opened: OpenedOperations, change: Change) -> MappedObject | None:
    try:
        if change.snapshot is None:
            mapped = opened.fetch(change)
        else:
            credentials = opened.credentials
            mapped = opened.provider.map_told(credentials, change.entity, [change.snapshot], version=change.version)
    except ProviderError as error:
        _log.info("What a write to %s told is left to a sync: %s", source.key, error)
        return None
    if len(mapped.objects) != 1 or mapped.cleaned:
        return None
    (obj,) = mapped.objects
    return obj if obj.id == change.object_id and obj.livemode is not source.is_test_mode else None
