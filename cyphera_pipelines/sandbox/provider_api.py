"""The part of the server that a client takes for Stripe: everything under `/v1`."""

import asyncio
import base64
import binascii
import random
from collections.abc import Callable
from urllib.parse import parse_qs

from starlette.types import Receive, Scope, Send

from cyphera_pipelines.sandbox.accounts import API_VERSION
from cyphera_pipelines.sandbox.answers import answer
from cyphera_pipelines.sandbox.counters import SeenRequest
from cyphera_pipelines.sandbox.dataset import Dataset
from cyphera_pipelines.sandbox.endpoints import PERMISSIONS, Endpoint, find_endpoint
from cyphera_pipelines.sandbox.errors import (
    ProviderError,
    invalid_api_key,
    missing_permission,
    no_api_key,
    rate_limited,
    server_error,
    unrecognized_url,
)
from cyphera_pipelines.sandbox.options import Fault, FaultKind
from cyphera_pipelines.sandbox.serialization import to_bytes
from cyphera_pipelines.sandbox.state import SandboxState
from cyphera_pipelines.sandbox.webhooks.requests import answer_write

CLOSE_CONNECTION = "cyphera.close_connection"
"""The scope's entry that closes the connection at once, put there by our server."""

MOST_SENT = 100_000
"""Bytes of a request's body that are read."""

_JSON = "application/json"
_ACCOUNT_HEADERS = (b"stripe-account", b"stripe-context")
_PROXY_PAGE = (
    b"<html>\r\n<head><title>%(status)d</title></head>\r\n<body><center><h1>%(status)d</h1></center></body></html>\r\n"
)
_PROXY_STATUS = {FaultKind.ERROR_502: 502, FaultKind.ERROR_503: 503}
_CLOSING = {FaultKind.DROP, FaultKind.STALL, FaultKind.TRUNCATE}


def header_of(scope: Scope, wanted: bytes) -> str | None:
    """Return the value of a header, given in lower case; None if the request carries none."""
    return next((value.decode("latin-1") for name, value in scope["headers"] if name == wanted), None)


def api_key_of(scope: Scope) -> str | None:
    """Return the key that a request carries, as a Bearer token or as the user name of Basic auth."""
    header = header_of(scope, b"authorization") or ""
    scheme, _, credentials = header.partition(" ")
    if scheme.lower() == "bearer":
        return credentials.strip() or None
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(credentials, validate=True).decode().partition(":")[0] or None
        except (binascii.Error, UnicodeDecodeError):
            return None
    return None


def _page_size(query_string: str) -> int | None:
    values = parse_qs(query_string).get("limit", [""])
    return int(values[0]) if values[0].isdecimal() else None


def _lacks(missing: frozenset[str], endpoint: Endpoint) -> bool:
    """Whether a restricted key lacks what an endpoint asks for; `price`, `plan` and `rak_plan_read` name the same.

    `webhook` names both reading and writing, `webhook_write` writing only.
    """
    access = "_read" if endpoint.writes is None else "_write"
    names = {name.removeprefix("rak_").removesuffix(access).removesuffix("s") for name in missing}
    permission = PERMISSIONS[endpoint.name]
    return permission in names or (permission == "plan" and "price" in names)


def _limits_key(dataset: Dataset | None) -> str:
    return "" if dataset is None else f"{dataset.account.account_id}/{dataset.account.livemode}"


class ProviderApi:
    """An ASGI application."""

    def __init__(self, state: SandboxState) -> None:
        self._state = state
        # Request ids and jitter need not be repeatable: they depend on the order in which requests come in.
        self._random = random.Random()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        state = self._state
        method, path = scope["method"], scope["path"]
        query_string = scope["query_string"].decode("latin-1")
        endpoint = find_endpoint(method, path)
        template = endpoint.template if endpoint else f"{method} (unknown)"
        api_key = api_key_of(scope)
        dataset, refusal = self._open(scope, api_key)
        account_id = dataset.account.account_id if dataset else None
        state.counters.begin()
        told = _Once(lambda status: state.counters.end(SeenRequest(account_id, template, path, query_string, status)))
        try:
            fault = state.faults.choose(path, account_id, _page_size(query_string))
            if fault is not None:
                state.counters.by_fault[fault.kind] += 1
            with state.limits.on_its_way(_limits_key(dataset), template):
                on_arrival = state.options.limited_on_arrival
                refusal = refusal or (self._over_limit(dataset, template) if on_arrival else None)
                await self._wait()
                refusal = refusal or (None if on_arrival else self._over_limit(dataset, template))
            for watch in state.watchers:
                watch(template, query_string)
            headers = {
                "Content-Type": _JSON,
                "Request-Id": f"req_{self._random.getrandbits(56):014x}",
                "Stripe-Version": API_VERSION,
                "Cache-Control": "no-cache, no-store",
            }
            sent = await _body(receive) if endpoint is not None and endpoint.writes else b""
            status, body = self._response(
                scope, sent, query_string, endpoint, api_key, dataset, refusal, fault, headers
            )
            if fault is not None and fault.kind in _CLOSING:
                await self._break_off(fault, status, headers, body, scope, receive, send, told)
            else:
                # Before the answer: whoever has it may look at the counts.
                told(status)
                await _respond(send, status, headers, body)
        finally:
            told(0)

    def _open(self, scope: Scope, api_key: str | None) -> tuple[Dataset | None, ProviderError | None]:
        """What the request may read; or why it may not read the account that it names."""
        if not api_key:
            return None, None
        headers = dict(scope["headers"])
        account, context = (headers.get(name, b"").decode("latin-1") or None for name in _ACCOUNT_HEADERS)
        try:
            return self._state.opened(api_key, account, context), None
        except ProviderError as refusal:
            return None, refusal

    def _over_limit(self, dataset: Dataset | None, template: str) -> ProviderError | None:
        """Count the request against the limits of the account that it may read, and return what it breaks, if any."""
        if dataset is None:
            return None
        broken = self._state.limits.exceeded(_limits_key(dataset), template)
        return None if broken is None else rate_limited(broken, self._state.options.retry_after)

    async def _wait(self) -> None:
        options = self._state.options
        milliseconds = options.latency_ms
        if options.latency_jitter_ms:
            milliseconds += self._random.random() * options.latency_jitter_ms
        if milliseconds:
            await asyncio.sleep(milliseconds / 1_000)

    def _response(
        self, scope: Scope, sent: bytes, query_string: str, endpoint: Endpoint | None, api_key: str | None,
        dataset: Dataset | None, refusal: ProviderError | None, fault: Fault | None, headers: dict[str, str],
    ) -> tuple[int, bytes]:  # fmt: skip
        """Return status and body; add to the headers what goes with them."""
        if fault is not None and fault.kind in _PROXY_STATUS:
            status = _PROXY_STATUS[fault.kind]
            headers["Content-Type"] = "text/html"
            return status, _PROXY_PAGE % {b"status": status}
        try:
            if refusal is not None:
                raise refusal
            body = self._answer(scope, sent, query_string, endpoint, api_key, dataset, fault)
        except ProviderError as error:
            headers.update(error.headers)
            return error.status, to_bytes(error.body())
        if fault is not None and fault.kind is FaultKind.CUT_JSON:
            body = body[: len(body) // 2]
        return 200, body

    def _answer(
        self, scope: Scope, sent: bytes, query_string: str, endpoint: Endpoint | None, api_key: str | None,
        dataset: Dataset | None, fault: Fault | None,
    ) -> bytes:  # fmt: skip
        if not api_key:
            raise no_api_key()
        if dataset is None or (fault is not None and fault.kind is FaultKind.UNAUTHORIZED):
            raise invalid_api_key(api_key)
        account = dataset.account
        if endpoint is None:
            raise unrecognized_url(scope["method"], scope["path"])
        if fault is not None and fault.kind is FaultKind.RATE_LIMIT:
            raise rate_limited(fault.reason, fault.retry_after)
        if fault is not None and fault.kind is FaultKind.ERROR_500:
            raise server_error()
        missing = account.restricted_keys.get(api_key)
        is_forbidden = fault is not None and fault.kind is FaultKind.FORBIDDEN
        if is_forbidden or (missing and _lacks(missing, endpoint)):
            access = "read" if endpoint.writes is None else "write"
            raise missing_permission(api_key, account.account_id, PERMISSIONS[endpoint.name], access)
        if endpoint.writes is not None:
            return answer_write(dataset, endpoint, sent, header_of(scope, b"idempotency-key"))
        return answer(dataset, endpoint, query_string)

    async def _break_off(
        self, fault: Fault, status: int, headers: dict[str, str], body: bytes, scope: Scope, receive: Receive,
        send: Send, told: "_Once",
    ) -> None:  # fmt: skip
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
            told(status)
            await _start(send, status, headers, len(body))
            await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
            close()
        else:
            told(0)
            close()
        await _gone(receive)


class _Once:
    """Tells the first status that it is given, and no other."""

    def __init__(self, tell: Callable[[int], None]) -> None:
        self._tell: Callable[[int], None] | None = tell

    def __call__(self, status: int) -> None:
        tell, self._tell = self._tell, None
        if tell is not None:
            tell(status)


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


async def _start(send: Send, status: int, headers: dict[str, str], length: int) -> None:
    encoded = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    encoded.append((b"Content-Length", b"%d" % length))
    await send({"type": "http.response.start", "status": status, "headers": encoded})


async def _respond(send: Send, status: int, headers: dict[str, str], body: bytes) -> None:
    await _start(send, status, headers, len(body))
    await send({"type": "http.response.body", "body": body})
