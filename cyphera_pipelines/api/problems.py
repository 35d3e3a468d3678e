"""Errors as problem documents (RFC 9457): what happened, in which field, what to do. Never a secret, never a stack."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, Any, Literal

from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.requests import HTTPConnection

from cyphera_pipelines.api.request_id import current_request_id
from cyphera_pipelines.model.error_codes import ErrorCode
from cyphera_pipelines.model.key_levels import KeyExpiredError, KeyLevel
from cyphera_pipelines.security.secrets import redact

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 2
QUOTA_RETRY_AFTER_SECONDS = 60
LONGEST_PATH_SHOWN = 200


class FieldProblem(BaseModel):
    """What is wrong with one part of the request."""

    location: Literal["body", "query", "path", "header"] = Field(description="The part of the request.")
    field: str = Field(description="The field, with dots between levels.", examples=["configuration.api_key"])
    message: str = Field(description="What is wrong. It does not repeat the value that was sent.")
    remedy: str = Field(description="What to do about it.")


class Problem(BaseModel):
    """An error, as RFC 9457 describes it."""

    type: str = Field(
        description="Names the kind of problem; programs may rely on it.",
        examples=["urn:cyphera:problem:invalid-request"],
    )
    title: str = Field(description="The kind of problem, for people.", examples=["The request is not valid"])
    status: int = Field(description="The HTTP status.", ge=400, le=599, examples=[422])
    detail: str = Field(description="What happened this time, and what to do.")
    instance: str = Field(description="The path that was asked for.")
    error: str = Field(
        description="All of it in one text, `detail` and what `errors` says: for clients that know this member only.",
        examples=["One value is not acceptable: batch_size. See `errors`. batch_size: Input should be less than 100."],
    )
    request_id: str = Field(description="Also in the header X-Request-ID, and in the server's log.")
    errors: list[FieldProblem] | None = Field(default=None, description="What is wrong, field by field.")
    session_id: Annotated[str, Field(json_schema_extra={"format": "uuid"})] | None = Field(
        default=None, description="With `session-active`: the session that is active."
    )
    error_code: str = Field(
        description="What kind of error it is, as in docs/errors.md: the same word in sessions, events and commands. "
        "Often the end of `type`, sometimes more exact; programs may rely on it.",
        examples=["invalid-request"],
    )
    code: str | None = Field(
        default=None, description="Of what a provider rejected: its own word for why.", examples=["card_declined"]
    )
    write_id: Annotated[str, Field(json_schema_extra={"format": "uuid"})] | None = Field(
        default=None, description="The write that it is about: see `GET /{provider}/writes/{write_id}`."
    )
    checks: dict[str, str] | None = Field(
        default=None, description="With `not-ready`: what is wrong, by the name of the check."
    )


class ProblemError(Exception):
    """Raised by routes: becomes the response.

    `kind` is the last part of the problem's type, and an error code; `error_code` is a more exact one, if there is one.
    """

    def __init__(
        self,
        status: HTTPStatus,
        kind: str,
        title: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        error_code: ErrorCode | None = None,
        **members: Any,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.kind = kind
        self.title = title
        self.detail = detail
        self.headers = dict(headers or {})
        self.error_code = error_code or ErrorCode(kind)
        self.members = members


def problem_response(connection: HTTPConnection, problem: ProblemError) -> JSONResponse:
    """The response that tells of the problem."""
    document = Problem(
        type=f"urn:cyphera:problem:{problem.kind}",
        title=problem.title,
        status=problem.status,
        detail=redact(problem.detail),
        error=redact(_in_one_text(problem)),
        instance=redact(connection.url.path)[:LONGEST_PATH_SHOWN],
        request_id=current_request_id(),
        error_code=problem.error_code,
        **problem.members,
    )
    content = document.model_dump(mode="json", exclude_none=True)
    return JSONResponse(content, problem.status, headers=problem.headers, media_type=MEDIA_TYPE)


def _in_one_text(problem: ProblemError) -> str:
    errors: list[FieldProblem] = problem.members.get("errors") or []
    about_fields = (f"{each.field or each.location}: {each.message} {each.remedy}" for each in errors)
    return " ".join([problem.detail, *about_fields])


def not_found(detail: str) -> ProblemError:
    """Something does not exist, or is another workspace's: nobody can tell which."""
    return ProblemError(HTTPStatus.NOT_FOUND, "not-found", "Not found", detail)


def conflict(detail: str, kind: str = "conflict", **members: Any) -> ProblemError:
    """The present state does not allow it."""
    return ProblemError(HTTPStatus.CONFLICT, kind, "The present state does not allow this", detail, **members)


def invalid(*errors: FieldProblem) -> ProblemError:
    """Some value is not acceptable."""
    count = "One value is" if len(errors) == 1 else f"{len(errors)} values are"
    detail = f"{count} not acceptable: {', '.join(error.field or error.location for error in errors)}. See `errors`."
    return ProblemError(
        HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-request", "The request is not valid", detail, errors=list(errors)
    )


def unauthenticated(expired: KeyExpiredError | None = None) -> ProblemError:
    """The key does not open the workspace. All reasons look the same, but for one that only its holder can meet."""
    detail = (
        "Send a valid API key in X-API-Key, and in X-Workspace-ID the id of the workspace that it was made for. "
        "An operator makes keys with: cyphera key create SLUG"
    )
    return ProblemError(
        HTTPStatus.UNAUTHORIZED,
        "unauthenticated",
        "No valid API key",
        detail if expired is None else f"{expired} {detail}",
        error_code=None if expired is None else expired.code,
        headers={"WWW-Authenticate": 'APIKey realm="cyphera"'},
    )


def forbidden(level: KeyLevel, needed: KeyLevel) -> ProblemError:
    """The key opens the workspace, and is not for this."""
    options = {KeyLevel.WRITE: " --write", KeyLevel.ADMIN: " --admin"}
    return ProblemError(
        HTTPStatus.FORBIDDEN,
        "key-level",
        "The API key may not do this",
        f"This takes a key of the level {needed.value}; this one is of the level {level.value}. An operator makes one "
        f"with: cyphera key create SLUG{options.get(needed, '')}",
    )


def unavailable(detail: str, error_code: ErrorCode | None = None) -> ProblemError:
    """It would work at another time."""
    return ProblemError(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "unavailable",
        "Not available right now",
        detail,
        error_code=error_code,
        headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
    )


def too_many_requests(detail: str) -> ProblemError:
    """One caller asks for too much at once."""
    return ProblemError(
        HTTPStatus.TOO_MANY_REQUESTS,
        "too-many-requests",
        "Too many requests at once",
        detail,
        headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
    )


def quota_reached(detail: str, *, passes: bool) -> ProblemError:
    """A workspace has as much as it may have; `passes` tells whether it may have more after a while."""
    return ProblemError(
        HTTPStatus.TOO_MANY_REQUESTS if passes else HTTPStatus.CONFLICT,
        "quota-reached",
        "The workspace's quota is reached",
        detail,
        headers={"Retry-After": str(QUOTA_RETRY_AFTER_SECONDS)} if passes else {},
    )


def unexpected() -> ProblemError:
    """An error of ours: the log knows more."""
    return ProblemError(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "unexpected",
        "An error of ours",
        "Something went wrong on our side. If it happens again, give the request id to whoever operates this server.",
    )
