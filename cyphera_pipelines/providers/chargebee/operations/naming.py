"""What new objects are called: Chargebee lets whoever makes one choose its id, so that it is found again by it.

The id follows from the idempotency key: the same write never makes two objects, however often it is sent, and whenever.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

NEW_ID = "{new id}"
"""Stands in a write's parameters for the id of what it makes."""
LONGEST_KEY = 90
"""Characters. Chargebee takes idempotency keys of 100."""
_ID_LENGTH = 24


def new_id(kind: str, key: str) -> str:
    """The id of the object of that kind which the write with that key makes."""
    return f"cy{hashlib.sha256(f'{kind}:{key}'.encode()).hexdigest()[:_ID_LENGTH]}"


def key_of_step(key: str, at: int) -> str:
    """The idempotency key of a write's how many-th request."""
    told = key if len(key) <= LONGEST_KEY else hashlib.sha256(key.encode()).hexdigest()
    return told if at == 0 else f"{told}.{at}"


def filled_in(value: Any, stands: Mapping[str, str]) -> Any:
    """The parameters with what stands for something else replaced by it."""
    if isinstance(value, str):
        return stands.get(value, value)
    if isinstance(value, Mapping):
        return {name: filled_in(item, stands) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [filled_in(item, stands) for item in value]
    return value
