"""What is missing from the tables, per source and entity, from the session that met it until it is mended."""

import hashlib
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.missing import MissingKind, MissingObjects, MissingSample
from cyphera_pipelines.model.rows import UnmappableObject
from cyphera_pipelines.model.sessions import Session
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.model.storable import storable
from cyphera_pipelines.security.secrets import redact
from cyphera_pipelines.store.database import Database

MOST_NAMED = 1_000
"""Objects of one entity that are kept by name; more are only counted."""

EXAMPLES = 3
LONGEST_ID, LONGEST_REASON = 255, 500


def note_missing(
    connection: Connection,
    session: Session,
    entity: Entity,
    objects: Iterable[UnmappableObject],
    kind: MissingKind,
    *,
    livemode: bool,
    listing: float | None,
) -> None:
    """Note, in the transaction that could not load them, that these objects are missing.

    `listing` tells the listing that met them from others; None for other ways.
    """
    found = {_key(obj): redact(str(storable(obj.reason)))[:LONGEST_REASON] for obj in objects}
    if not found:
        return
    of_entity = _of_entity(session.workspace_id, session.provider_name, entity, livemode)
    known = set(connection.execute(_KNOWN, {**of_entity, "ids": list(found)}).scalars())
    room = max(0, MOST_NAMED - connection.execute(_COUNT, of_entity).scalar_one())
    new = [key for key in found if key not in known]
    named = [*(key for key in found if key in known), *new[:room]]
    about = {**of_entity, "kind": kind.value, "session_id": session.id, "listing": listing, "objects": 1}
    rows = [{**about, "object_id": key, "reason": found[key]} for key in named]
    if left := len(new) - room if len(new) > room else 0:
        reason = "More objects are missing than are named."
        more = {"object_id": "", "kind": MissingKind.NOT_NAMED.value, "reason": reason, "objects": left}
        rows.append({**about, **more})
    connection.execute(_NOTE, rows)


def note_unproven_absence(
    connection: Connection, session: Session, entity: Entity, *, livemode: bool, listing: float
) -> None:
    """Note that the listing could not tell of some rows whether their objects still exist."""
    of_entity = _of_entity(session.workspace_id, session.provider_name, entity, livemode)
    kind = MissingKind.ABSENCE_UNPROVEN.value
    values = {"object_id": kind, "kind": kind, "objects": 0, "session_id": session.id, "listing": listing}
    connection.execute(_NOTE, {**of_entity, **values, "reason": "The listing left gaps."})


def forget_missing(
    connection: Connection, source: Source, entity: Entity, object_ids: Iterable[str], *, livemode: bool
) -> None:
    """Forget objects that were loaded, or proved to be gone, in the transaction that did so."""
    keys = [_key_of_id(object_id) for object_id in object_ids]
    if keys:
        of_entity = _of_entity(source.workspace_id, source.provider, entity, livemode)
        connection.execute(_FORGET, {**of_entity, "ids": keys})


def forget_missing_before(
    connection: Connection, source: Source, entity: Entity, *, livemode: bool, listing: float
) -> None:
    """Forget what this listing, which is complete, did not meet: it was loaded meanwhile, or is gone."""
    of_entity = _of_entity(source.workspace_id, source.provider, entity, livemode)
    connection.execute(_FORGET_BEFORE, {**of_entity, "listing": listing})


def has_missing(database: Database, source: Source, entity: Entity, *, livemode: bool) -> bool:
    """Whether anything of the entity is missing."""
    of_entity = _of_entity(source.workspace_id, source.provider, entity, livemode)
    with database.tenant(source.workspace_id) as connection:
        return bool(connection.execute(_COUNT, of_entity).scalar_one())


def list_missing(database: Database, workspace_id: UUID, provider: str, *, livemode: bool) -> list[MissingObjects]:
    """What is missing of a source in that mode, by entity."""
    values = {"workspace_id": workspace_id, "provider_name": provider, "livemode": livemode, "examples": EXAMPLES}
    with database.tenant(workspace_id) as connection:
        rows = {Entity(row.entity_type): row for row in connection.execute(_LIST, values)}
    return [_missing(entity, rows[entity]) for entity in Entity if entity in rows]


def _missing(entity: Entity, row: Any) -> MissingObjects:
    return MissingObjects(
        entity,
        row.named,
        row.more,
        row.is_unproven,
        row.session_id,
        row.since,
        tuple(MissingSample(*each) for each in row.samples or ()),
    )


def _key(obj: UnmappableObject) -> str:
    if obj.id is not None:
        return _key_of_id(obj.id)
    return f"without an id, {hashlib.sha256(repr(obj.raw).encode('utf-8', 'replace')).hexdigest()[:16]}"


def _key_of_id(object_id: str) -> str:
    """The id, as far as it can be kept: ids that begin alike stay apart."""
    clean = redact(str(storable(object_id)))
    if len(clean) <= LONGEST_ID:
        return clean
    return f"{clean[:200]}... {hashlib.sha256(object_id.encode('utf-8', 'replace')).hexdigest()[:16]}"


def _of_entity(workspace_id: UUID, provider: str, entity: Entity, livemode: bool) -> dict[str, Any]:
    return {
        "workspace_id": workspace_id,
        "provider_name": provider,
        "livemode": livemode,
        "entity_type": entity.value,
    }


_OF_SOURCE = "workspace_id = :workspace_id AND provider_name = :provider_name AND livemode = :livemode"
_WHERE = f"FROM sync.missing_objects WHERE {_OF_SOURCE} AND entity_type = :entity_type"
_KNOWN = text(f"SELECT object_id {_WHERE} AND object_id = ANY (:ids)")
_COUNT = text(f"SELECT count(*) {_WHERE}")
_FORGET = text(f"DELETE {_WHERE} AND object_id = ANY (:ids)")
_FORGET_BEFORE = text(f"DELETE {_WHERE} AND listing IS DISTINCT FROM CAST(:listing AS float8)")
_NOTE = text(
    """
    INSERT INTO sync.missing_objects AS known (workspace_id, provider_name, livemode, entity_type, object_id, kind,
        reason, objects, listing, first_session_id, last_session_id)
    VALUES (:workspace_id, :provider_name, :livemode, :entity_type, :object_id, :kind, :reason, :objects, :listing,
        :session_id, :session_id)
    ON CONFLICT (workspace_id, provider_name, livemode, entity_type, object_id) DO UPDATE
    SET kind = excluded.kind, reason = excluded.reason, last_session_id = excluded.last_session_id,
        last_seen_at = now(), listing = excluded.listing,
        objects = CASE
            WHEN excluded.kind <> 'not_named' THEN excluded.objects
            WHEN known.listing IS DISTINCT FROM excluded.listing THEN greatest(known.objects, excluded.objects)
            ELSE known.objects + excluded.objects
        END
    """
)
_LIST = text(
    f"""
    SELECT entity_type,
        count(*) FILTER (WHERE kind IN ('not_loaded', 'incomplete'))::int AS named,
        coalesce(sum(objects) FILTER (WHERE kind = 'not_named'), 0)::int AS more,
        coalesce(bool_or(kind = 'absence_unproven'), false) AS is_unproven,
        (array_agg(first_session_id ORDER BY first_seen_at, object_id))[1] AS session_id,
        min(first_seen_at) AS since,
        (jsonb_agg(jsonb_build_array(object_id, reason) ORDER BY first_seen_at, object_id)
            FILTER (WHERE number <= :examples)) AS samples
    FROM (
        SELECT *, CASE WHEN kind IN ('not_loaded', 'incomplete') THEN row_number() OVER (
            PARTITION BY entity_type, kind IN ('not_loaded', 'incomplete') ORDER BY first_seen_at, object_id
        ) END AS number
        FROM sync.missing_objects WHERE {_OF_SOURCE}
    ) AS numbered
    GROUP BY entity_type
    """
)
