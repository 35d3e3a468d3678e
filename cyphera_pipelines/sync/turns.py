"""What a session waits for: the provider, while it runs; its turn, and whom it is behind, before that."""

from datetime import UTC, datetime

from cyphera_pipelines.model.counted import counted
from cyphera_pipelines.model.sessions import Session, SessionStatus
from cyphera_pipelines.model.waiting import Waiting, WaitingFor
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.locks import is_being_synced
from cyphera_pipelines.store.sessions import Queue, read_queue

ASKED_FOR_WITHIN = 30.0
"""Seconds in which a session's run is asked for as a rule, and begins if nothing is before it."""


def what_it_waits_for(database: Database, session: Session, runs_at_once: int | None) -> Waiting | None:
    """What the session waits for now, if anything. Of other workspaces nothing is told but how many syncs there are.

    `runs_at_once` are the runs that Dagster lets work at once; None is any number.
    """
    if session.status is SessionStatus.RUNNING:
        return Waiting.in_progress(session.progress)
    if session.status is not SessionStatus.PENDING:
        return None
    queue = read_queue(database, session)
    if queue.own is not None:
        reason = f"Session {queue.own.id} of the same source {_does(queue.own)}: one sync of a source at a time."
    elif is_being_synced(database, session.workspace_id, session.provider_name):
        reason = (
            "A process is at work on its source: this session's own, which is about to begin, a verification, or a "
            "sync that is about to end."
        )
    else:
        reason = _in_dagster(session, queue, runs_at_once)
    behind = None if queue.own is None else queue.own.id
    return Waiting(WaitingFor.TURN, reason, session.created_at, behind=behind, ahead=queue.ahead)


def _does(session: Session) -> str:
    return "is running" if session.status is SessionStatus.RUNNING else "waits before it"


def _in_dagster(session: Session, queue: Queue, most: int | None) -> str:
    if most is not None and queue.running >= most:
        ahead = f"{counted(queue.ahead, 'other', 'wait')} before it" if queue.ahead else "it is the next one"
        run = counted(queue.running, "sync", "run")
        return f"{run}, and no more than {most} may at once (max_concurrent_runs); {ahead}."
    waited = (datetime.now(UTC) - session.created_at).total_seconds()
    remedy = "" if waited < ASKED_FOR_WITHIN else " That takes long: see whether Dagster's daemon runs (GET /readyz)."
    if session.dagster_run_id is None:
        return f"Dagster has no run for it yet.{remedy or ' Its sensor makes one within some 15 seconds.'}"
    ahead = f" {counted(queue.ahead, 'session', 'wait')} before it." if queue.ahead else ""
    return f"Dagster has its run, which has not begun yet.{ahead}{remedy}"
