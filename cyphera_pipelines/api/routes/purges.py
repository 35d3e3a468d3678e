"""Purges: the removal of everything that is kept of a workspace, and how far removals are."""

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

import anyio
from fastapi import APIRouter, Path, Query

from cyphera_pipelines.api.auth import CurrentCaller
from cyphera_pipelines.api.problems import FieldProblem, invalid
from cyphera_pipelines.api.routes.router import ADMINISTRATION_PREFIX, NOT_FOUND, authenticated_router, problems
from cyphera_pipelines.api.schemas.purges import PurgeConfirmation, PurgeOut
from cyphera_pipelines.api.services import RequestServices, Services
from cyphera_pipelines.model.audit import Action
from cyphera_pipelines.model.purges import Purge
from cyphera_pipelines.store.api_keys import Caller
from cyphera_pipelines.store.audit import record_refusal
from cyphera_pipelines.store.purges import find_purge, request_purge
from cyphera_pipelines.sync.purging import end_syncs_of

TAG = "Purges"
router = authenticated_router(TAG, ADMINISTRATION_PREFIX)
public_router = APIRouter(prefix=ADMINISTRATION_PREFIX, tags=[TAG])


@router.delete("/workspace", status_code=HTTPStatus.ACCEPTED, operation_id="purgeWorkspace")
def purge_workspace(
    caller: CurrentCaller,
    services: RequestServices,
    purge: Annotated[bool, Query(description="Has to be true: nothing less can be asked for here.")],
    confirm: PurgeConfirmation = None,
) -> PurgeOut:
    """Remove everything that is kept of the workspace, and the workspace. This cannot be undone.

    Rows, sessions, events, webhooks, configurations, keys, analysts' logins, and what Dagster holds of them. From this
    answer on no key of the workspace opens anything, this one included: ask `status_url` how far it is.
    """
    if not purge:
        remedy = "Send purge=true to remove everything; only an operator can do less."
        raise invalid(FieldProblem(location="query", field="purge", message="It is not true.", remedy=remedy))
    return start_purge(services, caller, None, confirm)


@public_router.get(
    "/purges/{purge_id}",
    responses={
        **NOT_FOUND,
        **problems(
            HTTPStatus.BAD_REQUEST,
            HTTPStatus.UNPROCESSABLE_ENTITY,
            HTTPStatus.INTERNAL_SERVER_ERROR,
            HTTPStatus.SERVICE_UNAVAILABLE,
        ),
    },
    operation_id="getPurge",
)
async def get_purge(
    purge_id: Annotated[UUID, Path(description="The purge's id, which only whoever asked for it knows.")],
    services: RequestServices,
) -> PurgeOut:
    """How far a purge is. No key is asked for: a purged workspace has none, and the answer tells counts."""
    found = await anyio.to_thread.run_sync(find_purge, services.database, purge_id, limiter=services.webhook_threads)
    return shown(found)


def start_purge(services: Services, caller: Caller, provider: str | None, confirm: str | None) -> PurgeOut:
    """Ask for the purge of the caller's workspace, or of its source at that provider, which Dagster carries out.

    Raises ProblemError unless the workspace's slug confirms it.
    """
    slug = caller.workspace.slug
    if confirm != slug:
        action = Action.WORKSPACE_PURGE_REQUESTED if provider is None else Action.SOURCE_PURGE_REQUESTED
        record_refusal(services.database, caller.workspace.id, action, provider or slug, "It was not confirmed.")
        message = "It is not the workspace's slug." if confirm else "It is missing."
        remedy = f"This cannot be undone: confirm it with confirm={slug}."
        raise invalid(FieldProblem(location="query", field="confirm", message=message, remedy=remedy))
    purge = request_purge(services.database, caller.workspace, provider)
    end_syncs_of(services.database, purge)
    return shown(purge)


def shown(purge: Purge) -> PurgeOut:
    """The purge as it is answered."""
    return PurgeOut.of(purge, f"{ADMINISTRATION_PREFIX}/purges/{purge.id}")
