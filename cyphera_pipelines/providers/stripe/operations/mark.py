"""The mark by which what a write has made is found again: its idempotency key, in the object's metadata."""

from collections.abc import Mapping
from typing import Any

from cyphera_pipelines.model.errors import InvalidInputError

MARK = "cyphera_write"
"""The name in the metadata. Whoever reads objects through us does not see it; at Stripe and in `raw` it is there."""
THE_KEY = "{key}"
"""Stands for the idempotency key, which is not known before the write is sent."""
MOST_METADATA = 50
LONGEST_NAME, LONGEST_VALUE = 40, 500


def marked(metadata: Mapping[str, str]) -> dict[str, str]:
    """The metadata of a new object, with the mark. Raises InvalidInputError for what Stripe would not take."""
    return {**checked_metadata(metadata, most=MOST_METADATA - 1), MARK: THE_KEY}


def checked_metadata(metadata: Mapping[str, str], most: int = MOST_METADATA) -> dict[str, str]:
    """The metadata as it is. Raises InvalidInputError for what Stripe would not take, and for our own mark."""
    if MARK in metadata:
        raise InvalidInputError(f"metadata may not hold {MARK}: by it what was made is found again. Leave it out.")
    if len(metadata) > most:
        raise InvalidInputError(f"metadata holds {len(metadata)} entries, and may hold {most}.")
    for name, value in metadata.items():
        if not name or len(name) > LONGEST_NAME or "[" in name or "]" in name:
            raise InvalidInputError(f"A name in metadata has 1 to {LONGEST_NAME} characters without brackets.")
        if len(value) > LONGEST_VALUE:
            raise InvalidInputError(f"metadata's {name} has {len(value)} characters, and may have {LONGEST_VALUE}.")
    return dict(metadata)


def has_mark(obj: Any, key: str) -> bool:
    """Whether the object was made by the write with that key."""
    metadata = obj.get("metadata") if isinstance(obj, Mapping) else None
    return isinstance(metadata, Mapping) and metadata.get(MARK) == key


def filled_in(value: Any, stands: Mapping[str, str]) -> Any:
    """The parameters with what the placeholders stand for; texts of people are left alone unless they are one."""
    if isinstance(value, str):
        return stands.get(value, value)
    if isinstance(value, Mapping):
        return {name: filled_in(each, stands) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [filled_in(each, stands) for each in value]
    return value
