"""Webhooks: what a provider tells by itself. Its signature stands for a key."""

from functools import partial
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Request

from cyphera_pipelines.api.metrics import observe_webhook
from cyphera_pipelines.api.problems import not_found, unavailable
from cyphera_pipelines.api.receiving import (
    Addressee,
    NotWebhookProblem,
    WebhookReceived,
    in_webhook_thread,
    open_with_any,
    take_in,
)
from cyphera_pipelines.api.routes.router import PREFIX, problems
from cyphera_pipelines.api.schemas.fields import ProviderPath
from cyphera_pipelines.api.services import RequestServices, Services
from cyphera_pipelines.model.configuration import Credentials
from cyphera_pipelines.model.errors import NotFoundError
from cyphera_pipelines.security.encryption import Binding
from cyphera_pipelines.store.configurations import read_credentials
from cyphera_pipelines.store.webhooks import WebhookTarget, find_webhook_target
from cyphera_pipelines.sync.at_once import ConfigurationChangedError

ATTEMPTS = 3
BODY = {
    "requestBody": {
        "required": True,
        "description": "The event, exactly as the provider sends and signs it.",
        "content": {"application/json": {"schema": {"type": "object"}}},
    }
}


RECEIVING_PROBLEMS = problems(
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
)

router = APIRouter(prefix=PREFIX, tags=["Webhooks"])


@router.post(
    "/webhooks/{provider}/{config_id}",
    responses=RECEIVING_PROBLEMS,
    openapi_extra=BODY,
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
    is kept before it is acknowledged. What it tells for certain is in the tables by then; the rest is applied by a sync
    of the source's changes, which starts by itself if the source was synced before. Answers 404 if there is no such
    configuration, or it has no `webhook_secret`, and 403 if the signature does not fit or is older than five minutes.
    An event of another account than the configuration's is refused with status 200: only the account can be wrong then,
    and the provider would send it again for days.
    """
    with services.webhooks.take(config_id):
        # Before a byte of the body is waited for: whoever knows no configuration's id keeps nothing busy.
        key = (provider, config_id)
        found: Addressee | None = services.addressees.get(key)
        is_fresh = found is None
        found = found or await _find(services, key)
        body = await request.body()
        for _attempt in range(ATTEMPTS):
            secrets = found.credentials.valid_webhook_secrets()
            try:
                return await take_in(services, found, partial(open_with_any, provider, body, request.headers, secrets))
            except (NotWebhookProblem, NotFoundError) as error:
                # What was found a while ago may have changed since.
                if is_fresh:
                    if isinstance(error, NotWebhookProblem):
                        observe_webhook(provider, "rejected")
                    raise
            except ConfigurationChangedError:
                pass
            found, is_fresh = await _find(services, key), True
    raise unavailable("The configuration is being changed. Try again in a moment.")


async def _find(services: Services, key: tuple[str, UUID]) -> Addressee:
    services.addressees.forget(key)
    found = await in_webhook_thread(services, _find_addressee, services, *key)
    services.addressees.keep(key, found)
    return found


def _find_addressee(services: Services, provider: str, config_id: UUID) -> Addressee:
    target = find_webhook_target(services.database, provider, config_id)
    credentials = None if target is None else _credentials_of(services, target)
    if target is None or credentials is None or credentials.webhook_secret is None:
        raise not_found("There is no active configuration with this id and a webhook_secret.")
    return Addressee(target, credentials)


def _credentials_of(services: Services, target: WebhookTarget) -> Credentials:
    binding = Binding(target.workspace_id, target.configuration_id, target.provider)
    return read_credentials(services.database, services.keyring, binding)
