"""Small functions that take one value out of a provider's object."""

from collections.abc import Callable
from typing import Any

Getter = Callable[[dict[str, Any]], Any]


def field(name: str) -> Getter:
    """The value of a field; None if it is missing."""

    def get(obj: dict[str, Any]) -> Any:
        return obj.get(name)

    return get


def path(*names: str) -> Getter:
    """The value at the end of a path of nested fields; None if any part is missing or null."""

    def get(obj: Any) -> Any:
        for name in names:
            if obj.__class__ is not dict:
                return None
            obj = obj.get(name)
        return obj

    return get


def first(*getters: Getter) -> Getter:
    """The first value that is there: fields move from version to version."""

    def get(obj: dict[str, Any]) -> Any:
        for getter in getters:
            value = getter(obj)
            if value is not None:
                return value
        return None

    return get


def currency(*names: str) -> Getter:
    """A currency code in lower case."""
    get_value = path(*names)

    def get(obj: dict[str, Any]) -> Any:
        value = get_value(obj)
        return value.lower() if isinstance(value, str) else value

    return get
