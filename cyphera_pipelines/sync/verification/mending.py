"""Mending rows that differ from the provider, within the transaction that settles what differs."""

from collections import Counter
from collections.abc import Mapping, Sequence

from sqlalchemy import Connection

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.missing import MissingKind
from cyphera_pipelines.model.rows import UnmappableObject
from cyphera_pipelines.model.sessions import SessionEvent
from cyphera_pipelines.model.synced_tables import child_tables
from cyphera_pipelines.store import verification as store
from cyphera_pipelines.store.differences import Difference, DifferenceKind
from cyphera_pipelines.store.events import insert_events
from cyphera_pipelines.store.load_result import LoadResult, TableCounts
from cyphera_pipelines.store.loader import load
from cyphera_pipelines.store.missing import note_missing
from cyphera_pipelines.store.tombstones import tombstone_object
from cyphera_pipelines.sync.mapped_events import mapping_events
from cyphera_pipelines.sync.verification.context import VerificationContext
from cyphera_pipelines.sync.verification.second_look import Rows, SecondLook


def mend(
    connection: Connection,
    context: VerificationContext,
    entity: Entity,
    real: Sequence[Difference],
    looks: Mapping[str, SecondLook],
    rows: Rows,
) -> LoadResult:
    """Make the rows of these differences what the second look at their objects showed, and say so in one event.

    Objects that Postgres refuses are left as they are, and named in the result.
    """
    present = {look.object_id: look.obj for look in looks.values() if look.obj is not None}
    damaged = {difference.object_id for difference in real}
    objects = [obj for object_id, obj in present.items() if object_id in damaged]
    result = load(connection, context.source, entity, objects, rewrites=True)
    for difference in real:
        if difference.table == entity.value and difference.kind is DifferenceKind.SURPLUS:
            result.add(_bury(connection, context, entity, difference, looks, rows))
    result.add(_bury_children(connection, context, entity, real))
    refused = {obj.id for obj in result.refused}
    mended = [difference for difference in real if difference.object_id not in refused]
    if mended and context.session is not None:
        insert_events(connection, context.session, [_event(entity, mended)])
    return result


def mend_versions(connection: Connection, context: VerificationContext, entity: Entity) -> None:
    """Take back every version of the future, if that is to be mended, and say so in one event."""
    if context.session is None:
        return
    began = context.start.watermark
    rows = store.mend_versions(connection, context.source, entity, livemode=context.livemode, version=began)
    if any(rows.values()):
        what = ", ".join(f"{number} {table}" for table, number in rows.items() if number)
        message = f"Mended the version of {what}: it lay in the future, and could be believed by nobody."
        event = SessionEvent("versions_mended", message, entity_type=entity.value, event_details={"rows": rows})
        insert_events(connection, context.session, [event])


def _bury(
    connection: Connection,
    context: VerificationContext,
    entity: Entity,
    difference: Difference,
    looks: Mapping[str, SecondLook],
    rows: Rows,
) -> LoadResult:
    # The row may claim to be newer than it can be; it is gone all the same.
    key = difference.key
    version = max(rows[difference.table][key].version, looks[difference.object_id].version)
    gone = tombstone_object(connection, context.source, entity, key.id, livemode=key.livemode, version=version)
    return LoadResult(gone)


def _bury_children(
    connection: Connection, context: VerificationContext, entity: Entity, real: Sequence[Difference]
) -> LoadResult:
    """Those whose parents neither went nor were loaded: children without a parent, in the table or anywhere."""
    result = LoadResult()
    for table in child_tables(entity):
        surplus = [
            difference.key
            for difference in real
            if difference.table == table.name and difference.kind is DifferenceKind.SURPLUS
        ]
        if surplus:
            buried = store.tombstone_children(connection, context.source, table, surplus)
            result.add(LoadResult({table.name: TableCounts(deleted=buried)}))
    return result


def _event(entity: Entity, mended: Sequence[Difference]) -> SessionEvent:
    counts = Counter((difference.table, difference.kind) for difference in mended)
    what = ", ".join(f"{count} {kind.value} {table}" for (table, kind), count in sorted(counts.items()))
    object_ids = sorted({difference.object_id for difference in mended})
    details = {
        "rows": {f"{table}.{kind.value}": count for (table, kind), count in sorted(counts.items())},
        "object_ids": object_ids,
    }
    message = f"Mended {what}, of {len(object_ids)} objects."
    return SessionEvent("rows_mended", message, entity_type=entity.value, event_details=details)


def record_unmappable(
    connection: Connection, context: VerificationContext, entity: Entity, unmappable: Sequence[UnmappableObject]
) -> int:
    """Keep each object that was not mentioned before in an event, if there is a session; return how many there are."""
    first = context.progress.first_mention(entity, unmappable)
    if context.session is not None:
        insert_events(connection, context.session, mapping_events(entity, (), first, (), ()))
        note_missing(
            connection,
            context.session,
            entity,
            unmappable,
            MissingKind.NOT_LOADED,
            livemode=context.livemode,
            listing=None,
        )
    return len(first)
