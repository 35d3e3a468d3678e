"""Products at a provider."""

from http import HTTPStatus
from typing import Any

from fastapi import Response

from cyphera_pipelines.api.routes.objects.answers import CHANGED, CREATED, READ
from cyphera_pipelines.api.routes.objects.calls import Listing, ObjectPath, Reading, Writing
from cyphera_pipelines.api.routes.router import writing_router
from cyphera_pipelines.api.schemas.objects.catalog import ChangeProduct, CreateProduct, ProductOut, Products
from cyphera_pipelines.api.schemas.objects.values import to_request
from cyphera_pipelines.api.schemas.objects.writes import DeletedOut, DryRunOut
from cyphera_pipelines.providers.base import ObjectKind, Operation, ProductRequest

KIND = ObjectKind.PRODUCTS
router = writing_router("Products")


@router.post(
    "/{provider}/products",
    status_code=HTTPStatus.CREATED,
    response_model=ProductOut,
    responses=CREATED,
    operation_id="createProduct",
)
async def create(body: CreateProduct, call: Writing) -> Response:
    """Make a product."""
    return await call.send(KIND, Operation.CREATE, None, to_request(ProductRequest, body))


@router.get("/{provider}/products", response_model=Products, responses=READ, operation_id="listProducts")
async def list_some(call: Reading, parameters: Listing) -> dict[str, Any]:
    """Some products, as the provider has them now: newest first."""
    return await call.some(KIND, parameters)


@router.get("/{provider}/products/{id}", response_model=ProductOut, responses=READ, operation_id="getProduct")
async def get(object_id: ObjectPath, call: Reading) -> dict[str, Any]:
    """One product, as the provider has it now. One that was deleted is answered with 404."""
    return await call.one(KIND, object_id)


@router.patch(
    "/{provider}/products/{id}",
    response_model=ProductOut | DryRunOut,
    responses=CHANGED,
    operation_id="updateProduct",
)
async def update(object_id: ObjectPath, body: ChangeProduct, call: Writing) -> Response:
    """Change what is given of a product; `active` false archives it."""
    return await call.send(KIND, Operation.UPDATE, object_id, to_request(ProductRequest, body))


@router.delete(
    "/{provider}/products/{id}",
    response_model=DeletedOut | DryRunOut,
    responses=CHANGED,
    operation_id="deleteProduct",
)
async def delete(object_id: ObjectPath, call: Writing) -> Response:
    """Delete a product. Providers refuse that for one that has prices: archive it, with `active` false."""
    return await call.send(KIND, Operation.DELETE, object_id)
