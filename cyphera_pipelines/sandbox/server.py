"""Running the sandbox: in the foreground, or in a thread of this process."""

import asyncio
import ipaddress
import socket
import threading
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Self

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from cyphera_pipelines.sandbox.accounts import Account
from cyphera_pipelines.sandbox.app import app_for
from cyphera_pipelines.sandbox.options import SandboxOptions
from cyphera_pipelines.sandbox.provider_api import CLOSE_CONNECTION
from cyphera_pipelines.sandbox.state import SandboxState

_START_SECONDS = 20.0
_GRACE_SECONDS = 1
_BACKLOG = 2_048


class ClosableProtocol(AutoHTTPProtocol):  # type: ignore[misc, valid-type]
    """Uvicorn's HTTP protocol, which lets the application close its connection: faults need that."""

    app: ASGIApp

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Give the requests of this connection a way to end it."""
        super().connection_made(transport)
        application = self.app

        async def with_close(scope: Scope, receive: Receive, send: Send) -> None:
            scope[CLOSE_CONNECTION] = transport.close
            await application(scope, receive, send)

        self.app = with_close


class _Server(uvicorn.Server):
    """Uvicorn's server, telling when it answers."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start listening, then tell."""
        await super().startup(sockets)
        if self.started:
            self._on_ready()


def _listen(host: str, port: int) -> socket.socket:
    """Return a socket bound to a loopback address. Raises ValueError for any other address, OSError if it is taken."""
    address = "127.0.0.1" if host == "localhost" else host
    try:
        is_loopback = ipaddress.ip_address(address).is_loopback
    except ValueError:
        is_loopback = False
    if not is_loopback:
        raise ValueError(f"The sandbox has no authentication of its own and listens on loopback only, not on {host!r}.")
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((address, port))
        listening.listen(_BACKLOG)
    except OSError:
        listening.close()
        raise
    return listening


def _url(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _config(state: SandboxState) -> uvicorn.Config:
    return uvicorn.Config(
        app_for(state),
        http=ClosableProtocol,
        lifespan="off",
        ws="none",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        log_level=state.options.log_level,
        timeout_graceful_shutdown=_GRACE_SECONDS,
        timeout_keep_alive=75,
    )


def serve(
    accounts: Iterable[Account],
    options: SandboxOptions | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
    on_ready: Callable[[str], None] | None = None,
) -> None:
    """Run a sandbox until SIGINT or SIGTERM. `on_ready` is called with its URL once it answers; port 0 is any free one.

    Raises ValueError for a host that is not a loopback address, OSError if the port is taken.
    """
    state = SandboxState(accounts, options)
    with _listen(host, port) as listening:
        url = _url(listening)
        server = _Server(_config(state), lambda: on_ready(url) if on_ready else None)
        try:
            server.run(sockets=[listening])
        finally:
            state.close()


class SandboxServer:
    """A sandbox in a thread of this process, on a free port.

    A context manager; or call `start` and `stop`. `url` is where it answers, `state` the way to look into it and to
    change it without a request.
    """

    def __init__(
        self,
        accounts: Iterable[Account],
        options: SandboxOptions | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.state = SandboxState(accounts, options)
        self._address = (host, port)
        self._ready = threading.Event()
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None
        self.url = ""

    def start(self) -> Self:
        """Start answering. Raises OSError if the port is taken."""
        listening = _listen(*self._address)
        self.url = _url(listening)
        server = self._server = _Server(_config(self.state), self._ready.set)
        self._thread = threading.Thread(target=self._run, args=(server, listening), name="sandbox", daemon=True)
        self._thread.start()
        if not self._ready.wait(_START_SECONDS) or self._failure is not None:
            raise RuntimeError("the sandbox did not start") from self._failure
        return self

    def _run(self, server: _Server, listening: socket.socket) -> None:
        try:
            with listening:
                server.run(sockets=[listening])
        except BaseException as failure:  # the thread that waits in start() raises it
            self._failure = failure
            self._ready.set()

    def stop(self) -> None:
        """Stop answering; open connections are closed within about a second."""
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join(_START_SECONDS)
            self._server = self._thread = None
        self.state.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()
