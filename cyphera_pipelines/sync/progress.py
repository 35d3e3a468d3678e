"""A session's live progress: counted by the listings, read by everybody."""

import threading
import time
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.rows import UnmappableObject
from cyphera_pipelines.model.sessions import EntityProgress
from cyphera_pipelines.store.loader import LoadResult


class SyncProgress:
    """Counts per entity, safe to update from several threads.

    Rates and the remaining time are of this process, not of earlier ones that a resumed listing continues.
    """

    def __init__(self, entities: Iterable[Entity]) -> None:
        self._lock = threading.Lock()
        self._entities = {entity: EntityProgress() for entity in entities}
        self._began = time.monotonic()
        self._retries = 0
        self._unloaded: set[tuple[Entity, str]] = set()

    def entity(self, entity: Entity) -> EntityProgress:
        """The entity's counts as they are now: a copy."""
        with self._lock:
            counts = self._entities[entity]
            return EntityProgress(**asdict(counts))

    def first_mention(self, entity: Entity, unloaded: Iterable[UnmappableObject]) -> list[UnmappableObject]:
        """Those of the objects not mentioned before: a listing and a provider event may bring the same one."""
        with self._lock:
            new = [obj for obj in unloaded if obj.id is None or (entity, obj.id) not in self._unloaded]
            self._unloaded |= {(entity, obj.id) for obj in new if obj.id is not None}
            return new

    def loaded(self, entity: Entity, *, fetched: int, requests: int, unloaded: int, result: LoadResult) -> None:
        """Count a committed page. `unloaded` are its objects that were not loaded, each counted once."""
        with self._lock:
            counts = self._entities[entity]
            own = result.tables.get(entity.value)
            counts.fetched += fetched
            counts.requests += requests
            counts.failed += unloaded
            if own is not None:
                counts.created += own.created
                counts.updated += own.updated
                counts.unchanged += own.unchanged
                counts.deleted += own.deleted
            for name, child in result.tables.items():
                if name != entity.value:
                    total = counts.children.setdefault(name, dict.fromkeys(asdict(child), 0))
                    for key, value in asdict(child).items():
                        total[key] += value
            if counts.estimated is not None:
                counts.estimated = max(counts.estimated, counts.fetched)

    def estimated(self, entity: Entity, objects: int | None) -> None:
        """Say how many objects the entity is expected to have."""
        with self._lock:
            counts = self._entities[entity]
            counts.estimated = None if objects is None else max(objects, counts.fetched)

    def done(self, entity: Entity) -> None:
        """The entity's listing is complete."""
        with self._lock:
            counts = self._entities[entity]
            counts.done = True
            counts.estimated = counts.fetched

    def failed(self, entity: Entity, error: str) -> None:
        """The entity's listing ended before it was complete."""
        with self._lock:
            self._entities[entity].error = error

    def retried(self) -> None:
        """A request has to be made again."""
        with self._lock:
            self._retries += 1

    def created_rows(self) -> dict[str, int]:
        """How many rows were created, by table."""
        with self._lock:
            rows = {entity.value: counts.created for entity, counts in self._entities.items()}
            for counts in self._entities.values():
                rows |= {name: child["created"] for name, child in counts.children.items()}
            return rows

    def merged(self) -> dict[str, dict[str, int]]:
        """What was written, by entity: rows of the entity's own table."""
        with self._lock:
            return {
                entity.value: {"created": counts.created, "updated": counts.updated, "deleted": counts.deleted}
                for entity, counts in self._entities.items()
            }

    def as_json(self) -> dict[str, Any]:
        """The session's `progress` column."""
        with self._lock:
            entities = {entity.value: asdict(counts) for entity, counts in self._entities.items()}
            retries = self._retries
        seconds = max(time.monotonic() - self._began, 0.001)
        fetched = sum(counts["fetched"] for counts in entities.values())
        estimates = [counts["estimated"] for counts in entities.values()]
        known = bool(estimates) and None not in estimates
        total = sum(estimates) if known else 0
        rate = fetched / seconds
        all_done = all(counts["done"] for counts in entities.values())
        return {
            "entities": entities,
            "percent": 100.0 if all_done else (round(100.0 * fetched / total, 1) if total else None),
            "rows_per_second": round(rate, 1),
            "eta_seconds": 0 if all_done else (round((total - fetched) / rate) if known and rate > 0 else None),
            "requests": sum(counts["requests"] for counts in entities.values()),
            "retries": retries,
        }
