"""What Postgres text and jsonb cannot hold: NUL characters and lone surrogates."""

import re
from typing import Any, TypeGuard

LONGEST_ID = 255
"""Characters of an id, as many as any provider promises at most. A parent's and a child's together fit into an
index."""
_USABLE_ID = re.compile(rf"[^\x00-\x1f\x7f\ud800-\udfff]{{1,{LONGEST_ID}}}")
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def storable(value: Any) -> Any:
    """The JSON value without NUL characters, and with U+FFFD for each lone surrogate, in keys as in values."""
    if isinstance(value, str):
        return _LONE_SURROGATE.sub("\ufffd", value.replace("\x00", ""))
    if isinstance(value, dict):
        return {storable(key): storable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [storable(item) for item in value]
    return value


def is_usable_id(value: Any) -> TypeGuard[str]:
    """Whether the JSON value can name an object: a text of bounded length that can be stored and asked for as it is."""
    return isinstance(value, str) and _USABLE_ID.fullmatch(value) is not None
