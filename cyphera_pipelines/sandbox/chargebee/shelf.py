"""The objects of one resource of a site, and the orders in which lists show them."""

from bisect import bisect_left, insort
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from cyphera_pipelines.sandbox.chargebee.resources import Resource
from cyphera_pipelines.sandbox.serialization import JsonObject, from_bytes, to_bytes

Key = tuple[Any, int]
"""Where an object stands in an order: its value there, then its place on the shelf."""


@dataclass(slots=True)
class _Kept:
    """An object as JSON, and its values in each order."""

    body: bytes
    values: tuple[Any, ...]


class Shelf:
    """The objects of one resource by place, oldest first; deleted ones stay. The site's lock guards it.

    Objects are kept as JSON: a site of a hundred thousand invoices fits into memory so, and most are only ever sent.
    """

    def __init__(self, resource: Resource) -> None:
        self.resource = resource
        self.orders = tuple(dict.fromkeys((resource.order, *resource.sorts)))
        self._kept: list[_Kept] = []
        self._places: dict[str, int] = {}
        self._sorted: dict[str, list[Key]] = {order: [] for order in self.orders}
        self._is_sorted = True

    def __len__(self) -> int:
        return len(self._kept)

    def __contains__(self, identifier: object) -> bool:
        return identifier in self._places

    def add(self, whole: JsonObject) -> int:
        """Add an object and return its place. Raises ValueError if there is one of that id."""
        identifier = whole["id"]
        if identifier in self._places:
            raise ValueError(f"there is a {self.resource.singular} {identifier}")
        place = self._places[identifier] = len(self._kept)
        self._kept.append(_Kept(to_bytes(whole), self._values(whole)))
        for order, value in zip(self.orders, self._kept[place].values, strict=True):
            # A site's first objects are sorted all at once, when the first list is asked for.
            if self._is_sorted and place:
                insort(self._sorted[order], (value, place))
            else:
                self._sorted[order].append((value, place))
                self._is_sorted = False
        return place

    def put(self, place: int, whole: JsonObject) -> None:
        """Replace an object by another state of itself; in lists that are sorted by what changed, it moves."""
        self._sort()
        kept, values = self._kept[place], self._values(whole)
        for order, before, after in zip(self.orders, kept.values, values, strict=True):
            if before != after:
                in_order = self._sorted[order]
                del in_order[bisect_left(in_order, (before, place))]
                insort(in_order, (after, place))
        self._kept[place] = _Kept(to_bytes(whole), values)

    def place_of(self, identifier: str) -> int:
        """Return the place of an object, deleted or not. Raises KeyError."""
        return self._places[identifier]

    def get(self, identifier: str) -> JsonObject:
        """Return an object, deleted or not. Raises KeyError."""
        return self.whole(self._places[identifier])

    def whole(self, place: int) -> JsonObject:
        """Return the object at a place."""
        found: JsonObject = from_bytes(self._kept[place].body)
        return found

    def body(self, place: int) -> bytes:
        """Return the object at a place as JSON."""
        return self._kept[place].body

    def all(self) -> Iterator[JsonObject]:
        """Yield every object, deleted ones too, oldest first."""
        for place in range(len(self._kept)):
            yield self.whole(place)

    def in_order(self, order: str) -> list[Key]:
        """Return the places in an order, lowest first; objects without a value there come first."""
        self._sort()
        return self._sorted[order]

    def _sort(self) -> None:
        if not self._is_sorted:
            for in_order in self._sorted.values():
                in_order.sort()
            self._is_sorted = True

    def _values(self, whole: JsonObject) -> tuple[Any, ...]:
        return tuple(self._value(whole, order) for order in self.orders)

    def _value(self, whole: JsonObject, order: str) -> Any:
        value = whole.get(order)
        if order in ("id", "name"):
            return str(value or "")
        return value if isinstance(value, int) else 0


def is_hidden(resource: Resource, whole: JsonObject) -> bool:
    """Whether a list leaves an object out unless it is asked for deleted ones."""
    if resource.hides == "status":
        return whole.get("status") == "deleted"
    return resource.hides is not None and bool(whole.get("deleted"))
