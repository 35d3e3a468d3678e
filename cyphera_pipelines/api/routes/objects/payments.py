"""Payments at a provider."""

from http import HTTPStatus
from typing import Any

from fastapi import Response

from cyphera_pipelines.api.routes.objects.answers import CHANGED, CREATED, READ
from cyphera_pipelines.api.routes.objects.calls import Listing, ObjectPath, Reading, Writing
from cyphera_pipelines.api.routes.router import writing_router
from cyphera_pipelines.api.schemas.objects.payments import CapturePayment, CreatePayment, TransactionOut, Transactions
from cyphera_pipelines.api.schemas.objects.values import to_request
from cyphera_pipelines.api.schemas.objects.writes import DryRunOut
from cyphera_pipelines.operations.asked import Capture
from cyphera_pipelines.providers.base import NewPayment, ObjectKind, Operation

KIND = ObjectKind.PAYMENTS
PATH = "/{provider}/payments"
router = writing_router("Payments")


@router.post(
    PATH,
    status_code=HTTPStatus.CREATED,
    response_model=TransactionOut,
    responses=CREATED,
    operation_id="createPayment",
)
async def create(body: CreatePayment, call: Writing) -> Response:
    """Make a payment; it is tried at once if it is confirmed. A card that is declined is answered with 402."""
    return await call.send(KIND, Operation.CREATE, None, to_request(NewPayment, body))


@router.get(PATH, response_model=Transactions, responses=READ, operation_id="listPayments")
async def list_some(call: Reading, parameters: Listing) -> dict[str, Any]:
    """Some payments, as the provider has them now: newest first."""
    return await call.some(KIND, parameters)


@router.get(f"{PATH}/{{id}}", response_model=TransactionOut, responses=READ, operation_id="getPayment")
async def get(object_id: ObjectPath, call: Reading) -> dict[str, Any]:
    """One payment, as the provider has it now."""
    return await call.one(KIND, object_id)


@router.post(
    f"{PATH}/{{id}}/capture",
    response_model=TransactionOut | DryRunOut,
    responses=CHANGED,
    operation_id="capturePayment",
)
async def capture(object_id: ObjectPath, call: Writing, body: CapturePayment | None = None) -> Response:
    """Take the money that is held: all of it, or so much."""
    return await call.send(KIND, Operation.CAPTURE, object_id, to_request(Capture, body or CapturePayment()))


@router.post(
    f"{PATH}/{{id}}/cancel",
    response_model=TransactionOut | DryRunOut,
    responses=CHANGED,
    operation_id="cancelPayment",
)
async def cancel(object_id: ObjectPath, call: Writing) -> Response:
    """Let go of a payment that has not been made."""
    return await call.send(KIND, Operation.CANCEL, object_id)
