"""A receiver of webhooks: a real HTTP server on loopback that keeps what it gets, and answers as it is told."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson

Answer = Callable[["Received"], int]
"""Which status a webhook is answered with."""

WITHIN = 120.0


@dataclass(frozen=True)
class Received:
    """One request. `signature` and `authorization` are the values of its headers, empty where it has none."""

    path: str
    body: bytes
    signature: str
    authorization: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def event(self) -> dict[str, Any]:
        event: dict[str, Any] = orjson.loads(self.body)
        return event


class Receiver:
    """What came in, in its order."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.answer: Answer = lambda _received: 200
        self.received: list[Received] = []

    @property
    def ids(self) -> list[str]:
        return [received.event["id"] for received in list(self.received)]


def wait_for(condition: Callable[[], Any], *, within: float = WITHIN) -> None:
    """Return once the condition holds; fail if it does not in time."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


@contextmanager
def receiving() -> Iterator[Receiver]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            signature, authorization = (self.headers.get(name, "") for name in ("Stripe-Signature", "Authorization"))
            received = Received(self.path, body, signature, authorization, dict(self.headers))
            status = receiver.answer(received)
            receiver.received.append(received)
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        receiver = Receiver(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()
