"""All that one site holds, and the ways to look at it and to change it from outside the API."""

import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from cyphera_pipelines.sandbox.change import Change
from cyphera_pipelines.sandbox.chargebee.changes import Changer
from cyphera_pipelines.sandbox.chargebee.events import EventLog
from cyphera_pipelines.sandbox.chargebee.generate.oddities import POISONS
from cyphera_pipelines.sandbox.chargebee.generate.site_data import SiteData
from cyphera_pipelines.sandbox.chargebee.listing import Offsets
from cyphera_pipelines.sandbox.chargebee.objects import SiteObjects
from cyphera_pipelines.sandbox.chargebee.shelf import is_hidden
from cyphera_pipelines.sandbox.chargebee.sites import ChargebeeSite
from cyphera_pipelines.sandbox.chargebee.webhooks.endpoints import WebhookEndpoints
from cyphera_pipelines.sandbox.chargebee.writes.idempotency import AnsweredKeys
from cyphera_pipelines.sandbox.serialization import JsonObject

PLURALS = {"products": "items", "prices": "item_prices"}
"""The resources that other providers call otherwise."""
_SEARCHED = ("customers", "items", "item_prices", "subscriptions", "invoices")


class SiteDataset:
    """One site's objects and events. Safe to use from several threads."""

    def __init__(self, site: ChargebeeSite) -> None:
        self.account = site
        self.lock = threading.RLock()
        self.offsets = Offsets(f"{site.site}/{site.api_key}", site.offset_length)
        self._data = SiteData(site)
        self._objects: SiteObjects | None = None
        self.events = EventLog(site)
        self.webhook_endpoints = WebhookEndpoints()
        self.answered = AnsweredKeys()
        self._changer: Changer | None = None

    @property
    def objects(self) -> SiteObjects:
        """The site's objects, generated when first asked for."""
        with self.lock:
            if self._objects is None:
                self._objects = SiteObjects(self.account, self._data.objects(), self.events)
            return self._objects

    @property
    def changer(self) -> Changer:
        """What lets something happen."""
        with self.lock:
            if self._changer is None:
                self._changer = Changer(self._data, self.objects)
            return self._changer

    def warm(self) -> None:
        """Generate the site's objects."""
        assert self.objects

    def truth(self, name: str) -> Iterator[JsonObject]:
        """Yield every object of a resource that is there (not deleted), whole, newest first.

        `products` and `prices` are items and item prices. Raises KeyError for an unknown resource.
        """
        with self.lock:
            shelf = self.events.shelf if name == "events" else self.objects.shelf(PLURALS.get(name, name))
            places = range(len(shelf) - 1, -1, -1)
        for place in places:
            with self.lock:
                whole = shelf.whole(place)
            if not is_hidden(shelf.resource, whole):
                yield whole

    def deleted_ids(self, name: str) -> list[str]:
        """Return the ids of the deleted objects of a resource. Raises KeyError for an unknown one."""
        with self.lock:
            shelf = self.objects.shelf(PLURALS.get(name, name))
            return [str(whole.get("id")) for whole in shelf.all() if is_hidden(shelf.resource, whole)]

    def object(self, object_id: str) -> JsonObject:
        """Return one object, whole. Raises KeyError for an unknown or deleted id."""
        with self.lock:
            name = self._find(object_id)
            shelf = self.objects.shelf(name)
            whole = shelf.get(object_id)
            if is_hidden(shelf.resource, whole):
                raise KeyError(object_id)
            return whole

    def apply_changes(
        self,
        create: Mapping[str, int] | None = None,
        update: Mapping[str, int] | None = None,
        delete: Mapping[str, int] | None = None,
        at: int | None = None,
    ) -> list[Change]:
        """Create, update and delete so many objects per collection, as in `create={"customers": 3}`.

        Collections are named as in any sandbox: `products` are items. Deleting a subscription cancels it; invoices are
        deleted while pending, if there are any. Each change makes one event or more, that occurred `at` (Unix seconds;
        default now). Raises ValueError for an unknown collection.
        """
        with self.lock:
            return self.changer.apply(create or {}, update or {}, delete or {}, at)

    def patch(
        self,
        object_id: str,
        patch: Mapping[str, Any] | None = None,
        remove: Iterable[str] | None = None,
        with_event: bool = True,
        at: int | None = None,
    ) -> Change:
        """Overwrite top-level fields of one object with any JSON values and remove others, valid or not.

        Raises KeyError for an unknown id.
        """
        with self.lock:
            name = self._find(object_id)
            before = self.objects.shelf(name).get(object_id)
            gone = set(remove or ())
            after = {field: value for field, value in {**before, **(patch or {})}.items() if field not in gone}
            return self._replaced(name, object_id, after, with_event, at)

    def poison(self, object_id: str, kind: str, with_event: bool = False) -> Change:
        """Make one object awkward in a way named in `POISONS`. Raises KeyError for an unknown id or kind."""
        with self.lock:
            name = self._find(object_id)
            after = self.objects.shelf(name).get(object_id)
            POISONS[kind](after)
            return self._replaced(name, object_id, after, with_event, None)

    def delete(self, object_id: str, at: int | None = None) -> Change:
        """Delete one object (cancel it, if it is a subscription). Raises KeyError for an unknown or deleted id."""
        with self.lock:
            self.object(object_id)
            return self.changer.delete(self._find(object_id), object_id, at)

    def tell(self, event_type: str, content: JsonObject, at: int | None = None) -> str:
        """Make an event about anything, and return its id."""
        with self.lock:
            event_id: str = self.events.record(event_type, content, int(time.time()) if at is None else at)["id"]
            return event_id

    def _find(self, object_id: str) -> str:
        for name in (*_SEARCHED, *self.objects.names):
            if object_id in self.objects.shelf(name):
                return name
        raise KeyError(object_id)

    def _replaced(self, name: str, object_id: str, after: JsonObject, with_event: bool, at: int | None) -> Change:
        told = self.objects.replace(name, object_id, after, at)
        if not with_event:
            return Change(name, object_id, None, None)
        event = self.objects.tell(f"{told['object']}_{UPDATED.get(name, 'updated')}", [(name, told)], at)
        return Change(name, object_id, event["event_type"], event["id"])


UPDATED = {"customers": "changed", "subscriptions": "changed"}
"""What an event calls it when an object of a resource is updated, where it is not `updated`."""
