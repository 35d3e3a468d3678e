"""Writing JSON values that came from elsewhere."""

import json
from typing import Any

import orjson


def to_json(value: Any) -> bytes:
    """The value as compact UTF-8 JSON with sorted keys, whole numbers of any size included.

    Raises TypeError or ValueError for what JSON or UTF-8 cannot say, and for what nests more deeply than 254 levels.
    """
    try:
        # A copy: orjson leaves what it wrote in the buffer that it had grown for it, five times a page's rows.
        return bytes(memoryview(orjson.dumps(value, option=orjson.OPT_SORT_KEYS)))
    except TypeError as error:
        if "exceeds 64-bit" not in str(error):
            raise
    return json.dumps(value, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")).encode()
