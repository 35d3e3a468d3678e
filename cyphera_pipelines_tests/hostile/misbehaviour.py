"""Ways to misbehave: each returns a function of the wire that an answer is owed on."""

import gzip
import itertools
import json
import time
from email.utils import formatdate
from typing import Any

from cyphera_pipelines_tests.hostile.server import Misbehaviour, Wire

CHUNK = b'{"id": "endless"}, ' * 4_000
MEBIBYTE = 2**20


def never_answers() -> Misbehaviour:
    """The connection is taken, and nothing follows."""

    def serve(wire: Wire) -> None:
        while wire.pause(60.0):
            pass

    return serve


def slow_head(pause: float = 0.2) -> Misbehaviour:
    """The head comes a byte at a time, and never ends."""

    def serve(wire: Wire) -> None:
        wire.send(b"HTTP/1.1 200 OK\r\nX-Long: ")
        while wire.pause(pause):
            wire.send(b"x")

    return serve


def continues_for_ever(pause: float = 0.05) -> Misbehaviour:
    """The head is announced again and again, and never comes."""

    def serve(wire: Wire) -> None:
        while wire.pause(pause):
            wire.send(b"HTTP/1.1 100 Continue\r\n\r\n")

    return serve


def slow_body(pause: float = 0.2) -> Misbehaviour:
    """The body comes a byte at a time, and never ends."""

    def serve(wire: Wire) -> None:
        wire.send(wire.head({"Content-Type": "application/json", "Content-Length": "1000000"}))
        wire.send(b'{"data": [')
        while wire.pause(pause):
            wire.send(b" ")

    return serve


def endless_body(*, status: int = 200, location: str | None = None) -> Misbehaviour:
    """The body comes as fast as it can, and never ends."""

    def serve(wire: Wire) -> None:
        headers = {"Content-Type": "application/json", "Transfer-Encoding": "chunked"}
        wire.send(wire.head(headers | ({"Location": location} if location else {}), status))
        wire.send(_chunk(b'{"object": "list", "data": ['))
        while not wire.is_over.is_set():
            wire.send(_chunk(CHUNK))

    return serve


def gzip_bomb(mebibytes: int = 1_500) -> Misbehaviour:
    """A short body that is a long one once it is unpacked."""
    # Blocks of their own: a gzip file may have several members.
    block = gzip.compress(b" " * (16 * MEBIBYTE), 9)
    body = block * (mebibytes // 16)

    def serve(wire: Wire) -> None:
        wire.answer(body, {"Content-Encoding": "gzip"})

    return serve


def body(content: bytes, *, content_type: str = "application/json", status: int = 200, **headers: str) -> Misbehaviour:
    """Any body at all."""

    def serve(wire: Wire) -> None:
        wire.answer(content, {"Content-Type": content_type, **headers}, status)

    return serve


def html(status: int = 200) -> Misbehaviour:
    """A page for people."""
    return body(b"<!doctype html><html><body>Sign in</body></html>", content_type="text/html", status=status)


def json_value(value: Any, status: int = 200) -> Misbehaviour:
    """Another JSON value than the honest one."""
    return body(json.dumps(value).encode(), status=status)


def dated(date: float | str) -> Misbehaviour:
    """The honest answer with a clock that is so many seconds off, or with any text for a `Date`."""

    def serve(wire: Wire) -> None:
        header = date if isinstance(date, str) else formatdate(time.time() + date, usegmt=True)
        wire.answer(json.dumps(wire.honest).encode(), {"Date": header}, wire.status)

    return serve


def redirects(location: str = "http://127.0.0.1:9/elsewhere") -> Misbehaviour:
    """Another address is named."""
    return body(b"", status=302, Location=location)


def same_page_for_ever() -> Misbehaviour:
    """Whatever page is asked for, the first one comes, and there are more."""
    first: list[Any] = []

    def serve(wire: Wire) -> None:
        first[:] = first or wire.honest["data"]
        wire.answer(json.dumps({"object": "list", "data": first, "has_more": True}).encode())

    return serve


def new_objects_for_ever() -> Misbehaviour:
    """Pages of objects that nobody has seen yet, all of one moment, for ever."""
    first: list[Any] = []
    numbers = itertools.count(1)

    def serve(wire: Wire) -> None:
        first[:] = first or wire.honest["data"][:1]
        data = [{**obj, "id": f"new_{next(numbers)}"} for obj in first * 2]
        wire.answer(json.dumps({"object": "list", "data": data, "has_more": True}).encode())

    return serve


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)
