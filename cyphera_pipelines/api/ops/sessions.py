"""A session's page: what it was asked for, why and by whom, where it is, and its events; and the page as it goes on."""

from typing import Annotated
from urllib.parse import quote
from uuid import UUID

from fastapi import Query, Request, Response
from starlette.concurrency import run_in_threadpool

from cyphera_pipelines.api.ops.live import EVENTS_SHOWN, live_response
from cyphera_pipelines.api.ops.pages import no_such_page, page
from cyphera_pipelines.api.ops.route import ops_router
from cyphera_pipelines.api.ops.session_state import state_of
from cyphera_pipelines.api.ops.viewers import CurrentViewer, Viewer
from cyphera_pipelines.api.services import RequestServices, Services
from cyphera_pipelines.model.errors import NotFoundError
from cyphera_pipelines.model.key_levels import KeyLevel
from cyphera_pipelines.model.session_words import asked_in_words, who_in_words, why_in_words
from cyphera_pipelines.model.sessions import Session, SessionStatus
from cyphera_pipelines.providers.registry import PROVIDERS, find_provider
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.page_actions import find_action
from cyphera_pipelines.store.session_pages import page_events_of_session
from cyphera_pipelines.store.sessions import find_session, get_session
from cyphera_pipelines.store.workspaces import slug_of_workspace
from cyphera_pipelines.sync.turns import what_it_waits_for

EVENTS_OF_A_PAGE = 50
RELOADED_EVERY = 10
"""Seconds, where scripts are off and somebody asks for it."""

router = ops_router()


def session_of_viewer(database: Database, viewer: Viewer, session_id: UUID) -> Session:
    """The session, or the same 404 for one that does not exist and for another workspace's."""
    try:
        if viewer.workspace is None:
            return find_session(database, session_id)
        return get_session(database, viewer.workspace.id, session_id)
    except NotFoundError:
        raise no_such_page() from None


@router.get("/sessions/{session_id}")
def show(
    session_id: UUID,
    request: Request,
    viewer: CurrentViewer,
    services: RequestServices,
    before: Annotated[str | None, Query(max_length=100)] = None,
    done: UUID | None = None,
    refresh: bool = False,
) -> Response:
    """The session as it is now."""
    database = services.database
    session = session_of_viewer(database, viewer, session_id)
    events = page_events_of_session(database, session, limit=EVENTS_OF_A_PAGE, before=before)
    newest = events.events[:EVENTS_SHOWN] if before is None and not session.status.is_final else ()
    waiting = what_it_waits_for(database, session, services.runs_at_once)
    entities = find_provider(session.provider_name).entities if session.provider_name in PROVIDERS else ()
    is_over = session.status.is_final
    return page(
        request,
        viewer,
        "session.html",
        session=session,
        slug=slug_of_workspace(database, session.workspace_id),
        state=state_of(session, waiting, newest),
        asked=asked_in_words(session, entities),
        why=why_in_words(session),
        who=who_in_words(session.requested_by, session.requested_by_name),
        events=events,
        before=before,
        done=None if done is None else find_action(database, session.workspace_id, done),
        may_cancel=viewer.may(KeyLevel.SYNC) and not is_over,
        may_retry=viewer.may(KeyLevel.SYNC) and is_over and session.status is not SessionStatus.COMPLETED,
        refresh=RELOADED_EVERY if refresh and not is_over else None,
        dagster_run=_address_of_run(services, viewer, session),
    )


@router.get("/sessions/{session_id}/live")
async def follow(session_id: UUID, request: Request, viewer: CurrentViewer, services: RequestServices) -> Response:
    """Pieces of the page as server-sent events, until the session ends."""
    session = await run_in_threadpool(session_of_viewer, services.database, viewer, session_id)
    return live_response(request, viewer, services, session.id)


def _address_of_run(services: Services, viewer: Viewer, session: Session) -> str | None:
    """Where Dagster's UI shows the session's run: for operators, as it shows every workspace's."""
    base = services.settings.dagster_ui
    if session.dagster_run_id is None or not viewer.is_operator or base is None:
        return None
    return f"{base}/runs/{quote(session.dagster_run_id, safe='')}"
