"""Taking provider events in, at whatever address they arrive."""

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Literal, TypeVar

import anyio
from pydantic import BaseModel, Field, SecretStr

from cyphera_pipelines.api.metrics import observe_webhook
from cyphera_pipelines.api.problems import ProblemError
from cyphera_pipelines.api.services import Services
from cyphera_pipelines.model.configuration import Credentials
from cyphera_pipelines.providers.base import WebhookEvent, WebhookRejectedError
from cyphera_pipelines.providers.registry import find_provider
from cyphera_pipelines.store.webhooks import WebhookTarget, keep_webhook, note_refused_webhook
from cyphera_pipelines.sync.foreign_events import refusal_of_webhook

T = TypeVar("T")
_log = logging.getLogger(__name__)


class WebhookReceived(BaseModel):
    """The webhook is in the tables, is kept, or needs not be."""

    status: Literal["applied", "kept", "known", "ignored", "refused", "unreadable", "unrouted"] = Field(
        description="`applied`: what it tells is in the tables. `kept`: a sync will apply it. `known`: it came before. "
        "`ignored`: it is of the other mode, or of nothing that is synced. `refused`: it is of another account than "
        "the configuration's; sending it again would not help, so that this is no error. The configuration's "
        "`last_webhook_refusal` shows it too. `unreadable`: it is signed, but nobody can tell what it says; it is "
        "kept, and the next sync names it. `unrouted`: it came to the platform's address, and is of no workspace's "
        "account; that it came is noted, and nothing of it kept."
    )
    reason: str | None = Field(
        default=None, description="Why it was refused, is unreadable or went nowhere; else null."
    )


@dataclass(frozen=True)
class Addressee:
    """The configuration that a webhook is for, with the credentials that its source is synced with."""

    target: WebhookTarget
    credentials: Credentials


async def in_webhook_thread(services: Services, work: Callable[..., T], *arguments: object) -> T:
    """In threads of their own: a flood of webhooks keeps no other request waiting."""
    return await anyio.to_thread.run_sync(work, *arguments, limiter=services.webhook_threads)


def open_with_any(provider: str, body: bytes, headers: Mapping[str, str], secrets: Sequence[SecretStr]) -> WebhookEvent:
    """The event in a webhook that is signed with one of these secrets, of which there is at least one.

    While a secret is being replaced there are two. Raises WebhookRejectedError.
    """
    opens = find_provider(provider)
    for secret in secrets[:-1]:
        with suppress(WebhookRejectedError):
            return opens.open_webhook(body, headers, secret.get_secret_value())
    return opens.open_webhook(body, headers, secrets[-1].get_secret_value())


async def take_in(services: Services, addressee: Addressee, open_event: Callable[[], WebhookEvent]) -> WebhookReceived:
    """Take an event in for its addressee. `open_event` returns it, or raises WebhookRejectedError.

    Raises ProblemError for what is not signed, and NotFoundError and QuotaReachedError as the inbox does.
    """
    provider = addressee.target.provider
    try:
        received = await in_webhook_thread(services, _take_in, services, addressee, open_event)
    except ProblemError:
        observe_webhook(provider, "rejected")
        raise
    observe_webhook(provider, received.status)
    return received


def _take_in(services: Services, addressee: Addressee, open_event: Callable[[], WebhookEvent]) -> WebhookReceived:
    try:
        event = open_event()
    except WebhookRejectedError as error:
        raise ProblemError(
            HTTPStatus.FORBIDDEN, "webhook-rejected", "The webhook is not accepted", str(error)
        ) from None
    target = addressee.target
    is_of_interest = event.entity is not None or event.problem is not None
    if not is_of_interest or event.livemode is target.is_test_mode:
        return WebhookReceived(status="ignored")
    refusal = refusal_of_webhook(services.database, target, addressee.credentials, event)
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
