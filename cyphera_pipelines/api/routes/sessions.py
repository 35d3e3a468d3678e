"""Sessions: watching syncs, and stopping them."""

from typing import Annotated

from fastapi import Query, Request
from starlette.concurrency import run_in_threadpool

from cyphera_pipelines.api.auth import CurrentCaller
from cyphera_pipelines.api.routes.router import CONFLICT, NOT_FOUND, authenticated_router
from cyphera_pipelines.api.schemas.fields import Limit, Offset, ProviderName, SessionId, Wait
from cyphera_pipelines.api.schemas.sessions import EventOut, Events, SessionOut, Sessions, SessionStateNow
from cyphera_pipelines.api.services import RequestServices
from cyphera_pipelines.model.sessions import SessionStatus
from cyphera_pipelines.store.events import page_events
from cyphera_pipelines.store.sessions import get_session, page_sessions
from cyphera_pipelines.sync.cancellation import Cancellation, cancel_session
from cyphera_pipelines.sync.turns import what_it_waits_for

router = authenticated_router("Sessions")

ProviderFilter = Annotated[ProviderName | None, Query(description="Only this provider's sessions.")]
StatusFilter = Annotated[SessionStatus | None, Query(alias="status", description="Only sessions with this status.")]


@router.get("/sessions", operation_id="listSessions")
def list_all(
    caller: CurrentCaller,
    services: RequestServices,
    provider: ProviderFilter = None,
    session_status: StatusFilter = None,
    limit: Limit = 20,
    offset: Offset = 0,
) -> Sessions:
    """The workspace's sessions, newest first."""
    found, total = page_sessions(
        services.database,
        caller.workspace.id,
        provider=provider,
        status=session_status,
        limit=limit,
        offset=offset,
    )
    shown = [SessionOut.of(session) for session in found]
    return Sessions(sessions=shown, total=total, limit=limit, offset=offset)


@router.get("/sessions/{session_id}", responses=NOT_FOUND, operation_id="getSession")
def get(session_id: SessionId, caller: CurrentCaller, services: RequestServices) -> SessionOut:
    """One session."""
    return SessionOut.of(get_session(services.database, caller.workspace.id, session_id))


@router.get("/sessions/{session_id}/status", responses=NOT_FOUND, operation_id="getSessionStatus")
async def get_status(
    session_id: SessionId, request: Request, caller: CurrentCaller, services: RequestServices, wait: Wait = 0
) -> SessionStateNow:
    """Where a session is: ask every second or so until the status is `completed`, `partial`, `failed` or `cancelled`.

    Or let the answer wait for `wait` seconds: it comes as soon as the status is another one than when you asked, at
    once where the session has ended, and in any case when the time is over. Progress alone ends no wait: whoever shows
    it waits for a second or two at a time. A workspace may have 50 such requests at once, and is answered with 429
    beyond.

    `waiting` tells what it waits for, if it does: for the provider, as in an outage or at its limits, and until when;
    or to begin, and behind which session of its source, or how many of all.

    `partial`: some entity or object did not make it; `error_summary` says which, and why. To a client that knows only
    `completed`, `failed` and `cancelled`: treat it as `failed`. It is final, and what could be synced is there.
    """
    session = await run_in_threadpool(get_session, services.database, caller.workspace.id, session_id)
    if wait and not session.status.is_final:
        with services.status_waits.take(caller.workspace.id):
            await services.session_waits.for_change(request, session.id, session.status, wait)
        session = await run_in_threadpool(get_session, services.database, caller.workspace.id, session_id)
    waiting = await run_in_threadpool(what_it_waits_for, services.database, session, services.runs_at_once)
    return SessionStateNow.of(session, waiting)


@router.get("/sessions/{session_id}/events", responses=NOT_FOUND, operation_id="listSessionEvents")
def list_events(
    session_id: SessionId, caller: CurrentCaller, services: RequestServices, limit: Limit = 100, offset: Offset = 0
) -> Events:
    """What happened in a session, oldest first."""
    session = get_session(services.database, caller.workspace.id, session_id)
    found, total = page_events(services.database, caller.workspace.id, session.id, limit=limit, offset=offset)
    shown = [EventOut.model_validate(event) for event in found]
    return Events(events=shown, total=total, limit=limit, offset=offset)


@router.post("/sessions/{session_id}/cancel", responses={**NOT_FOUND, **CONFLICT}, operation_id="cancelSession")
def cancel(session_id: SessionId, caller: CurrentCaller, services: RequestServices) -> SessionOut:
    """Stop a session that waits or runs. What it has merged is kept, and the next sync continues from there.

    `error_summary` says who asked and what had been merged. A session that is cancelled already stays as it is; one
    that has ended otherwise is answered with 409.
    """
    session = get_session(services.database, caller.workspace.id, session_id)
    cancellation = Cancellation.through_api("Cancelled", key_id=caller.key_id, key_name=caller.key_name)
    session = cancel_session(services.database, session, cancellation)
    services.dagster.end_run(session)
    return SessionOut.of(session)
