"""Configurations: connecting a workspace's account at a provider."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

import anyio
from fastapi import Path, Query, Response
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool

from cyphera_pipelines.api.auth import CurrentCaller
from cyphera_pipelines.api.problems import conflict, not_found
from cyphera_pipelines.api.routes.purges import start_purge
from cyphera_pipelines.api.routes.router import CONFLICT, NOT_FOUND, PREFIX, authenticated_router
from cyphera_pipelines.api.schemas.configurations import (
    ChangeConfiguration,
    ConfigurationOut,
    Configurations,
    ConnectionResult,
    CreateConfiguration,
    PauseOut,
)
from cyphera_pipelines.api.schemas.fields import ConfigurationReference, Limit, Offset
from cyphera_pipelines.api.schemas.missing import MissingOut
from cyphera_pipelines.api.schemas.purges import PurgeConfirmation, PurgeOut
from cyphera_pipelines.api.schemas.schedules import ScheduleOut
from cyphera_pipelines.api.services import RequestServices, Services
from cyphera_pipelines.model.configuration import Configuration, Credentials
from cyphera_pipelines.model.errors import ConflictError, NotFoundError, RefusedValueError
from cyphera_pipelines.model.purges import PurgeUnderWayError
from cyphera_pipelines.model.quotas import QuotaReachedError
from cyphera_pipelines.model.schedule import Schedule
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.model.workspace import Workspace
from cyphera_pipelines.providers.base import Provider
from cyphera_pipelines.providers.registry import PROVIDERS, find_provider
from cyphera_pipelines.security.secrets import register_secret
from cyphera_pipelines.store.api_keys import Caller
from cyphera_pipelines.store.configurations import (
    ConfigurationChange,
    change_configuration,
    create_configuration,
    end_former_secret,
    find_active_configuration,
    get_configuration,
    page_configurations,
    remove_configuration,
)
from cyphera_pipelines.store.freshness import freshness_of_workspace
from cyphera_pipelines.store.missing import list_missing
from cyphera_pipelines.store.platform_accounts import AccountNotAllowedError
from cyphera_pipelines.store.schedules import read_schedule
from cyphera_pipelines.sync.cancellation import Cancellation, cancel_sessions_of_source
from cyphera_pipelines.sync.configuration import (
    change_credentials,
    check_credentials,
    check_own_address,
    opening_credentials,
    settle_mode,
)
from cyphera_pipelines.sync.connection import credentials_to_try, record_connection, try_connection

ConfigurationId = Annotated[UUID, Path(description="The configuration's id.")]

router = authenticated_router("Configurations")


@router.post("/config", status_code=HTTPStatus.CREATED, responses=CONFLICT, operation_id="createConfiguration")
def create(body: CreateConfiguration, caller: CurrentCaller, services: RequestServices) -> ConfigurationOut:
    """Connect an account.

    The credentials are stored encrypted and never come out again. Answers 409 if the workspace has an active
    configuration for the provider already: change that one, or create this one with `is_active` false.
    """
    provider = find_provider(body.provider_name)
    credentials = _accept(services, provider, body.configuration.as_credentials(), body.connected_account_id)
    opening = opening_credentials(provider, credentials, services.settings)
    is_test_mode = settle_mode(provider, opening, body.is_test_mode)
    try:
        made = create_configuration(
            services.database,
            services.keyring,
            caller.workspace,
            provider.name,
            credentials,
            is_test_mode=is_test_mode,
            is_active=body.is_active,
            label=body.label,
            webhook_endpoint_url=body.webhook_endpoint_url,
            connected_account_id=body.connected_account_id,
            metadata=body.metadata,
            schedule=_new_schedule(body),
            quotas=services.settings.quotas(),
        )
    except (QuotaReachedError, PurgeUnderWayError, AccountNotAllowedError):
        raise
    except ConflictError:
        raise conflict(
            f"The workspace has an active {provider.name} configuration already: provider_name or is_active must "
            f"differ. Change that one with PUT or remove it with DELETE; see GET {PREFIX}/config/{provider.name}.",
            "configuration-active",
        ) from None
    return _shown(services, [made])[0]


@router.get("/config", operation_id="listConfigurations")
def list_all(caller: CurrentCaller, services: RequestServices, limit: Limit = 20, offset: Offset = 0) -> Configurations:
    """The workspace's configurations, newest first."""
    found, total = page_configurations(services.database, caller.workspace.id, limit=limit, offset=offset)
    return Configurations(configurations=_shown(services, found), total=total, limit=limit, offset=offset)


@router.get("/config/id/{config_id}", responses=NOT_FOUND, operation_id="getConfiguration")
def get(config_id: ConfigurationId, caller: CurrentCaller, services: RequestServices) -> ConfigurationOut:
    """One configuration by its id."""
    return shown_with_missing(services, get_configuration(services.database, caller.workspace.id, config_id))


@router.get("/config/{reference}", responses=NOT_FOUND, operation_id="getActiveConfiguration")
def get_active(reference: ConfigurationReference, caller: CurrentCaller, services: RequestServices) -> ConfigurationOut:
    """The active configuration for a provider; or one by its id."""
    return shown_with_missing(services, _find(services, caller, reference))


def shown_with_missing(services: Services, configuration: Configuration) -> ConfigurationOut:
    """The configuration as it is shown where one is asked for."""
    missing = list_missing(
        services.database,
        configuration.workspace_id,
        configuration.provider_name,
        livemode=not configuration.is_test_mode,
    )
    (shown,) = _shown(services, [configuration])
    return shown.model_copy(update={"missing": [MissingOut.model_validate(each.as_json()) for each in missing]})


def _shown(services: Services, configurations: list[Configuration]) -> list[ConfigurationOut]:
    """Configurations of one workspace, the active ones with their source's schedule and pause."""
    if not any(each.is_active for each in configurations):
        return [ConfigurationOut.model_validate(each) for each in configurations]
    schedules = freshness_of_workspace(services.database, configurations[0].workspace_id)

    def show(configuration: Configuration) -> ConfigurationOut:
        shown = ConfigurationOut.model_validate(configuration)
        found = schedules.get(configuration.provider_name) if configuration.is_active else None
        if found is None:
            return shown
        pause = None if found.pause is None else PauseOut.model_validate(found.pause)
        return shown.model_copy(update={"pause": pause, "schedule": ScheduleOut.of(found)})

    return [show(each) for each in configurations]


@router.put("/config/{reference}", responses={**NOT_FOUND, **CONFLICT}, operation_id="changeConfiguration")
def change(
    reference: ConfigurationReference, body: ChangeConfiguration, caller: CurrentCaller, services: RequestServices
) -> ConfigurationOut:
    """Change what is given, and nothing else: what is left out or null stays as it is.

    A new `api_key` replaces the stored one; secrets that are not given stay. An empty string forgets what may be
    missing, as the webhook secret. With `is_active` false, a sync that waits
    or runs is cancelled.
    """
    was_active = False

    def decide(present: Configuration, read_credentials: Callable[[], Credentials]) -> ConfigurationChange:
        nonlocal was_active
        was_active = present.is_active
        return _decide(services, body, present, read_credentials)

    config_id = _find(services, caller, reference).id
    changed = change_configuration(services.database, services.keyring, caller.workspace.id, config_id, decide)
    if was_active and not changed.is_active:
        _end_syncs(services, caller, changed, "The configuration was deactivated")
    return _shown(services, [changed])[0]


@router.delete(
    "/config/{reference}",
    status_code=HTTPStatus.NO_CONTENT,
    responses={
        **NOT_FOUND,
        **CONFLICT,
        HTTPStatus.ACCEPTED.value: {"model": PurgeOut, "description": "With `purge`: the purge, which is under way."},
    },
    operation_id="removeConfiguration",
)
def remove(
    reference: ConfigurationReference,
    caller: CurrentCaller,
    services: RequestServices,
    purge: Annotated[bool, Query(description="Also remove everything that is kept of the source.")] = False,
    confirm: PurgeConfirmation = None,
) -> Response:
    """Disconnect an account. Its credentials are no longer used; its synced rows stay.

    A sync that waits or runs is cancelled. With `purge` (and `confirm`, the workspace's slug) everything that is kept
    of the workspace's source at that provider is removed too, which cannot be undone: rows, sessions, events, webhooks,
    all its configurations, and what Dagster holds of them. The answer comes at once, with status 202 and the purge,
    whose `status_url` tells how far it is. Until it has completed the source can be neither synced nor connected anew.
    """
    if purge:
        started = start_purge(services, caller, _provider_to_purge(services, caller, reference), confirm)
        return JSONResponse(started.model_dump(mode="json"), HTTPStatus.ACCEPTED)
    configuration = _find(services, caller, reference)
    remove_configuration(services.database, configuration)
    if configuration.is_active:
        _end_syncs(services, caller, configuration, "The configuration was removed")
    return Response(status_code=HTTPStatus.NO_CONTENT)


@router.delete(
    "/config/{config_id}/former-webhook-secret",
    status_code=HTTPStatus.NO_CONTENT,
    responses=NOT_FOUND,
    operation_id="endFormerWebhookSecret",
)
def end_former_webhook_secret(config_id: ConfigurationId, caller: CurrentCaller, services: RequestServices) -> Response:
    """Accept only webhooks that are signed with the present `webhook_secret`, from now on.

    The one before it would else be accepted for a day after it was replaced. There need not be one.
    """
    end_former_secret(services.database, services.keyring, caller.workspace.id, config_id)
    return Response(status_code=HTTPStatus.NO_CONTENT)


@router.post("/config/{config_id}/test", responses={**NOT_FOUND, **CONFLICT}, operation_id="testConfiguration")
async def test(config_id: ConfigurationId, caller: CurrentCaller, services: RequestServices) -> ConnectionResult:
    """Try the credentials: which account they reach, and what they may not read.

    Takes a second as a rule, and less than half a minute whatever the provider does. What is wrong is told with status
    200 and `success` false. The account that is reached is recorded as the workspace's (see `GET /accounts`). Answers
    429 while two tests of the workspace are at work.
    """
    with services.connection_tests.take(caller.workspace.id):
        source, credentials = await run_in_threadpool(_to_try, services, caller, config_id)
        # Without a thread or a database connection that other requests need: this may take its time.
        report = await anyio.to_thread.run_sync(
            try_connection, source, credentials, limiter=services.connection_test_threads
        )
        await run_in_threadpool(record_connection, services.database, source, report)
    return ConnectionResult.of(report)


def active_configuration(services: Services, workspace: Workspace, provider: str) -> Configuration:
    """The workspace's active configuration for the provider, or a problem that says what to do."""
    try:
        return find_active_configuration(services.database, workspace, provider)
    except NotFoundError:
        raise not_found(
            f"The workspace has no active {provider} configuration. Create one with POST {PREFIX}/config, or set "
            "is_active of one that is there."
        ) from None


def source_of(workspace: Workspace, configuration: Configuration) -> Source:
    """The configuration, seen from the pipeline."""
    return Source(
        workspace_id=workspace.id,
        workspace_slug=workspace.slug,
        provider=configuration.provider_name,
        configuration_id=configuration.id,
        is_test_mode=configuration.is_test_mode,
        connected_account_id=configuration.connected_account_id,
    )


def _find(services: Services, caller: Caller, reference: str) -> Configuration:
    """The configuration that a path names: by its id, or by a provider whose active one is meant."""
    if reference in PROVIDERS:
        return active_configuration(services, caller.workspace, reference)
    return get_configuration(services.database, caller.workspace.id, UUID(reference))


def _provider_to_purge(services: Services, caller: Caller, reference: str) -> str:
    """The provider whose source a path names. By its name also one is found that was removed before.

    Rows are a source's, not a configuration's: purging by one that is not active would purge the active one's.
    """
    if reference in PROVIDERS:
        return reference
    configuration = _find(services, caller, reference)
    if configuration.is_active:
        return configuration.provider_name
    try:
        active = find_active_configuration(services.database, caller.workspace, configuration.provider_name)
    except NotFoundError:
        return configuration.provider_name
    raise conflict(
        f"Configuration {active.id} is the active one for {configuration.provider_name}: a purge would remove its rows "
        "too. Purge by that one, or remove this one without purge."
    )


def _end_syncs(services: Services, caller: Caller, configuration: Configuration, what: str) -> None:
    """End what a configuration that is no longer active had begun."""
    source = source_of(caller.workspace, configuration)
    cancellation = Cancellation.through_api(what, key_id=caller.key_id, key_name=caller.key_name)
    for session in cancel_sessions_of_source(services.database, source, cancellation):
        services.dagster.end_run(session)


def _to_try(services: Services, caller: Caller, config_id: UUID) -> tuple[Source, Credentials]:
    configuration = get_configuration(services.database, caller.workspace.id, config_id)
    source = source_of(caller.workspace, configuration)
    return source, credentials_to_try(services.database, services.keyring, source)


def _decide(
    services: Services, body: ChangeConfiguration, present: Configuration, read_credentials: Callable[[], Credentials]
) -> ConfigurationChange:
    given = body.credentials()
    columns = body.columns()
    schedule = _changed_schedule(services, body, present)
    if not given and not columns.keys() & {"is_test_mode", "connected_account_id"}:
        return ConfigurationChange(columns, schedule=schedule)
    credentials = change_credentials(
        find_provider(present.provider_name),
        read_credentials,
        given,
        connected_account_id=columns.get("connected_account_id", present.connected_account_id),
        is_test_mode=columns.get("is_test_mode", present.is_test_mode),
        settings=services.settings,
    )
    return ConfigurationChange(columns, credentials if given else None, schedule)


def _new_schedule(body: CreateConfiguration) -> Schedule | None:
    if body.schedule is None:
        return None
    if not body.is_active:
        raise _no_schedule()
    return body.schedule.applied_to(Schedule())


def _changed_schedule(services: Services, body: ChangeConfiguration, present: Configuration) -> Schedule | None:
    if body.schedule is None:
        return None
    if not (present.is_active if body.is_active is None else body.is_active):
        raise _no_schedule()
    state = read_schedule(services.database, present.workspace_id, present.provider_name)
    return body.schedule.applied_to(Schedule() if state is None else state.schedule)


def _no_schedule() -> RefusedValueError:
    return RefusedValueError(
        "schedule",
        "A configuration that is not active has no schedule.",
        "Leave it out, or set is_active to true.",
    )


def _accept(
    services: Services, provider: Provider, credentials: Credentials, connected_account_id: str | None
) -> Credentials:
    for secret in credentials.secret_values():
        register_secret(secret)
    if credentials.uses_platform_key and connected_account_id is None:
        raise RefusedValueError(
            "configuration.api_key",
            "There is no API key, and no connected_account_id to read with the platform's.",
            "Give the API key of the account, or name the account in connected_account_id.",
        )
    check_own_address(credentials)
    return check_credentials(provider, credentials, connected_account_id, services.settings)
