"""Reading JSON as a provider may send it: also what orjson rightly refuses, and nothing that Postgres cannot hold."""

import json
import math
import re
from collections.abc import Iterator
from typing import Any

import orjson

DEEPEST = 100
"""Levels of nesting: no object of a provider's has a quarter of them, and what goes through them calls itself."""

_MOST_DIGITS = 4_000
_TOKENS = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{}:,]', re.DOTALL)


class NotJsonError(ValueError):
    """This is not JSON, or only its beginning."""


class TooDeepError(NotJsonError):
    """This may be JSON, but nests too deeply to be read."""


def parse_json(body: bytes | str) -> Any:
    """The JSON value; raises NotJsonError or TooDeepError.

    Lone surrogates and whole numbers of up to 4,000 digits are read. Numbers that are none (NaN, infinities, and what
    is too large) are texts.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        pass
    try:
        return json.loads(body, parse_constant=str, parse_float=_float, parse_int=_int)
    except RecursionError:
        raise TooDeepError("it nests too deeply") from None
    except ValueError:
        raise NotJsonError("it is not JSON") from None


class NestsTooDeeply:
    """Stands where a value nests too deeply. It can be written nowhere, so that nobody takes it for what was sent."""

    def __repr__(self) -> str:
        """What people read."""
        return "(what nests too deeply)"


def parse_clipped(body: bytes) -> Any:
    """Like `parse_json`, but with `NestsTooDeeply` in place of whatever does, so that the rest can be read."""
    try:
        return json.loads(_clipped(body), parse_constant=_constant, parse_float=_float, parse_int=_int)
    except ValueError:
        raise NotJsonError("it is not JSON") from None


def is_too_deep(value: Any) -> bool:
    """Whether a JSON value nests more deeply than `DEEPEST`."""
    level = [value]
    for _depth in range(DEEPEST):
        level = [
            item
            for each in level
            if isinstance(each, dict | list)
            for item in (each.values() if isinstance(each, dict) else each)
        ]
        if not level:
            return False
    return True


def first_id_in_list(beginning: bytes) -> str | None:
    """The id of the first object in a list's `data`, from the beginning of an answer that cannot be read as a whole."""
    path: list[bytes] = []
    key, is_value = b"", False
    for token in _tokens(beginning):
        if token in (b"{", b"["):
            path.append(key if token == b"{" else key + b"[")
            key, is_value = b"", False
        elif token in (b"}", b"]"):
            if len(path) == 3 and path[1] == b'"data"[':
                return None
            path = path[:-1]
            key, is_value = b"", False
        elif token == b":":
            is_value = True
        elif token == b",":
            key, is_value = b"", False
        elif is_value and key == b'"id"' and path == [b"", b'"data"[', b""]:
            found = parse_json(token)
            return str(found)
        else:
            key = token
    return None


def _tokens(text: bytes) -> Iterator[bytes]:
    for match in _TOKENS.finditer(text):
        yield match.group()


def _clipped(body: bytes) -> bytes:
    """The text with the constant `-Infinity` in place of what lies deeper than `DEEPEST`."""
    parts, depth, kept = list[bytes](), 0, 0
    for match in _TOKENS.finditer(body):
        if match.group() in (b"[", b"{"):
            depth += 1
            if depth == DEEPEST + 1:
                parts += (body[kept : match.start()], b"-Infinity")
        elif match.group() in (b"]", b"}"):
            if depth == DEEPEST + 1:
                kept = match.end()
            depth -= 1
    return b"".join([*parts, body[kept:]]) if depth <= DEEPEST else b""


def _constant(name: str) -> str | NestsTooDeeply:
    return NestsTooDeeply() if name == "-Infinity" else name


def _float(digits: str) -> float | str:
    number = float(digits)
    return number if math.isfinite(number) else digits


def _int(digits: str) -> int | str:
    return int(digits) if len(digits) <= _MOST_DIGITS else digits
