"""Pausing a source, and letting it go on."""

from typing import Annotated
from uuid import UUID

from fastapi import Path

from cyphera_pipelines.api.auth import CurrentCaller
from cyphera_pipelines.api.problems import conflict
from cyphera_pipelines.api.routes.configurations import shown_with_missing, source_of
from cyphera_pipelines.api.routes.router import CONFLICT, NOT_FOUND, authenticated_router
from cyphera_pipelines.api.schemas.configurations import ConfigurationOut, PauseConfiguration
from cyphera_pipelines.api.services import RequestServices, Services
from cyphera_pipelines.model.configuration import Configuration
from cyphera_pipelines.store.api_keys import Caller
from cyphera_pipelines.store.configurations import get_configuration
from cyphera_pipelines.store.pauses import find_pause, pause_source, resume_source
from cyphera_pipelines.sync.cancellation import Cancellation, cancel_sessions_of_source

ConfigurationId = Annotated[UUID, Path(description="The configuration's id.")]

router = authenticated_router("Configurations")


@router.post("/config/{config_id}/pause", responses={**NOT_FOUND, **CONFLICT}, operation_id="pauseConfiguration")
def pause(
    config_id: ConfigurationId,
    caller: CurrentCaller,
    services: RequestServices,
    body: PauseConfiguration | None = None,
) -> ConfigurationOut:
    """Let no sync of the source start until it is resumed, whoever asks for it.

    Syncs that wait to begin are cancelled, and with `cancel` one that runs is too. What webhooks tell is kept. One that
    is paused already stays so, since then and as it was.
    """
    asked = body or PauseConfiguration()
    configuration = _active(services, caller, config_id)
    source = source_of(caller.workspace, configuration)
    pause_source(services.database, source, asked.reason)
    cancellation = Cancellation.through_api("The source was paused", key_id=caller.key_id, key_name=caller.key_name)
    for session in cancel_sessions_of_source(services.database, source, cancellation, running=asked.cancel):
        services.dagster.end_run(session)
    return shown_with_missing(services, configuration)


@router.post("/config/{config_id}/resume", responses={**NOT_FOUND, **CONFLICT}, operation_id="resumeConfiguration")
def resume(config_id: ConfigurationId, caller: CurrentCaller, services: RequestServices) -> ConfigurationOut:
    """Let syncs of the source start again: by themselves at its next place, whose time `schedule.due_at` tells.

    They start at once if what webhooks told meanwhile waits for that.

    One that is not paused stays as it is. Answers 409 (`source-paused`) if an operator paused it: an operator resumes
    it.
    """
    configuration = _active(services, caller, config_id)
    source = source_of(caller.workspace, configuration)
    found = find_pause(services.database, source.workspace_id, source.provider)
    if found is not None and found.is_operators:
        raise conflict(
            f"{source.key} is {found}, by an operator. An operator resumes it with: "
            f"cyphera source resume {source.workspace_slug} {source.provider}",
            "source-paused",
        )
    resume_source(services.database, source)
    return shown_with_missing(services, configuration)


def _active(services: Services, caller: Caller, config_id: UUID) -> Configuration:
    configuration = get_configuration(services.database, caller.workspace.id, config_id)
    if not configuration.is_active:
        raise conflict(
            f"Configuration {config_id} is not active: nothing of it is synced. Make it so with PUT and `is_active`."
        )
    return configuration
