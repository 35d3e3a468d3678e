"""Which session a run carries out."""

import logging
from collections.abc import Collection, Generator
from contextlib import contextmanager
from uuid import UUID

from dagster import DagsterInstance, DagsterRun, DagsterRunStatus
from dagster._core.errors import DagsterExecutionInterruptedError
from dagster._core.storage.tags import RETRY_NUMBER_TAG
from sqlalchemy.exc import SQLAlchemyError

from cyphera_pipelines.model.error_codes import ErrorCode
from cyphera_pipelines.model.errors import CypheraError, InvalidInputError
from cyphera_pipelines.model.runs import RUN_KEY_TAG, SESSION_TAG, SOURCE_TAG
from cyphera_pipelines.model.sessions import STARTED_IN_DAGSTER, Session, SyncRequest
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.sessions import claim_session, get_session
from cyphera_pipelines.sync.cancellation import Cancellation, cancel_sessions
from cyphera_pipelines.sync.engine import SessionEndedError
from cyphera_pipelines.sync.request import open_session

LOOKS_FOR_CANCELLATION_EVERY = 2.0
"""Seconds; a look is one statement."""
_log = logging.getLogger(__name__)


class NothingToSyncError(CypheraError):
    """The run was started for one session only, and that has ended or is another run's."""

    code = ErrorCode.SESSION_ENDED


def session_for_run(
    database: Database,
    instance: DagsterInstance,
    run: DagsterRun,
    source: Source,
    request: SyncRequest,
    log: logging.Logger,
    *,
    chosen: Collection[str] = (),
) -> tuple[Session, SyncRequest]:
    """The session that the run's tag names, else a new one, and what it asks for; the run is tagged with it.

    A retry continues the session of the run that died. A session that has ended, or that another run has, stays as it
    is: a run that a person started again gets a session of its own, one that was started for that session alone raises
    NothingToSyncError. The session of its own has the entities that the run selected and the options of the session
    before, but for those that the run's own configuration names: `chosen`, as in {"batch_size"}.
    """
    session = _named_session(database, run, source)
    if session is not None:
        taken = _why_taken(database, instance, run, session)
        if taken is not None and _is_only_for(run, session):
            raise NothingToSyncError(f"{taken} This run has nothing to do.")
        if taken is not None:
            log.info(f"{taken} This run gets a session of its own.")
            own = {name: value for name, value in request.as_config().items() if name in chosen}
            request = SyncRequest.from_config(request.entities, session.config | own)
            session = None
    if session is None:
        session = open_session(database, source, request, dagster_run_id=run.run_id, origin=STARTED_IN_DAGSTER)
    else:
        request = SyncRequest.from_config(session.entity_types, session.config)
    instance.add_run_tags(run.run_id, {SESSION_TAG: str(session.id), SOURCE_TAG: source.key})
    return session, request


def cancel_session(database: Database, session: Session, why: str) -> None:
    """End the session as cancelled, unless it has ended: an engine at work on it stops between two pages."""
    current = get_session(database, session.workspace_id, session.id)
    by = {} if session.dagster_run_id is None else {"dagster_run_id": str(session.dagster_run_id)}
    cancel_sessions(database, [current], Cancellation(why, by))


def cancel_session_of_run(database: Database, instance: DagsterInstance, run: DagsterRun, session: Session) -> None:
    """End the session of a run whose process is told to stop: by somebody who cancelled the run, or by its host."""
    current = instance.get_run_by_id(run.run_id)
    is_cancelled = current is not None and current.status is DagsterRunStatus.CANCELING
    why = "The run of this sync was cancelled in Dagster." if is_cancelled else "The process of this sync was stopped."
    cancel_session(database, session, why)


def raise_if_cancelled(instance: DagsterInstance, run: DagsterRun) -> None:
    """Raise DagsterExecutionInterruptedError if somebody cancelled the run in Dagster, or it ended there otherwise.

    Dagster's daemon ends a run that has exceeded its maximum runtime, whether or not it reaches the run's process. A
    process is told by a signal too, but Python may drop what a signal's handler raises (see `interruptible`), and then
    nobody would hear of it.
    """
    try:
        current = instance.get_run_by_id(run.run_id)
    except SQLAlchemyError as error:
        # The sync goes on without Dagster's database; whoever cannot record it says so.
        _log.debug("Whether run %s was cancelled is not known: %s", run.run_id, error)
        return
    if current is not None and (current.status is DagsterRunStatus.CANCELING or current.is_finished):
        raise DagsterExecutionInterruptedError


@contextmanager
def run_ends_with_its_session(instance: DagsterInstance, run: DagsterRun) -> Generator[None, None, None]:
    """Let the run end as cancelled, and not as failed, if its session turns out to have ended."""
    try:
        yield
    except (NothingToSyncError, SessionEndedError) as error:
        end_run_as_cancelled(instance, run, str(error))
        raise


def end_run_as_cancelled(instance: DagsterInstance, run: DagsterRun, why: str) -> None:
    """When a step of the run fails next, Dagster shows the run as cancelled."""
    current = instance.get_run_by_id(run.run_id)
    if current is not None and current.status is DagsterRunStatus.STARTED:
        instance.report_run_canceling(current, message=why)


def parse_session_id(text: str) -> UUID:
    """The id in a session tag, or InvalidInputError."""
    try:
        return UUID(text)
    except ValueError:
        raise InvalidInputError(f"The run's tag {SESSION_TAG} is {text!r}, which is not a session's id.") from None


def _named_session(database: Database, run: DagsterRun, source: Source) -> Session | None:
    """The session that the run's tag names. Raises NotFoundError or InvalidInputError if it is not the source's."""
    text = run.tags.get(SESSION_TAG)
    if text is None:
        return None
    session = get_session(database, source.workspace_id, parse_session_id(text))
    if session.provider_name != source.provider:
        raise InvalidInputError(f"Session {session.id} is for {session.provider_name}, not for {source.key}.")
    return session


def _why_taken(database: Database, instance: DagsterInstance, run: DagsterRun, session: Session) -> str | None:
    """Tie the session to the run, and return None; or say why that cannot be."""
    if session.status.is_final:
        return f"Session {session.id} is {session.status.value} already."
    before = instance.get_run_by_id(session.dagster_run_id) if session.dagster_run_id else None
    has_ended = before is None or before.is_finished
    # One statement decides, so that of two runs that ask at once only one is told that it has the session.
    if claim_session(database, session, run.run_id, instead_of=session.dagster_run_id if has_ended else None):
        return None
    return f"Session {session.id} is carried out by another run."


def _is_only_for(run: DagsterRun, session: Session) -> bool:
    """Whether the run was started by the API or the outbox sensor for that session, and by nobody else since."""
    is_started_again = run.parent_run_id is not None and RETRY_NUMBER_TAG not in run.tags
    return run.tags.get(RUN_KEY_TAG) == str(session.id) and not is_started_again
