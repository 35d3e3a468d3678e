"""Turning a provider's object into the values of a table, each checked against its column's kind."""

import re
from collections.abc import Callable, Collection
from typing import Any

from cyphera_pipelines.model.columns import Column, Kind, SyncedTable
from cyphera_pipelines.model.rows import Row
from cyphera_pipelines.providers.mapping.values import Getter

_DECIMAL = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,4})?", re.ASCII)
_INTEGER_BOUND = 2**63
_EARLIEST, _LATEST = -62135596800, 253402300799  # the years 1 to 9999


class UnmappableValueError(Exception):
    """A value does not fit its column."""


def row_mapper(
    table: SyncedTable, getters: dict[str, Getter], always: Collection[str] = ()
) -> Callable[[dict[str, Any]], Row]:
    """A function that takes a table's row out of an object; it raises UnmappableValueError naming the column.

    `always` are columns that may be NULL and that this provider's objects fill: one without them is broken.
    """
    unknown = set(getters) - {column.name for column in table.columns}
    assert not unknown, f"{table.name} has no columns {unknown}"
    # A column without a getter holds the field of its own name: looking it up here saves half of all calls.
    steps = [
        (column, column.required or column.name in always, getters.get(column.name), _PLAIN[kind], _CHECKS[kind])
        for column, kind in ((column, column.kind) for column in table.columns)
    ]

    def to_row(obj: dict[str, Any]) -> Row:
        values: list[Any] = []
        add, field = values.append, obj.get
        for column, is_required, get, plain, check in steps:
            value = field(column.name) if get is None else get(obj)
            if value is not None:
                if value.__class__ is not plain:
                    value = check(value, column)
            elif is_required:
                raise UnmappableValueError(f"`{column.name}` is missing")
            add(value)
        return tuple(values)

    return to_row


def _misfit(value: Any, column: Column, wanted: str) -> UnmappableValueError:
    shown = repr(value)
    return UnmappableValueError(f"`{column.name}` should be {wanted}, not {shown[:80]}")


def _text(value: Any, column: Column) -> str:
    if value.__class__ is str:
        return str(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    raise _misfit(value, column, "a text")


def _integer(value: Any, column: Column) -> int:
    if value.__class__ is float and value.is_integer():
        value = int(value)
    if value.__class__ is not int or not -_INTEGER_BOUND <= value < _INTEGER_BOUND:
        raise _misfit(value, column, "a whole number of 64 bits")
    return int(value)


def _boolean(value: Any, column: Column) -> bool:
    if value.__class__ is not bool:
        raise _misfit(value, column, "true or false")
    return bool(value)


def _timestamp(value: Any, column: Column) -> int:
    if value.__class__ is float and value.is_integer():
        value = int(value)
    if value.__class__ is not int or not _EARLIEST <= value <= _LATEST:
        raise _misfit(value, column, "a moment in seconds since 1970")
    return int(value)


def _numeric(value: Any, column: Column) -> str:
    text = str(value) if value.__class__ in (int, float) else value
    if text.__class__ is not str or not _DECIMAL.fullmatch(text):
        raise _misfit(value, column, "a decimal number")
    return str(text)


def _json(value: Any, _column: Column) -> Any:
    return value


# The class whose values need no further look.
_PLAIN: dict[Kind, type | None] = {
    Kind.TEXT: str,
    Kind.INTEGER: None,
    Kind.BOOLEAN: bool,
    Kind.TIMESTAMP: None,
    Kind.NUMERIC: None,
    Kind.JSON: dict,
}
_CHECKS: dict[Kind, Callable[[Any, Column], Any]] = {
    Kind.TEXT: _text,
    Kind.INTEGER: _integer,
    Kind.BOOLEAN: _boolean,
    Kind.TIMESTAMP: _timestamp,
    Kind.NUMERIC: _numeric,
    Kind.JSON: _json,
}
