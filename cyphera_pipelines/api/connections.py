"""Connections that are given up: uvicorn itself waits for ever for a request's head, and for a response to be read."""

import asyncio
from typing import Any
from weakref import WeakKeyDictionary

from uvicorn.protocols.http.auto import AutoHTTPProtocol

from cyphera_pipelines.api.session_waits import STOPPING

HEAD_WITHIN = 10.0
"""Seconds from when a connection is made, or its last response was sent, until the next request's head must be there.

Idle ones, of which not even a byte came, uvicorn closes after five.
"""
LARGEST_HEAD = 64 * 1024
ANSWERED_WITHIN = 120.0
"""Seconds from a head until its response must have been taken: longer than any route takes."""
MOST_WITHOUT_A_HEAD = 1_000
"""Connections of one process that no request's head has come on. Beyond, the oldest of them is closed."""

_TOO_LATE = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class BoundedProtocol(AutoHTTPProtocol):  # type: ignore[misc, valid-type]
    """One connection of uvicorn's, with deadlines."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._without_a_head = _without_a_head.setdefault(self.server_state, {})
        self._deadline: asyncio.TimerHandle | None = None
        self._is_at_work = False
        self._bytes_of_head = 0

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Wait for the first head."""
        super().connection_made(transport)
        self._wait_for_head()

    def data_received(self, data: bytes) -> None:
        """Take in what came."""
        super().data_received(data)
        if self._has_request():
            if not self._is_at_work:
                self._wait_for_response()
        elif self.cycle is None or not self.cycle.more_body:
            # It is not the rest of a body that was refused.
            self._bytes_of_head += len(data)
            if self._bytes_of_head > LARGEST_HEAD:
                self._give_up(_TOO_LARGE)

    def on_response_complete(self) -> None:
        """Go on with the next request, which may have come already."""
        super().on_response_complete()
        if self._has_request():
            self._wait_for_response()
        else:
            self._wait_for_head()

    def shutdown(self) -> None:
        """End when the request at work is answered, and let that not wait for anything."""
        super().shutdown()
        if self._has_request():
            self.cycle.scope[STOPPING] = True

    def connection_lost(self, reason: Exception | None) -> None:
        """Forget the connection."""
        self._without_a_head.pop(self, None)
        if self._deadline is not None:
            self._deadline.cancel()
        super().connection_lost(reason)

    def _has_request(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _wait_for_head(self) -> None:
        self._is_at_work, self._bytes_of_head = False, 0
        self._without_a_head[self] = None
        self._set_deadline(HEAD_WITHIN)
        if len(self._without_a_head) > MOST_WITHOUT_A_HEAD:
            # Not before what has come by now was read: a head that only waits for its turn is there.
            self.loop.call_soon(self.loop.call_soon, _make_room, self._without_a_head)

    def _wait_for_response(self) -> None:
        self._is_at_work = True
        self._without_a_head.pop(self, None)
        self._set_deadline(ANSWERED_WITHIN)

    def _set_deadline(self, seconds: float) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = None if self.transport.is_closing() else self.loop.call_later(seconds, self._give_up)

    def _give_up(self, answer: bytes = _TOO_LATE) -> None:
        self._without_a_head.pop(self, None)
        if self._is_at_work or self.transport.get_write_buffer_size():
            # What the other side does not read would keep a closed connection open for ever.
            self.transport.abort()
            return
        if self._bytes_of_head:
            self.transport.write(answer)
        self.transport.close()


def _make_room(waiting: dict[BoundedProtocol, None]) -> None:
    while len(waiting) > MOST_WITHOUT_A_HEAD:
        next(iter(waiting))._give_up()


_without_a_head: WeakKeyDictionary[Any, dict[BoundedProtocol, None]] = WeakKeyDictionary()
"""The connections of each server that wait for a head, oldest first."""
