"""Writes: what was asked for at a provider, and what became of it."""

import logging
from typing import Annotated
from uuid import UUID

import anyio
from fastapi import Path, Query

from cyphera_pipelines.api.auth import CurrentCaller
from cyphera_pipelines.api.problems import not_found
from cyphera_pipelines.api.routes.router import ADMINISTRATION_PREFIX, NOT_FOUND, authenticated_router
from cyphera_pipelines.api.schemas.fields import Limit, Offset, ProviderPath
from cyphera_pipelines.api.schemas.objects.writes import WriteOut, Writes
from cyphera_pipelines.api.services import RequestServices, Services
from cyphera_pipelines.model.errors import CypheraError
from cyphera_pipelines.model.key_levels import KeyLevel
from cyphera_pipelines.model.writes import Write, WriteState
from cyphera_pipelines.operations.settling import settle_write
from cyphera_pipelines.store.api_keys import Caller
from cyphera_pipelines.store.provider_writes import get_write, page_writes

router = authenticated_router("Writes", ADMINISTRATION_PREFIX)
_log = logging.getLogger(__name__)


@router.get("/{provider}/writes", operation_id="listWrites")
def list_some(
    provider: ProviderPath,
    caller: CurrentCaller,
    services: RequestServices,
    state: Annotated[WriteState | None, Query(description="Only those in this state.")] = None,
    limit: Limit = 20,
    offset: Offset = 0,
) -> Writes:
    """The workspace's writes at the provider, newest first, and what became of them. Nothing is looked into."""
    found, total = page_writes(
        services.database, caller.workspace.id, provider=provider, state=state, limit=limit, offset=offset
    )
    return Writes(writes=[WriteOut.model_validate(each) for each in found], total=total, limit=limit, offset=offset)


@router.get("/{provider}/writes/{write_id}", responses=NOT_FOUND, operation_id="getWrite")
async def get(
    provider: ProviderPath,
    write_id: Annotated[UUID, Path(description="The write's id.")],
    caller: CurrentCaller,
    services: RequestServices,
) -> WriteOut:
    """One write, and what became of it.

    Of one that is not settled and that nobody is at work on it is found out first, for a key of the level `write`: by
    reading, and by sending it again under its idempotency key if it is not there. To other keys it is only shown.
    """
    with services.provider_calls.take(caller.workspace.id):
        write = await anyio.to_thread.run_sync(
            _look, services, caller, provider, write_id, limiter=services.provider_call_threads
        )
    return WriteOut.model_validate(write)


def _look(services: Services, caller: Caller, provider: str, write_id: UUID) -> Write:
    write = get_write(services.database, caller.workspace.id, write_id)
    if write.provider_name != provider:
        raise not_found(f"There is no write {write_id} at {provider} in this workspace.")
    if write.state.is_final or not caller.level.allows(KeyLevel.WRITE):
        return write
    try:
        return settle_write(services.database, services.keyring, write)
    except CypheraError as error:
        _log.info("Write %s cannot be looked into now: %s", write.id, error)
        return get_write(services.database, caller.workspace.id, write_id)
