"""What the tables hold already of the objects that are about to be loaded.

Looking first costs a microsecond or two per object; staging an unchanged one with all its children cost forty per row.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from sqlalchemy import Connection, text

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.rows import MappedObject
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.model.storable import storable
from cyphera_pipelines.store.tables.metadata import PAYMENTS_SCHEMA
from cyphera_pipelines.store.versions import is_older, seconds_of, storable_moment


@dataclass(frozen=True, slots=True)
class KnownRow:
    """What is known of a row. `version` is its `source_version`, in seconds since 1970; -inf if that is not known."""

    content_hash: bytes
    version: float
    is_deleted: bool

    @property
    def is_version_known(self) -> bool:
        """Whether the row's version is one to go by; see `store/versions.py`."""
        return self.version != -math.inf

    def is_unchanged(self, obj: MappedObject) -> bool:
        """Whether the object would bring the row nothing new. The hash covers the children."""
        return not self.is_deleted and self.content_hash == obj.content_hash


def find_known_rows(
    connection: Connection, source: Source, entity: Entity, objects: Sequence[MappedObject], *, locks: bool = False
) -> dict[tuple[bool, str], KnownRow]:
    """The rows of these objects that are there, tombstones included, by `(livemode, id)`.

    If it `locks` them, nobody else changes them until the transaction ends.
    """
    livemodes = list({obj.livemode for obj in objects})
    return find_rows(connection, source, entity, [obj.id for obj in objects], livemodes=livemodes, locks=locks)


def find_rows(
    connection: Connection,
    source: Source,
    entity: Entity,
    ids: Sequence[str],
    *,
    livemodes: Sequence[bool],
    locks: bool = False,
) -> dict[tuple[bool, str], KnownRow]:
    """The rows with these ids that are there, tombstones included, by `(livemode, id)`."""
    if not ids:
        return {}
    parameters = {
        "workspace_id": source.workspace_id,
        "provider": source.provider,
        "livemodes": list(livemodes),
        "ids": [storable(object_id) for object_id in ids],
    }
    # Always in the same order, lest two transactions wait for each other.
    rows = connection.execute(text(_find(entity) + (" ORDER BY id FOR NO KEY UPDATE" if locks else "")), parameters)
    return {
        (livemode, object_id): KnownRow(bytes(content_hash), version, is_deleted)
        for livemode, object_id, content_hash, version, is_deleted in rows
    }


def confirm_rows(connection: Connection, source: Source, entity: Entity, objects: Sequence[MappedObject]) -> None:
    """Note on the objects' rows, which hold the same content, that it was also the provider's state of later."""
    parameters = {
        "workspace_id": source.workspace_id,
        "provider": source.provider,
        "livemodes": [obj.livemode for obj in objects],
        "ids": [storable(obj.id) for obj in objects],
        "versions": [storable_moment(obj.version) for obj in objects],
    }
    connection.execute(text(_confirm(entity)), parameters)


# Neither statement says anything of `deleted_at`: that leaves the primary key as the only index they can use. Of a
# workspace that is new to the planner it expects few rows, and would as soon read all of them by another index.
@cache
def _find(entity: Entity) -> str:
    return (
        f"SELECT livemode, id, content_hash, {seconds_of('source_version')}, "
        f"deleted_at IS NOT NULL FROM {PAYMENTS_SCHEMA}.{entity.value} "
        "WHERE workspace_id = CAST(:workspace_id AS uuid) AND provider = :provider "
        "AND livemode = ANY (:livemodes) AND id = ANY (:ids)"
    )


@cache
def _confirm(entity: Entity) -> str:
    return (
        f"UPDATE {PAYMENTS_SCHEMA}.{entity.value} AS target SET source_version = to_timestamp(confirmed.version) "
        "FROM unnest(CAST(:livemodes AS boolean[]), CAST(:ids AS text[]), CAST(:versions AS float8[])) "
        "AS confirmed (livemode, id, version) "
        "WHERE target.workspace_id = CAST(:workspace_id AS uuid) AND target.provider = :provider "
        "AND target.livemode = confirmed.livemode AND target.id = confirmed.id "
        f"AND {is_older('target.source_version', 'to_timestamp(confirmed.version)')}"
    )
