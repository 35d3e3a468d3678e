"""Webhooks: what a provider tells by itself. Its signature stands for a key."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Literal, TypeVar
from uuid import UUID

import anyio
from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, Field, SecretStr

from cyphera_pipelines.api.problems import ProblemError, not_found
from cyphera_pipelines.api.routes.router import PREFIX, problems
from cyphera_pipelines.api.schemas.fields import ProviderPath
from cyphera_pipelines.api.services import RequestServices, Services
from cyphera_pipelines.model.configuration import Credentials
from cyphera_pipelines.providers.base import WebhookEvent, WebhookRejectedError
from cyphera_pipelines.providers.registry import find_provider
from cyphera_pipelines.security.encryption import Binding
from cyphera_pipelines.store.configurations import read_credentials
from cyphera_pipelines.store.webhooks import (
    WebhookTarget,
    find_webhook_target,
    keep_webhook,
    note_refused_webhook,
)
from cyphera_pipelines.sync.foreign_events import refusal_of_webhook

T = TypeVar("T")
_log = logging.getLogger(__name__)
_BODY = {
    "requestBody": {
        "required": True,
        "description": "The event, exactly as the provider sends and signs it.",
        "content": {"application/json": {"schema": {"type": "object"}}},
    }
}


class WebhookReceived(BaseModel):
    """The webhook is kept, or needs not be."""

    status: Literal["kept", "known", "ignored", "refused", "unreadable"] = Field(
        description="`kept`: a sync will apply it. `known`: it came before. `ignored`: it is of the other mode, or of "
        "nothing that is synced. `refused`: it is of another account than the configuration's; sending it again would "
        "not help, so that this is no error. The configuration's `last_webhook_refusal` shows it too. "
        "`unreadable`: it is signed, but nobody can tell what it says; it is kept, and the next sync names it."
    )
    reason: str | None = Field(default=None, description="Why it was refused or is unreadable; else null.")


router = APIRouter(prefix=PREFIX, tags=["Webhooks"])


@router.post(
    "/webhooks/{provider}/{config_id}",
    responses=problems(
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.CONFLICT,
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.INTERNAL_SERVER_ERROR,
        HTTPStatus.SERVICE_UNAVAILABLE,
    ),
    openapi_extra=_BODY,
    operation_id="receiveWebhook",
)
async def receive(
    provider: ProviderPath,
    config_id: Annotated[UUID, Path(description="The id of an active configuration that has a webhook_secret.")],
    request: Request,
    services: RequestServices,
) -> WebhookReceived:
    """Take a provider event in: enter this address as the endpoint at the provider.

    No key is asked for: the signature, made with the configuration's `webhook_secret`, proves who sends it. The event
    is kept before it is acknowledged, and applied by the source's next sync, which a sensor starts within seconds if
    the source was synced before. Answers 404 if there is no such configuration, or it has no `webhook_secret`, and 403
    if the signature does not fit or is older than five minutes. An event of another account than the configuration's is
    refused with status 200: only the account can be wrong then, and the provider would send it again for days.
    """
    with services.webhooks.take(config_id):
        # Before a byte of the body is waited for: whoever knows no configuration's id keeps nothing busy.
        addressee = await _in_thread(services, _find_addressee, services, provider, config_id)
        body = await request.body()
        return await _in_thread(services, _receive, services, addressee, body, request.headers)


@dataclass(frozen=True)
class _Addressee:
    """The configuration that a webhook is for, opened."""

    target: WebhookTarget
    credentials: Credentials
    secret: SecretStr


async def _in_thread(services: Services, work: Callable[..., T], *arguments: object) -> T:
    """In threads of their own: a flood of webhooks keeps no other request waiting."""
    return await anyio.to_thread.run_sync(work, *arguments, limiter=services.webhook_threads)


def _find_addressee(services: Services, provider: str, config_id: UUID) -> _Addressee:
    target = find_webhook_target(services.database, provider, config_id)
    credentials = None if target is None else _credentials_of(services, target)
    secret = None if credentials is None else credentials.webhook_secret
    if target is None or credentials is None or secret is None:
        raise not_found("There is no active configuration with this id and a webhook_secret.")
    return _Addressee(target, credentials, secret)


def _receive(services: Services, addressee: _Addressee, body: bytes, headers: Mapping[str, str]) -> WebhookReceived:
    provider = find_provider(addressee.target.provider)
    try:
        event = provider.open_webhook(body, headers, addressee.secret.get_secret_value())
    except WebhookRejectedError as error:
        raise ProblemError(
            HTTPStatus.FORBIDDEN, "webhook-rejected", "The webhook is not accepted", str(error)
        ) from None
    return _keep(services, addressee.target, addressee.credentials, event)


def _credentials_of(services: Services, target: WebhookTarget) -> Credentials:
    binding = Binding(target.workspace_id, target.configuration_id, target.provider)
    return read_credentials(services.database, services.keyring, binding)


def _keep(services: Services, target: WebhookTarget, credentials: Credentials, event: WebhookEvent) -> WebhookReceived:
    is_of_interest = event.entity is not None or event.problem is not None
    if not is_of_interest or event.livemode is target.is_test_mode:
        return WebhookReceived(status="ignored")
    refusal = refusal_of_webhook(services.database, target, credentials, event)
    if refusal is not None:
        _log.warning("A webhook for configuration %s was refused: %s", target.configuration_id, refusal)
        note_refused_webhook(services.database, target, refusal)
        return WebhookReceived(status="refused", reason=refusal)
    is_new = keep_webhook(
        services.database,
        target,
        external_id=event.id,
        kind=event.kind,
        entity=event.entity,
        payload=event.payload,
        quotas=services.settings.quotas(),
    )
    if event.problem is not None:
        return WebhookReceived(status="unreadable", reason=event.problem)
    return WebhookReceived(status="kept" if is_new else "known")
