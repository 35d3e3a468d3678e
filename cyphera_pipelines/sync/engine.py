"""One sync of one source, from the lock to the session's honest end."""

import logging
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.error_codes import ErrorCode
from cyphera_pipelines.model.errors import CypheraError
from cyphera_pipelines.model.merged_rows import about_merged_rows
from cyphera_pipelines.model.sessions import (
    ConflictStrategy,
    EventLevel,
    Session,
    SessionEvent,
    SessionStatus,
    SyncRequest,
)
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.providers.base import (
    CredentialsRejectedError,
    ProviderUnavailableError,
    RequestAbandonedError,
)
from cyphera_pipelines.security.encryption import Keyring
from cyphera_pipelines.security.secrets import redact
from cyphera_pipelines.store.claims import Claim, check_claim
from cyphera_pipelines.store.configurations import record_sync
from cyphera_pipelines.store.cursors import read_positions
from cyphera_pipelines.store.database import DATABASE_ERRORS, Database
from cyphera_pipelines.store.database_errors import error_code_of, is_lost, what_happened
from cyphera_pipelines.store.events import count_flagged, record_events
from cyphera_pipelines.store.locks import HeldLock, SourceBusyError, source_lock
from cyphera_pipelines.store.missing import list_missing
from cyphera_pipelines.store.schedules import SyncEnd
from cyphera_pipelines.store.sessions import (
    fail_abandoned_sessions,
    finish_session,
    get_session,
    start_session,
)
from cyphera_pipelines.store.statistics import refresh_statistics
from cyphera_pipelines.sync.cancellation import cancelled_message, tell_what_was_merged
from cyphera_pipelines.sync.client import open_client
from cyphera_pipelines.sync.context import SyncContext
from cyphera_pipelines.sync.heartbeat import Heartbeat
from cyphera_pipelines.sync.memory import rare_collections, share_arenas
from cyphera_pipelines.sync.notices import NoticeLog
from cyphera_pipelines.sync.outcome import SyncOutcome, judge
from cyphera_pipelines.sync.progress import SyncProgress
from cyphera_pipelines.sync.request import of_provider
from cyphera_pipelines.sync.retries import RetryLog
from cyphera_pipelines.sync.run_log import RunLog
from cyphera_pipelines.sync.schedule_notes import end_of_sync, failure_of_sync
from cyphera_pipelines.sync.up_to_date import bring_up_to_date
from cyphera_pipelines.sync.waits import record_waits

_log = logging.getLogger(__name__)


class SessionEndedError(CypheraError):
    """The session had ended (it was cancelled), or another run had it, before its sync could begin."""

    code = ErrorCode.SESSION_ENDED


@dataclass(frozen=True)
class SyncJob:
    """Everything that one sync needs. `log` is the log of the run that carries it out, for people to follow.

    `claim` is that of the worker of a batch. `failed_check` is the error that a look at the source met: then the
    session is there to tell of it, and nothing is asked for again.
    """

    database: Database
    keyring: Keyring
    source: Source
    session: Session
    request: SyncRequest
    dagster_run_id: str | None = None
    log: logging.Logger = _log
    claim: Claim | None = None
    failed_check: CypheraError | None = None


def run_sync(job: SyncJob) -> SyncOutcome:
    """Bring the source's tables up to date and give the session its final status.

    Whatever happens, the session ends: completed, partial (some entity or row did not make it), failed or cancelled,
    with an `error_summary` that says what, how many, and what to do. What went wrong at the provider is told in the
    outcome. Raised are: SourceBusyError if the source is being synced already, SessionEndedError if the session ended
    before it began, CypheraError for unusable credentials or trouble with the database, and interruptions such as
    KeyboardInterrupt.
    """
    share_arenas()
    job = replace(job, request=of_provider(job.request, job.source.provider))
    progress = SyncProgress(job.request.entities)
    progress.resume(job.session.progress)
    try:
        with source_lock(job.database, job.source) as lock:
            _begin(job, progress)
            with (
                Heartbeat(job.database, job.session, progress) as heartbeat,
                RunLog(job.log, progress, job.request.entities) as run_log,
                rare_collections(),
            ):
                outcome = (
                    _sync(job, progress, heartbeat, lock, run_log)
                    if job.failed_check is None
                    else _failed(job, job.failed_check, progress)
                )
            _finish(job, outcome, progress)
            return outcome
    except SessionEndedError:
        raise
    except DATABASE_ERRORS as error:
        message, code = _about_database(job, error, progress), error_code_of(error)
        _give_up(job, SessionStatus.FAILED, message, code, progress, is_of_source=True)
        raise CypheraError(message, code=code) from None
    except SourceBusyError as error:
        _give_up(job, SessionStatus.FAILED, str(error), error.code, progress)
        raise
    except CypheraError as error:
        _give_up(job, SessionStatus.FAILED, str(error), error.code, progress, is_of_source=True)
        raise
    except Exception as error:
        message = redact(f"The sync of {job.source.key} met an error of ours: {type(error).__name__}: {error}.")
        _give_up(job, SessionStatus.FAILED, message, ErrorCode.UNEXPECTED, progress, is_of_source=True)
        raise
    except BaseException:
        message = cancelled_message("The sync was interrupted.", _about_merged_rows(job, progress))
        _give_up(job, SessionStatus.CANCELLED, message, ErrorCode.INTERRUPTED, progress)
        raise


def _about_database(job: SyncJob, error: Exception, progress: SyncProgress) -> str:
    """What to tell of a database error."""
    # Nobody knows what became of a commit whose answer did not come.
    merged = _about_merged_rows(job, progress, is_certain=not is_lost(error))
    return f"The sync of {job.source.key} {what_happened(error)}. {merged} The next sync continues from there."


def _about_merged_rows(job: SyncJob, progress: SyncProgress, *, is_certain: bool = True) -> str:
    """A sentence: of a session that another process began, not everything may be known."""
    is_all = is_certain and job.session.status is SessionStatus.PENDING
    return about_merged_rows(progress.as_json(is_over=True), is_all=is_all)


def _begin(job: SyncJob, progress: SyncProgress) -> None:
    """With the lock held, whatever session of the source still says `running` belongs to a process that died.

    So does what this session has done already.
    """
    abandoned = fail_abandoned_sessions(job.database, job.source, keep=job.session.id)
    if not start_session(job.database, job.session, job.dagster_run_id):
        raise SessionEndedError(
            f"Session {job.session.id} of {job.source.key} had ended, or another run had it, before its sync began."
        )
    progress.resume(get_session(job.database, job.source.workspace_id, job.session.id).progress)
    if job.request.conflict_strategy is ConflictStrategy.FLAG:
        progress.has_flagged(count_flagged(job.database, job.session))
    entities = ", ".join(entity.value for entity in job.request.entities)
    events = [SessionEvent("session_started", f"Syncing {entities} of {job.source.key}.")]
    for session_id in abandoned:
        message = f"The process of session {session_id} died while it ran. What it had merged stays."
        events.append(SessionEvent("session_abandoned", message, level=EventLevel.WARNING, code=ErrorCode.SESSION_DIED))
    record_events(job.database, job.session, events)
    record_waits(job.database, job.session)


def _sync(job: SyncJob, progress: SyncProgress, heartbeat: Heartbeat, lock: HeldLock, run_log: RunLog) -> SyncOutcome:
    retries = RetryLog(job.database, job.session, progress, run_log.say)
    notices = NoticeLog(job.database, job.session)
    opened = open_client(
        job.database,
        job.keyring,
        job.source,
        on_request=progress.requested,
        on_retry=retries.note,
        on_repeat=retries.repeated,
        on_answer=progress.answered,
        on_notice=notices.note,
        is_cancelled=heartbeat.is_cancelled,
    )
    errors: dict[Entity, CypheraError]
    try:
        context = SyncContext(
            database=job.database,
            client=opened.client,
            key_digest=opened.key_digest,
            scope=opened.scope,
            published=opened.published,
            source=job.source,
            session=job.session,
            request=job.request,
            livemode=not job.source.is_test_mode,
            progress=progress,
            is_cancelled=heartbeat.is_cancelled,
            cancel=heartbeat.cancel,
            check_lock=lambda connection: _check_lock(lock, job.claim, connection),
        )
        errors = bring_up_to_date(context)
    except (CredentialsRejectedError, ProviderUnavailableError) as error:
        errors = dict.fromkeys(job.request.entities, error)
    except RequestAbandonedError:
        errors = {}
    finally:
        opened.client.close()
    retries.summarise()
    notices.summarise()
    refresh_statistics(job.database, progress.created_rows())
    counts = {entity: progress.entity(entity) for entity in job.request.entities}
    return judge(job.session, counts, errors, is_cancelled=heartbeat.is_cancelled())


def _check_lock(lock: HeldLock, claim: Claim | None, connection: Connection) -> None:
    lock.check()
    if claim is not None:
        check_claim(connection, claim)


def _under_claim(job: SyncJob, end: SyncEnd | None) -> SyncEnd | None:
    """The end of a sync that counts only while its worker has the source."""
    return end if end is None or job.claim is None else replace(end, claim_number=job.claim.number)


def _failed(job: SyncJob, error: CypheraError, progress: SyncProgress) -> SyncOutcome:
    """What a sync comes to that meets this error whatever it asks for."""
    errors = dict.fromkeys(job.request.entities, error)
    for entity in errors:
        progress.failed(entity, error)
    counts = {entity: progress.entity(entity) for entity in job.request.entities}
    return judge(job.session, counts, errors, is_cancelled=False)


def _finish(job: SyncJob, outcome: SyncOutcome, progress: SyncProgress) -> None:
    summary, still_missing = outcome.error_summary, _record_missing(job, progress)
    parts = [f"The sync of {job.source.key} has ended: {outcome.status.value}."]
    if summary:
        parts.append(summary["message"])
    message = " ".join([*parts, *still_missing])
    level = EventLevel.INFO if outcome.status is SessionStatus.COMPLETED else EventLevel.ERROR
    event = SessionEvent(f"session_{outcome.status.value}", message, level=level, code=outcome.code)
    over = progress.as_json(is_over=True)
    record_waits(job.database, job.session)
    positions = read_positions(job.database, job.source, livemode=not job.source.is_test_mode)
    if not finish_session(
        job.database,
        job.session,
        outcome.status,
        progress=over,
        error_summary=outcome.error_summary,
        code=outcome.code,
        event=event,
        end=_under_claim(job, end_of_sync(outcome, job.request, positions)),
    ):
        tell_what_was_merged(job.database, job.session, over, progress.merged())
    if outcome.status is SessionStatus.COMPLETED:
        record_sync(job.database, job.source.workspace_id, job.source.configuration_id)


def _record_missing(job: SyncJob, progress: SyncProgress) -> list[str]:
    """Tell of what is missing from the source's tables, and return a sentence for what earlier sessions met.

    What this session met itself has events of its own.
    """
    source = job.source
    missing = list_missing(job.database, source.workspace_id, source.provider, livemode=not source.is_test_mode)
    progress.missing(missing)
    earlier = [each for each in missing if each.session_id != job.session.id and each.entity in job.request.entities]
    events = [
        SessionEvent(
            "rows_still_missing",
            each.described(),
            entity_type=each.entity.value,
            level=EventLevel.WARNING,
            event_details={"objects": each.objects, "up_to_more": each.up_to_more, "session_id": str(each.session_id)},
            code=each.code,
        )
        for each in earlier
    ]
    record_events(job.database, job.session, events)
    return [event.event_message for event in events]


def _give_up(
    job: SyncJob,
    status: SessionStatus,
    message: str,
    code: ErrorCode,
    progress: SyncProgress,
    *,
    is_of_source: bool = False,
) -> None:
    """End the session after an error that stopped the engine itself, if the database still lets us.

    An error that the source may meet again lets it wait; after an interruption it stays due.
    """
    message = redact(message)
    end = _under_claim(job, failure_of_sync(job.session, job.request, message, code)) if is_of_source else None
    event = SessionEvent(f"session_{status.value}", message, level=EventLevel.ERROR, code=code)
    try:
        finish_session(
            job.database,
            job.session,
            status,
            progress=progress.as_json(is_over=True),
            error_summary={"message": message},
            code=code,
            event=event,
            end=end,
        )
        record_waits(job.database, job.session)
    except DATABASE_ERRORS:
        # The next sync of the source finds the session still running, with nobody behind it, and ends it.
        _log.warning("The end of session %s could not be written.", job.session.id, exc_info=True)
