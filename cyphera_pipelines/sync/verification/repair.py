"""A verification that is a session, under the source's lock: it may mend what it finds, and shows its progress."""

import logging

from cyphera_pipelines.model.counted import counted
from cyphera_pipelines.model.error_codes import ErrorCode
from cyphera_pipelines.model.merged_rows import about_merged_rows
from cyphera_pipelines.model.sessions import (
    EventLevel,
    Session,
    SessionEvent,
    SessionStatus,
    SessionType,
    SyncRequest,
    Verification,
)
from cyphera_pipelines.security.secrets import redact
from cyphera_pipelines.store.database import DATABASE_ERRORS
from cyphera_pipelines.store.database_errors import error_code_of
from cyphera_pipelines.store.events import record_events
from cyphera_pipelines.store.locks import SourceBusyError, source_lock
from cyphera_pipelines.store.sessions import (
    create_session,
    fail_abandoned_sessions,
    finish_session,
    start_session,
)
from cyphera_pipelines.sync.cancellation import tell_what_was_merged
from cyphera_pipelines.sync.engine import SessionEndedError
from cyphera_pipelines.sync.heartbeat import Heartbeat
from cyphera_pipelines.sync.outcome import judge
from cyphera_pipelines.sync.retries import RetryLog
from cyphera_pipelines.sync.verification.report import EntityReport, VerificationReport
from cyphera_pipelines.sync.verification.verify import VerificationJob, Verified, compare, database_trouble

_log = logging.getLogger(__name__)


def verify_and_repair(job: VerificationJob) -> VerificationReport:
    """Compare the source's tables with the provider, mend what differs, and report both.

    The session that stands for it ends in any case. Raises SourceBusyError if the source is being synced, before there
    is a session; and what `verify` raises.
    """
    with source_lock(job.database, job.source):
        session = create_session(
            job.database, job.source, SessionType.PARTIAL_SYNC, SyncRequest(entities=job.entities, full_sync=True)
        )
        return _carry_out(job, session, Verification.REPAIR, None)


def verify_in_session(
    job: VerificationJob, session: Session, verification: Verification, *, dagster_run_id: str
) -> VerificationReport:
    """Carry out the session that was made for it, in the run; whether it mends what differs is the verification's.

    The session ends in any case, also where the source is being synced, which raises SourceBusyError. Raises
    SessionEndedError if it has ended before, or is another run's; and what `verify` raises.
    """
    try:
        with source_lock(job.database, job.source):
            return _carry_out(job, session, verification, dagster_run_id)
    except SourceBusyError as error:
        _give_up(job, session, SessionStatus.FAILED, str(error), error.code)
        raise


def _carry_out(
    job: VerificationJob, session: Session, verification: Verification, dagster_run_id: str | None
) -> VerificationReport:
    try:
        return _verify(job, session, verification, dagster_run_id)
    except SessionEndedError:
        raise
    except DATABASE_ERRORS as error:
        trouble = database_trouble(job, error)
        _give_up(job, session, SessionStatus.FAILED, str(trouble), trouble.code)
        raise trouble from None
    except Exception as error:
        _give_up(job, session, SessionStatus.FAILED, redact(str(error)), error_code_of(error))
        raise
    except BaseException:
        message = f"The verification was interrupted. {about_merged_rows(job.progress.as_json(is_over=True))}"
        _give_up(job, session, SessionStatus.CANCELLED, message, ErrorCode.INTERRUPTED)
        raise


def _verify(
    job: VerificationJob, session: Session, verification: Verification, dagster_run_id: str | None
) -> VerificationReport:
    _begin(job, session, verification, dagster_run_id)
    retries = RetryLog(job.database, session, job.progress)
    with Heartbeat(job.database, session, job.progress) as heartbeat:
        verified = compare(
            job,
            is_cancelled=heartbeat.is_cancelled,
            cancel=heartbeat.cancel,
            session=session,
            mends=verification is Verification.REPAIR,
            on_retry=retries.note,
            on_repeat=retries.repeated,
        )
    retries.summarise()
    _finish(job, session, verified, is_cancelled=heartbeat.is_cancelled())
    return verified.report


def _begin(job: VerificationJob, session: Session, verification: Verification, dagster_run_id: str | None) -> None:
    """With the lock held, whatever session of the source still says `running` belongs to a process that died."""
    abandoned = fail_abandoned_sessions(job.database, job.source, keep=session.id)
    if not start_session(job.database, session, dagster_run_id):
        raise SessionEndedError(
            f"Session {session.id} of {job.source.key} had ended, or another run had it, before its verification began."
        )
    entities = ", ".join(entity.value for entity in job.entities)
    mends = ", and mending what differs" if verification is Verification.REPAIR else ""
    message = f"Verifying {entities} of {job.source.key}{mends}."
    events = [SessionEvent("session_started", message)]
    for session_id in abandoned:
        message = f"Session {session_id} had died while it ran."
        events.append(SessionEvent("session_abandoned", message, level=EventLevel.WARNING, code=ErrorCode.SESSION_DIED))
    record_events(job.database, session, events)


def _finish(job: VerificationJob, session: Session, verified: Verified, *, is_cancelled: bool) -> None:
    counts = {entity: job.progress.entity(entity) for entity in job.entities}
    outcome = judge(session, counts, verified.errors, is_cancelled=is_cancelled)
    record_events(job.database, session, [_about(report) for report in verified.report.entities])
    tables = [table for report in verified.report.entities for table in report.tables]
    differed, mended = sum(table.differences for table in tables), sum(table.mended for table in tables)
    message = f"The verification of {job.source.key} has ended: {outcome.status.value}."
    if differed:
        message += f" Rows that differed: {differed:,}, of which {mended:,} were mended."
    code = outcome.code or (ErrorCode.DIFFERENCES_FOUND if differed > mended else None)
    level = EventLevel.WARNING if differed > mended else EventLevel.INFO
    if outcome.status is not SessionStatus.COMPLETED:
        level = EventLevel.ERROR
    event = SessionEvent(f"session_{outcome.status.value}", message, level=level, code=code)
    progress = job.progress.as_json(is_over=True)
    if not finish_session(
        job.database,
        session,
        outcome.status,
        progress=progress,
        error_summary=outcome.error_summary,
        code=code,
        event=event,
    ):
        tell_what_was_merged(job.database, session, progress, job.progress.merged())


def _about(report: EntityReport) -> SessionEvent:
    name = report.entity.value
    if report.error is not None:
        message = f"{name} could not be verified: {report.error}"
        return SessionEvent("entity_failed", message, entity_type=name, level=EventLevel.ERROR, code=report.error_code)
    parts = [
        f"{table.table}: {table.checked} checked, {table.differences} differed, {table.mended} mended"
        for table in report.tables
    ]
    if report.unmappable.count:
        parts.append(f"{counted(report.unmappable.count, 'object')} cannot be mapped")
    return SessionEvent("entity_verified", "; ".join(parts) + ".", entity_type=name)


def _give_up(job: VerificationJob, session: Session, status: SessionStatus, message: str, code: ErrorCode) -> None:
    """End the session after an error that stopped the verification itself, if the database still lets us."""
    summary = {"message": message}
    event = SessionEvent(f"session_{status.value}", message, level=EventLevel.ERROR, code=code)
    progress = job.progress.as_json(is_over=True)
    try:
        finish_session(job.database, session, status, progress=progress, error_summary=summary, code=code, event=event)
    except DATABASE_ERRORS:
        # The next sync of the source finds the session still running, with nobody behind it, and ends it.
        _log.warning("The end of session %s could not be written.", session.id, exc_info=True)
