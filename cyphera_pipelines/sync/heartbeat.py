"""Writing a running session's progress, which is also its heartbeat, and hearing of its cancellation."""

import logging
import threading
import time
from types import TracebackType

from cyphera_pipelines.model.sessions import Session
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.sessions import write_progress
from cyphera_pipelines.sync.progress import SyncProgress
from cyphera_pipelines.sync.waits import record_waits

WRITE_EVERY = 0.5
BEAT_EVERY = 1.0
_log = logging.getLogger(__name__)


class Heartbeat:
    """A context in which the session's row is kept up to date; `is_cancelled` turns true if somebody ends it."""

    def __init__(self, database: Database, session: Session, progress: SyncProgress) -> None:
        self._database = database
        self._session = session
        self._progress = progress
        self._stop = threading.Event()
        self._cancelled = threading.Event()
        self._thread = threading.Thread(target=self._run, name="session-heartbeat", daemon=True)

    def __enter__(self) -> "Heartbeat":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def is_cancelled(self) -> bool:
        """Whether the sync should stop between pages."""
        return self._cancelled.is_set()

    def cancel(self) -> None:
        """Tell the sync to stop between pages."""
        self._cancelled.set()

    def _run(self) -> None:
        written: dict[str, object] = {}
        written_at = 0.0
        while not self._stop.wait(WRITE_EVERY):
            progress = self._progress.as_json()
            changed = progress["entities"] != written.get("entities")
            if not changed and time.monotonic() - written_at < BEAT_EVERY:
                continue
            try:
                if not write_progress(self._database, self._session, progress):
                    self._cancelled.set()
                record_waits(self._database, self._session)
            except Exception:
                # The listings meet the same trouble and decide what becomes of the session.
                _log.warning("The progress of session %s could not be written.", self._session.id, exc_info=True)
            written, written_at = progress, time.monotonic()
