"""What the APIs of all providers share: requests are counted, limited, kept waiting, answered or broken off."""

import asyncio
import random
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar
from urllib.parse import parse_qs

from starlette.types import Receive, Scope, Send

from cyphera_pipelines.sandbox.behaviour import Behaviour
from cyphera_pipelines.sandbox.counters import SeenRequest
from cyphera_pipelines.sandbox.limits import LimitReason
from cyphera_pipelines.sandbox.options import Fault, FaultKind

CLOSE_CONNECTION = "cyphera.close_connection"
"""The scope's entry that closes the connection at once, put there by our server."""

MOST_SENT = 100_000
"""Bytes of a request's body that are read."""

_PROXY_PAGE = (
    b"<html>\r\n<head><title>%(status)d</title></head>\r\n<body><center><h1>%(status)d</h1></center></body></html>\r\n"
)
_PROXY_STATUS = {FaultKind.ERROR_502: 502, FaultKind.ERROR_503: 503}
_CLOSING = {FaultKind.DROP, FaultKind.DROP_UNDONE, FaultKind.STALL, FaultKind.TRUNCATE}


@dataclass(slots=True)
class Call:
    """A request: for which endpoint, and by whom.

    `template` is as `GET /v1/invoices/:id`, `account_id` that of counters and faults, `limited_as` what limits go by
    (None for a request that counts against none). `has_body` says whether a body is read.
    """

    scope: Scope
    template: str
    account_id: str | None
    limited_as: str | None
    has_body: bool

    @property
    def query_string(self) -> str:
        """The query, as it came."""
        query: str = self.scope["query_string"].decode("latin-1")
        return query


C = TypeVar("C", bound=Call)


class Reply(NamedTuple):
    """What a request is answered with."""

    status: int
    headers: dict[str, str]
    body: bytes


def header_of(scope: Scope, wanted: bytes) -> str | None:
    """Return the value of a header, given in lower case; None if the request carries none."""
    return next((value.decode("latin-1") for name, value in scope["headers"] if name == wanted), None)


class ProviderApi(ABC, Generic[C]):
    """An ASGI application: one provider's API."""

    def __init__(self, behaviour: Behaviour) -> None:
        self._behaviour = behaviour
        # Request ids and jitter need not be repeatable: they depend on the order in which requests come in.
        self._random = random.Random()

    @abstractmethod
    def read(self, scope: Scope) -> C:
        """Return what a request is for, and whose data it may see."""

    @abstractmethod
    def reply(self, call: C, sent: bytes, fault: Fault | None, broken: LimitReason | None) -> Reply:
        """Return the answer to a request with the body `sent`, hit by a fault or beyond a limit as it may be."""

    def arrived(self, call: C, sent: bytes) -> None:
        """A request has come, and is kept waiting from now on: once for each that is read."""

    def left(self, call: C) -> None:
        """A request has been answered, or broken off: once for each that has come."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        behaviour = self._behaviour
        call, path = self.read(scope), scope["path"]
        behaviour.counters.begin()
        seen = (call.account_id, call.template, path, call.query_string)
        told = _Once(lambda status: behaviour.counters.end(SeenRequest(*seen, status)))
        try:
            fault = behaviour.faults.choose(path, call.account_id, _page_size(call.query_string), scope["method"])
            if fault is not None:
                behaviour.counters.by_fault[fault.kind] += 1
            sent = await _body(receive) if call.has_body else b""
            self.arrived(call, sent)
            with behaviour.limits.on_its_way(call.limited_as or "", call.template):
                on_arrival = behaviour.options.limited_on_arrival
                broken = self._over_limit(call) if on_arrival else None
                await self._wait()
                broken = broken if on_arrival else self._over_limit(call)
            for watch in behaviour.watchers:
                watch(call.template, call.query_string)
            if fault is not None and fault.kind in _PROXY_STATUS:
                reply = _proxy_page(_PROXY_STATUS[fault.kind])
            elif fault is not None and fault.kind is FaultKind.DROP_UNDONE:
                reply = Reply(0, {}, b"")
            else:
                reply = self.reply(call, sent, fault, broken)
                if fault is not None and fault.kind is FaultKind.CUT_JSON and reply.status == 200:
                    reply = reply._replace(body=reply.body[: len(reply.body) // 2])
            if fault is not None and fault.kind in _CLOSING:
                await _break_off(fault, reply, scope, receive, send, told)
            else:
                # Before the answer: whoever has it may look at the counts.
                told(reply.status)
                await _start(send, reply)
                await send({"type": "http.response.body", "body": reply.body})
        finally:
            self.left(call)
            told(0)

    def _over_limit(self, call: C) -> LimitReason | None:
        """Count the request against the limits of the account that it may read, and return what it breaks, if any."""
        return None if call.limited_as is None else self._behaviour.limits.exceeded(call.limited_as, call.template)

    async def _wait(self) -> None:
        options = self._behaviour.options
        milliseconds = options.latency_ms
        if options.latency_jitter_ms:
            milliseconds += self._random.random() * options.latency_jitter_ms
        if milliseconds:
            await asyncio.sleep(milliseconds / 1_000)


class _Once:
    """Tells the first status that it is given, and no other."""

    def __init__(self, tell: Callable[[int], None]) -> None:
        self._tell: Callable[[int], None] | None = tell

    def __call__(self, status: int) -> None:
        tell, self._tell = self._tell, None
        if tell is not None:
            tell(status)


def _page_size(query_string: str) -> int | None:
    values = parse_qs(query_string).get("limit", [""])
    return int(values[0]) if values[0].isdecimal() else None


def _proxy_page(status: int) -> Reply:
    return Reply(status, {"Content-Type": "text/html"}, _PROXY_PAGE % {b"status": status})


async def _break_off(fault: Fault, reply: Reply, scope: Scope, receive: Receive, send: Send, told: _Once) -> None:
    """Close the connection before or inside the response; the status that the client saw is told, 0 for none."""
    close: Callable[[], None] | None = scope.get(CLOSE_CONNECTION)
    if close is None:
        raise RuntimeError("this fault needs a connection: run the sandbox with serve() or SandboxServer")
    if fault.kind is FaultKind.STALL:
        try:
            await asyncio.wait_for(_gone(receive), fault.seconds)
        except TimeoutError:
            told(0)
            close()
    elif fault.kind is FaultKind.TRUNCATE:
        told(reply.status)
        await _start(send, reply)
        await send({"type": "http.response.body", "body": reply.body[: len(reply.body) // 2], "more_body": True})
        close()
    else:
        told(0)
        close()
    await _gone(receive)


async def _body(receive: Receive) -> bytes:
    """What the client sends, cut off where no sensible request would go on."""
    body = b""
    while len(body) < MOST_SENT:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    return body[:MOST_SENT]


async def _gone(receive: Receive) -> None:
    """Return when the client is gone."""
    while (await receive())["type"] != "http.disconnect":
        continue


async def _start(send: Send, reply: Reply) -> None:
    encoded = [(name.encode(), value.encode("latin-1")) for name, value in reply.headers.items()]
    encoded.append((b"Content-Length", b"%d" % len(reply.body)))
    await send({"type": "http.response.start", "status": reply.status, "headers": encoded})
