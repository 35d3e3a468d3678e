"""What the log of a run tells of its sync: how far each entity is, and what it waits for.

In a thread of its own, since whoever keeps the log may be slow or gone, and the sync must not wait for that.
"""

import logging
import queue
import threading
import time
from types import TracebackType

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.sessions import EntityProgress
from cyphera_pipelines.sync.progress import SyncProgress

TELL_EVERY = 10.0
LOOK_EVERY = 0.5
LAST_WORDS_WITHIN = 5.0
"""Seconds that the end of a sync waits for the log's last lines."""

_log = logging.getLogger(__name__)


class RunLog:
    """A context in which the progress is told to `log`: a line per entity every ten seconds, and what is said."""

    def __init__(self, log: logging.Logger, progress: SyncProgress, entities: tuple[Entity, ...]) -> None:
        self._run_log = log
        self._progress = progress
        self._entities = entities
        self._told: dict[Entity, EntityProgress] = {}
        self._said: queue.SimpleQueue[tuple[int, str]] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="run-log", daemon=True)

    def __enter__(self) -> "RunLog":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(LAST_WORDS_WITHIN)

    def say(self, level: int, message: str) -> None:
        """Write a line soon; `level` is one of `logging`'s. Never waits."""
        self._said.put((level, message))

    def _run(self) -> None:
        told_at, is_last = time.monotonic(), False
        while not is_last:
            is_last = self._stop.wait(LOOK_EVERY)
            is_due = is_last or time.monotonic() - told_at >= TELL_EVERY
            try:
                while not self._said.empty():
                    self._run_log.log(*self._said.get())
                if is_due:
                    told_at = time.monotonic()
                    self._tell()
            except Exception:
                # It is for people only: a log that cannot be written ends no sync.
                _log.debug("The run's log could not be written.", exc_info=True)

    def _tell(self) -> None:
        for entity in self._entities:
            counts = self._progress.entity(entity)
            # An entity at rest has nothing to tell but once.
            if counts != self._told.get(entity, EntityProgress()) or not (counts.done or counts.error):
                self._run_log.info(_line(entity, counts))
            self._told[entity] = counts
        waiting = self._progress.waiting()
        if waiting is not None:
            words = waiting.in_words()
            self._run_log.warning(f"{words[0].upper()}{words[1:]}")


def _line(entity: Entity, counts: EntityProgress) -> str:
    of = "" if counts.done or counts.estimated is None else f" of about {counts.estimated:,}"
    state = "complete, " if counts.done else "not complete, " if counts.error else ""
    changed = ", ".join(
        f"{count:,} {what}"
        for what, count in (
            ("created", counts.created),
            ("updated", counts.updated),
            ("unchanged", counts.unchanged),
            ("deleted", counts.deleted),
            ("not loaded", counts.failed),
        )
        if count
    )
    return f"{entity.value}: {state}{counts.fetched:,}{of} fetched" + (f"; {changed}." if changed else ".")
