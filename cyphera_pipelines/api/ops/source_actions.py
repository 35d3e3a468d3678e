"""What can be done to a source: each asks first, in a form that names the source and says what will happen."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import Annotated
from uuid import UUID, uuid4

from fastapi import Form as FormField
from fastapi import Request, Response
from starlette.responses import RedirectResponse

from cyphera_pipelines.api.ops.once import Done, Form, carry_out_once
from cyphera_pipelines.api.ops.pages import no_such_page, page, url_for_ops
from cyphera_pipelines.api.ops.route import ops_router
from cyphera_pipelines.api.ops.viewers import ActingViewer, CurrentViewer, Viewer, source_of_viewer
from cyphera_pipelines.api.services import RequestServices, Services
from cyphera_pipelines.model.audit import Action
from cyphera_pipelines.model.counted import counted
from cyphera_pipelines.model.entities import Entity, parse_entities
from cyphera_pipelines.model.errors import ConflictError
from cyphera_pipelines.model.sessions import SessionType, SyncRequest, Verification
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.model.webhooks import WebhookState
from cyphera_pipelines.providers.registry import find_provider
from cyphera_pipelines.store.inbox import InboxFilter, replay_all
from cyphera_pipelines.store.pauses import find_pause, pause_source, resume_source
from cyphera_pipelines.sync.cancellation import Cancellation, cancel_sessions_of_source
from cyphera_pipelines.sync.request import open_only_session

LONGEST_REASON = 500


class Extent(StrEnum):
    """How much a sync is to bring."""

    CHANGES = "changes"
    EVERYTHING = "everything"
    ANEW = "anew"


@dataclass(frozen=True)
class Fields:
    """What somebody filled in; each action reads its own."""

    extent: Extent
    entities: tuple[Entity, ...]
    reason: str | None
    cancels: bool
    state: WebhookState | None


Doing = Callable[[Services, Viewer, Source, Fields], Done]


@dataclass(frozen=True)
class SourceAction:
    """One action: its title and button, what will happen, and what it does."""

    title: str
    button: str
    consequences: tuple[str, ...]
    do: Doing
    asks_for_entities: bool = False


router = ops_router()


@router.get("/sources/{slug}/{provider}/{name}")
def ask(
    slug: str, provider: str, name: str, request: Request, viewer: CurrentViewer, services: RequestServices
) -> Response:
    """The form that asks whether it is to be done."""
    action, source = _action(name), source_of_viewer(services.database, viewer, slug, provider)
    return page(
        request,
        viewer,
        "confirm.html",
        name=name,
        action=action,
        subject=source.key,
        path=_path(source, name),
        back=_path(source),
        entities=find_provider(source.provider).entities if action.asks_for_entities else (),
        token=uuid4(),
    )


@router.post("/sources/{slug}/{provider}/{name}")
def do(
    slug: str,
    provider: str,
    name: str,
    request: Request,
    viewer: ActingViewer,
    services: RequestServices,
    token: Annotated[UUID, FormField()],
    extent: Annotated[Extent, FormField()] = Extent.CHANGES,
    entities: Annotated[list[Entity] | None, FormField(max_length=20)] = None,
    reason: Annotated[str, FormField(max_length=LONGEST_REASON)] = "",
    cancels: Annotated[bool, FormField()] = False,
    state: Annotated[WebhookState | None, FormField()] = None,
) -> Response:
    """Do it, once, and show the page of what it was done to."""
    action, source = _action(name), source_of_viewer(services.database, viewer, slug, provider)
    chosen = parse_entities([each.value for each in entities or ()])
    fields = Fields(extent, chosen, reason.strip() or None, cancels, state)
    form = Form(source.workspace_id, source.provider, token, name, _path(source))
    carry_out_once(services.database, form, lambda: action.do(services, viewer, source, fields))
    return RedirectResponse(f"{url_for_ops(request, _path(source))}?done={token}", HTTPStatus.SEE_OTHER)


def _action(name: str) -> SourceAction:
    if name not in ACTIONS:
        raise no_such_page()
    return ACTIONS[name]


def _path(source: Source, name: str | None = None) -> str:
    path = f"/sources/{source.workspace_slug}/{source.provider}"
    return path if name is None else f"{path}/{name}"


def _sync(services: Services, _viewer: Viewer, source: Source, fields: Fields) -> Done:
    request = SyncRequest(
        fields.entities,
        full_sync=fields.extent is Extent.ANEW,
        only_changes=fields.extent is Extent.CHANGES,
    )
    session = open_only_session(services.database, source, request, services.settings.quotas())
    services.dagster.start_run(session, source.key)
    audited = (Action.SYNC_REQUESTED, source.key, {"session_id": str(session.id), "extent": fields.extent.value})
    return Done(f"A sync of {source.key} was asked for.", session.id, audited)


def _verify(services: Services, _viewer: Viewer, source: Source, fields: Fields) -> Done:
    return _ask_for_verification(services, source, fields, Verification.COMPARE)


def _repair(services: Services, _viewer: Viewer, source: Source, fields: Fields) -> Done:
    return _ask_for_verification(services, source, fields, Verification.REPAIR)


def _ask_for_verification(services: Services, source: Source, fields: Fields, verification: Verification) -> Done:
    request = SyncRequest(fields.entities, full_sync=True, verification=verification)
    session = open_only_session(
        services.database, source, request, services.settings.quotas(), kind=SessionType.PARTIAL_SYNC
    )
    services.dagster.start_run(session, source.key)
    details = {"session_id": str(session.id), "verification": verification.value}
    audited = (Action.VERIFICATION_REQUESTED, source.key, details)
    return Done(f"A verification of {source.key} was asked for.", session.id, audited)


def _pause(services: Services, viewer: Viewer, source: Source, fields: Fields) -> Done:
    pause_source(services.database, source, fields.reason)
    cancellation = Cancellation.on_page("The source was paused", viewer.actor)
    cancelled = cancel_sessions_of_source(services.database, source, cancellation, running=fields.cancels)
    for session in cancelled:
        services.dagster.end_run(session)
    told = f"{counted(len(cancelled), 'session', 'were')} cancelled." if cancelled else "No session was cancelled."
    return Done(f"{source.key} is paused: no sync of it starts until it is resumed. {told}")


_WHEN_IT_GOES_ON = "the next one when the source is due, or at once if what webhooks told waits for it"


def _resume(services: Services, viewer: Viewer, source: Source, _fields: Fields) -> Done:
    found = find_pause(services.database, source.workspace_id, source.provider)
    if found is not None and found.is_operators and not viewer.is_operator:
        raise ConflictError(f"{source.key} is {found}, by an operator. An operator resumes it.")
    ended = resume_source(services.database, source)
    if ended is None:
        return Done(f"{source.key} was not paused: nothing was changed.")
    return Done(f"{source.key} goes on: {_WHEN_IT_GOES_ON}.")


def _replay(services: Services, _viewer: Viewer, source: Source, fields: Fields) -> Done:
    which = InboxFilter(source.provider, fields.state)
    done = replay_all(services.database, source.workspace_id, which)
    if not done.events:
        return Done(f"No webhook of {source.key} failed or was given up: nothing was changed.")
    webhooks = counted(done.events, "webhook", "are")
    return Done(f"{webhooks} tried again by the next sync of {source.key}, which is wanted now.")


_ONE_AT_A_TIME = "If a session of the source waits or runs already, nothing is done, and you are led to it."
_READS_ALL = "All of it is listed at the provider, which takes as many requests as a full sync."
ACTIONS: Mapping[str, SourceAction] = {
    "sync": SourceAction(
        "Sync",
        "Start the sync",
        ("A session is made, and Dagster carries it out as soon as it has a place.", _ONE_AT_A_TIME),
        _sync,
        asks_for_entities=True,
    ),
    "pause": SourceAction(
        "Pause",
        "Pause it",
        (
            "No sync of it starts from now on, whoever asks for one, until it is resumed. What webhooks tell is kept.",
            "Sessions that wait to begin are cancelled. One that runs goes on, unless you cancel it too.",
            "If it is paused by somebody already, it stays paused as it was.",
        ),
        _pause,
    ),
    "resume": SourceAction(
        "Resume",
        "Resume it",
        (f"Syncs of it start by themselves again: {_WHEN_IT_GOES_ON}.",),
        _resume,
    ),
    "verify": SourceAction(
        "Verify",
        "Compare the tables",
        (
            "A session compares the tables with the provider, row by row, and tells what differs. No row is changed.",
            _READS_ALL,
            "While it runs, no sync of the source begins.",
            _ONE_AT_A_TIME,
        ),
        _verify,
        asks_for_entities=True,
    ),
    "repair": SourceAction(
        "Verify and repair",
        "Compare and mend",
        (
            "A session compares the tables with the provider, row by row, and mends each row that differs.",
            _READS_ALL,
            "While it runs, no sync of the source begins.",
            _ONE_AT_A_TIME,
        ),
        _repair,
        asks_for_entities=True,
    ),
    "replay": SourceAction(
        "Replay webhooks",
        "Try them again",
        (
            "Webhooks that failed or were given up are tried again: their attempts are forgotten, and a sync is wanted "
            "now.",
            "Mend first what their last error says, or they will fail again.",
        ),
        _replay,
    ),
}
