"""What the routers have in common: the prefix, the check of the key, and the errors that any route may answer."""

from http import HTTPStatus
from typing import Any

from fastapi import APIRouter

from cyphera_pipelines.api.auth import AdministrationRoute, AuthenticatedRoute, WritingRoute
from cyphera_pipelines.api.places import MOST_OF_ONE_KEY
from cyphera_pipelines.api.problems import MEDIA_TYPE

PREFIX = "/api/v1/sync"
ADMINISTRATION_PREFIX = "/api/v1"
"""Of what concerns the workspace itself, and of objects at providers."""
_PROBLEM = {"content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}}
_DESCRIPTIONS = {
    HTTPStatus.BAD_REQUEST: "The body cannot be read, or a header that there may be only one of is repeated.",
    HTTPStatus.UNAUTHORIZED: "The API key is missing, unknown, revoked or expired, or not one of this workspace.",
    HTTPStatus.PAYMENT_REQUIRED: "The payment was declined: `code` says why, in the provider's word.",
    HTTPStatus.BAD_GATEWAY: "The provider's answer makes no sense.",
    HTTPStatus.FORBIDDEN: "The API key is of a level that may not do this; or a webhook's signature does not prove "
    "who sent it.",
    HTTPStatus.NOT_FOUND: "It does not exist in this workspace.",
    HTTPStatus.CONFLICT: "The present state does not allow it.",
    HTTPStatus.REQUEST_TIMEOUT: "The body did not arrive within 10 seconds.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body is larger than 1 MiB.",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "The body is not JSON.",
    HTTPStatus.UNPROCESSABLE_ENTITY: "Some value is not acceptable: `errors` names the fields and the remedies.",
    HTTPStatus.TOO_MANY_REQUESTS: f"The key has {MOST_OF_ONE_KEY} requests at work already, or the workspace as many "
    "of this kind as it may have: `Retry-After` says when to come again.",
    HTTPStatus.INTERNAL_SERVER_ERROR: "An error of ours.",
    HTTPStatus.SERVICE_UNAVAILABLE: "The database or the provider does not answer, or there are too many requests: try "
    "again.",
}
_OF_EVERY_ROUTE = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.UNPROCESSABLE_ENTITY,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.INTERNAL_SERVER_ERROR,
    HTTPStatus.SERVICE_UNAVAILABLE,
)
_OF_BODIES = (
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
)


def authenticated_router(tag: str, prefix: str = PREFIX) -> APIRouter:
    """A router whose every route is for holders of a key only."""
    return _router(tag, prefix, AuthenticatedRoute)


def writing_router(tag: str) -> APIRouter:
    """A router of objects at providers: to ask takes any key, to write one of the level `write`."""
    return _router(tag, ADMINISTRATION_PREFIX, WritingRoute)


def administration_router(tag: str) -> APIRouter:
    """The same of objects that say where money goes: to write them takes a key of the level `admin`."""
    return _router(tag, ADMINISTRATION_PREFIX, AdministrationRoute)


def problems(*statuses: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    """The document's description of these errors."""
    return {status.value: {"description": _DESCRIPTIONS[status], **_PROBLEM} for status in statuses}


def _router(tag: str, prefix: str, route_class: type[AuthenticatedRoute]) -> APIRouter:
    return APIRouter(
        prefix=prefix, route_class=route_class, tags=[tag], responses=problems(*_OF_EVERY_ROUTE, *_OF_BODIES)
    )


NOT_FOUND = problems(HTTPStatus.NOT_FOUND)
CONFLICT = problems(HTTPStatus.CONFLICT)
