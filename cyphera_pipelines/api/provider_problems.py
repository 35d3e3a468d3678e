"""Which problem it becomes where a provider did not do as it was asked, or a write may not be sent."""

from http import HTTPStatus
from typing import Any

from fastapi import Request
from fastapi.responses import JSONResponse

from cyphera_pipelines.api.problems import ProblemError, conflict, problem_response, unavailable
from cyphera_pipelines.model.writes import KeyReusedError, WriteUnderWayError
from cyphera_pipelines.providers.base import (
    CredentialsRejectedError,
    CursorLostError,
    ObjectGoneError,
    PermissionDeniedError,
    ProviderError,
    ProviderUnavailableError,
    RefusedRequestError,
    RequestAbandonedError,
    UnsupportedError,
    UnusableAccessError,
)


async def answer_provider_error(request: Request, error: ProviderError) -> JSONResponse:
    """The problem of what a provider did not do."""
    problem = _problem(error)
    problem.error_code = error.code
    return problem_response(request, problem)


def _problem(error: ProviderError) -> ProblemError:
    match error:
        case UnsupportedError():
            return _unprocessable("unsupported", "The provider does not offer this here", error)
        case ObjectGoneError():
            return ProblemError(HTTPStatus.NOT_FOUND, "object-gone", "The provider has no such object", str(error))
        case CredentialsRejectedError() | UnusableAccessError():
            return conflict(str(error), "credentials-rejected")
        case PermissionDeniedError():
            return conflict(str(error), "permission-missing")
        case CursorLostError() | RefusedRequestError():
            return _unprocessable("refused-by-provider", "The provider refuses this", error)
        case ProviderUnavailableError() | RequestAbandonedError():
            return unavailable(str(error))
        case _:
            return ProblemError(
                HTTPStatus.BAD_GATEWAY, "provider-error", "The provider's answer makes no sense", str(error)
            )


def key_reused(error: KeyReusedError) -> ProblemError:
    """The idempotency key is another request's."""
    return _unprocessable(
        "idempotency-key-reused", "The idempotency key is another request's", error, write_id=str(error.write_id)
    )


def write_under_way(error: WriteUnderWayError) -> ProblemError:
    """The same write is on its way."""
    return ProblemError(
        HTTPStatus.CONFLICT,
        "write-under-way",
        "The same write is on its way",
        str(error),
        headers={"Retry-After": str(error.retry_after)},
        write_id=str(error.write_id),
    )


def _unprocessable(kind: str, title: str, error: Exception, **members: Any) -> ProblemError:
    return ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, kind, title, str(error), **members)
