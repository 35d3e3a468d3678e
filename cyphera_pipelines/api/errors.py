"""Which problem each exception becomes."""

import logging
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException
from starlette.routing import Match

from cyphera_pipelines.api.problems import (
    FieldProblem,
    ProblemError,
    conflict,
    invalid,
    not_found,
    problem_response,
    quota_reached,
    unavailable,
)
from cyphera_pipelines.api.provider_problems import answer_provider_error, key_reused, write_under_way
from cyphera_pipelines.model.error_codes import ErrorCode
from cyphera_pipelines.model.errors import (
    ConflictError,
    CypheraError,
    InvalidInputError,
    NotFoundError,
    RefusedValueError,
)
from cyphera_pipelines.model.purges import PurgeUnderWayError
from cyphera_pipelines.model.quotas import QuotaReachedError
from cyphera_pipelines.model.writes import KeyReusedError, WriteUnderWayError
from cyphera_pipelines.providers.base import ProviderError
from cyphera_pipelines.security.encryption import DecryptionError
from cyphera_pipelines.security.secrets import redact
from cyphera_pipelines.store.connection_waits import DatabaseUnavailableError, NoConnectionError
from cyphera_pipelines.store.database_errors import error_code_of
from cyphera_pipelines.store.pauses import SourcePausedError
from cyphera_pipelines.store.sessions import SourceActiveError

LONGEST_FIELD_SHOWN = 100
_log = logging.getLogger(__name__)

_REMEDIES = {
    "missing": "Give it.",
    "extra_forbidden": "Leave it out, or check how it is spelled.",
    "json_invalid": "Send one JSON object, as in the examples at /docs.",
    "uuid_parsing": "Use an id as this API gives it, like 7c9e6679-7425-40de-944b-e07fc1f90ae7.",
    "uuid_type": "Use an id as this API gives it, like 7c9e6679-7425-40de-944b-e07fc1f90ae7.",
    "enum": "Choose one of these.",
    "string_pattern_mismatch": "Write it as the examples at /docs do.",
}
_MESSAGES = {
    "missing": "It is required.",
    "extra_forbidden": "There is no such field.",
    "json_invalid": "The body is not valid JSON.",
    "uuid_parsing": "This is not a UUID.",
    "string_pattern_mismatch": "It holds characters, or has a form, that are not allowed here.",
}

# What pydantic says of a text that was looked at before its length was: of lists it says that they are.
_LENGTH_OF_TEXT = re.compile(r"^Value should have at (least|most) (\d+) items? after validation.*$", re.DOTALL)
_IN_CHARACTERS = r"It should have at \1 \2 characters"

_OF_FRAMEWORK = {
    HTTPStatus.BAD_REQUEST: ("unreadable-body", "Unreadable body", "Send the body as one JSON object in UTF-8."),
    HTTPStatus.NOT_FOUND: ("not-found", "Not found", "There is nothing at this path. All paths are listed at /docs."),
    HTTPStatus.METHOD_NOT_ALLOWED: (
        "method-not-allowed",
        "Method not allowed",
        "This path does not take this method. See the header Allow, and /docs.",
    ),
    HTTPStatus.REQUEST_TIMEOUT: (
        "body-too-slow",
        "The body did not arrive",
        "Send the whole body within 10 seconds of its headers, and as many bytes as Content-Length says.",
    ),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: (
        "body-too-large",
        "The body is too large",
        "A body may have at most 1 MiB. Nothing that this API takes needs more.",
    ),
}


def add_error_handlers(app: FastAPI) -> None:
    """Answer every exception that is to be expected. What is not, the request log answers: see there."""
    handlers = {
        ProblemError: _answer_problem,
        RequestValidationError: _answer_validation_error,
        HTTPException: _answer_http_exception,
        NotFoundError: _answer_not_found,
        ConflictError: _answer_conflict,
        ProviderError: answer_provider_error,
        InvalidInputError: _answer_invalid_input,
        DecryptionError: _answer_unreadable_credentials,
        OperationalError: _answer_lost_database,
        InterfaceError: _answer_lost_database,
        PoolTimeoutError: _answer_lost_database,
        DatabaseUnavailableError: _answer_lost_database,
    }
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)  # type: ignore[arg-type]


def _answer(request: Request, problem: ProblemError, error: CypheraError) -> JSONResponse:
    """The problem, with the error's own code, which may be more exact than the problem's kind."""
    problem.error_code = error.code
    return problem_response(request, problem)


async def _answer_problem(request: Request, error: ProblemError) -> JSONResponse:
    return problem_response(request, error)


async def _answer_validation_error(request: Request, error: RequestValidationError) -> JSONResponse:
    return problem_response(request, invalid(*(_field_problem(each) for each in error.errors())))


async def _answer_not_found(request: Request, error: NotFoundError) -> JSONResponse:
    return _answer(request, not_found(str(error)), error)


async def _answer_conflict(request: Request, error: ConflictError) -> JSONResponse:
    if isinstance(error, SourceActiveError):
        problem = conflict(str(error), "session-active", session_id=str(error.session.id))
    elif isinstance(error, PurgeUnderWayError):
        problem = conflict(str(error), "purge-under-way")
    elif isinstance(error, SourcePausedError):
        problem = conflict(str(error), "source-paused")
    elif isinstance(error, WriteUnderWayError):
        problem = write_under_way(error)
    elif isinstance(error, QuotaReachedError):
        problem = quota_reached(str(error), passes=error.passes)
    else:
        problem = conflict(str(error))
    return _answer(request, problem, error)


async def _answer_invalid_input(request: Request, error: InvalidInputError) -> JSONResponse:
    if isinstance(error, KeyReusedError):
        return _answer(request, key_reused(error), error)
    if isinstance(error, RefusedValueError):
        field = FieldProblem(location="body", field=error.field, message=error.problem, remedy=error.remedy)
    else:
        field = FieldProblem(location="body", field="", message=str(error), remedy="See /docs.")
    return _answer(request, invalid(field), error)


async def _answer_unreadable_credentials(request: Request, error: DecryptionError) -> JSONResponse:
    _log.error("%s", error)
    detail = "The stored credentials cannot be opened. Enter them again: PUT the configuration with a new api_key."
    return problem_response(request, conflict(detail, "credentials-unreadable"))


async def _answer_lost_database(request: Request, error: Exception) -> JSONResponse:
    reason = str(getattr(error, "orig", None) or error).strip().splitlines()
    _log.error("The database does not answer: %s", reason[0] if reason else type(error).__name__)
    if isinstance(error, (NoConnectionError, PoolTimeoutError)):
        no_connection = "The database has no free connection. Try again in a moment."
        return problem_response(request, unavailable(no_connection, ErrorCode.DATABASE_FULL))
    return problem_response(
        request, unavailable("The database does not answer. Try again in a moment.", error_code_of(error))
    )


async def _answer_http_exception(request: Request, error: HTTPException) -> JSONResponse:
    status = HTTPStatus(error.status_code)
    headers = dict(error.headers or {})
    if status is HTTPStatus.METHOD_NOT_ALLOWED:
        # A route's methods are a set: in whichever order they stand today.
        told = sorted(name.strip() for name in headers.get("Allow", "").split(",") if name.strip())
        headers["Allow"] = ", ".join(_methods_of_path(request) or told or ("GET", "HEAD"))
    kind, title, detail = _OF_FRAMEWORK.get(status, ("http-error", status.phrase, status.phrase))
    return problem_response(request, ProblemError(status, kind, title, detail, headers=headers))


def _methods_of_path(request: Request) -> list[str]:
    """All methods of all routes with this path: the router itself names those of the first route only.

    None for what is neither in the document nor a page, as a file: the router knows of those.
    """
    scope = {**request.scope, "path": request.url.path}
    methods: set[str] = set()
    for path, operations in request.app.openapi()["paths"].items():
        route = request.app.state.templates[path]
        if route.matches(scope)[0] is not Match.NONE:
            methods |= {method.upper() for method in operations}
    for page in request.app.state.pages:
        if page.matches(scope)[0] is not Match.NONE:
            methods |= page.methods
    return sorted(methods)


def _field_problem(error: Mapping[str, Any]) -> FieldProblem:
    """Pydantic's error in our words. Its `input` and `ctx` may hold what was sent: they are never looked at."""
    kind = str(error["type"])
    location, *levels = error["loc"]
    if kind == "json_invalid":
        levels = []
    field = redact(".".join(str(level) for level in levels))[:LONGEST_FIELD_SHOWN]
    message = _MESSAGES.get(kind) or f"{_LENGTH_OF_TEXT.sub(_IN_CHARACTERS, redact(str(error['msg']))).rstrip('.')}."
    message, _, remedy = message.partition(" | ")
    return FieldProblem(
        location=location if location in ("body", "query", "path", "header") else "body",
        field=field,
        message=message,
        remedy=remedy or _REMEDIES.get(kind, "Give a value of the type and size that /docs shows."),
    )
