"""The server: answers like Stripe, unless it was told to misbehave at the path."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

from cyphera_pipelines_tests.hostile.account import HonestAccount, Json


@dataclass(frozen=True)
class Asked:
    """One request: its path as it stands in the address, decoded, and its query."""

    path: str
    query: Mapping[str, list[str]]

    def first(self, name: str) -> str | None:
        """The first value of a parameter."""
        return next(iter(self.query.get(name, [])), None)


@dataclass
class Wire:
    """The connection on which an answer is owed. `is_over` is set when the server stops or the client has gone."""

    asked: Asked
    honest: Json
    status: int
    is_over: threading.Event
    _write: Callable[[bytes], Any]

    def send(self, data: bytes) -> None:
        """Put raw bytes on the wire."""
        try:
            self._write(data)
        except OSError:
            self.is_over.set()

    def pause(self, seconds: float) -> bool:
        """Wait; False if nobody listens any more."""
        return not self.is_over.wait(seconds) and not self.is_over.is_set()

    def head(self, headers: Mapping[str, str], status: int = 200) -> bytes:
        """A response's head."""
        lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    def answer(self, body: bytes, headers: Mapping[str, str] | None = None, status: int = 200) -> None:
        """A whole response."""
        plain = {"Content-Type": "application/json", "Content-Length": str(len(body))}
        self.send(self.head({**plain, **(headers or {})}, status) + body)


Misbehaviour = Callable[[Wire], None]


@dataclass
class _Told:
    pattern: str
    how: Misbehaviour
    times: int | None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, provider: "HostileProvider", port: int) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.provider = provider

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up are what this server is for."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.provider.serve(self)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self.server.provider.serve(self)

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


@dataclass
class HostileProvider:
    """A context in which the server runs in threads of this process. `asked` are the requests so far."""

    account: HonestAccount = field(default_factory=HonestAccount)
    port: int = 0
    asked: list[Asked] = field(default_factory=list)
    _told: list[_Told] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __enter__(self) -> Self:
        self._closing = threading.Event()
        self._server = _Server(self, self.port)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def misbehave(self, path: str, how: Misbehaviour, *, times: int | None = None) -> None:
        """From now on, or so many times, requests whose path fits the pattern are answered by `how`.

        The newest word on a path counts, as in `misbehave("/v1/customers/*", misbehaviour.html())`.
        """
        with self._lock:
            self._told.insert(0, _Told(path, how, times))

    def behave(self) -> None:
        """From now on, everything is answered as it should be."""
        with self._lock:
            self._told.clear()

    def paths(self) -> list[str]:
        """The paths that were asked for so far."""
        return [each.path for each in self.asked]

    def serve(self, handler: _Handler) -> None:
        """Answer one request."""
        parts = urlsplit(handler.path)
        asked = Asked(unquote(parts.path, errors="surrogateescape"), parse_qs(parts.query))
        self.asked.append(asked)
        status, honest = self.honest_answer(asked)
        wire = Wire(asked, honest, status, self._closing, handler.wfile.write)
        how = self._told_of(asked.path)
        if how is not None:
            handler.close_connection = True
            wire.is_over = _Either(self._closing)
            how(wire)
            return
        wire.answer(self.account.as_body(honest), {"Date": handler.date_time_string()}, status)

    def honest_answer(self, asked: Asked) -> tuple[int, Any]:
        """The status and the JSON value that the provider would answer with."""
        return self.account.answer(asked.path, asked.query)

    def _told_of(self, path: str) -> Misbehaviour | None:
        with self._lock:
            for told in self._told:
                if fnmatchcase(path, told.pattern) and told.times != 0:
                    told.times = None if told.times is None else told.times - 1
                    return told.how
        return None


class _Either(threading.Event):
    """Set by itself, or with the other one."""

    def __init__(self, other: threading.Event) -> None:
        super().__init__()
        self._other = other

    def is_set(self) -> bool:
        return super().is_set() or self._other.is_set()

    def wait(self, timeout: float | None = None) -> bool:
        return super().is_set() or self._other.wait(timeout)
