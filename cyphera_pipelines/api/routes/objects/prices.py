"""Prices at a provider."""

from http import HTTPStatus
from typing import Any

from fastapi import Response

from cyphera_pipelines.api.routes.objects.answers import CHANGED, CREATED, READ
from cyphera_pipelines.api.routes.objects.calls import Listing, ObjectPath, Reading, Writing
from cyphera_pipelines.api.routes.router import writing_router
from cyphera_pipelines.api.schemas.objects.catalog import ChangePrice, CreatePrice, PriceOut, Prices
from cyphera_pipelines.api.schemas.objects.values import to_request
from cyphera_pipelines.api.schemas.objects.writes import DryRunOut
from cyphera_pipelines.providers.base import NewPrice, ObjectKind, Operation, PriceRequest

KIND = ObjectKind.PRICES
router = writing_router("Prices")


@router.post(
    "/{provider}/prices",
    status_code=HTTPStatus.CREATED,
    response_model=PriceOut,
    responses=CREATED,
    operation_id="createPrice",
)
async def create(body: CreatePrice, call: Writing) -> Response:
    """Make a price of a product."""
    return await call.send(KIND, Operation.CREATE, None, to_request(NewPrice, body))


@router.get("/{provider}/prices", response_model=Prices, responses=READ, operation_id="listPrices")
async def list_some(call: Reading, parameters: Listing) -> dict[str, Any]:
    """Some prices, as the provider has them now: newest first."""
    return await call.some(KIND, parameters)


@router.get("/{provider}/prices/{id}", response_model=PriceOut, responses=READ, operation_id="getPrice")
async def get(object_id: ObjectPath, call: Reading) -> dict[str, Any]:
    """One price with its tiers, as the provider has it now."""
    return await call.one(KIND, object_id)


@router.patch(
    "/{provider}/prices/{id}",
    response_model=PriceOut | DryRunOut,
    responses=CHANGED,
    operation_id="updatePrice",
)
async def update(object_id: ObjectPath, body: ChangePrice, call: Writing) -> Response:
    """Change what is given of a price, whose amount never does; `active` false archives it."""
    return await call.send(KIND, Operation.UPDATE, object_id, to_request(PriceRequest, body))
