"""Around every request: its id, its secrets, its log line, its metrics, and an answer to whatever is unexpected."""

import logging
import time

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cyphera_pipelines.api import metrics
from cyphera_pipelines.api.problems import problem_response, unavailable, unexpected
from cyphera_pipelines.api.request_id import HEADER, begin_request
from cyphera_pipelines.security.secrets import secrets_of_one_request

MOST_AT_ONCE = 1_000
MOST_WEBHOOKS_AT_ONCE = 1_000
"""Requests that may be at work or waiting in one process, and webhooks, for which no key is asked and which therefore
have places of their own. More would only wait too long."""
WEBHOOKS_PATH = "/api/v1/sync/webhooks/"
HEALTH_PATH = "/healthz"
"""Answered however many requests there are: a busy process must not be taken for a dead one."""
CLIENT_WENT_AWAY = 499
"""What is logged as the status where nobody waited for one."""
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"}
_NO_ROUTE = "(none)"
_log = logging.getLogger(__name__)


class RequestLog:
    """ASGI middleware. A line tells method, route, status, duration and workspace: never a header, body or query."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._at_work = {False: 0, True: 0}
        """Requests by whether they are webhooks."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # Here and not in the routes: errors that leave them are told and logged out here.
        with secrets_of_one_request():
            await self._serve(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        request_id = begin_request(Headers(scope=scope).get(HEADER))
        began, status = time.perf_counter(), 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[HEADER] = request_id
            await send(message)

        is_webhook = scope["path"].startswith(WEBHOOKS_PATH)
        most = MOST_WEBHOOKS_AT_ONCE if is_webhook else MOST_AT_ONCE
        self._at_work[is_webhook] += 1
        try:
            if self._at_work[is_webhook] > most and scope["path"] != HEALTH_PATH:
                problem = unavailable("There are too many requests at once. Try again in a moment.")
                await problem_response(HTTPConnection(scope), problem)(scope, receive, send_with_id)
            else:
                await self._app(scope, receive, send_with_id)
        except ClientDisconnect:
            _log.info("The client went away before its body was there.")
        except Exception:
            _log.exception("An error of ours.")
            if not status:
                await problem_response(HTTPConnection(scope), unexpected())(scope, receive, send_with_id)
        finally:
            self._at_work[is_webhook] -= 1
            _tell(scope, status or CLIENT_WENT_AWAY, time.perf_counter() - began)


def _tell(scope: Scope, status: int, seconds: float) -> None:
    method = scope["method"] if scope["method"] in _METHODS else "OTHER"
    route = getattr(scope.get("route"), "path", _NO_ROUTE)
    metrics.observe_request(method, route, status, seconds)
    caller = scope.get("state", {}).get("caller")
    fields = {"method": method, "route": route, "status": status, "ms": round(seconds * 1000, 1)}
    if caller is not None:
        fields |= {"workspace_id": str(caller.workspace.id), "api_key_id": str(caller.key_id)}
    _log.info("%s %s %s", method, route, status, extra={"fields": fields})
