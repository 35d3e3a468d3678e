"""Reading objects: one by its id, or a page of a list with its filters and cursors."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import quote

from cyphera_pipelines.model.errors import InvalidInputError
from cyphera_pipelines.model.storable import is_usable_id
from cyphera_pipelines.providers.base import (
    ListPage,
    ListParameters,
    ObjectGoneError,
    ProviderError,
    RefusedRequestError,
    Told,
)
from cyphera_pipelines.providers.stripe.errors import UnprovenAbsenceError
from cyphera_pipelines.providers.stripe.paging import entries_of
from cyphera_pipelines.providers.stripe.transport import StripeTransport

GREATEST_LIMIT = 100
_EXPAND = "expand[]"
Item = TypeVar("Item")
Mapper = Callable[[Any], Item]
Filters = Mapping[str, str]
"""Our names of a list's filters, and Stripe's: `due_date[gte]` holds a moment, and `lookup_keys[]` several values."""


def path_of(*parts: str) -> str:
    """The path of an API's address, as in `path_of("customers", "cus_1")`."""
    return "/v1/" + "/".join(quote(part, safe="") for part in parts)


class Reader:
    """Reads one account's objects."""

    def __init__(self, transport: StripeTransport) -> None:
        self._transport = transport

    def raw(self, path: str, parameters: Mapping[str, Any], operation: str, *, endpoint: str) -> dict[str, Any]:
        """One answer, whatever it holds. Where the server does not know an expansion, the answer comes without any."""
        try:
            return self._transport.get(path, parameters, operation, endpoint=endpoint)
        except RefusedRequestError as error:
            if _EXPAND not in parameters or "expand" not in str(error):
                raise
        plain = {name: value for name, value in parameters.items() if name != _EXPAND}
        return self._transport.get(path, plain, operation, endpoint=endpoint)

    def one(self, kind: str, object_id: str, to_item: Mapper[Item], expand: Sequence[str] = ()) -> Told[Item]:
        """The object at `/v1/<kind>/<id>`. Raises ObjectGoneError for one that is not there, or was deleted."""
        return self.one_at(path_of(kind, checked_id(object_id)), kind, object_id, to_item, expand)

    def one_at(
        self, path: str, kind: str, object_id: str, to_item: Mapper[Item], expand: Sequence[str] = ()
    ) -> Told[Item]:
        """The object at that path. Raises ObjectGoneError for one that is not there, or was deleted."""
        operation = f"reading {object_id} of {kind}"
        parameters = {_EXPAND: tuple(expand)} if expand else {}
        try:
            answer = self.raw(path, parameters, operation, endpoint=f"one of {kind}")
        except UnprovenAbsenceError:
            raise ObjectGoneError(f"Stripe has nothing for {operation}.") from None
        if answer.get("deleted") is True:
            raise ObjectGoneError(f"{object_id} of {kind} was deleted at Stripe.")
        if answer.get("id") != object_id:
            raise ProviderError(f"Stripe's answer to {operation} is not that object.")
        return Told(to_item(answer), answer)

    def page(
        self,
        path: str,
        kind: str,
        parameters: ListParameters,
        to_item: Mapper[Item],
        *,
        filters: Filters,
        fixed: Mapping[str, Any] | None = None,
        ids_name: str | None = None,
        expand: Sequence[str] = (),
    ) -> ListPage[Item]:
        """A page of the list at that path, newest first.

        `fixed` goes with every request of the list; what is asked for goes before it. `ids_name` is Stripe's parameter
        for ids, where the list has one: otherwise each of them is read by itself.
        """
        check(parameters)
        if parameters.ids and ids_name is None:
            return self._by_id(path, kind, parameters, to_item, expand)
        asked: dict[str, Any] = {**(fixed or {}), **_filters(parameters.filters, filters), "limit": parameters.limit}
        if expand:
            asked[_EXPAND] = tuple(f"data.{name}" for name in expand)
        if parameters.ids:
            asked[f"{ids_name}[]"] = parameters.ids
        for name, moment in (("created[gte]", parameters.created_after), ("created[lt]", parameters.created_before)):
            if moment is not None:
                asked[name] = _seconds(moment)
        cursors = {"starting_after": parameters.starting_after, "ending_before": parameters.ending_before}
        asked |= {name: cursor for name, cursor in cursors.items() if cursor is not None}
        operation = f"listing {kind}"
        answer = self.raw(path, asked, operation, endpoint=kind)
        entries = entries_of(answer, operation)
        items = tuple(to_item(entry) for entry in entries)
        return _with_cursors(items, entries, parameters, has_more=answer.get("has_more") is True)

    def _by_id(
        self, path: str, kind: str, parameters: ListParameters, to_item: Mapper[Item], expand: Sequence[str]
    ) -> ListPage[Item]:
        others = (parameters.starting_after, parameters.ending_before, parameters.created_after)
        if parameters.filters or parameters.created_before or any(each is not None for each in others):
            raise InvalidInputError(f"{kind} are listed either by ids or by anything else. Leave out one of both.")
        found = list[Item]()
        for object_id in parameters.ids[: parameters.limit]:
            place = f"{path}/{quote(checked_id(object_id), safe='')}"
            try:
                found.append(self.one_at(place, kind, object_id, to_item, expand).item)
            except ObjectGoneError:
                continue
        return ListPage(tuple(found))


def check(parameters: ListParameters) -> None:
    """Raise InvalidInputError for what no list takes."""
    if not 1 <= parameters.limit <= GREATEST_LIMIT:
        raise InvalidInputError(f"limit is 1 to {GREATEST_LIMIT}, not {parameters.limit}.")
    if parameters.starting_after is not None and parameters.ending_before is not None:
        raise InvalidInputError(
            "A list goes on after one object or before one. Leave out starting_after or ending_before."
        )
    if len(parameters.ids) > GREATEST_LIMIT:
        raise InvalidInputError(f"{len(parameters.ids)} ids are more than the {GREATEST_LIMIT} that may be asked for.")


def checked_id(object_id: str) -> str:
    """The id. Raises InvalidInputError for what cannot be one."""
    if not is_usable_id(object_id):
        raise InvalidInputError("An id of an object at Stripe has 1 to 255 characters, and no control characters.")
    return object_id


def _with_cursors(
    items: tuple[Item, ...], entries: Sequence[Any], parameters: ListParameters, *, has_more: bool
) -> ListPage[Item]:
    if not entries:
        return ListPage(items)
    first, last = (entry.get("id") if isinstance(entry, Mapping) else None for entry in (entries[0], entries[-1]))
    if parameters.ending_before is not None:
        return ListPage(items, next_cursor=last, previous_cursor=first if has_more else None)
    is_first_page = parameters.starting_after is None
    return ListPage(items, next_cursor=last if has_more else None, previous_cursor=None if is_first_page else first)


def _filters(given: Mapping[str, str], known: Filters) -> dict[str, Any]:
    asked = dict[str, Any]()
    for name, value in given.items():
        if name not in known:
            takes = f"It can be filtered by {', '.join(known)}." if known else "It has no filters."
            raise InvalidInputError(f"This list cannot be filtered by {name}. {takes}")
        theirs = known[name]
        if theirs.endswith(("[gte]", "[lt]")):
            asked[theirs] = _moment(name, value)
        elif theirs.endswith("[]"):
            asked[theirs] = tuple(part.strip() for part in value.split(",") if part.strip())
        else:
            asked[theirs] = value
    return asked


def _moment(name: str, value: str) -> int:
    """Seconds since 1970, given as such or as an ISO 8601 moment; without an offset it is UTC."""
    if value.isdecimal() and value.isascii() and len(value) < 12:
        return int(value)
    try:
        return _seconds(datetime.fromisoformat(value))
    except ValueError:
        raise InvalidInputError(f"{name} is a moment, as in 2026-01-31T00:00:00Z.") from None


def _seconds(moment: datetime) -> int:
    return int((moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp())
