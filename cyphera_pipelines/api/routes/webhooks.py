"""Webhooks: what a provider tells by itself. Its signature stands for a key."""

from http import HTTPStatus
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from cyphera_pipelines.api.problems import ProblemError, not_found
from cyphera_pipelines.api.routes.router import PREFIX, problems
from cyphera_pipelines.api.schemas.fields import ProviderPath
from cyphera_pipelines.api.services import RequestServices, Services
from cyphera_pipelines.providers.base import WebhookEvent, WebhookRejectedError
from cyphera_pipelines.providers.registry import find_provider
from cyphera_pipelines.security.encryption import Binding
from cyphera_pipelines.store.configurations import read_credentials
from cyphera_pipelines.store.webhooks import WebhookTarget, find_webhook_target, keep_webhook

_BODY = {
    "requestBody": {
        "required": True,
        "description": "The event, exactly as the provider sends and signs it.",
        "content": {"application/json": {"schema": {"type": "object"}}},
    }
}


class WebhookReceived(BaseModel):
    """The webhook is kept, or needs not be."""

    status: Literal["kept", "known", "ignored"] = Field(
        description="`kept`: a sync will apply it. `known`: it came before. `ignored`: it is of the other mode, or of "
        "nothing that is synced."
    )


router = APIRouter(prefix=PREFIX, tags=["Webhooks"])


@router.post(
    "/webhooks/{provider}/{config_id}",
    responses=problems(
        HTTPStatus.FORBIDDEN,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.CONFLICT,
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.UNPROCESSABLE_ENTITY,
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
    if the signature does not fit or is older than five minutes.
    """
    body = await request.body()
    return await run_in_threadpool(_receive, services, provider, config_id, body, request)


def _receive(services: Services, provider: str, config_id: UUID, body: bytes, request: Request) -> WebhookReceived:
    target = find_webhook_target(services.database, provider, config_id)
    secret = None if target is None else _secret_of(services, target)
    if target is None or secret is None:
        raise not_found("There is no active configuration with this id and a webhook_secret.")
    try:
        event = find_provider(provider).open_webhook(body, request.headers, secret)
    except WebhookRejectedError as error:
        raise ProblemError(
            HTTPStatus.FORBIDDEN, "webhook-rejected", "The webhook is not accepted", str(error)
        ) from None
    return WebhookReceived(status=_keep(services, target, event))


def _secret_of(services: Services, target: WebhookTarget) -> str | None:
    binding = Binding(target.workspace_id, target.configuration_id, target.provider)
    secret = read_credentials(services.database, services.keyring, binding).webhook_secret
    return None if secret is None else secret.get_secret_value()


def _keep(services: Services, target: WebhookTarget, event: WebhookEvent) -> Literal["kept", "known", "ignored"]:
    if event.entity is None or event.livemode is target.is_test_mode:
        return "ignored"
    is_new = keep_webhook(
        services.database,
        target,
        external_id=event.id,
        kind=event.kind,
        entity=event.entity,
        payload=event.payload,
    )
    return "kept" if is_new else "known"
