"""Telling a session's reader what a client noticed, but not a thousand times."""

import threading
from collections import Counter
from collections.abc import Mapping
from typing import Any

from cyphera_pipelines.model.error_codes import ErrorCode
from cyphera_pipelines.model.sessions import EventLevel, Session, SessionEvent
from cyphera_pipelines.providers.base import Notice
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.events import record_events

MOST_OF_A_KIND = 20


class NoticeLog:
    """Records notices as session events. Safe to call from several threads."""

    def __init__(self, database: Database, session: Session) -> None:
        self._database = database
        self._session = session
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._codes: dict[str, ErrorCode] = {}

    def note(self, notice: Notice) -> None:
        """Record the notice, unless there were many of its kind."""
        with self._lock:
            self._counts[notice.kind] += 1
            self._codes.setdefault(notice.kind, notice.code)
            count = self._counts[notice.kind]
        if count <= MOST_OF_A_KIND:
            self._record(notice.kind, notice.message, notice.code, notice.details)

    def summarise(self) -> None:
        """Record how many notices were left out."""
        for kind, count in self._counts.items():
            if count > MOST_OF_A_KIND:
                message = f"{count - MOST_OF_A_KIND} more of the kind {kind} were counted, not listed."
                self._record("notices_left_out", message, self._codes[kind], {"kind": kind, "count": count})

    def _record(self, kind: str, message: str, code: ErrorCode, details: Mapping[str, Any]) -> None:
        event = SessionEvent(kind, message, level=EventLevel.WARNING, event_details=dict(details), code=code)
        record_events(self._database, self._session, [event])
