"""What can be done to a session: cancelling it, and trying its work again."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated
from uuid import UUID, uuid4

from fastapi import Form as FormField
from fastapi import Request, Response
from starlette.responses import RedirectResponse

from cyphera_pipelines.api.ops.once import Done, Form, carry_out_once
from cyphera_pipelines.api.ops.pages import no_such_page, page, url_for_ops
from cyphera_pipelines.api.ops.route import ops_router
from cyphera_pipelines.api.ops.sessions import session_of_viewer
from cyphera_pipelines.api.ops.viewers import ActingViewer, CurrentViewer, Viewer
from cyphera_pipelines.api.services import RequestServices, Services
from cyphera_pipelines.model.audit import Action
from cyphera_pipelines.model.errors import ConflictError
from cyphera_pipelines.model.sessions import (
    Session,
    SessionOrigin,
    SessionStatus,
    SessionTrigger,
    SyncRequest,
)
from cyphera_pipelines.store.sources import find_source_of
from cyphera_pipelines.store.workspaces import slug_of_workspace
from cyphera_pipelines.sync.cancellation import Cancellation, cancel_session
from cyphera_pipelines.sync.request import open_only_session


@dataclass(frozen=True)
class SessionAction:
    """One action: its title and button, what will happen, and what it does."""

    title: str
    button: str
    consequences: tuple[str, ...]
    do: Callable[[Services, Viewer, Session, str], Done]
    asks_for_entities: bool = False


router = ops_router()


@router.get("/sessions/{session_id}/{name}")
def ask(session_id: UUID, name: str, request: Request, viewer: CurrentViewer, services: RequestServices) -> Response:
    """The form that asks whether it is to be done."""
    action, session = _action(name), session_of_viewer(services.database, viewer, session_id)
    slug = slug_of_workspace(services.database, session.workspace_id)
    return page(
        request,
        viewer,
        "confirm.html",
        name=name,
        action=action,
        subject=f"session {session.id} of {slug}:{session.provider_name}",
        path=f"/sessions/{session.id}/{name}",
        back=f"/sessions/{session.id}",
        entities=(),
        token=uuid4(),
    )


@router.post("/sessions/{session_id}/{name}")
def do(
    session_id: UUID,
    name: str,
    request: Request,
    viewer: ActingViewer,
    services: RequestServices,
    token: Annotated[UUID, FormField()],
) -> Response:
    """Do it, once, and show the session: the new one where its work is tried again."""
    action, session = _action(name), session_of_viewer(services.database, viewer, session_id)
    key = f"{slug_of_workspace(services.database, session.workspace_id)}:{session.provider_name}"
    form = Form(session.workspace_id, session.provider_name, token, name, f"/sessions/{session.id}")
    done = carry_out_once(services.database, form, lambda: action.do(services, viewer, session, key))
    shown = done.session_id or session.id
    return RedirectResponse(f"{url_for_ops(request, f'/sessions/{shown}')}?done={token}", HTTPStatus.SEE_OTHER)


def _action(name: str) -> SessionAction:
    if name not in ACTIONS:
        raise no_such_page()
    return ACTIONS[name]


def _cancel(services: Services, viewer: Viewer, session: Session, key: str) -> Done:
    was_cancelled = session.status is SessionStatus.CANCELLED
    cancelled = cancel_session(services.database, session, Cancellation.on_page("Cancelled", viewer.actor))
    services.dagster.end_run(cancelled)
    if was_cancelled:
        return Done("The session was cancelled already: nothing was changed.", session.id)
    audited = (Action.SYNC_CANCELLED, key, {"session_id": str(session.id)})
    return Done("The session is cancelled. What it has merged stays.", session.id, audited)


def _retry(services: Services, _viewer: Viewer, session: Session, key: str) -> Done:
    if not session.status.is_final:
        raise ConflictError(f"Session {session.id} has not ended: there is nothing to try again yet.")
    source = find_source_of(services.database, session.workspace_id, session.provider_name)
    if source is None:
        raise ConflictError(f"{key} has no active configuration any more. Connect the account again, then sync it.")
    again = open_only_session(
        services.database,
        source,
        SyncRequest.from_config(session.entity_types, session.config),
        services.settings.quotas(),
        kind=session.session_type,
        origin=SessionOrigin(SessionTrigger.RETRY, session.id),
    )
    services.dagster.start_run(again, source.key)
    audited = (Action.SYNC_REQUESTED, key, {"session_id": str(again.id), "retry_of": str(session.id)})
    return Done(f"This session tries again what session {session.id} was asked for.", again.id, audited)


ACTIONS: Mapping[str, SessionAction] = {
    "cancel": SessionAction(
        "Cancel",
        "Cancel the session",
        (
            "If it waits, it never begins. If it runs, it stops between two pages.",
            "What it has merged stays, and the next sync of the source continues from there.",
        ),
        _cancel,
    ),
    "retry": SessionAction(
        "Try again",
        "Try it again",
        (
            "A new session is made that is asked for the same, and goes on where this one has stopped.",
            "If a session of the source waits or runs already, nothing is done, and you are led to it.",
        ),
        _retry,
    ),
}
