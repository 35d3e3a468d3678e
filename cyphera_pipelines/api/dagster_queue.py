"""Telling Dagster what to do without keeping clients waiting for it."""

import contextvars
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from cyphera_pipelines.api.dagster_runs import DagsterRuns
from cyphera_pipelines.model.sessions import Session
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.sessions import claim_session

DAGSTER_THREADS = 4
LONGEST_QUEUE = 200
SUBMITTED_WITHIN = 2.0
"""Seconds after its commit in which a session's run is asked for; later, Dagster's sensor may just be making one."""

_log = logging.getLogger(__name__)


class DagsterQueue:
    """Asks Dagster in threads of its own. What cannot be asked is left to Dagster's sensors, which miss nothing.

    `runs` is None where no Dagster is known.
    """

    def __init__(self, database: Database, runs: DagsterRuns | None) -> None:
        self._database = database
        self._runs = runs
        self._threads = ThreadPoolExecutor(DAGSTER_THREADS, thread_name_prefix="dagster")
        self._free_places = threading.Semaphore(LONGEST_QUEUE)

    def start_run(self, session: Session, source_key: str) -> None:
        """Ask for the run that carries out a session that has been committed."""
        if self._runs is not None:
            runs, committed_at = self._runs, time.monotonic()
            self._enqueue(
                f"the run of session {session.id}", lambda: self._submit(runs, session, source_key, committed_at)
            )

    def end_run(self, session: Session) -> None:
        """Ask for the end of a cancelled session's run, if it has one."""
        if self._runs is not None and session.dagster_run_id is not None:
            runs, run_id = self._runs, session.dagster_run_id
            self._enqueue(f"the end of run {run_id}", lambda: runs.terminate(run_id))

    def problems(self) -> dict[str, str | None]:
        """Why pending sessions will not be started, by check; None where all is well."""
        return {"dagster": None} if self._runs is None else self._runs.problems()

    def close(self) -> None:
        """Let what is being asked be answered, and leave the rest to the sensors."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        if self._runs is not None:
            self._runs.close()

    def _submit(self, runs: DagsterRuns, session: Session, source_key: str, committed_at: float) -> None:
        if time.monotonic() - committed_at > SUBMITTED_WITHIN:
            _log.warning("The run of session %s waited too long to be asked for: it is left to the sensor.", session.id)
            return
        run_id = runs.submit(session, source_key)
        if run_id is not None:
            # So that whoever cancels the session finds its run, even before that has begun.
            claim_session(self._database, session, run_id)

    def _enqueue(self, what: str, ask: Callable[[], object]) -> None:
        if not self._free_places.acquire(blocking=False):
            _log.warning("Dagster is slow to answer: %s is left to its sensors.", what)
            return
        context = contextvars.copy_context()
        self._threads.submit(context.run, self._ask, what, ask)

    def _ask(self, what: str, ask: Callable[[], object]) -> None:
        try:
            ask()
        except Exception:
            _log.exception("Dagster could not be asked for %s.", what)
        finally:
            self._free_places.release()
