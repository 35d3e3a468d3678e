"""Reading an answer, within bounds, and telling whether it is what was asked for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cyphera_pipelines.providers.http.attempt import Attempt
from cyphera_pipelines.providers.http.failures import Failure, other_answer, unreadable_body
from cyphera_pipelines.providers.http.json_text import NotJsonError, TooDeepError, parse_clipped, parse_json

MEBIBYTE = 2**20
LARGEST_ANSWER = 8 * MEBIBYTE
"""Bytes of an answer's body, unpacked. A page of 100 invoices with ten lines each has one to three million."""

_PIECE = 256 * 1024
"""Bytes that are read at once. In pieces of 10 KB, as `requests` reads by itself, a page of invoices takes 40."""


@dataclass(frozen=True)
class Answer:
    """A response, whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class TooLargeError(Exception):
    """There is more of a body than we read. `beginning` is what was read."""

    def __init__(self, beginning: bytes) -> None:
        super().__init__()
        self.beginning = beginning


def read_body(stream: Any, attempt: Attempt) -> bytes:
    """Read and unpack a response's body, a `urllib3.HTTPResponse`. Never more of it is held than `LARGEST_ANSWER`."""
    pieces, size = list[bytes](), 0
    while piece := stream.read(_PIECE, decode_content=True):
        pieces.append(piece)
        size += len(piece)
        if size > LARGEST_ANSWER:
            # Nobody can use its connection again.
            stream.close()
            raise TooLargeError(pieces[0])
        attempt.received(stream.tell())
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def read_answer(body: bytes, content_type: str | None, operation: str, provider: str) -> dict[str, Any] | Failure:
    """The JSON object that a body holds. One that is cut off may be whole next time; anything else will not be."""
    try:
        value = _parsed(body)
    except NotJsonError:
        beginning = body[:64].lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
        if beginning in (b"{", b""):
            return unreadable_body(operation, provider)
        return other_answer(operation, "is no JSON", content_type, provider)
    if isinstance(value, dict):
        return value
    return other_answer(operation, f"is JSON, but no object: it is {_kind_of(value)}", content_type, provider)


def _parsed(body: bytes) -> Any:
    try:
        return parse_json(body)
    except TooDeepError:
        return parse_clipped(body)


def _kind_of(value: Any) -> str:
    names = {list: "a list", str: "a text", bool: "true or false", int: "a number", float: "a number"}
    return names.get(type(value), "null")
