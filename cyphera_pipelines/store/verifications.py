"""What the last verification of each entity has found, for whoever asks how complete the data is."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.tables import verifications


@dataclass(frozen=True)
class EntityVerified:
    """An entity that was compared to its end. `open_differences` are rows that differed and were not mended."""

    entity: Entity
    rows_checked: int
    open_differences: int
    unmappable: int


@dataclass(frozen=True)
class LastVerification:
    """What the last verification of an entity that came to its end has found."""

    entity: Entity
    verified_at: datetime
    rows_checked: int
    open_differences: int
    unmappable: int


def list_verifications(database: Database, source: Source) -> list[LastVerification]:
    """What is known of each entity of the source that was ever verified, in canonical order."""
    statement = select(verifications).where(
        verifications.c.workspace_id == source.workspace_id,
        verifications.c.provider_name == source.provider,
        verifications.c.livemode == (not source.is_test_mode),
    )
    with database.tenant(source.workspace_id) as connection:
        rows = {row.entity_type: row for row in connection.execute(statement)}
    return [
        LastVerification(entity, row.verified_at, row.rows_checked, row.open_differences, row.unmappable)
        for entity in Entity
        if (row := rows.get(entity.value)) is not None
    ]


def note_verified(
    database: Database, source: Source, verified_at: datetime, entities: Sequence[EntityVerified], *, livemode: bool
) -> None:
    """Note what a verification that began then has found, unless one that began later was noted already."""
    if not entities:
        return
    rows = [
        {
            "workspace_id": source.workspace_id,
            "provider_name": source.provider,
            "livemode": livemode,
            "entity_type": each.entity.value,
            "verified_at": verified_at,
            "rows_checked": each.rows_checked,
            "open_differences": each.open_differences,
            "unmappable": each.unmappable,
        }
        for each in entities
    ]
    noted = insert(verifications).values(rows)
    key = [column.name for column in verifications.primary_key]
    values = {column.name: noted.excluded[column.name] for column in verifications.c if column.name not in key}
    latest = noted.on_conflict_do_update(
        index_elements=key,
        set_=values,
        where=verifications.c.verified_at <= noted.excluded.verified_at,
    )
    with database.tenant(source.workspace_id) as connection:
        connection.execute(latest)
