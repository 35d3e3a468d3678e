"""Query strings as Chargebee reads them: which parameters a list takes, and what they ask for."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf
from typing import Any
from urllib.parse import parse_qsl

from cyphera_pipelines.sandbox.chargebee.errors import unknown_parameter, wrong_value
from cyphera_pipelines.sandbox.chargebee.resources import BOOLEAN, ENUM, NUMBER, OPERATORS, TIME, Resource
from cyphera_pipelines.sandbox.serialization import JsonObject

DEFAULT_LIMIT = 10
GREATEST_LIMIT = 100
MOST_LINES = 300
LONGEST_OFFSET = 1_000
_NAME = re.compile(r"([a-z_]+)(?:\[([a-z_]+)\])?")
_SINGLE_QUOTED = re.compile(r"'([^']*)'")

Test = Callable[[JsonObject], bool]


@dataclass(slots=True)
class ListQuery:
    """A list request, read and checked.

    `order` is the field that it is sorted by, `tests` what the objects must pass. `bounds` are between which values the
    tests let times pass, both exclusive, by field: only that part of an order has to be looked at.
    """

    order: str
    is_ascending: bool
    limit: int = DEFAULT_LIMIT
    offset: str | None = None
    include_deleted: bool = False
    tests: list[Test] = field(default_factory=list)
    bounds: dict[str, tuple[float, float]] = field(default_factory=dict)
    line_items_limit: int | None = None
    shows_status: frozenset[str] = frozenset()
    filters: tuple[tuple[str, str], ...] = ()
    """What was asked for beside offset and limit, sorted: an offset is good for the same list only."""


def parse_list_query(resource: Resource, query_string: str) -> ListQuery:
    """Read the query string of a list. Raises ChargebeeError (400) for what Chargebee refuses."""
    query = ListQuery(resource.order, is_ascending=False)
    asked: list[tuple[str, str]] = []
    for name, value in parse_qsl(query_string, keep_blank_values=True):
        match = _NAME.fullmatch(name)
        if match is None:
            raise unknown_parameter(name)
        root, operator = match.group(1), match.group(2)
        if name == "limit":
            query.limit = _bounded(value, name, GREATEST_LIMIT)
            continue
        if name == "offset":
            if len(value) > LONGEST_OFFSET:
                raise wrong_value(name, f"cannot be longer than {LONGEST_OFFSET} characters")
            query.offset = value
            continue
        asked.append((name, value))
        if name == "include_deleted" and resource.takes_include_deleted:
            query.include_deleted = _boolean(value, name)
        elif root == "sort_by":
            _sort(query, resource, operator, value)
        elif name == "line_items_limit" and name in resource.also:
            query.line_items_limit = _bounded(value, name, MOST_LINES)
        elif name in resource.also:
            _old_time(query, name, _integer(value, name))
        elif operator is not None and root in resource.filters:
            _filter(query, resource, root, operator, value)
        else:
            raise unknown_parameter(name)
    query.filters = tuple(sorted(asked))
    return query


def _sort(query: ListQuery, resource: Resource, operator: str | None, value: str) -> None:
    if operator not in ("asc", "desc"):
        raise wrong_value("sort_by", "should be given as sort_by[asc] or sort_by[desc]")
    if value not in resource.sorts:
        raise wrong_value(f"sort_by[{operator}]", f"{resource.plural} cannot be sorted by {value}")
    query.order, query.is_ascending = value, operator == "asc"


def _filter(query: ListQuery, resource: Resource, name: str, operator: str, text: str) -> None:
    kind, param = resource.filters[name], f"{name}[{operator}]"
    if operator not in OPERATORS[kind]:
        raise unknown_parameter(param)
    if operator == "is_present":
        wanted = _boolean(text, param)
        query.tests.append(lambda whole: (_value(whole, name) is not None) is wanted)
        return
    if operator in ("in", "not_in"):
        values = frozenset(_list(text, param))
        if kind == ENUM and name == "status" and operator == "in":
            query.shows_status |= values
        is_in = operator == "in"
        query.tests.append(lambda whole: _any_in(_value(whole, name), values) is is_in)
        return
    if operator == "between":
        bounds = [_integer(part, param) for part in _list(text, param)]
        if len(bounds) != 2:
            raise wrong_value(param, "should hold two values")
        low, high = bounds
        _bound(query, name, low - 1, high + 1)
        query.tests.append(lambda whole: _is_between(_value(whole, name), low, high))
        return
    if kind in (NUMBER, TIME):
        compared = _integer(text, param)
        compare = _COMPARED[operator]
        if operator in ("after", "before"):
            _bound(query, name, *((compared, inf) if operator == "after" else (-inf, compared)))
        # Objects without a value pass no comparison: `updated_at[after]` hides those that have no updated_at.
        query.tests.append(lambda whole: _compares(_value(whole, name), compare, compared))
        return
    if kind == BOOLEAN:
        flag = _boolean(text, param)
        query.tests.append(lambda whole: bool(_value(whole, name)) is flag)
        return
    if name == "status" and operator == "is":
        query.shows_status |= {text}
    query.tests.append(_text_test(name, operator, text))


def _bound(query: ListQuery, name: str, above: float, below: float) -> None:
    known_above, known_below = query.bounds.get(name, (-inf, inf))
    query.bounds[name] = (max(known_above, above), min(known_below, below))


def _text_test(name: str, operator: str, text: str) -> Test:
    if operator == "starts_with":
        return lambda whole: str(_value(whole, name) or "").startswith(text)
    is_same = operator == "is"
    return lambda whole: _any_in(_value(whole, name), frozenset({text})) is is_same


_COMPARED: dict[str, Callable[[int, int], bool]] = {
    "is": lambda value, other: value == other,
    "is_not": lambda value, other: value != other,
    "lt": lambda value, other: value < other,
    "lte": lambda value, other: value <= other,
    "gt": lambda value, other: value > other,
    "gte": lambda value, other: value >= other,
    "after": lambda value, other: value > other,
    "before": lambda value, other: value < other,
    "on": lambda value, other: value // 86_400 == other // 86_400,
}


def _compares(value: Any, compare: Callable[[int, int], bool], other: int) -> bool:
    return isinstance(value, int) and compare(value, other)


def _is_between(value: Any, low: int, high: int) -> bool:
    return isinstance(value, int) and low <= value <= high


def _any_in(value: Any, wanted: frozenset[str]) -> bool:
    if isinstance(value, list):
        return any(each in wanted for each in value)
    return value in wanted


def _value(whole: JsonObject, name: str) -> Any:
    """The value of a filter's field; `item_price_id` and the like of a subscription are those of its items."""
    if name in ("item_price_id", "plan_id") and "subscription_items" in whole:
        items = [item["item_price_id"] for item in whole["subscription_items"]]
        return items if name == "item_price_id" else items[:1]
    return whole.get(name)


def _old_time(query: ListQuery, name: str, second: int) -> None:
    if name == "start_time":
        query.tests.append(lambda whole: bool(whole["occurred_at"] >= second))
    else:
        query.tests.append(lambda whole: bool(whole["occurred_at"] <= second))


def _list(text: str, param: str) -> list[str]:
    """The values of a list: `["a","b"]`, `['a', 'b']` as the Python client sends it, `[a,b]`, or one bare value."""
    try:
        parsed = json.loads(text)
    except ValueError:
        parsed = None
    if isinstance(parsed, list):
        return [str(each) for each in parsed]
    if text.startswith("[") and text.endswith("]"):
        quoted = _SINGLE_QUOTED.findall(text)
        return quoted or [part.strip() for part in text[1:-1].split(",") if part.strip()]
    if not text:
        raise wrong_value(param, "cannot be blank")
    return [text]


def _integer(text: str, param: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise wrong_value(param, "should be a number") from None


def _bounded(text: str, param: str, most: int) -> int:
    number = _integer(text, param)
    if not 1 <= number <= most:
        raise wrong_value(param, f"should be between 1 and {most}")
    return number


def _boolean(text: str, param: str) -> bool:
    if text not in ("true", "false"):
        raise wrong_value(param, "should be true or false")
    return text == "true"


def refuse_parameters(query_string: str, known: frozenset[str]) -> dict[str, str]:
    """Return the parameters of a request that is no list. Raises ChargebeeError for any but the known ones."""
    given = dict(parse_qsl(query_string, keep_blank_values=True))
    for name in given:
        if name not in known:
            raise unknown_parameter(name)
    return given
