"""External accounts at a provider: writing them takes a key of the level admin, since money is paid out to them."""

from http import HTTPStatus
from typing import Any

from fastapi import Response

from cyphera_pipelines.api.routes.objects.answers import CHANGED, CREATED, READ
from cyphera_pipelines.api.routes.objects.calls import Listing, ObjectPath, OwnerQuery, Reading, Writing
from cyphera_pipelines.api.routes.router import administration_router
from cyphera_pipelines.api.schemas.objects.external_accounts import (
    ChangeExternalAccount,
    CreateExternalAccount,
    ExternalAccountOut,
    ExternalAccounts,
)
from cyphera_pipelines.api.schemas.objects.values import to_request
from cyphera_pipelines.api.schemas.objects.writes import DeletedOut, DryRunOut
from cyphera_pipelines.providers.base import ExternalAccountRequest, ObjectKind, Operation

KIND = ObjectKind.EXTERNAL_ACCOUNTS
PATH = "/{provider}/external-accounts"
router = administration_router("External accounts")


@router.post(
    PATH,
    status_code=HTTPStatus.CREATED,
    response_model=ExternalAccountOut,
    responses=CREATED,
    operation_id="createExternalAccount",
)
async def create(body: CreateExternalAccount, call: Writing) -> Response:
    """Make a bank account or card known at the provider."""
    return await call.send(KIND, Operation.CREATE, None, body.as_request(), owner_id=body.owner_id)


@router.get(PATH, response_model=ExternalAccounts, responses=READ, operation_id="listExternalAccounts")
async def list_some(call: Reading, parameters: Listing, owner_id: OwnerQuery = None) -> dict[str, Any]:
    """Some of the owner's, as the provider has them now."""
    return await call.some(KIND, parameters, owner_id=owner_id)


@router.get(f"{PATH}/{{id}}", response_model=ExternalAccountOut, responses=READ, operation_id="getExternalAccount")
async def get(object_id: ObjectPath, call: Reading, owner_id: OwnerQuery = None) -> dict[str, Any]:
    """One of them, as the provider has it now."""
    return await call.one(KIND, object_id, owner_id=owner_id)


@router.patch(
    f"{PATH}/{{id}}",
    response_model=ExternalAccountOut | DryRunOut,
    responses=CHANGED,
    operation_id="updateExternalAccount",
)
async def update(
    object_id: ObjectPath, body: ChangeExternalAccount, call: Writing, owner_id: OwnerQuery = None
) -> Response:
    """Change what is given of one of them."""
    request = to_request(ExternalAccountRequest, body)
    return await call.send(KIND, Operation.UPDATE, object_id, request, owner_id=owner_id)


@router.delete(
    f"{PATH}/{{id}}",
    response_model=DeletedOut | DryRunOut,
    responses=CHANGED,
    operation_id="deleteExternalAccount",
)
async def delete(object_id: ObjectPath, call: Writing, owner_id: OwnerQuery = None) -> Response:
    """Forget one of them at the provider."""
    return await call.send(KIND, Operation.DELETE, object_id, owner_id=owner_id)


@router.post(
    f"{PATH}/{{id}}/default",
    response_model=ExternalAccountOut | DryRunOut,
    responses=CHANGED,
    operation_id="setDefaultExternalAccount",
)
async def set_default(object_id: ObjectPath, call: Writing, owner_id: OwnerQuery = None) -> Response:
    """Pay out to it, or charge it, where nothing else is said."""
    return await call.send(KIND, Operation.SET_DEFAULT, object_id, owner_id=owner_id)
