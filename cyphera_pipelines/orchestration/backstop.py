"""Ending sessions whose run ended without doing so: its process was killed, or its host went away."""

import time
from dataclasses import replace
from datetime import UTC, datetime

from dagster import DagsterInstance, DagsterRun, DagsterRunStatus, RunRecord, RunsFilter

from cyphera_pipelines.model.error_codes import ErrorCode
from cyphera_pipelines.model.errors import CypheraError
from cyphera_pipelines.model.merged_rows import about_merged_rows_of
from cyphera_pipelines.model.runs import PARTITION_TAG, SESSION_TAG, SOURCE_TAG, WILL_RETRY_TAG
from cyphera_pipelines.model.sessions import SILENT_FOR, EventLevel, Session, SessionEvent, SessionStatus
from cyphera_pipelines.model.source import split_source_key
from cyphera_pipelines.orchestration.run_sessions import parse_session_id
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.locks import is_being_synced
from cyphera_pipelines.store.schedules import SyncResult
from cyphera_pipelines.store.sessions import finish_session, get_session, interruption_of, list_silent_sessions
from cyphera_pipelines.store.workspaces import find_workspace

_HOW_IT_ENDED = {
    SessionStatus.FAILED: "The run that carried out this sync ended before the sync did.",
    SessionStatus.CANCELLED: "The run that carried out this sync was cancelled in Dagster.",
}
_HAS_YET_TO_BEGIN = (DagsterRunStatus.NOT_STARTED, DagsterRunStatus.QUEUED, DagsterRunStatus.STARTING)


def end_session_of_run(
    database: Database,
    run: DagsterRun,
    status: SessionStatus,
    *,
    reason: str | None = None,
    code: ErrorCode | None = None,
) -> str:
    """Give the session of an ended run its final status, unless it has one; returns what was done, for a tick's log.

    A session whose run Dagster retries, or that another run has taken over, goes on. `reason` is why the run ended, and
    `code` what kind of trouble that was; None if nobody knows.
    """
    session = _session_of(database, run)
    if session is None:
        return f"Run {run.run_id} carried out no session."
    if session.status.is_final:
        return f"Session {session.id} was {session.status.value} already."
    if run.tags.get(WILL_RETRY_TAG) == "true":
        return f"Session {session.id} goes on in the run's retry."
    if session.dagster_run_id not in (None, run.run_id):
        return f"Session {session.id} goes on in run {session.dagster_run_id}."
    end_session(database, session, status, run_id=run.run_id, reason=reason, code=code)
    return f"Session {session.id} is {status.value} now."


def end_vanished_sessions(database: Database, instance: DagsterInstance) -> list[Session]:
    """End the sessions whose process is gone, and their runs, which Dagster may take for running for hours.

    A session has vanished if it has been silent for a minute, nobody holds its source's lock, and its run is not about
    to begin. Returns them.
    """
    vanished = []
    for session in list_silent_sessions(database, silent_for=SILENT_FOR):
        record = _newest_run(instance, session)
        if record is not None and _is_yet_to_be_heard_of(session, record):
            continue
        if is_being_synced(database, session.workspace_id, session.provider_name):
            continue
        run = record.dagster_run if record is not None else None
        is_cancelled = run is not None and run.status is DagsterRunStatus.CANCELED
        status = SessionStatus.CANCELLED if is_cancelled else SessionStatus.FAILED
        end_session(database, session, status, run_id=session.dagster_run_id)
        if run is not None and not run.is_finished:
            instance.report_run_failed(run, _HOW_IT_ENDED[SessionStatus.FAILED])
        vanished.append(session)
    return vanished


def end_runs_of_ended_sessions(database: Database, instance: DagsterInstance) -> list[DagsterRun]:
    """End the runs whose session has been over for a minute and that Dagster still takes for running. Returns them.

    Their process was killed, and the session was ended by the next sync of its source. They would hold the source's
    place in the queue for hours.
    """
    ended = []
    for run in instance.get_runs(RunsFilter(statuses=[DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING])):
        session = _session_of(database, run)
        if session is not None and _has_been_over(session):
            # Not as failed: that would be tried again, though there is nothing left to do.
            instance.report_run_canceled(run, message=f"Session {session.id} is over; nobody is at work on this run.")
            ended.append(run)
    return ended


def _has_been_over(session: Session) -> bool:
    if session.completed_at is None:
        return False
    return (datetime.now(UTC) - session.completed_at).total_seconds() > SILENT_FOR


def end_session(
    database: Database,
    session: Session,
    status: SessionStatus,
    *,
    run_id: str | None = None,
    reason: str | None = None,
    code: ErrorCode | None = None,
) -> None:
    """Give the session its final status, unless it has one, and say why."""
    how = f"{_HOW_IT_ENDED[status]} {about_merged_rows_of(session)} The next sync continues from there."
    message = " ".join(text for text in (how if run_id else None, reason) if text)
    summary = {"message": message} | ({"dagster_run_id": run_id} if run_id else {})
    level = EventLevel.WARNING if status is SessionStatus.CANCELLED else EventLevel.ERROR
    code = code or _code(session, status)
    event = SessionEvent(f"session_{status.value}", message, level=level, code=code)
    end = interruption_of(session, message, code)
    if status is SessionStatus.CANCELLED:
        end = replace(end, result=SyncResult.CANCELLED)
    finish_session(database, session, status, error_summary=summary, code=code, event=event, end=end)


def _code(session: Session, status: SessionStatus) -> ErrorCode:
    if status is SessionStatus.CANCELLED:
        return ErrorCode.CANCELLED
    return ErrorCode.RUN_NOT_STARTED if session.started_at is None else ErrorCode.SESSION_DIED


def _newest_run(instance: DagsterInstance, session: Session) -> RunRecord | None:
    """The last of the session's run and its retries, of which Dagster tells by their tag."""
    records = instance.get_run_records(RunsFilter(tags={SESSION_TAG: str(session.id)}), limit=1)
    return records[0] if records else None


def _is_yet_to_be_heard_of(session: Session, record: RunRecord) -> bool:
    """Whether the session's run, or the retry that will take its place, is still to begin or has only just begun."""
    run = record.dagster_run
    if run.is_finished:
        return run.tags.get(WILL_RETRY_TAG) == "true"
    has_just_begun = record.start_time is not None and time.time() - record.start_time < SILENT_FOR
    waits = session.status is SessionStatus.PENDING or session.dagster_run_id != run.run_id
    return has_just_begun or (waits and run.status in _HAS_YET_TO_BEGIN)


def _session_of(database: Database, run: DagsterRun) -> Session | None:
    session_id, key = run.tags.get(SESSION_TAG), run.tags.get(SOURCE_TAG) or run.tags.get(PARTITION_TAG)
    if session_id is None or key is None:
        return None
    try:
        # By its workspace, since the source itself may have been removed meanwhile; so may the workspace.
        slug, _provider = split_source_key(key)
        return get_session(database, find_workspace(database, slug, or_deleted=True).id, parse_session_id(session_id))
    except CypheraError:
        return None
