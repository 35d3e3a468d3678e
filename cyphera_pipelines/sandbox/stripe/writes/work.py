"""One request's work in one account: finding objects, putting them where they are listed, making provider events."""

import time
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from cyphera_pipelines.sandbox.serialization import JsonObject
from cyphera_pipelines.sandbox.stripe.changes import EVENT_PREFIXES, snapshot_of
from cyphera_pipelines.sandbox.stripe.collection import Collection
from cyphera_pipelines.sandbox.stripe.errors import no_such
from cyphera_pipelines.sandbox.stripe.events import EventLog, previous_attributes
from cyphera_pipelines.sandbox.stripe.writes.kept import KEPT_KINDS, KeptObjects

_KINDS = {name: name.removesuffix("s") for name in EVENT_PREFIXES} | KEPT_KINDS
_EVENTS = {**EVENT_PREFIXES, "payment_intents": "payment_intent", "charges": "charge", "refunds": "refund",
           "payment_methods": "payment_method", "sources": "customer.source",
           "external_accounts": "account.external_account"}  # fmt: skip
MISSING_IN_PATH = "id"


@dataclass
class Work:
    """What one request does. `key` is its idempotency key, which its provider events tell."""

    account_id: str
    livemode: bool
    collections: Mapping[str, Collection]
    kept: Mapping[str, KeptObjects]
    events: EventLog
    key: str | None
    now: int = field(default_factory=lambda: int(time.time()))

    def find(self, name: str, identifier: str, param: str = MISSING_IN_PATH) -> JsonObject:
        """Return an object, whole, to be changed at will. Raises ProviderError for one that is not there.

        `param` is the parameter that names it; the path, if none does.
        """
        source = self._source(name)
        number = source.number_of(identifier)
        if number is None or not source.listed(number):
            raise no_such(_KINDS[name], identifier, param, 404 if param == MISSING_IN_PATH else 400)
        return deepcopy(source.whole(number))

    def every(self, name: str, **wanted: Any) -> list[JsonObject]:
        """Return the objects whose fields have these values, newest first."""
        source = self._source(name)
        numbers = (number for number in range(source.count - 1, -1, -1) if source.listed(number))
        return [
            source.whole(number)
            for number in numbers
            if all(source.facts(number).get(field) == value for field, value in wanted.items())
        ]

    def make(self, name: str, obj: JsonObject, verb: str | None = "created") -> JsonObject:
        """Add a new object; its `created` is set if it has none. Without a verb nobody is told."""
        source = self._source(name)
        if isinstance(source, KeptObjects):
            source.add(obj, self.now)
        else:
            newest = source.created_at(source.count - 1) if source.count else 0
            number = source.create(max(self.now, newest))
            obj["created"] = source.created_at(number)
            source.put(number, obj)
        self.tell(name, obj, verb)
        return obj

    def change(self, name: str, after: JsonObject, verb: str | None = "updated") -> JsonObject:
        """Replace an object by another state of itself."""
        source = self._source(name)
        number = source.number_of(after["id"])
        assert number is not None
        before = source.whole(number)
        if isinstance(source, KeptObjects):
            source.put(after)
        else:
            source.put(number, after)
        self.tell(name, after, verb, before if verb == "updated" else None)
        return after

    def remove(self, name: str, obj: JsonObject, verb: str | None = "deleted") -> JsonObject:
        """Remove an object from the lists; return what is said of it then."""
        source = self._source(name)
        if isinstance(source, KeptObjects):
            source.delete(obj["id"])
        else:
            number = source.number_of(obj["id"])
            assert number is not None
            source.delete(number, obj["id"])
        self.tell(name, obj, verb)
        return {"id": obj["id"], "object": obj["object"], "deleted": True}

    def tell(self, name: str, obj: JsonObject, verb: str | None, before: JsonObject | None = None) -> None:
        """Make a provider event about an object."""
        if verb is None:
            return
        snapshot = snapshot_of(name, obj)
        previous = None if before is None else previous_attributes(snapshot_of(name, before), snapshot)
        self.events.record(f"{_EVENTS[name]}.{verb}", snapshot, self.now, previous, self.key)

    def _source(self, name: str) -> Collection | KeptObjects:
        return self.kept[name] if name in self.kept else self.collections[name]
