"""Starting syncs. A request only writes the session; Dagster carries it out."""

from http import HTTPStatus

from cyphera_pipelines.api.auth import CurrentCaller
from cyphera_pipelines.api.routes.configurations import active_configuration, source_of
from cyphera_pipelines.api.routes.router import CONFLICT, NOT_FOUND, authenticated_router
from cyphera_pipelines.api.schemas.fields import ProviderPath
from cyphera_pipelines.api.schemas.sessions import SessionStarted, StartDeltaSync, StartFullSync
from cyphera_pipelines.api.services import RequestServices, Services
from cyphera_pipelines.model.sessions import SessionType, SyncRequest
from cyphera_pipelines.store.api_keys import Caller
from cyphera_pipelines.sync.request import open_only_session

router = authenticated_router("Syncs")


@router.post(
    "/{provider}/initial",
    status_code=HTTPStatus.CREATED,
    responses={**NOT_FOUND, **CONFLICT},
    operation_id="startFullSync",
)
def start_full_sync(
    provider: ProviderPath, caller: CurrentCaller, services: RequestServices, body: StartFullSync | None = None
) -> SessionStarted:
    """Start a full sync of all entities, or of those that are named: a session of the type `initial_sync`.

    An unfinished listing is continued unless `full_sync` is true. The answer comes at once, with the session to watch
    at `GET /sessions/{session_id}/status`. Answers 409 with the active session's id if there is one, and 404 if the
    workspace has no active configuration for the provider.
    """
    request = (body or StartFullSync()).as_request()
    return _start(services, caller, provider, request, SessionType.INITIAL_SYNC)


@router.post(
    "/{provider}/delta",
    status_code=HTTPStatus.CREATED,
    responses={**NOT_FOUND, **CONFLICT},
    operation_id="startDeltaSync",
)
def start_delta_sync(
    provider: ProviderPath, caller: CurrentCaller, services: RequestServices, body: StartDeltaSync | None = None
) -> SessionStarted:
    """Apply what changed since the last sync, from the provider's events.

    Where the last sync is too long ago for that, a full sync runs instead, and the session says so.
    """
    request = (body or StartDeltaSync()).as_request()
    return _start(services, caller, provider, request, SessionType.DELTA_SYNC)


def _start(
    services: Services, caller: Caller, provider: str, request: SyncRequest, kind: SessionType
) -> SessionStarted:
    source = source_of(caller.workspace, active_configuration(services, caller.workspace, provider))
    session = open_only_session(services.database, source, request, services.settings.quotas(), kind=kind)
    services.dagster.start_run(session, source.key)
    return SessionStarted.of(session)
