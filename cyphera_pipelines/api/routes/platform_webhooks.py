"""Webhooks of a platform: one address for all accounts that are connected to it."""

import re
from collections.abc import Mapping
from contextlib import suppress
from http import HTTPStatus

from fastapi import APIRouter, Request
from pydantic import SecretStr

from cyphera_pipelines.api.metrics import observe_webhook
from cyphera_pipelines.api.problems import ProblemError, not_found, unavailable
from cyphera_pipelines.api.receiving import Addressee, WebhookReceived, in_webhook_thread, open_with_any, take_in
from cyphera_pipelines.api.routes.router import PREFIX
from cyphera_pipelines.api.routes.webhooks import ATTEMPTS, BODY, RECEIVING_PROBLEMS
from cyphera_pipelines.api.schemas.fields import ProviderPath
from cyphera_pipelines.api.services import RequestServices, Services
from cyphera_pipelines.providers.base import WebhookEvent, WebhookRejectedError
from cyphera_pipelines.security.deployed import SecretValue, deployed_value
from cyphera_pipelines.security.encryption import Binding
from cyphera_pipelines.security.platform_key import NoPlatformKeyError
from cyphera_pipelines.security.secrets import register_secret
from cyphera_pipelines.settings import DeployedSecret
from cyphera_pipelines.store.configurations import read_credentials
from cyphera_pipelines.store.platform_accounts import AccountNotAllowedError
from cyphera_pipelines.store.unrouted_webhooks import note_unrouted
from cyphera_pipelines.store.webhook_routing import OWN_ACCOUNT_NOT_READ, UNREADABLE, find_route
from cyphera_pipelines.sync.at_once import ConfigurationChangedError

router = APIRouter(prefix=PREFIX, tags=["Webhooks"])


@router.post(
    "/webhooks/{provider}",
    responses=RECEIVING_PROBLEMS,
    openapi_extra=BODY,
    operation_id="receivePlatformWebhook",
)
async def receive(provider: ProviderPath, request: Request, services: RequestServices) -> WebhookReceived:
    """Take an event in of any account that is connected to the platform: enter this address as its one endpoint.

    No key is asked for: the signature, made with the secret that the operator deploys for the provider, proves who
    sends it. The event goes to the one workspace whose account it names, if a connection or sync of that workspace has
    reached the account and it has an active configuration that is synced from it. One that names no account is of the
    platform's own. What goes nowhere is answered with `unrouted`, and only noted: sending it again would not help.
    Answers 404 if the operator deploys no secret, and 403 if the signature does not fit or is older than five minutes.
    """
    with services.platform_webhooks.take(provider):
        secrets = await in_webhook_thread(services, _secrets, services, provider)
        body = await request.body()
        event = await in_webhook_thread(services, _open, services, provider, body, request.headers, secrets)
        if event.entity is None and event.problem is None:
            observe_webhook(provider, "ignored")
            return WebhookReceived(status="ignored")
        for _attempt in range(ATTEMPTS):
            found = await in_webhook_thread(services, _find_addressee, services, provider, event)
            if isinstance(found, str):
                observe_webhook(provider, "unrouted")
                return WebhookReceived(status="unrouted", reason=found)
            with services.webhooks.take(found.target.configuration_id), suppress(ConfigurationChangedError):
                return await take_in(services, found, lambda: event)
    raise unavailable("The configuration is being changed. Try again in a moment.")


def _secrets(services: Services, provider: str) -> tuple[SecretStr, ...]:
    secrets = _split(deployed_value(_place(services, provider)))
    if not secrets:
        raise not_found("The operator of this server takes no webhooks for a platform at this provider.")
    return secrets


def _place(services: Services, provider: str) -> DeployedSecret:
    return services.settings.deployed_webhook_secret(provider) or DeployedSecret(provider, None, None, None)


def _split(value: SecretValue | None) -> tuple[SecretStr, ...]:
    """All secrets that are valid: while one takes another's place, both stand there, with a comma or on two lines."""
    texts = [] if value is None else [value.present.get_secret_value()]
    if value is not None and value.former is not None:
        texts.append(value.former.get_secret_value())
    secrets = [each for text in texts for each in re.split(r"[\s,]+", text) if each]
    for secret in secrets:
        register_secret(secret)
    return tuple(map(SecretStr, secrets))


def _open(
    services: Services, provider: str, body: bytes, headers: Mapping[str, str], secrets: tuple[SecretStr, ...]
) -> WebhookEvent:
    try:
        return open_with_any(provider, body, headers, secrets)
    except WebhookRejectedError as error:
        refusal = error
    # It may have been replaced since it was last read.
    fresh = _split(deployed_value(_place(services, provider), fresh=True))
    try:
        if fresh and fresh != secrets:
            return open_with_any(provider, body, headers, fresh)
    except WebhookRejectedError as error:
        refusal = error
    observe_webhook(provider, "rejected")
    raise ProblemError(HTTPStatus.FORBIDDEN, "webhook-rejected", "The webhook is not accepted", str(refusal))


def _find_addressee(services: Services, provider: str, event: WebhookEvent) -> Addressee | str:
    """The source that the event is for; or why there is none, which is noted."""
    if event.problem is not None:
        return _note(services, provider, event, f"{UNREADABLE}: {event.problem}.")
    route = find_route(services.database, provider, event.account, livemode=event.livemode is True)
    if route.target is None:
        return _note(services, provider, event, route.why)
    target = route.target
    binding = Binding(target.workspace_id, target.configuration_id, target.provider)
    try:
        credentials = read_credentials(services.database, services.keyring, binding)
    except (AccountNotAllowedError, NoPlatformKeyError) as error:
        # An operator took it back: sent again, it would be the same for days.
        return _note(services, provider, event, str(error))
    if route.is_own and not credentials.uses_platform_key:
        return _note(services, provider, event, OWN_ACCOUNT_NOT_READ)
    return Addressee(target, credentials)


def _note(services: Services, provider: str, event: WebhookEvent, why: str) -> str:
    note_unrouted(
        services.database,
        provider,
        external_id=event.id,
        kind=event.kind,
        account=event.account,
        livemode=event.livemode,
        why=why,
    )
    return why
