"""What the page on adding a provider imagines: an HTTP server with one shop, its clients and goods."""

import hmac
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

KEY, SHOP, SECRET = "toy_key_0123456789abcdef", "acme-test", "toy_webhook_secret"
Json = dict[str, Any]


@dataclass
class Shop:
    """Its objects by kind and id, and what happened to them. Moments are whole seconds since 1970."""

    objects: dict[str, dict[str, Json]] = field(default_factory=lambda: {"clients": {}, "goods": {}})
    changes: list[Json] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def put(self, kind: str, obj: Json, at: int, *, is_told: bool = True) -> Json:
        """Let an object come to be or change, and return the event."""
        with self.lock:
            self.objects[kind][obj["id"]] = obj = {**obj, "changed": at}
            return self._note(kind, obj, at, gone=False, is_told=is_told)

    def remove(self, kind: str, object_id: str, at: int, *, is_told: bool = True) -> Json:
        """Let it go, and return the event."""
        with self.lock:
            return self._note(kind, self.objects[kind].pop(object_id), at, gone=True, is_told=is_told)

    def _note(self, kind: str, obj: Json, at: int, *, gone: bool, is_told: bool) -> Json:
        event = {
            "id": f"ev_{len(self.changes)}_{at}",
            "kind": kind,
            "at": at,
            "object": obj,
            "gone": gone,
            "live": False,
        }
        if is_told:
            self.changes.append(event)
        return event

    def answer(self, path: str, query: dict[str, str]) -> tuple[int, Json]:
        """What the API says."""
        with self.lock:
            self.asked.append(path)
            match path.strip("/").split("/"):
                case ["v1", "shop"]:
                    return 200, {"id": "shop_1", "name": "Acme"}
                case ["v1", "changes"]:
                    since = float(query["since"])
                    return 200, {"items": [event for event in self.changes if event["at"] >= since], "next": None}
                case ["v1", "clients" | "goods" as kind]:
                    return 200, self._page(kind, query)
                case ["v1", "clients" | "goods" as kind, object_id] if object_id in self.objects[kind]:
                    return 200, self.objects[kind][object_id]
        return 404, {}

    def _page(self, kind: str, query: dict[str, str]) -> Json:
        low, high = int(query.get("from", 0)), int(query.get("to", 2**40))
        found = list(self.objects[kind].values())
        if kind == "clients":
            found = sorted(found, key=lambda obj: (-obj["born"], obj["id"]))
            found = [obj for obj in found if low <= obj["born"] < high]
        else:
            found.sort(key=lambda obj: obj["id"])
        first, limit = int(query.get("after", 0)), int(query.get("limit", 100))
        following = first + limit
        return {"items": found[first:following], "next": str(following) if following < len(found) else None}


@contextmanager
def serving(shop: Shop) -> Iterator[str]:
    """Serve the shop; its address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            is_known = self.headers["Authorization"] == f"Bearer {KEY}" and self.headers["Shop"] == SHOP
            status, found = shop.answer(parts.path, dict(parse_qsl(parts.query))) if is_known else (401, {})
            body = json.dumps(found).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def signed(event: Json) -> tuple[bytes, dict[str, str]]:
    """The event as a webhook, with its headers."""
    body = json.dumps(event).encode()
    return body, {"Toypay-Signature": hmac.new(SECRET.encode(), body, "sha256").hexdigest()}
