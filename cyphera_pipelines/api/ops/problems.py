"""What goes wrong, as a page: the same errors that the API answers with problem documents."""

import logging
from http import HTTPStatus
from typing import TYPE_CHECKING

from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse

from cyphera_pipelines.api.ops.pages import PageError, no_such_page, page
from cyphera_pipelines.api.problems import ProblemError
from cyphera_pipelines.api.request_id import current_request_id
from cyphera_pipelines.model.errors import ConflictError, InvalidInputError, NotFoundError
from cyphera_pipelines.store.connection_waits import DatabaseUnavailableError

if TYPE_CHECKING:
    from cyphera_pipelines.api.ops.viewers import Viewer

_log = logging.getLogger(__name__)
_LOST_DATABASE = (OperationalError, InterfaceError, PoolTimeoutError, DatabaseUnavailableError)


def page_of_problem(request: Request, viewer: "Viewer | None", error: Exception) -> HTMLResponse:
    """The page that tells of the error. One that nobody expected is logged, and told without its words."""
    told = _told(error)
    if told is None:
        _log.error("An error of ours.", exc_info=error)
        told = PageError(
            HTTPStatus.INTERNAL_SERVER_ERROR,
            "An error of ours",
            "Something went wrong on our side. If it happens again, give the request id "
            f"{current_request_id()} to whoever operates this server.",
        )
    response = page(request, viewer, "problem.html", status=told.status, problem=told)
    if isinstance(error, ProblemError):
        response.headers.update(error.headers)
    return response


def _told(error: Exception) -> PageError | None:
    match error:
        case PageError():
            return error
        case ProblemError():
            return PageError(error.status, error.title, error.detail)
        case NotFoundError():
            return no_such_page()
        case ConflictError():
            return PageError(HTTPStatus.CONFLICT, "The present state does not allow this", str(error))
        case InvalidInputError():
            return PageError(HTTPStatus.UNPROCESSABLE_ENTITY, "This value is not acceptable", str(error))
        case RequestValidationError():
            return PageError(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                "The address or the form is not valid",
                f"These values are not acceptable: {_fields(error)}.",
                link=("To the sources", ""),
            )
        case HTTPException():
            status = HTTPStatus(error.status_code)
            return PageError(status, status.phrase, f"{status.description or status.phrase}.")
        case _ if isinstance(error, _LOST_DATABASE):
            _log.error("The database does not answer: %s", type(error).__name__)
            return PageError(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "The database does not answer",
                "Nothing can be shown without it. Try again in a moment.",
            )
    return None


def _fields(error: RequestValidationError) -> str:
    # The part of the request, and the field's name; then come its place in a list, or which of several types it is not.
    return ", ".join(sorted({str(each["loc"][:2][-1])[:100] for each in error.errors()}))
