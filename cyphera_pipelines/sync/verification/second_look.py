"""Asking for objects that seem to differ once more, one by one, and what of the differences is real."""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.rows import MappedObject, UnmappableObject
from cyphera_pipelines.model.synced_tables import SYNCED_TABLES
from cyphera_pipelines.providers.base import Change, ProviderClient, ProviderUnavailableError
from cyphera_pipelines.store.differences import Difference, DifferenceKind, RowKey
from cyphera_pipelines.store.verification import LiveRow

Rows = Mapping[str, Mapping[RowKey, LiveRow]]
"""Live rows by table, then by key."""


@dataclass(frozen=True)
class SecondLook:
    """An object as the provider has it now: mapped, or impossible to map, or neither if it is gone."""

    object_id: str
    obj: MappedObject | None
    unmappable: UnmappableObject | None
    version: float
    requests: int


def look_again(
    client: ProviderClient, entity: Entity, object_ids: Sequence[str], threads: Executor
) -> dict[str, SecondLook]:
    """Fetch the objects, several at once, with their whole nested lists. Raises ProviderError."""

    def look(object_id: str) -> SecondLook:
        page = client.fetch(Change(entity, object_id, version=0.0))
        requests = page.requests + client.complete(page)
        for obj in page.incomplete:
            raise ProviderUnavailableError(obj.reason)
        mapped = client.map_page(page)
        return SecondLook(
            object_id,
            next(iter(mapped.objects), None),
            next(iter(mapped.unmappable), None),
            page.version,
            requests,
        )

    return {look.object_id: look for look in threads.map(look, object_ids)}


def real_differences(found: Iterable[Difference], looks: Mapping[str, SecondLook], rows: Rows) -> list[Difference]:
    """Those of the differences that the second look shows too, as it shows them.

    Of an object that cannot be mapped any more there are none: it is another kind of trouble.
    """
    real = []
    for difference in found:
        look = looks[difference.object_id]
        if look.unmappable is None:
            expected = _expected(difference, look.obj)
            kind = _kind(expected, rows.get(difference.table, {}).get(difference.key))
            if kind is not None:
                real.append(replace(difference, kind=kind))
    return real


def _expected(difference: Difference, obj: MappedObject | None) -> bytes | None:
    """The content hash that the row should have; None if there should be no row."""
    key = difference.key
    if obj is None or obj.livemode is not key.livemode:
        return None
    if not SYNCED_TABLES[difference.table].is_child:
        return obj.content_hash
    children = obj.children_of(difference.table)
    hashes = {(child.id, occurrence): child.content_hash for occurrence, child in children}
    return hashes.get((key.id, key.occurrence))


def _kind(expected: bytes | None, row: LiveRow | None) -> DifferenceKind | None:
    if expected is None:
        return None if row is None else DifferenceKind.SURPLUS
    if row is None:
        return DifferenceKind.MISSING
    return None if row.content_hash == expected else DifferenceKind.STALE
