"""Turning a provider's object into the values of a table, each checked against its column's kind."""

import re
from collections.abc import Callable, Collection
from typing import Any

from cyphera_pipelines.model.columns import Column, Kind, SyncedTable
from cyphera_pipelines.model.rows import Row
from cyphera_pipelines.providers.mapping.values import Getter

_DECIMAL = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,4})?", re.ASCII)
_INTEGER_BOUND = 2**63
_MOST_FITTING = 1_000
_EARLIEST, _LATEST = -62135596800, 253402300799  # the years 1 to 9999


class UnmappableValueError(Exception):
    """A value does not fit its column."""


def row_mapper(
    table: SyncedTable, getters: dict[str, Getter], always: Collection[str] = ()
) -> Callable[[dict[str, Any]], Row]:
    """A function that takes a table's row out of an object; it raises UnmappableValueError naming the column.

    `always` are columns that may be NULL and that this provider's objects fill: one without them is broken.
    """
    columns = table.columns
    unknown = set(getters) - {column.name for column in columns}
    assert not unknown, f"{table.name} has no columns {unknown}"
    required = [column.required or column.name in always for column in columns]
    names = [column.name for column in columns]  # a column without a getter holds the field of its own name
    taken = [(at, getters[name]) for at, name in enumerate(names) if name in getters]
    plain = [_PLAIN[column.kind] - ({_NONE} if must else set()) for column, must in zip(columns, required, strict=True)]
    whole = [at for at, column in enumerate(columns) if column.kind in (Kind.INTEGER, Kind.TIMESTAMP)]
    decimal = [at for at, column in enumerate(columns) if column.kind is Kind.NUMERIC]
    # The classes of the values of rows in which each one fits: a look at all of them is sooner done than at each.
    fitting = set[tuple[type, ...]]()

    def to_row(obj: dict[str, Any]) -> Row:
        values = list(map(obj.get, names))
        for at, get in taken:
            values[at] = get(obj)
        odd = [at for at in whole if (value := values[at]).__class__ is int and not _EARLIEST <= value <= _LATEST]
        for at in decimal:
            if values[at] is not None:
                values[at] = _numeric(values[at], columns[at])
        classes = tuple(map(type, values))
        if classes not in fitting:
            misfits = [at for at, value_class in enumerate(classes) if value_class not in plain[at]]
            if not misfits and len(fitting) < _MOST_FITTING:
                fitting.add(classes)
            odd += misfits
        for at in odd:
            value, column = values[at], columns[at]
            if value is not None:
                values[at] = _CHECKS[column.kind](value, column)
            elif required[at]:
                raise UnmappableValueError(f"`{column.name}` is missing")
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


_NONE = type(None)
# The classes whose values need no further look, but for whole numbers that are no moments, and decimal numbers.
_PLAIN: dict[Kind, set[type]] = {
    Kind.TEXT: {str, _NONE},
    Kind.INTEGER: {int, _NONE},
    Kind.BOOLEAN: {bool, _NONE},
    Kind.TIMESTAMP: {int, _NONE},
    Kind.NUMERIC: {str, _NONE},
    Kind.JSON: {dict, list, str, int, float, bool, _NONE},
}
_CHECKS: dict[Kind, Callable[[Any, Column], Any]] = {
    Kind.TEXT: _text,
    Kind.INTEGER: _integer,
    Kind.BOOLEAN: _boolean,
    Kind.TIMESTAMP: _timestamp,
    Kind.NUMERIC: _numeric,
    Kind.JSON: _json,
}
