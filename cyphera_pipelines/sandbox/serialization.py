"""JSON in and out, for objects that orjson alone would refuse."""

import json
from typing import Any

import orjson

JsonObject = dict[str, Any]


def to_bytes(value: Any) -> bytes:
    """Serialise to compact JSON. A lone surrogate, which UTF-8 cannot carry, comes out as its escape."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return json.dumps(value, separators=(",", ":")).encode()


def from_bytes(text: bytes) -> Any:
    """Parse JSON, lone surrogate escapes included. Raises ValueError."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return json.loads(text)
