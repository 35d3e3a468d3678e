"""Pages of lists, and the offsets that lead from one to the next."""

import hmac
import json
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from math import inf
from typing import NamedTuple

from cyphera_pipelines.sandbox.chargebee.errors import wrong_value
from cyphera_pipelines.sandbox.chargebee.query import ListQuery
from cyphera_pipelines.sandbox.chargebee.shelf import Key, Shelf, is_hidden
from cyphera_pipelines.sandbox.serialization import JsonObject

_SEAL_DIGITS = 16


class Page(NamedTuple):
    """The places of a page's objects, in the order in which they are shown, and the offset of the next page."""

    places: list[int]
    next_offset: str | None


class Offsets:
    """Makes the offsets of one site and reads them: where a list goes on, sealed against whatever else.

    An offset names the last object shown and its value in the list's order, as Chargebee's do. So an object that
    changes while it is listed by `updated_at` moves to the end and comes once more; none is passed over.
    """

    def __init__(self, secret: str, length: int) -> None:
        self._secret = secret.encode()
        self._length = length

    def make(self, shelf: Shelf, query: ListQuery, key: Key) -> str:
        """Return the offset of what follows an object."""
        value, place = key
        told = [str(value * 1_000 if isinstance(value, int) else value), str(220_000_000 + place)]
        return self._padded([*told, self._seal(shelf, query, told)])

    def read(self, shelf: Shelf, query: ListQuery, offset: str) -> Key:
        """Return the key that an offset stands for. Raises ChargebeeError for one that this list never gave."""
        refusal = wrong_value("offset", "invalid value")
        try:
            parts = json.loads(offset)
        except ValueError:
            raise refusal from None
        if not (isinstance(parts, list) and len(parts) in (3, 4) and all(isinstance(part, str) for part in parts)):
            raise refusal
        value, place, seal = parts[:3]
        if not hmac.compare_digest(seal.encode(), self._seal(shelf, query, [value, place]).encode()):
            raise refusal
        return (value if query.order in ("id", "name") else int(value) // 1_000, int(place) - 220_000_000)

    def _seal(self, shelf: Shelf, query: ListQuery, told: list[str]) -> str:
        what = (shelf.resource.plural, query.order, query.is_ascending, query.filters, told)
        return hmac.new(self._secret, repr(what).encode(), "sha256").hexdigest()[:_SEAL_DIGITS]

    def _padded(self, parts: list[str]) -> str:
        offset = json.dumps(parts, separators=(",", ":"))
        missing = self._length - len(offset) - 3
        return offset if missing <= 0 else json.dumps([*parts, "x" * missing], separators=(",", ":"))


def page(
    shelf: Shelf, query: ListQuery, offsets: Offsets, is_seen: Callable[[JsonObject], bool] = lambda _whole: True
) -> Page:
    """Return a page of those objects that the query asks for. Raises ChargebeeError for a forged offset."""
    in_order = shelf.in_order(query.order)
    above, below = query.bounds.get(query.order, (-inf, inf))
    low, high = 0, len(in_order)
    if query.order in query.bounds:
        above, below = query.bounds[query.order]
        low, high = bisect_right(in_order, (above, inf)), bisect_left(in_order, (below, -inf))
    if query.offset is not None:
        key = offsets.read(shelf, query, query.offset)
        if query.is_ascending:
            low = max(low, bisect_right(in_order, key))
        else:
            high = min(high, bisect_left(in_order, key))
    found: list[int] = []
    last: Key | None = None
    positions = range(low, high) if query.is_ascending else range(high - 1, low - 1, -1)
    needs_whole = bool(query.tests) or shelf.resource.hides is not None or shelf.resource.plural == "events"
    for position in positions:
        key = in_order[position]
        if needs_whole and not _belongs(shelf, query, shelf.whole(key[1]), is_seen):
            continue
        if len(found) == query.limit:
            return Page(found, None if last is None else offsets.make(shelf, query, last))
        found.append(key[1])
        last = key
    return Page(found, None)


def _belongs(shelf: Shelf, query: ListQuery, whole: JsonObject, is_seen: Callable[[JsonObject], bool]) -> bool:
    if is_hidden(shelf.resource, whole) and not query.include_deleted and "deleted" not in query.shows_status:
        return False
    return is_seen(whole) and all(test(whole) for test in query.tests)
