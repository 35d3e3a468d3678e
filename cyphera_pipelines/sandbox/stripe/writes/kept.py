"""Objects that are kept one by one: payments, refunds, bank accounts and cards that requests made, and coupons."""

import secrets
from bisect import bisect_left
from copy import deepcopy

from cyphera_pipelines.sandbox.serialization import JsonObject, to_bytes

KEPT_KINDS = {
    "payment_intents": "payment_intent",
    "charges": "charge",
    "balance_transactions": "balance transaction",
    "refunds": "refund",
    "payment_methods": "payment_method",
    "sources": "source",
    "external_accounts": "external account",
    "coupons": "coupon",
}
"""The lists of such objects, and what errors call one of them."""


class KeptObjects:
    """One such list of one account, numbered from oldest to newest as pages need it. The data set's lock guards it."""

    def __init__(self) -> None:
        self._objects: list[JsonObject] = []
        self._created: list[int] = []
        self._numbers: dict[str, int] = {}
        self._deleted: set[int] = set()
        self.revision = 0
        """Another number after every change."""

    @property
    def count(self) -> int:
        """How many there ever were."""
        return len(self._objects)

    def first_at_or_after(self, second: int) -> int:
        """Return the number of the oldest object created at or after a time; `count` if there is none."""
        return bisect_left(self._created, second)

    def listed(self, number: int) -> bool:
        """Whether the object was not deleted."""
        return number not in self._deleted

    def number_of(self, identifier: str) -> int | None:
        """Return the number of an object, deleted or not; None if there never was one of this id."""
        return self._numbers.get(identifier)

    def whole(self, number: int) -> JsonObject:
        """Return an object."""
        return deepcopy(self._objects[number])

    def facts(self, number: int) -> JsonObject:
        """Return what the list can be filtered by."""
        return self._objects[number]

    def shown(self, number: int) -> JsonObject:
        """Return what `body` serialises: read it only."""
        obj = self._objects[number]
        return {field: value for field, value in obj.items() if field != "applies_to"} if "applies_to" in obj else obj

    def body(self, number: int) -> bytes:
        """Return an object as JSON."""
        return to_bytes(self.shown(number))

    def add(self, obj: JsonObject, created: int) -> None:
        """Add a new object, which is not older than the newest one."""
        self._numbers[obj["id"]] = len(self._objects)
        self._objects.append(obj)
        self._created.append(max(created, self._created[-1] if self._created else 0))
        self.revision += 1

    def put(self, obj: JsonObject) -> None:
        """Replace an object by another state of itself."""
        self._objects[self._numbers[obj["id"]]] = obj
        self.revision += 1

    def delete(self, identifier: str) -> None:
        """Remove an object from the lists."""
        self._deleted.add(self._numbers[identifier])
        self.revision += 1


def new_id(prefix: str) -> str:
    """Return an id that was never given, as in `new_id("pi_1")`."""
    return f"{prefix}{secrets.token_hex(12)}"
