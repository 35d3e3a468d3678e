"""What is kept of a whole object: its id, and its JSON as far as Postgres can hold it."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from cyphera_pipelines.model.json_text import to_json
from cyphera_pipelines.model.storable import LONGEST_ID, is_usable_id, storable
from cyphera_pipelines.providers.mapping.rows import UnmappableValueError


def to_storable(obj: dict[str, Any]) -> tuple[dict[str, Any], bytes, bool]:
    """The object and its JSON without what Postgres cannot hold, and whether anything had to be taken out."""
    # Lone surrogates, which UTF-8 cannot say, are taken out; whatever else cannot be written fails again below.
    with suppress(TypeError, ValueError):
        raw = to_json(obj)
        # Hardly any object holds a backslash, which is found sooner.
        if b"\\" not in raw or b"\\u0000" not in raw:
            return obj, raw, False
    clean = storable(obj)
    return clean, to_json(clean), clean != obj


def id_of(obj: Mapping[str, Any]) -> str:
    """The object's id; raises UnmappableValueError if it has none that is usable."""
    object_id = obj.get("id")
    if not isinstance(object_id, str) or not object_id:
        raise UnmappableValueError("`id` is missing")
    if not is_usable_id(object_id):
        raise UnmappableValueError(f"`id` holds characters that no id has, or more than {LONGEST_ID}")
    return object_id


def shown(value: Any) -> str:
    """A value as a message shows it."""
    return repr(value)[:80]
