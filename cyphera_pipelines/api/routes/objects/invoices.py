"""Invoices at a provider."""

from http import HTTPStatus
from typing import Any

from fastapi import Response

from cyphera_pipelines.api.routes.objects.answers import CHANGED, CREATED, READ
from cyphera_pipelines.api.routes.objects.calls import Listing, ObjectPath, Reading, Writing
from cyphera_pipelines.api.routes.router import writing_router
from cyphera_pipelines.api.schemas.objects.invoices import CreateInvoice, InvoiceOut, Invoices, PayInvoice
from cyphera_pipelines.api.schemas.objects.values import to_request
from cyphera_pipelines.api.schemas.objects.writes import DryRunOut
from cyphera_pipelines.providers.base import InvoicePayment, NewInvoice, ObjectKind, Operation

KIND = ObjectKind.INVOICES
PATH = "/{provider}/invoices"
router = writing_router("Invoices")


@router.post(
    PATH, status_code=HTTPStatus.CREATED, response_model=InvoiceOut, responses=CREATED, operation_id="createInvoice"
)
async def create(body: CreateInvoice, call: Writing) -> Response:
    """Make a draft with its lines."""
    return await call.send(KIND, Operation.CREATE, None, to_request(NewInvoice, body))


@router.get(PATH, response_model=Invoices, responses=READ, operation_id="listInvoices")
async def list_some(call: Reading, parameters: Listing) -> dict[str, Any]:
    """Some invoices, as the provider has them now: newest first."""
    return await call.some(KIND, parameters)


@router.get(f"{PATH}/{{id}}", response_model=InvoiceOut, responses=READ, operation_id="getInvoice")
async def get(object_id: ObjectPath, call: Reading) -> dict[str, Any]:
    """One invoice, as the provider has it now."""
    return await call.one(KIND, object_id)


@router.post(
    f"{PATH}/{{id}}/finalize",
    response_model=InvoiceOut | DryRunOut,
    responses=CHANGED,
    operation_id="finalizeInvoice",
)
async def finalize(object_id: ObjectPath, call: Writing) -> Response:
    """Make a draft a bill that can be paid."""
    return await call.send(KIND, Operation.FINALIZE, object_id)


@router.post(f"{PATH}/{{id}}/pay", response_model=InvoiceOut | DryRunOut, responses=CHANGED, operation_id="payInvoice")
async def pay(object_id: ObjectPath, call: Writing, body: PayInvoice | None = None) -> Response:
    """Collect an invoice now, or note that it was paid elsewhere. A card that is declined is answered with 402."""
    return await call.send(KIND, Operation.PAY, object_id, to_request(InvoicePayment, body or PayInvoice()))


@router.post(
    f"{PATH}/{{id}}/void", response_model=InvoiceOut | DryRunOut, responses=CHANGED, operation_id="voidInvoice"
)
async def void(object_id: ObjectPath, call: Writing) -> Response:
    """Declare an invoice void: it will not be paid."""
    return await call.send(KIND, Operation.VOID, object_id)


@router.post(
    f"{PATH}/{{id}}/send", response_model=InvoiceOut | DryRunOut, responses=CHANGED, operation_id="sendInvoice"
)
async def send(object_id: ObjectPath, call: Writing) -> Response:
    """Send an invoice to its customer by mail."""
    return await call.send(KIND, Operation.SEND, object_id)
