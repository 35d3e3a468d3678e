"""Telling a session's reader about requests that had to be made again: once when it starts, and in sum at the end."""

import logging
import threading
from collections import Counter, defaultdict
from collections.abc import Callable

from cyphera_pipelines.model.error_codes import ErrorCode
from cyphera_pipelines.model.sessions import EventLevel, Session, SessionEvent
from cyphera_pipelines.providers.base import RequestNote, RetryKind
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.events import record_events
from cyphera_pipelines.sync.progress import SyncProgress

_WORDS = {
    RetryKind.RATE_LIMITED: "the provider limited their rate",
    RetryKind.CONNECTION_LOST: "no connection held",
    RetryKind.ANSWER_LATE: "no whole answer came in time",
    RetryKind.PROVIDER_ERROR: "the provider met an error of its own",
    RetryKind.BODY_UNREADABLE: "the answer was cut off or garbled",
}

_CODES = {
    RetryKind.RATE_LIMITED: ErrorCode.RATE_LIMITED,
    RetryKind.CONNECTION_LOST: ErrorCode.PROVIDER_UNREACHABLE,
    RetryKind.ANSWER_LATE: ErrorCode.TIMED_OUT,
    RetryKind.PROVIDER_ERROR: ErrorCode.PROVIDER_UNAVAILABLE,
    RetryKind.BODY_UNREADABLE: ErrorCode.ANSWER_UNREADABLE,
}


class RetryLog:
    """Counts retries by kind. Safe to call from several threads."""

    def __init__(
        self,
        database: Database,
        session: Session,
        progress: SyncProgress,
        say: Callable[[int, str], None] = lambda _level, _message: None,
    ) -> None:
        self._database = database
        self._session = session
        self._progress = progress
        self._say = say
        self._lock = threading.Lock()
        self._noted: set[RetryKind] = set()
        self._counts: Counter[RetryKind] = Counter()
        self._seconds: dict[RetryKind, float] = defaultdict(float)

    def note(self, note: RequestNote) -> None:
        """Take note of a request that is to be made again; the first of its kind is an event, and a line of the log."""
        self._progress.retried(note)
        with self._lock:
            is_first = note.kind not in self._noted
            self._noted.add(note.kind)
        if is_first:
            message = f"{note.reason} Trying again in {note.wait:.1f} s; more of this kind are counted, not listed."
            self._say(logging.WARNING, message)
            kind = f"request_{note.kind.value}"
            self._record(SessionEvent(kind, message, level=EventLevel.WARNING, code=_CODES[note.kind]))

    def repeated(self, note: RequestNote) -> None:
        """Count a request that is made again now: one that is given up while it waits for that never is."""
        self._progress.repeated(note)
        with self._lock:
            self._counts[note.kind] += 1
            self._seconds[note.kind] += note.wait

    def summarise(self) -> None:
        """Record how many retries there were of each kind, and how many seconds they waited, added up."""
        for kind, count in self._counts.items():
            message = f"Requests that were made again, since {_WORDS[kind]}: {count:,}."
            details = {"kind": kind.value, "count": count, "seconds": round(self._seconds[kind], 1)}
            event = SessionEvent(
                "requests_repeated", message, event_details=details, level=EventLevel.WARNING, code=_CODES[kind]
            )
            self._record(event)

    def _record(self, event: SessionEvent) -> None:
        record_events(self._database, self._session, [event])
