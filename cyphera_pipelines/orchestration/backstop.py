"""Ending sessions whose run ended without doing so: its process was killed, or its host went away."""

from dagster import DagsterInstance, DagsterRun

from cyphera_pipelines.model.errors import CypheraError
from cyphera_pipelines.model.sessions import EventLevel, Session, SessionEvent, SessionStatus
from cyphera_pipelines.model.source import split_source_key
from cyphera_pipelines.orchestration.run_sessions import parse_session_id
from cyphera_pipelines.orchestration.tags import PARTITION_TAG, SESSION_TAG, SOURCE_TAG, WILL_RETRY_TAG
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.events import record_events
from cyphera_pipelines.store.locks import is_being_synced
from cyphera_pipelines.store.sessions import finish_session, get_session, list_silent_sessions
from cyphera_pipelines.store.workspaces import find_workspace

SILENT_FOR = 60.0
"""Seconds without a heartbeat after which a session is looked into; a living one beats every second."""

_MESSAGES = {
    SessionStatus.FAILED: "The run that carried out this sync ended before the sync did. What it had merged is kept; "
    "the next sync continues from there.",
    SessionStatus.CANCELLED: "The run that carried out this sync was cancelled. What it had merged is kept; "
    "the next sync continues from there.",
}


def end_session_of_run(database: Database, run: DagsterRun, status: SessionStatus) -> str:
    """Give the session of an ended run its final status, unless it has one; returns what was done, for a tick's log.

    A session whose run Dagster retries, or that another run has taken over, goes on.
    """
    session = _session_of(database, run)
    if session is None:
        return f"Run {run.run_id} carried out no session."
    if session.status.is_final:
        return f"Session {session.id} had ended {session.status.value}."
    if run.tags.get(WILL_RETRY_TAG) == "true":
        return f"Session {session.id} goes on in the run's retry."
    if session.dagster_run_id not in (None, run.run_id):
        return f"Session {session.id} goes on in run {session.dagster_run_id}."
    _end_session(database, session, status, run)
    return f"Session {session.id} ended {status.value}."


def end_vanished_sessions(database: Database, instance: DagsterInstance) -> list[Session]:
    """End the sessions whose process is gone, and their runs, which Dagster may take for running for hours.

    A session has vanished if it has been silent for a minute and nobody holds its source's lock. Returns them.
    """
    vanished = []
    for session in list_silent_sessions(database, silent_for=SILENT_FOR):
        if is_being_synced(database, session.workspace_id, session.provider_name):
            continue
        run = instance.get_run_by_id(session.dagster_run_id) if session.dagster_run_id else None
        _end_session(database, session, SessionStatus.FAILED, run)
        if run is not None and not run.is_finished:
            instance.report_run_failed(run, _MESSAGES[SessionStatus.FAILED])
        vanished.append(session)
    return vanished


def _end_session(database: Database, session: Session, status: SessionStatus, run: DagsterRun | None) -> None:
    message = _MESSAGES[status]
    summary = {"message": message} | ({"dagster_run_id": run.run_id} if run is not None else {})
    if finish_session(database, session, status, error_summary=summary):
        event = SessionEvent(f"session_{status.value}", message, level=EventLevel.ERROR)
        record_events(database, session, [event])


def _session_of(database: Database, run: DagsterRun) -> Session | None:
    session_id, key = run.tags.get(SESSION_TAG), run.tags.get(SOURCE_TAG) or run.tags.get(PARTITION_TAG)
    if session_id is None or key is None:
        return None
    try:
        # By its workspace, since the source itself may have been removed meanwhile.
        slug, _provider = split_source_key(key)
        return get_session(database, find_workspace(database, slug).id, parse_session_id(session_id))
    except CypheraError:
        return None
