"""Where each source's syncs stand, per entity: watermark and unfinished listing."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, and_, case, func, select
from sqlalchemy.dialects.postgresql import insert

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.tables import source_schedules as schedules
from cyphera_pipelines.store.tables import sync_cursors as cursors
from cyphera_pipelines.store.tables import synced_accounts as accounts

CLOCKS_DIFFER_BY = timedelta(minutes=5)


@dataclass(frozen=True)
class SyncPosition:
    """A row of `sync_cursors`.

    `unfinished` is the listing in progress as the engine wrote it; None where the last one is over and what changed
    meanwhile was applied. `watermark` is None where it is not known from when on changes would have to be applied.
    `owed` are ids of objects that could not be read to their end. `mapping_version` is the provider's at the last
    complete listing; None where that is not known.
    """

    watermark: datetime | None = None
    unfinished: dict[str, Any] | None = None
    full_listing_at: datetime | None = None
    owed: tuple[str, ...] = ()
    mapping_version: int | None = None


def read_positions(database: Database, source: Source, *, livemode: bool) -> dict[Entity, SyncPosition]:
    """The positions of the source's entities; entities that were never listed are left out.

    A check that found nothing new writes none of them: it widens the interval in which the provider is known to have
    told of no change. A watermark that lies there is as good as one at the interval's end.
    """
    statement = (
        select(cursors, _moved_on().label("moved_on"))
        .select_from(cursors.outerjoin(schedules, _is_same_source(schedules)).outerjoin(accounts, _is_same_account()))
        .where(
            cursors.c.workspace_id == source.workspace_id,
            cursors.c.provider_name == source.provider,
            cursors.c.livemode == livemode,
        )
    )
    with database.tenant(source.workspace_id) as connection:
        return {
            Entity(row.entity_type): SyncPosition(
                row.moved_on, row.unfinished, row.full_listing_at, tuple(row.owed), row.mapping_version
            )
            for row in connection.execute(statement)
        }


def _moved_on() -> ColumnElement[datetime | None]:
    """The watermark, or the end of the interval without changes that it lies in, of the account that was synced."""
    lies_between = cursors.c.watermark.between(schedules.c.unchanged_from, schedules.c.unchanged_until)
    is_same_key = schedules.c.unchanged_key_digest == accounts.c.key_digest
    # What a clock that was wrong wrote would hide every watermark that is right.
    is_believable = schedules.c.unchanged_until <= func.now() + CLOCKS_DIFFER_BY
    moved_on: ColumnElement[datetime | None] = case(
        (and_(lies_between, is_same_key, is_believable), schedules.c.unchanged_until), else_=cursors.c.watermark
    )
    return moved_on


def _is_same_source(table: Table) -> ColumnElement[bool]:
    return and_(table.c.workspace_id == cursors.c.workspace_id, table.c.provider_name == cursors.c.provider_name)


def _is_same_account() -> ColumnElement[bool]:
    return and_(_is_same_source(accounts), accounts.c.livemode == cursors.c.livemode)


def save_unfinished(
    connection: Connection,
    source: Source,
    entity: Entity,
    unfinished: dict[str, Any],
    owed: Sequence[str],
    *,
    livemode: bool,
) -> None:
    """Write the checkpoint of a listing in progress, in the same transaction as the rows that it covers."""
    _save(connection, source, entity, livemode, {"unfinished": unfinished, "owed": list(owed)})


def complete_listing(
    connection: Connection, source: Source, entity: Entity, watermark: datetime, *, livemode: bool, mapping_version: int
) -> None:
    """Note that the whole entity was listed and mapped so, and that everything before `watermark` is in the tables.

    What changed during the listing is still to be applied: what `save_unfinished` wrote stays until `save_watermark`.
    """
    values = {"watermark": watermark, "full_listing_at": func.now(), "mapping_version": mapping_version}
    _save(connection, source, entity, livemode, values)


def save_watermark(
    connection: Connection, source: Source, entity: Entity, watermark: datetime | None, *, livemode: bool
) -> None:
    """Note that every change of the entity before `watermark` is in the tables; None if that cannot be said."""
    _save(connection, source, entity, livemode, {"unfinished": None, "watermark": watermark})


def end_listing(connection: Connection, source: Source, entity: Entity, *, livemode: bool) -> None:
    """Note that a listing is over which leaves rows as they are: it says nothing of what the tables hold."""
    _save(connection, source, entity, livemode, {"unfinished": None})


def read_owed(connection: Connection, source: Source, entity: Entity, *, livemode: bool) -> list[str]:
    """Which objects the next sync has to ask for."""
    statement = select(cursors.c.owed).where(
        cursors.c.workspace_id == source.workspace_id,
        cursors.c.provider_name == source.provider,
        cursors.c.livemode == livemode,
        cursors.c.entity_type == entity.value,
    )
    return list(connection.execute(statement).scalar_one_or_none() or ())


def save_owed(connection: Connection, source: Source, entity: Entity, owed: Sequence[str], *, livemode: bool) -> None:
    """Note which objects the next sync has to ask for."""
    _save(connection, source, entity, livemode, {"owed": list(owed)})


def _save(connection: Connection, source: Source, entity: Entity, livemode: bool, values: dict[str, Any]) -> None:
    key = {
        "workspace_id": source.workspace_id,
        "provider_name": source.provider,
        "livemode": livemode,
        "entity_type": entity.value,
    }
    statement = insert(cursors).values(**key, **values)
    statement = statement.on_conflict_do_update(
        index_elements=list(key),
        set_={name: statement.excluded[name] for name in values} | {"updated_at": func.now()},
    )
    connection.execute(statement)
