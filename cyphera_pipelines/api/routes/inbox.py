"""The inbox of webhooks: what came in, what became of it, and trying again."""

from typing import Annotated, Literal

from fastapi import Path, Query

from cyphera_pipelines.api.auth import CurrentCaller
from cyphera_pipelines.api.routes.router import CONFLICT, NOT_FOUND, authenticated_router
from cyphera_pipelines.api.schemas.fields import Limit, ProviderName
from cyphera_pipelines.api.schemas.inbox import ReplayOut, WebhookDetailsOut, WebhookOut, Webhooks
from cyphera_pipelines.api.services import RequestServices
from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.webhooks import WebhookState
from cyphera_pipelines.store.inbox import InboxFilter, find_inbox_event, page_inbox, replay_all, replay_one

router = authenticated_router("Webhooks")

_NO_CONTROLS = r"^[^\x00-\x1f\x7f]{1,255}$"
EventId = Annotated[str, Path(description="The provider's id of the event, as in `evt_...`.", pattern=_NO_CONTROLS)]
ProviderFilter = Annotated[ProviderName | None, Query(description="Only this provider's events.")]
EntityFilter = Annotated[Entity | None, Query(alias="entity", description="Only events about this entity.")]
TypeFilter = Annotated[
    str | None,
    Query(alias="type", description="Only events of this type, as in `invoice.paid`.", pattern=_NO_CONTROLS),
]
StateFilter = Annotated[WebhookState | None, Query(alias="state", description="Only events in this state.")]
FailedFilter = Annotated[
    Literal["failed", "dead"] | None, Query(alias="state", description="Only those; by default both.")
]
Before = Annotated[
    str | None,
    Query(description="The `next` of the page before.", pattern=r"^[0-9]{1,16}~[^\x00-\x1f\x7f]{1,255}$"),
]


@router.get("/webhook-events", operation_id="listWebhooks")
def list_all(
    caller: CurrentCaller,
    services: RequestServices,
    provider: ProviderFilter = None,
    state: StateFilter = None,
    entity: EntityFilter = None,
    event_type: TypeFilter = None,
    limit: Limit = 20,
    before: Before = None,
) -> Webhooks:
    """The webhooks that came in for the workspace, newest first, without what they tell.

    Applied ones are forgotten after 30 days unless the operator decides otherwise, as are those that wait or were given
    up; after a week those of a source that is no longer there.
    """
    which = InboxFilter(provider, state, None if entity is None else entity.value, event_type)
    found, following = page_inbox(services.database, caller.workspace.id, which, limit=limit, before=before)
    return Webhooks(webhooks=[WebhookOut.model_validate(each) for each in found], next=following)


@router.get("/webhook-events/{event_id}", responses=NOT_FOUND, operation_id="getWebhook")
def get(
    event_id: EventId, caller: CurrentCaller, services: RequestServices, provider: ProviderFilter = None
) -> WebhookDetailsOut:
    """One webhook, with what is kept of it: nothing once it is applied."""
    event = find_inbox_event(services.database, caller.workspace.id, event_id, provider=provider)
    return WebhookDetailsOut.of(event)


@router.post("/webhook-replays", operation_id="replayWebhooks")
def replay_failed(
    caller: CurrentCaller,
    services: RequestServices,
    provider: ProviderFilter = None,
    state: FailedFilter = None,
    entity: EntityFilter = None,
) -> ReplayOut:
    """Try all webhooks again that failed or were given up: their attempts are forgotten, and a sync is wanted now.

    Those of sources that are no longer active stay as they are.
    """
    which = InboxFilter(provider, None if state is None else WebhookState(state), None if entity is None else entity)
    done = replay_all(services.database, caller.workspace.id, which)
    return ReplayOut(replayed=done.events, providers=list(done.providers))


@router.post("/webhook-events/{event_id}/replay", responses={**NOT_FOUND, **CONFLICT}, operation_id="replayWebhook")
def replay(
    event_id: EventId, caller: CurrentCaller, services: RequestServices, provider: ProviderFilter = None
) -> WebhookDetailsOut:
    """Try one webhook again: its attempts are forgotten, and a sync of its source is wanted now.

    Answers 409 where it is applied already, nobody can read it, or its source is not active.
    """
    return WebhookDetailsOut.of(replay_one(services.database, caller.workspace.id, event_id, provider=provider))
