"""Query strings as Stripe reads them: which parameters a list takes, and what they ask for."""

import operator
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from cyphera_pipelines.sandbox.serialization import JsonObject
from cyphera_pipelines.sandbox.stripe.errors import ProviderError, invalid_choice, invalid_integer, unknown_parameters
from cyphera_pipelines.sandbox.stripe.listing import DEFAULT_LIMIT, GREATEST_LIMIT

Matcher = Callable[[JsonObject], bool]
"""Says whether an object, given by its facts, belongs in the list."""

INVOICE_STATUSES = ("draft", "open", "paid", "uncollectible", "void")
COLLECTION_METHODS = ("charge_automatically", "send_invoice")
SUBSCRIPTION_STATUSES = (
    "active", "past_due", "unpaid", "canceled", "incomplete", "incomplete_expired", "trialing", "paused",
    "all", "ended",
)  # fmt: skip
ENDED_STATUSES = ("canceled", "incomplete_expired")
PRICE_TYPES = ("one_time", "recurring")

_FILTERS: dict[str, frozenset[str]] = {
    "customers": frozenset({"email", "test_clock"}),
    "products": frozenset({"active", "ids", "shippable", "type", "url"}),
    "prices": frozenset({"active", "product", "type", "currency", "lookup_keys", "recurring"}),
    "subscriptions": frozenset(
        {
            *("status", "customer", "price", "plan", "collection_method", "test_clock"),
            *("current_period_start", "current_period_end"),
        }
    ),
    "invoices": frozenset({"status", "customer", "subscription", "collection_method", "due_date"}),
    "events": frozenset({"type", "types"}),
    "lines": frozenset(),
    "test_clocks": frozenset(),
    "webhook_endpoints": frozenset(),
    "subscription_items": frozenset({"subscription"}),
    "payment_intents": frozenset({"customer"}),
    "charges": frozenset({"customer", "payment_intent"}),
    "refunds": frozenset({"charge", "payment_intent"}),
    "payment_methods": frozenset({"type"}),
    "sources": frozenset({"object"}),
    "external_accounts": frozenset({"object"}),
    "coupons": frozenset(),
    "tax_ids": frozenset(),
}
DEEPEST_EXPANSION = 4
_WITHOUT_CREATED = (
    *("lines", "subscription_items", "test_clocks", "webhook_endpoints"),
    *("payment_methods", "sources", "external_accounts", "tax_ids"),
)
_RANGED = ("current_period_start", "current_period_end", "due_date")
_COMPARISONS: dict[str, Callable[[int, int], bool]] = {
    "": operator.eq,
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}
_COMMON = frozenset({"limit", "starting_after", "ending_before", "expand"})
_CHOICES: dict[tuple[str, str], tuple[str, ...]] = {
    ("invoices", "status"): INVOICE_STATUSES,
    ("invoices", "collection_method"): COLLECTION_METHODS,
    ("subscriptions", "collection_method"): COLLECTION_METHODS,
    ("subscriptions", "status"): SUBSCRIPTION_STATUSES,
    ("prices", "type"): PRICE_TYPES,
}


@dataclass(slots=True)
class ListQuery:
    """A list request, read and checked. Cursors are ids still; times are Unix seconds, `created_before` exclusive."""

    limit: int = DEFAULT_LIMIT
    starting_after: str | None = None
    ending_before: str | None = None
    created_from: int | None = None
    created_before: int | None = None
    expand: list[str] = field(default_factory=list)
    filters: dict[str, Any] = field(default_factory=dict)
    ranges: list[tuple[str, Callable[[int, int], bool], int]] = field(default_factory=list)


def _integer(value: str, param: str) -> int:
    try:
        return int(value)
    except ValueError:
        raise invalid_integer(value, param) from None


def boolean(value: str, param: str) -> bool:
    """Return the truth that a parameter names. Raises ProviderError (400)."""
    if value not in ("true", "false"):
        raise ProviderError(400, f"Invalid boolean: {value}", param=param)
    return value == "true"


def _limit(value: str) -> int:
    limit = _integer(value, "limit")
    if limit < 1:
        message = "This value must be greater than or equal to 1."
    elif limit > GREATEST_LIMIT:
        message = f"This value must be less than or equal to {GREATEST_LIMIT} (it currently is '{limit}')."
    else:
        return limit
    raise ProviderError(400, message, code="parameter_invalid_integer", param="limit")


def _add_created(query: ListQuery, operator: str, value: str) -> None:
    param = f"created[{operator}]" if operator else "created"
    second = _integer(value, param)
    if operator in ("", "gt", "gte"):
        start = second + 1 if operator == "gt" else second
        query.created_from = start if query.created_from is None else max(query.created_from, start)
    if operator in ("", "lt", "lte"):
        end = second if operator == "lt" else second + 1
        query.created_before = end if query.created_before is None else min(query.created_before, end)


def _check_depth(path: str) -> None:
    if path.count(".") >= DEEPEST_EXPANSION:
        message = f"You cannot expand more than {DEEPEST_EXPANSION} levels of a property. Property: {path}"
        raise ProviderError(400, message, code="property_expansion_max_depth", param="expand")


def split_name(name: str) -> tuple[str, str]:
    """`created[gte]` is (`created`, `gte`); `expand[0]` and `expand[]` are (`expand`, `0`) and (`expand`, ``)."""
    root, bracket, rest = name.partition("[")
    return root, rest.removesuffix("]") if bracket else ""


def parse_list_query(name: str, query_string: str) -> ListQuery:
    """Read the query string of the list `name`. Raises ProviderError (400) for what Stripe refuses."""
    query = ListQuery()
    unknown: list[str] = []
    for parameter, value in parse_qsl(query_string, keep_blank_values=True):
        root, inner = split_name(parameter)
        if root == "limit":
            query.limit = _limit(value)
        elif root == "starting_after":
            query.starting_after = value
        elif root == "ending_before":
            query.ending_before = value
        elif root == "expand":
            _check_depth(value)
            query.expand.append(value)
        elif root == "created" and name not in _WITHOUT_CREATED and inner in ("", "gt", "gte", "lt", "lte"):
            _add_created(query, inner, value)
        elif root in _FILTERS[name]:
            _add_filter(query, name, root, inner, value)
        else:
            unknown.append(parameter)
    if unknown:
        raise unknown_parameters(unknown)
    if query.starting_after is not None and query.ending_before is not None:
        raise ProviderError(
            400,
            "You may only specify one of these parameters: ending_before, starting_after.",
            param="ending_before",
        )
    if name == "subscription_items" and "subscription" not in query.filters:
        raise ProviderError(
            400, "Missing required param: subscription.", code="parameter_missing", param="subscription"
        )
    return query


def _add_filter(query: ListQuery, name: str, root: str, inner: str, value: str) -> None:
    choices = _CHOICES.get((name, root))
    if choices is not None and value not in choices:
        raise invalid_choice(root, choices)
    if root in ("ids", "lookup_keys", "types"):
        query.filters.setdefault(root, []).append(value)
    elif root in _RANGED:
        if inner not in _COMPARISONS:
            raise unknown_parameters([f"{root}[{inner}]"])
        query.ranges.append((root, _COMPARISONS[inner], _integer(value, root)))
    elif root in ("active", "shippable"):
        query.filters[root] = boolean(value, root)
    elif root == "recurring":
        query.filters[f"recurring.{inner}"] = value
    else:
        query.filters[root] = value


def _type_matches(pattern: str, event_type: str) -> bool:
    return event_type.startswith(pattern[:-1]) if pattern.endswith("*") else event_type == pattern


def _in_range(name: str, compare: Callable[[int, int], bool], bound: int) -> Matcher:
    return lambda facts: facts.get(name) is not None and compare(facts[name], bound)


def matcher(name: str, query: ListQuery) -> Matcher | None:
    """Return the test that a list's objects must pass, or None if all do."""
    filters = dict(query.filters)
    status = filters.pop("status", None)
    prices = [filters.pop(key) for key in ("price", "plan") if key in filters]
    ids = filters.pop("ids", None)
    lookup_keys = filters.pop("lookup_keys", None)
    types = filters.pop("types", None)
    event_type = filters.pop("type", None) if name == "events" else None
    tests: list[Matcher] = []
    if name == "subscriptions" and status != "all":
        if status is None:
            tests.append(lambda facts: facts["status"] not in ENDED_STATUSES)
        elif status == "ended":
            tests.append(lambda facts: facts["status"] in ENDED_STATUSES)
        else:
            tests.append(lambda facts: facts["status"] == status)
    elif name == "invoices" and status is not None:
        tests.append(lambda facts: facts["status"] == status)
    if ids is not None:
        tests.append(lambda facts: facts["id"] in ids)
    if lookup_keys is not None:
        tests.append(lambda facts: facts["lookup_key"] in lookup_keys)
    if types is not None:
        tests.append(lambda facts: any(_type_matches(pattern, facts["type"]) for pattern in types))
    if event_type is not None:
        tests.append(lambda facts: _type_matches(event_type, facts["type"]))
    if prices:
        tests.append(lambda facts: all(price in facts["prices"] for price in prices))
    for name_of, compare, bound in query.ranges:
        tests.append(_in_range(name_of, compare, bound))
    if filters:
        tests.append(lambda facts: all(facts.get(key) == value for key, value in filters.items()))
    if not tests:
        return None
    return lambda facts: all(test(facts) for test in tests)
