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
from cyphera_pipelines.model.quotas import QuotaReachedError
from cyphera_pipelines.providers.base import WebhookEvent, WebhookRejectedError
from cyphera_pipelines.providers.registry import find_provider
from cyphera_pipelines.store.webhooks import WebhookTarget, note_refused_webhook
from cyphera_pipelines.sync.at_once import Taken, take_in_events
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


class NotWebhookProblem(ProblemError):  # noqa: N818 (a problem, as all that become an answer)
    """What came in is not signed as it should be."""

    def __init__(self, detail: str) -> None:
        super().__init__(HTTPStatus.FORBIDDEN, "webhook-rejected", "The webhook is not accepted", detail)


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


@dataclass(frozen=True)
class _Delivery:
    addressee: Addressee
    open_event: Callable[[], WebhookEvent]


async def take_in(services: Services, addressee: Addressee, open_event: Callable[[], WebhookEvent]) -> WebhookReceived:
    """Take an event in for its addressee, together with others that wait for the same configuration.

    `open_event` returns it, or raises WebhookRejectedError. Raises NotWebhookProblem for what is not signed,
    ConfigurationChangedError if the configuration is not any more what the addressee says, and NotFoundError and
    QuotaReachedError as the inbox does.
    """

    async def work(deliveries: Sequence[_Delivery]) -> list[WebhookReceived | Exception]:
        return await in_webhook_thread(services, _take_in_together, services, deliveries)

    received: WebhookReceived = await services.webhook_turns.take(
        addressee.target.configuration_id, _Delivery(addressee, open_event), work
    )
    observe_webhook(addressee.target.provider, received.status)
    return received


def _take_in_together(services: Services, deliveries: Sequence[_Delivery]) -> list[WebhookReceived | Exception]:
    received: list[WebhookReceived | Exception | None] = [None] * len(deliveries)
    to_apply = dict[Addressee, list[tuple[int, WebhookEvent]]]()
    for at, delivery in enumerate(deliveries):
        try:
            event = delivery.open_event()
            received[at] = _answer_without_inbox(services, delivery.addressee, event)
        except WebhookRejectedError as error:
            received[at] = NotWebhookProblem(str(error))
        except Exception as error:
            received[at] = error
        else:
            if received[at] is None:
                to_apply.setdefault(delivery.addressee, []).append((at, event))
    for addressee, events in to_apply.items():
        for (at, _event), outcome in zip(events, _answers(services, addressee, events), strict=True):
            received[at] = outcome
    return [each for each in received if each is not None]


def _answers(
    services: Services, addressee: Addressee, events: Sequence[tuple[int, WebhookEvent]]
) -> Sequence[WebhookReceived | Exception]:
    try:
        taken = take_in_events(
            services.database,
            addressee.target,
            addressee.credentials,
            [event for _at, event in events],
            services.settings.quotas(),
        )
    except Exception as error:
        if len(events) == 1:
            return [error]
        # One may be the fault of all.
        return [answer for each in events for answer in _answers(services, addressee, [each])]
    return [_to_answer(event, outcome) for (_at, event), outcome in zip(events, taken, strict=True)]


def _to_answer(event: WebhookEvent, outcome: Taken | QuotaReachedError) -> WebhookReceived | Exception:
    if isinstance(outcome, QuotaReachedError):
        return outcome
    if event.problem is not None:
        return WebhookReceived(status="unreadable", reason=event.problem)
    return WebhookReceived(status=outcome.value)


def _answer_without_inbox(services: Services, addressee: Addressee, event: WebhookEvent) -> WebhookReceived | None:
    """The answer to what is none of the source's business; None for what is to be kept."""
    target = addressee.target
    is_of_interest = event.entity is not None or event.problem is not None
    if not is_of_interest or event.livemode is target.is_test_mode:
        return WebhookReceived(status="ignored")
    refusal = refusal_of_webhook(services.database, target, addressee.credentials, event)
    if refusal is None:
        return None
    _log.warning("A webhook for configuration %s was refused: %s", target.configuration_id, refusal)
    note_refused_webhook(services.database, target, refusal)
    return WebhookReceived(status="refused", reason=refusal)
