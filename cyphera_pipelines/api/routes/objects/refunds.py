"""Refunds at a provider."""

from http import HTTPStatus
from typing import Any

from fastapi import Response

from cyphera_pipelines.api.routes.objects.answers import CREATED, READ
from cyphera_pipelines.api.routes.objects.calls import Listing, ObjectPath, Reading, Writing
from cyphera_pipelines.api.routes.router import writing_router
from cyphera_pipelines.api.schemas.objects.payments import CreateRefund, TransactionOut, Transactions
from cyphera_pipelines.api.schemas.objects.values import to_request
from cyphera_pipelines.providers.base import NewRefund, ObjectKind, Operation

KIND = ObjectKind.REFUNDS
PATH = "/{provider}/refunds"
router = writing_router("Refunds")


@router.post(
    PATH,
    status_code=HTTPStatus.CREATED,
    response_model=TransactionOut,
    responses=CREATED,
    operation_id="createRefund",
)
async def create(body: CreateRefund, call: Writing) -> Response:
    """Give money back: of a charge or a payment, all of it or so much."""
    return await call.send(KIND, Operation.CREATE, None, to_request(NewRefund, body))


@router.get(PATH, response_model=Transactions, responses=READ, operation_id="listRefunds")
async def list_some(call: Reading, parameters: Listing) -> dict[str, Any]:
    """Some refunds, as the provider has them now: newest first."""
    return await call.some(KIND, parameters)


@router.get(f"{PATH}/{{id}}", response_model=TransactionOut, responses=READ, operation_id="getRefund")
async def get(object_id: ObjectPath, call: Reading) -> dict[str, Any]:
    """One refund, as the provider has it now."""
    return await call.one(KIND, object_id)
