"""A small provider of customers, over real HTTP: it knows idempotency keys, and can be told to misbehave.

Objects have Stripe's shape, so that they can be mapped. Every request may be cut off before or after it was carried
out, or be answered with an error afterwards.
"""

import json
import random
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass
class Misbehaviour:
    """How likely each fault is, of 1."""

    cut_before: float = 0.0
    cut_after: float = 0.0
    fail_after: float = 0.0
    refuse_reads: float = 0.0


@dataclass
class Ledger:
    """What the server holds. `made` counts how often each key made an object: never more than once, if all is well."""

    url: str = ""
    customers: dict[str, dict[str, Any]] = field(default_factory=dict)
    answers: dict[str, tuple[int, dict[str, Any]]] = field(default_factory=dict)
    made: dict[str, int] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)
    misbehaves: Misbehaviour = field(default_factory=Misbehaviour)
    dice: random.Random = field(default_factory=lambda: random.Random(7))
    lock: threading.Lock = field(default_factory=threading.Lock)
    stalls: threading.Event = field(default_factory=threading.Event)
    """Set while writes are answered at once; cleared, they wait before they are carried out."""
    arrived: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    forgets_keys: bool = False

    def count(self, method: str) -> int:
        """How many requests of the method came."""
        return sum(each == method for each, _path in self.requests)


@contextmanager
def serving_ledger() -> Iterator[Ledger]:
    """Serve on a free loopback port until the context is left."""
    ledger = Ledger()
    ledger.stalls.set()
    handler = type("LedgerHandler", (_Handler,), {"ledger": ledger})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    ledger.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield ledger
    finally:
        ledger.stalls.set()
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    ledger: Ledger

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Be quiet."""

    def do_GET(self) -> None:
        self._note()
        if self.ledger.dice.random() < self.ledger.misbehaves.refuse_reads:
            self._answer(503, {"code": "busy"})
            return
        asked = urlsplit(self.path)
        parts = asked.path.strip("/").split("/")
        answer: tuple[int, dict[str, Any]]
        with self.ledger.lock:
            if len(parts) == 1:
                wanted = {name: values[0] for name, values in parse_qs(asked.query).items()}
                customers = self.ledger.customers.values()
                found = [each for each in customers if wanted.get("key") in (None, *each["_keys"])]
                found = [each for each in found if wanted.get("email") in (None, each.get("email"))]
                answer = 200, {"data": [_shown(each) for each in found]}
            else:
                customer = self.ledger.customers.get(parts[1])
                answer = (404, {"code": "missing"}) if customer is None else (200, _shown(customer))
        self._answer(*answer)

    def do_POST(self) -> None:
        self._write()

    def do_DELETE(self) -> None:
        self._write()

    def _write(self) -> None:
        self._note()
        length = int(self.headers.get("Content-Length") or 0)
        body: dict[str, Any] = json.loads(self.rfile.read(length)) if length else {}
        key, ledger = self.headers["Idempotency-Key"], self.ledger
        ledger.arrived.release()
        ledger.stalls.wait(60)
        with ledger.lock:
            misbehaves, rolled = ledger.misbehaves, ledger.dice.random()
            if rolled < misbehaves.cut_before:
                self._cut()
                return
            if key not in ledger.answers or ledger.forgets_keys:
                ledger.answers[key] = self._carry_out(key, body)
            status, answer = ledger.answers[key]
        rolled -= misbehaves.cut_before
        if rolled < misbehaves.cut_after:
            self._cut()
        elif rolled < misbehaves.cut_after + misbehaves.fail_after:
            self._answer(500, {"code": "broken"})
        else:
            self._answer(status, answer)

    def _carry_out(self, key: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        customers, parts = self.ledger.customers, self.path.strip("/").split("/")
        if body.get("email") == "declined@example.com":
            return 402, {"code": "card_declined", "message": "The card was declined."}
        if body.get("email") == "wrong":
            return 400, {"code": "email_invalid", "message": "This is no address.", "field": "email"}
        if len(parts) == 2:
            customer = customers.get(parts[1])
            if customer is None:
                return 404, {"code": "resource_missing", "message": "There is no such customer."}
            customer["_keys"].append(key)
            if self.command == "DELETE":
                return 200, {"id": customers.pop(parts[1])["id"], "deleted": True}
            customer.update(body)
            return 200, _shown(customer)
        self.ledger.made[key] = self.ledger.made.get(key, 0) + 1
        object_id = f"cus_{len(customers) + 1:06d}x"
        made = {"id": object_id, "object": "customer", "livemode": False, "_keys": [key]}
        customers[object_id] = {**made, "created": int(time.time()), "metadata": {}, **body}
        return 200, _shown(customers[object_id])

    def _note(self) -> None:
        with self.ledger.lock:
            self.ledger.requests.append((self.command, self.path))

    def _answer(self, status: int, answer: dict[str, Any]) -> None:
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _cut(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)


def _shown(customer: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in customer.items() if not name.startswith("_")}
