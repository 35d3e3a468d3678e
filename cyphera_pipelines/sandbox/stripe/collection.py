"""One collection of one account: a lazy base, and over it what was created, changed or deleted since."""

from bisect import bisect_left
from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable
from copy import deepcopy

from cyphera_pipelines.sandbox.serialization import JsonObject, to_bytes
from cyphera_pipelines.sandbox.stripe.discounts import with_ids
from cyphera_pipelines.sandbox.stripe.generate.catalog import NESTED_LISTS, Catalog, facts_of
from cyphera_pipelines.sandbox.stripe.generate.subscriptions import EMBEDDED

EXPANDED_ONLY = frozenset({"tiers", "currency_options", "tax_ids", "payments"})
"""Fields that are shown only to those who ask to expand them."""


class BodyCache:
    """The most recently served objects as JSON, up to a number of bytes."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._bodies: OrderedDict[Hashable, bytes] = OrderedDict()

    def get(self, key: Hashable) -> bytes | None:
        """Return an object's JSON if it is still here."""
        body = self._bodies.get(key)
        if body is not None:
            self._bodies.move_to_end(key)
        return body

    def put(self, key: Hashable, body: bytes) -> None:
        """Keep an object's JSON, dropping the least recently used ones where there is no room."""
        self._bodies[key] = body
        self._bytes += len(body)
        while self._bytes > self._most_bytes:
            _, dropped = self._bodies.popitem(last=False)
            self._bytes -= len(dropped)


class Collection:
    """Objects by number, oldest first. Numbers below `base_count` are generated, the rest were created later."""

    def __init__(self, name: str, catalog: Catalog, cache: BodyCache) -> None:
        self.name = name
        self.base_count = catalog.world.sizes[name]
        self._catalog = catalog
        self._cache = cache
        self._created_later: list[int] = []
        self._changed: dict[int, JsonObject] = {}
        self._revisions: Counter[int] = Counter()
        self._custom_ids: dict[str, int] = {}
        self._deleted: dict[int, str] = {}
        account = catalog.world.account
        self.has_test_clocks = bool(account.test_clock_share) and not account.livemode

    @property
    def count(self) -> int:
        """One past the greatest number in use."""
        return self.base_count + len(self._created_later)

    def created_at(self, number: int) -> int:
        """Return when an object was created, in Unix seconds; a later patch of its `created` does not move it."""
        if number < self.base_count:
            return self._catalog.world.created_at(self.name, number)
        return self._created_later[number - self.base_count]

    def first_at_or_after(self, second: int) -> int:
        """Return the number of the oldest object created at or after a time; `count` if there is none."""
        if self._created_later and (not self.base_count or second > self.created_at(self.base_count - 1)):
            return self.base_count + bisect_left(self._created_later, second)
        return self._catalog.world.timelines[self.name].first_at_or_after(second)

    def listed(self, number: int) -> bool:
        """Whether the object exists and was not deleted."""
        return number not in self._deleted

    def number_of(self, identifier: str) -> int | None:
        """Return the number of an object, deleted or not; None if there never was one of this id."""
        number = self._custom_ids.get(identifier)
        if number is None:
            number = self._catalog.world.number_of(self.name, identifier)
        return number if number is not None and number < self.count else None

    def whole(self, number: int) -> JsonObject:
        """Return an object with everything nested in it. Prices inside items may be shared: copy before changing."""
        changed = self._changed.get(number)
        return self.generate(number) if changed is None else deepcopy(changed)

    def body(self, number: int) -> bytes:
        """Return an object as a list shows it: ten nested elements at most, nothing that has to be expanded."""
        return self.kept_body(number, "", self.shown)

    def kept_body(self, number: int, form: str, make: Callable[[int], JsonObject]) -> bytes:
        """Return one of an object's forms as JSON. `form` names all that it follows from beside the object itself."""
        key = (self.name, number, self._revisions[number], form)
        body = self._cache.get(key)
        if body is None:
            # orjson shrinks a larger buffer in place, which leaves holes all over the heap: kept as they are, bodies
            # took three times their size (842 MB for 293 MB of them). A copy has its own size, and costs nothing.
            body = bytes(memoryview(to_bytes(make(number))))
            self._cache.put(key, body)
        return body

    def shown(self, number: int) -> JsonObject:
        """Return what `body` serialises. It may share parts with other objects: read it only."""
        built = self.embedded(number)
        if not EXPANDED_ONLY.isdisjoint(built):
            built = {field: value for field, value in built.items() if field not in EXPANDED_ONLY}
        return with_ids(self.name, built)

    def embedded(self, number: int) -> JsonObject:
        """Return the object with ten nested elements at most, and all that has to be expanded. Read it only."""
        changed = self._changed.get(number)
        return self._catalog.build(self.name, number) if changed is None else embed(self.name, changed)

    def facts(self, number: int) -> JsonObject:
        """Return what the list can be filtered by."""
        changed = self._changed.get(number)
        return self._catalog.facts(self.name, number) if changed is None else facts_of(changed)

    def create(self, created: int) -> int:
        """Make room for a new object and return its number. `created` must not be before the newest object's."""
        number = self.count
        self._created_later.append(created)
        self._catalog.world.created_later[self.name, number] = created
        return number

    def generate(self, number: int) -> JsonObject:
        """Return the generated form of an object, whole, whatever has been changed since."""
        return self._catalog.build(self.name, number, whole=True)

    def put(self, number: int, whole: JsonObject) -> None:
        """Replace an object by another state of itself."""
        self._changed[number] = whole
        self.has_test_clocks = self.has_test_clocks or whole.get("test_clock") is not None
        identifier = whole.get("id")
        if isinstance(identifier, str) and self._catalog.world.number_of(self.name, identifier) != number:
            self._custom_ids[identifier] = number
        self._revisions[number] += 1

    def delete(self, number: int, identifier: str) -> None:
        """Remove an object from the lists."""
        self._deleted[number] = identifier
        self._revisions[number] += 1

    def deleted_ids(self) -> list[str]:
        """Return the ids of the deleted objects, in the order of deletion."""
        return list(self._deleted.values())


def embed(name: str, whole: JsonObject) -> JsonObject:
    """Return a whole object as Stripe embeds it: the first ten elements of its nested list."""
    field = NESTED_LISTS.get(name)
    nested = whole.get(field) if field else None
    if field is None or not isinstance(nested, dict) or len(nested["data"]) <= EMBEDDED:
        return whole
    return {**whole, field: {**nested, "data": nested["data"][:EMBEDDED], "has_more": True}}
