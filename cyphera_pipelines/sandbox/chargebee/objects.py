"""The objects of a site by resource, and what is kept of every change: its moment, its version, its event."""

import time
from collections.abc import Iterable

from cyphera_pipelines.sandbox.chargebee.events import EventLog
from cyphera_pipelines.sandbox.chargebee.resources import RESOURCES
from cyphera_pipelines.sandbox.chargebee.shelf import Shelf
from cyphera_pipelines.sandbox.chargebee.sites import ChargebeeSite
from cyphera_pipelines.sandbox.serialization import JsonObject

_IN_A_LIST = {"credit_notes": "credit_notes"}
"""The resources that events tell as lists."""


class SiteObjects:
    """The shelves of one site. The site's lock guards them."""

    def __init__(self, site: ChargebeeSite, objects: Iterable[tuple[str, JsonObject]], events: EventLog) -> None:
        self.site = site
        self.events = events
        self._shelves = {name: Shelf(resource) for name, resource in RESOURCES.items() if name != "events"}
        self._version = 0
        for name, whole in objects:
            self._shelves[name].add(whole)

    @property
    def names(self) -> tuple[str, ...]:
        """The paths of the resources."""
        return tuple(self._shelves)

    def shelf(self, name: str) -> Shelf:
        """Return the objects of a resource. Raises KeyError for an unknown one."""
        return self._shelves[name]

    def find(self, name: str, identifier: str) -> JsonObject | None:
        """Return an object, deleted or not; None if there never was one of this id."""
        shelf = self._shelves[name]
        return shelf.get(identifier) if identifier in shelf else None

    def add(self, name: str, whole: JsonObject, at: int | None = None) -> JsonObject:
        """Keep a new object, with its moment and version, and return it. Raises ValueError if its id is taken."""
        stamped = self._stamped(whole, at)
        self._shelves[name].add(stamped)
        return stamped

    def put(self, name: str, whole: JsonObject, at: int | None = None) -> JsonObject:
        """Keep another state of an object, with its moment and version, and return it."""
        return self.replace(name, whole["id"], whole, at)

    def replace(self, name: str, identifier: str, whole: JsonObject, at: int | None = None) -> JsonObject:
        """As `put`, for an object that is said by its id so far."""
        stamped = self._stamped(whole, at)
        shelf = self._shelves[name]
        shelf.put(shelf.place_of(identifier), stamped)
        return stamped

    def tell(
        self, event_type: str, told: Iterable[tuple[str, JsonObject]], at: int | None = None, source: str = "api"
    ) -> JsonObject:
        """Record the event of a change that touched these objects, each given with its resource's path; return it."""
        content: JsonObject = {}
        for name, whole in told:
            if name in _IN_A_LIST:
                content.setdefault(_IN_A_LIST[name], []).append(whole)
            else:
                content[RESOURCES[name].singular] = whole
        return self.events.record(event_type, content, int(time.time()) if at is None else at, source)

    def _stamped(self, whole: JsonObject, at: int | None) -> JsonObject:
        """The object as changed `at` (Unix seconds; default now). Versions grow with every change of the site."""
        moment = time.time() if at is None else at
        before = whole.get("resource_version")
        known = before if isinstance(before, int) else 0
        self._version = max(int(moment * 1_000), known + 1, self._version + 1 if at is None else 0)
        return {**whole, "updated_at": int(moment), "resource_version": self._version}
