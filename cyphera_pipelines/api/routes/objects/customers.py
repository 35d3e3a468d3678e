"""Customers at a provider."""

from http import HTTPStatus
from typing import Any

from fastapi import Response

from cyphera_pipelines.api.routes.objects.answers import CHANGED, CREATED, READ
from cyphera_pipelines.api.routes.objects.calls import Listing, ObjectPath, Reading, Writing
from cyphera_pipelines.api.routes.router import writing_router
from cyphera_pipelines.api.schemas.objects.customers import ChangeCustomer, CreateCustomer, CustomerOut, Customers
from cyphera_pipelines.api.schemas.objects.values import to_request
from cyphera_pipelines.api.schemas.objects.writes import DeletedOut, DryRunOut
from cyphera_pipelines.providers.base import CustomerRequest, ObjectKind, Operation

KIND = ObjectKind.CUSTOMERS
router = writing_router("Customers")


@router.post(
    "/{provider}/customers",
    status_code=HTTPStatus.CREATED,
    response_model=CustomerOut,
    responses=CREATED,
    operation_id="createCustomer",
)
async def create(body: CreateCustomer, call: Writing) -> Response:
    """Make a customer."""
    return await call.send(KIND, Operation.CREATE, None, to_request(CustomerRequest, body))


@router.get("/{provider}/customers", response_model=Customers, responses=READ, operation_id="listCustomers")
async def list_some(call: Reading, parameters: Listing) -> dict[str, Any]:
    """Some customers, as the provider has them now: newest first."""
    return await call.some(KIND, parameters)


@router.get("/{provider}/customers/{id}", response_model=CustomerOut, responses=READ, operation_id="getCustomer")
async def get(object_id: ObjectPath, call: Reading) -> dict[str, Any]:
    """One customer, as the provider has it now. One that was deleted is answered with 404."""
    return await call.one(KIND, object_id)


@router.patch(
    "/{provider}/customers/{id}",
    response_model=CustomerOut | DryRunOut,
    responses=CHANGED,
    operation_id="updateCustomer",
)
async def update(object_id: ObjectPath, body: ChangeCustomer, call: Writing) -> Response:
    """Change what is given of a customer."""
    return await call.send(KIND, Operation.UPDATE, object_id, to_request(CustomerRequest, body))


@router.delete(
    "/{provider}/customers/{id}",
    response_model=DeletedOut | DryRunOut,
    responses=CHANGED,
    operation_id="deleteCustomer",
)
async def delete(object_id: ObjectPath, call: Writing) -> Response:
    """Delete a customer, which ends its subscriptions."""
    return await call.send(KIND, Operation.DELETE, object_id)
