"""Bodies of bounded size, in bounded time, whatever was announced. The framework's own limit answers in plain text."""

from http import HTTPStatus

import anyio
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LARGEST_BODY = 1024 * 1024
BODY_WITHIN = 10.0
"""Seconds from when a body is asked for until it must be there whole: who announces one may never send it."""


class BodyLimit:
    """ASGI middleware. Whoever reads a body that is too large or too slow gets status 413 or 408 raised instead."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http":
            receive = _Body(_announced(scope), receive).receive
        await self._app(scope, receive, send)


def _announced(scope: Scope) -> int:
    """The length that the client announces, 0 if it announces none."""
    length = Headers(scope=scope).get("Content-Length", "")
    return int(length) if length.isdecimal() else 0


class _Body:
    """What has come of one request's body."""

    def __init__(self, announced: int, receive: Receive) -> None:
        self._receive = receive
        self._received = 0
        self._is_too_large = announced > LARGEST_BODY
        self._is_complete = False
        self._deadline: float | None = None

    async def receive(self) -> Message:
        """The next message."""
        if self._is_complete:
            return await self._receive()
        if self._is_too_large:
            raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        message = await self._receive_in_time()
        self._received += len(message.get("body", b""))
        self._is_complete = not message.get("more_body", False)
        if self._received > LARGEST_BODY:
            raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        return message

    async def _receive_in_time(self) -> Message:
        now = anyio.current_time()
        if self._deadline is None:
            self._deadline = now + BODY_WITHIN
        try:
            with anyio.fail_after(self._deadline - now):
                return await self._receive()
        except TimeoutError:
            # What may still come is not the next request.
            raise HTTPException(HTTPStatus.REQUEST_TIMEOUT, headers={"Connection": "close"}) from None
