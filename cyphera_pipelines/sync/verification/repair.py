"""A verification that mends what it finds: a session of its own, under the source's lock."""

import logging

from cyphera_pipelines.model.merged_rows import about_merged_rows
from cyphera_pipelines.model.sessions import (
    EventLevel,
    Session,
    SessionEvent,
    SessionStatus,
    SessionType,
    SyncRequest,
)
from cyphera_pipelines.security.secrets import redact
from cyphera_pipelines.store.database import DATABASE_ERRORS
from cyphera_pipelines.store.events import record_events
from cyphera_pipelines.store.locks import source_lock
from cyphera_pipelines.store.sessions import (
    create_session,
    fail_abandoned_sessions,
    finish_session,
    start_session,
)
from cyphera_pipelines.sync.cancellation import tell_what_was_merged
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
        try:
            return _repair(job, session)
        except DATABASE_ERRORS as error:
            trouble = database_trouble(job, error)
            _give_up(job, session, SessionStatus.FAILED, str(trouble))
            raise trouble from None
        except Exception as error:
            _give_up(job, session, SessionStatus.FAILED, redact(str(error)))
            raise
        except BaseException:
            message = f"The verification was interrupted. {about_merged_rows(job.progress.as_json(is_over=True))}"
            _give_up(job, session, SessionStatus.CANCELLED, message)
            raise


def _repair(job: VerificationJob, session: Session) -> VerificationReport:
    _begin(job, session)
    retries = RetryLog(job.database, session, job.progress)
    with Heartbeat(job.database, session, job.progress) as heartbeat:
        verified = compare(
            job,
            is_cancelled=heartbeat.is_cancelled,
            cancel=heartbeat.cancel,
            session=session,
            on_retry=retries.note,
        )
    retries.summarise()
    _finish(job, session, verified, is_cancelled=heartbeat.is_cancelled())
    return verified.report


def _begin(job: VerificationJob, session: Session) -> None:
    """With the lock held, whatever session of the source still says `running` belongs to a process that died."""
    abandoned = fail_abandoned_sessions(job.database, job.source, keep=session.id)
    start_session(job.database, session, None)
    entities = ", ".join(entity.value for entity in job.entities)
    message = f"Verifying {entities} of {job.source.key}, and mending what differs."
    events = [SessionEvent("session_started", message)]
    for session_id in abandoned:
        message = f"Session {session_id} had died while it ran."
        events.append(SessionEvent("session_abandoned", message, level=EventLevel.WARNING))
    record_events(job.database, session, events)


def _finish(job: VerificationJob, session: Session, verified: Verified, *, is_cancelled: bool) -> None:
    counts = {entity: job.progress.entity(entity) for entity in job.entities}
    outcome = judge(session, counts, verified.errors, is_cancelled=is_cancelled)
    record_events(job.database, session, [_about(report) for report in verified.report.entities])
    message = f"The verification of {job.source.key} has ended: {outcome.status.value}."
    level = EventLevel.INFO if outcome.status is SessionStatus.COMPLETED else EventLevel.ERROR
    event = SessionEvent(f"session_{outcome.status.value}", message, level=level)
    progress = job.progress.as_json(is_over=True)
    if not finish_session(
        job.database, session, outcome.status, progress=progress, error_summary=outcome.error_summary, event=event
    ):
        tell_what_was_merged(job.database, session, progress, job.progress.merged())


def _about(report: EntityReport) -> SessionEvent:
    name = report.entity.value
    if report.error is not None:
        message = f"{name} could not be verified: {report.error}"
        return SessionEvent("entity_failed", message, entity_type=name, level=EventLevel.ERROR)
    parts = [
        f"{table.table}: {table.checked} checked, {table.differences} differed, {table.mended} mended"
        for table in report.tables
    ]
    if report.unmappable.count:
        parts.append(f"{report.unmappable.count} objects cannot be mapped")
    return SessionEvent("entity_verified", "; ".join(parts) + ".", entity_type=name)


def _give_up(job: VerificationJob, session: Session, status: SessionStatus, message: str) -> None:
    """End the session after an error that stopped the verification itself, if the database still lets us."""
    summary = {"message": message}
    event = SessionEvent(f"session_{status.value}", message, level=EventLevel.ERROR)
    progress = job.progress.as_json(is_over=True)
    try:
        finish_session(job.database, session, status, progress=progress, error_summary=summary, event=event)
    except DATABASE_ERRORS:
        # The next sync of the source finds the session still running, with nobody behind it, and ends it.
        _log.warning("The end of session %s could not be written.", session.id, exc_info=True)
