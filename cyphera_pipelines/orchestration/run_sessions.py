"""Which session a run carries out."""

import logging
from uuid import UUID

from dagster import DagsterInstance, DagsterRun

from cyphera_pipelines.model.errors import InvalidInputError
from cyphera_pipelines.model.sessions import EventLevel, Session, SessionEvent, SessionStatus, SyncRequest
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.orchestration.tags import SESSION_TAG, SOURCE_TAG
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.events import record_events
from cyphera_pipelines.store.sessions import finish_session, get_session
from cyphera_pipelines.sync.request import open_session


def session_for_run(
    database: Database,
    instance: DagsterInstance,
    run: DagsterRun,
    source: Source,
    request: SyncRequest,
    log: logging.Logger,
) -> tuple[Session, SyncRequest]:
    """The session that the run's tag names, else a new one, and what it asks for; the run is tagged with it.

    A retry continues the session of the run that died. A session that has ended, or that another run is carrying out
    now, stays as it is: the run gets a session of its own.
    """
    session = _named_session(database, run, source)
    if session is not None and session.status.is_final:
        log.info(f"Session {session.id} ended {session.status.value} already; this run gets a session of its own.")
        session = None
    elif session is not None and _is_carried_out_elsewhere(instance, run, session):
        log.warning(f"Session {session.id} is carried out by another run; this run gets a session of its own.")
        session = None
    if session is None:
        session = open_session(database, source, request)
    else:
        request = SyncRequest.from_config(request.entities, session.config)
    instance.add_run_tags(run.run_id, {SESSION_TAG: str(session.id), SOURCE_TAG: source.key})
    return session, request


def cancel_session(database: Database, session: Session) -> None:
    """End the session as cancelled, unless it has ended: an engine at work on it stops between two pages."""
    message = "The sync was interrupted. What it had merged is kept; the next sync continues from there."
    if finish_session(database, session, SessionStatus.CANCELLED, error_summary={"message": message}):
        event = SessionEvent("session_cancelled", message, level=EventLevel.WARNING)
        record_events(database, session, [event])


def parse_session_id(text: str) -> UUID:
    """The id in a session tag, or InvalidInputError."""
    try:
        return UUID(text)
    except ValueError:
        raise InvalidInputError(f"The run's tag {SESSION_TAG} is {text!r}, which is not a session's id.") from None


def _named_session(database: Database, run: DagsterRun, source: Source) -> Session | None:
    text = run.tags.get(SESSION_TAG)
    if text is None:
        return None
    session = get_session(database, source.workspace_id, parse_session_id(text))
    if session.provider_name != source.provider:
        raise InvalidInputError(f"Session {session.id} is for {session.provider_name}, not for {source.key}.")
    return session


def _is_carried_out_elsewhere(instance: DagsterInstance, run: DagsterRun, session: Session) -> bool:
    if session.status is not SessionStatus.RUNNING or session.dagster_run_id in (None, run.run_id):
        return False
    other = instance.get_run_by_id(session.dagster_run_id)
    return other is not None and not other.is_finished
