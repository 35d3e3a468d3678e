"""Subscriptions at a provider."""

from http import HTTPStatus
from typing import Any

from fastapi import Response

from cyphera_pipelines.api.routes.objects.answers import CHANGED, CREATED, READ
from cyphera_pipelines.api.routes.objects.calls import Listing, ObjectPath, Reading, Writing
from cyphera_pipelines.api.routes.router import writing_router
from cyphera_pipelines.api.schemas.objects.subscriptions import (
    CancelSubscription,
    ChangeSubscription,
    CreateSubscription,
    SubscriptionOut,
    Subscriptions,
)
from cyphera_pipelines.api.schemas.objects.values import to_request
from cyphera_pipelines.api.schemas.objects.writes import DryRunOut
from cyphera_pipelines.providers.base import (
    Cancellation,
    NewSubscription,
    ObjectKind,
    Operation,
    SubscriptionRequest,
)

KIND = ObjectKind.SUBSCRIPTIONS
PATH = "/{provider}/subscriptions"
router = writing_router("Subscriptions")


@router.post(
    PATH,
    status_code=HTTPStatus.CREATED,
    response_model=SubscriptionOut,
    responses=CREATED,
    operation_id="createSubscription",
)
async def create(body: CreateSubscription, call: Writing) -> Response:
    """Make a subscription."""
    return await call.send(KIND, Operation.CREATE, None, to_request(NewSubscription, body))


@router.get(PATH, response_model=Subscriptions, responses=READ, operation_id="listSubscriptions")
async def list_some(call: Reading, parameters: Listing) -> dict[str, Any]:
    """Some subscriptions of every status, as the provider has them now: newest first."""
    return await call.some(KIND, parameters)


@router.get(f"{PATH}/{{id}}", response_model=SubscriptionOut, responses=READ, operation_id="getSubscription")
async def get(object_id: ObjectPath, call: Reading) -> dict[str, Any]:
    """One subscription of whatever status, as the provider has it now."""
    return await call.one(KIND, object_id)


@router.patch(
    f"{PATH}/{{id}}",
    response_model=SubscriptionOut | DryRunOut,
    responses=CHANGED,
    operation_id="updateSubscription",
)
async def update(object_id: ObjectPath, body: ChangeSubscription, call: Writing) -> Response:
    """Change what is given of a subscription."""
    return await call.send(KIND, Operation.UPDATE, object_id, to_request(SubscriptionRequest, body))


@router.post(
    f"{PATH}/{{id}}/cancel",
    response_model=SubscriptionOut | DryRunOut,
    responses=CHANGED,
    operation_id="cancelSubscription",
)
async def cancel(object_id: ObjectPath, call: Writing, body: CancelSubscription | None = None) -> Response:
    """End a subscription, now or with its period."""
    request = to_request(Cancellation, body or CancelSubscription())
    return await call.send(KIND, Operation.CANCEL, object_id, request)


@router.post(
    f"{PATH}/{{id}}/reactivate",
    response_model=SubscriptionOut | DryRunOut,
    responses=CHANGED,
    operation_id="reactivateSubscription",
)
async def reactivate(object_id: ObjectPath, call: Writing) -> Response:
    """Take back a cancellation that has not come to pass."""
    return await call.send(KIND, Operation.REACTIVATE, object_id)
