"""A session's live progress: counted by the listings, read by everybody."""

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.errors import CypheraError
from cyphera_pipelines.model.missing import MissingObjects
from cyphera_pipelines.model.rows import UnmappableObject
from cyphera_pipelines.model.sessions import EntityProgress
from cyphera_pipelines.model.waiting import Waiting, WaitingFor, utc
from cyphera_pipelines.providers.base import RequestNote
from cyphera_pipelines.security.secrets import redact
from cyphera_pipelines.store.load_result import LoadResult, TableCounts

MOST_UNTIL_DONE = 99.9
GIVEN_UP_AFTER = 2.0
"""Seconds after a request was to be made again, and was not."""
SHORTEST_WAIT = 1.0
"""Seconds: shorter waits for the provider are not worth a word."""
NO_ANSWER_FOR = 5.0
"""Seconds without any answer, after which the provider is being waited for."""
_COUNTED = ("fetched", "created", "updated", "unchanged", "deleted", "failed", "flagged", "requests", "children")


class SyncProgress:
    """Counts per entity, safe to update from several threads.

    Rates and the remaining time are of this process, not of earlier ones that it continues.
    """

    def __init__(self, entities: Iterable[Entity], clock: Callable[[], float] = time.time) -> None:
        self._lock = threading.Lock()
        self._entities = {entity: EntityProgress() for entity in entities}
        self._began = time.monotonic()
        self._requests = 0
        self._retries = 0
        self._clock = clock
        self._asked_at = self._answered_at = clock()
        self._refused: Waiting | None = None
        self._fetched_before = 0
        self._percent = 0.0
        self._missing: list[dict[str, Any]] = []
        self._way: str | None = None
        self._unloaded: set[tuple[Entity, str]] = set()

    def goes(self, way: str) -> None:
        """Tell which way the tables are brought up to date, and why: a sentence."""
        with self._lock:
            self._way = way

    def resume(self, progress: Mapping[str, Any]) -> None:
        """Go on from the `progress` column that an earlier process of the same session left."""
        with self._lock:
            for entity, counts in self._entities.items():
                left = progress.get("entities", {}).get(entity.value, {})
                counted = {name: left[name] for name in _COUNTED if name in left}
                self._entities[entity] = replace(counts, **counted)
            self._requests = int(progress.get("requests") or 0)
            self._retries = int(progress.get("retries") or 0)
            self._percent = float(progress.get("percent") or 0.0)
            self._fetched_before = sum(counts.fetched for counts in self._entities.values())

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

    def loaded(
        self, entity: Entity, *, fetched: int, requests: int, unloaded: int, result: LoadResult, flagged: int = 0
    ) -> None:
        """Count a committed page.

        `unloaded` are its objects that were not loaded, `flagged` those that were left though they differ, each counted
        once.
        """
        with self._lock:
            counts = self._entities[entity]
            own = result.tables.get(entity.value)
            counts.fetched += fetched
            counts.requests += requests
            counts.failed += unloaded
            counts.flagged += flagged
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

    def settled(self, entity: Entity, table: str, rows: int) -> None:
        """So many rows of a child table were written that the session had left as they were, or had not looked at."""
        with self._lock:
            if rows and entity in self._entities:
                counts = self._entities[entity]
                total = counts.children.setdefault(table, dict.fromkeys(asdict(TableCounts()), 0))
                total["updated"] += rows
                if counts.done:
                    # Each row was counted by the listing.
                    total["unchanged"] = max(0, total["unchanged"] - rows)

    def has_flagged(self, flagged: Mapping[Entity, int]) -> None:
        """So many objects were flagged by the session's earlier processes, as its events tell."""
        with self._lock:
            for entity, counts in self._entities.items():
                counts.flagged = flagged.get(entity, 0)

    def could_not_be_loaded(self, entity: Entity, objects: int) -> None:
        """So many objects were not loaded by an earlier session that this one continues."""
        with self._lock:
            self._entities[entity].failed += objects

    def missing(self, missing: Sequence[MissingObjects]) -> None:
        """What is missing from the tables, whichever session met it."""
        with self._lock:
            self._missing = [each.as_json() for each in missing]

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

    def failed(self, entity: Entity, error: CypheraError) -> None:
        """The entity's listing ended before it was complete."""
        with self._lock:
            counts = self._entities[entity]
            counts.error, counts.error_code = str(error), error.code.value

    def requested(self) -> None:
        """A request is made."""
        with self._lock:
            self._requests += 1
            self._asked_at = self._clock()

    def answered(self) -> None:
        """A request was answered, if only with a refusal that lasts."""
        with self._lock:
            self._answered_at = self._clock()
            self._refused = None

    def retried(self, note: RequestNote) -> None:
        """A request has to be made again, and waits for that."""
        with self._lock:
            now = self._clock()
            since = utc(now) if self._refused is None else self._refused.since
            self._refused = Waiting(WaitingFor.PROVIDER, redact(note.reason), since, utc(now + note.wait))

    def repeated(self, _note: RequestNote) -> None:
        """A request is made again."""
        with self._lock:
            self._retries += 1

    def waiting(self) -> Waiting | None:
        """What the sync waits for at the provider, if nothing has been answered since."""
        with self._lock:
            return self._waiting()

    def _waiting(self) -> Waiting | None:
        now, refused = self._clock(), self._refused
        if refused is not None and refused.until is not None:
            until, since = refused.until.timestamp(), refused.since.timestamp()
            # Nobody tries again: the request was given up.
            is_over = now > until + GIVEN_UP_AFTER and self._asked_at < until
            return refused if max(until, now) - since >= SHORTEST_WAIT and not is_over else None
        if self._asked_at > self._answered_at and now - self._answered_at > NO_ANSWER_FOR:
            return Waiting(WaitingFor.PROVIDER, "The provider has not answered since.", utc(self._answered_at))
        return None

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

    def as_json(self, *, is_over: bool = False) -> dict[str, Any]:
        """The session's `progress` column. The percentage never falls, and is 100 only where everything is done."""
        seconds = max(time.monotonic() - self._began, 0.001)
        with self._lock:
            entities = {entity.value: asdict(counts) for entity, counts in self._entities.items()}
            fetched = sum(counts["fetched"] for counts in entities.values())
            estimates = [counts["estimated"] for counts in entities.values()]
            is_done = all(counts["done"] for counts in entities.values())
            total = sum(estimates) if estimates and None not in estimates else None
            if is_done:
                self._percent = 100.0
            elif total:
                self._percent = max(self._percent, min(round(100.0 * fetched / total, 1), MOST_UNTIL_DONE))
            rate = (fetched - self._fetched_before) / seconds
            waiting = None if is_over else self._waiting()
            return {
                "entities": entities,
                "percent": self._percent,
                "rows_per_second": round(rate, 1),
                "eta_seconds": None if is_over and not is_done else _seconds_left(is_done, fetched, total, rate),
                "requests": self._requests,
                "retries": self._retries,
                "missing": self._missing,
                "way": self._way,
                "waiting": None if waiting is None else waiting.as_json(),
            }


def _seconds_left(is_done: bool, fetched: int, total: int | None, rate: float) -> int | None:
    if is_done:
        return 0
    if total is None or rate <= 0:
        return None
    return max(1, round((total - fetched) / rate))
