"""Reading objects: one by its id, or a page of a list with its filters and its offset."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

from cyphera_pipelines.model.errors import InvalidInputError
from cyphera_pipelines.model.storable import is_usable_id
from cyphera_pipelines.providers.base import (
    ListPage,
    ListParameters,
    ObjectGoneError,
    ObjectKind,
    Operation,
    ProviderError,
    Told,
    UnsupportedError,
)
from cyphera_pipelines.providers.chargebee.lists import ListReader
from cyphera_pipelines.providers.chargebee.resources import is_deleted
from cyphera_pipelines.providers.chargebee.transport import ChargebeeTransport, object_path

NAME = "chargebee"
GREATEST_LIMIT = 100
Item = TypeVar("Item")
Mapper = Callable[[Any], Item]
Filter = Callable[[str], Mapping[str, str]]
"""What a filter of ours is in Chargebee's words, for the value that is given."""


def is_word(name: str) -> Filter:
    """The field is the value."""
    return lambda value: {f"{name}[is]": value}


def is_in_words(name: str, words: Mapping[str, str]) -> Filter:
    """The field is one of those words of theirs that mean the value, which is one of ours."""

    def translate(value: str) -> Mapping[str, str]:
        theirs = [their for their, our in words.items() if our == value]
        if not theirs:
            raise InvalidInputError(
                f"There is no status {value!r}: choose from {', '.join(sorted({*words.values()}))}."
            )
        return {f"{name}[in]": json.dumps(theirs)}

    return translate


def is_active(value: str) -> Mapping[str, str]:
    """Whether the object can be bought."""
    if value not in ("true", "false"):
        raise InvalidInputError("active is true or false.")
    return {"status[is]": "active" if value == "true" else "archived"}


class Reader:
    """Reads one site's objects."""

    def __init__(self, transport: ChargebeeTransport) -> None:
        self._transport = transport
        self._lists = ListReader(transport)

    def one(self, plural: str, name: str, object_id: str, to_item: Mapper[Item]) -> Told[Item]:
        """The object called `name` of that id. Raises ObjectGoneError for one that is not there, or was deleted."""
        obj = self.raw(plural, name, object_id)
        return Told(to_item(obj), obj)

    def raw(self, plural: str, name: str, object_id: str) -> dict[str, Any]:
        """The object as Chargebee tells it. Raises as `one` does."""
        operation = f"reading {object_id} of {plural}"
        path = object_path(plural, checked_id(object_id))
        obj = self._transport.get(path, {}, operation, endpoint=f"one of {plural}").get(name)
        if not isinstance(obj, dict) or obj.get("id") != object_id:
            raise ProviderError(f"Chargebee's answer to {operation} is not that object.")
        if is_deleted(obj):
            raise ObjectGoneError(f"{object_id} of {plural} was deleted at Chargebee.")
        return obj

    def page(
        self,
        kind: ObjectKind,
        plural: str,
        name: str,
        parameters: ListParameters,
        to_item: Mapper[Item],
        *,
        axis: str | None,
        filters: Mapping[str, Filter],
        fixed: Mapping[str, str] | None = None,
    ) -> ListPage[Item]:
        """A page of a list: newest first by `axis`, or by id where the list tells no moment of creation.

        `fixed` goes with every request of the list.
        """
        if not 1 <= parameters.limit <= GREATEST_LIMIT:
            raise InvalidInputError(f"limit is 1 to {GREATEST_LIMIT}, not {parameters.limit}.")
        if parameters.ending_before is not None:
            raise UnsupportedError(NAME, kind, Operation.LIST, f"list {kind.value} backwards, with ending_before,")
        asked: dict[str, Any] = {"sort_by[asc]": "id"} if axis is None else {"sort_by[desc]": axis}
        asked |= {**(fixed or {}), **_between(kind, parameters, axis), **_filtered(parameters, filters)}
        if parameters.ids:
            asked["id[in]"] = json.dumps([checked_id(each) for each in parameters.ids])
        page = self._lists.page(
            plural, name, asked, f"listing {plural}", offset=parameters.starting_after, limit=parameters.limit
        )
        return ListPage(tuple(to_item(obj) for obj in page.objects), next_cursor=page.next_offset)

    def some(self, plural: str, name: str, asked: Mapping[str, Any], operation: str, *, moment: str) -> list[Any]:
        """The objects of a list, newest first: of a short one, read to its end."""
        pages = self._lists.pages(plural, name, asked, operation, moment=moment, newest_first=True)
        return [obj for page in pages for obj in page]

    def first(self, plural: str, name: str, operation: str) -> Any:
        """The first object of a list; None of an empty one."""
        return next(iter(self._lists.page(plural, name, {}, operation, limit=1).objects), None)


def checked_id(object_id: str) -> str:
    """The id. Raises InvalidInputError for what cannot be one."""
    if not is_usable_id(object_id):
        raise InvalidInputError("An id of an object at Chargebee has 1 to 255 characters, and no control characters.")
    return object_id


def _between(kind: ObjectKind, parameters: ListParameters, axis: str | None) -> dict[str, int]:
    after, before = parameters.created_after, parameters.created_before
    if axis is None and (after is not None or before is not None):
        raise UnsupportedError(NAME, kind, Operation.LIST, f"list {kind.value} by when they were made")
    asked = dict[str, int]()
    if after is not None:
        asked[f"{axis}[after]"] = seconds_of(after) - 1
    if before is not None:
        asked[f"{axis}[before]"] = seconds_of(before)
    return asked


def _filtered(parameters: ListParameters, filters: Mapping[str, Filter]) -> dict[str, str]:
    asked = dict[str, str]()
    for name, value in parameters.filters.items():
        if name not in filters:
            raise InvalidInputError(f"This list cannot be filtered by {name}: choose from {', '.join(filters)}.")
        asked |= filters[name](value)
    return asked


def seconds_of(moment: datetime) -> int:
    """Seconds since 1970; without an offset it is UTC."""
    return int((moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp())
