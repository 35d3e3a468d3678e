"""The id that ties a request to its log lines and errors."""

import re
from contextvars import ContextVar
from uuid import uuid4

HEADER = "X-Request-ID"
_SANE = re.compile(r"[A-Za-z0-9._-]{1,128}")
_current: ContextVar[str] = ContextVar("request_id", default="")


def begin_request(given: str | None) -> str:
    """Keep the caller's id if it is a sane one, else make one; it holds for all that this request starts."""
    request_id = given if given is not None and _SANE.fullmatch(given) else uuid4().hex
    _current.set(request_id)
    return request_id


def current_request_id() -> str:
    """The id of the request at hand; empty outside requests."""
    return _current.get()
