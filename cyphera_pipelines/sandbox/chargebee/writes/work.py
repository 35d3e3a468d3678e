"""What everything that clients ask for is done with."""

import secrets
import time
from collections.abc import Iterable

from cyphera_pipelines.sandbox.chargebee.dataset import SiteDataset
from cyphera_pipelines.sandbox.chargebee.errors import duplicate, not_found
from cyphera_pipelines.sandbox.chargebee.shelf import is_hidden
from cyphera_pipelines.sandbox.chargebee.writes.form import Form
from cyphera_pipelines.sandbox.serialization import JsonObject

_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


class Work:
    """One request: its site, its form and its second. The site's lock is held."""

    def __init__(self, dataset: SiteDataset, form: Form) -> None:
        self.dataset = dataset
        self.site = dataset.account
        self.objects = dataset.objects
        self.form = form
        self.now = int(time.time())

    def new_id(self, prefix: str = "") -> str:
        """Return an id as Chargebee makes them."""
        return prefix + "".join(secrets.choice(_ALPHABET) for _ in range(16))

    def expect(self, name: str, identifier: str) -> JsonObject:
        """Return an object that is there. Raises ChargebeeError (404) for one that never was, or is deleted."""
        found = self.objects.find(name, identifier)
        if found is None or is_hidden(self.objects.shelf(name).resource, found):
            raise not_found(identifier)
        return found

    def add(self, name: str, whole: JsonObject, param: str = "id") -> JsonObject:
        """Keep a new object. Raises ChargebeeError if its id is taken, by a deleted one too."""
        if whole["id"] in self.objects.shelf(name):
            raise duplicate(param, whole["id"])
        return self.objects.add(name, whole)

    def put(self, name: str, whole: JsonObject) -> JsonObject:
        """Keep another state of an object."""
        return self.objects.put(name, whole)

    def tell(self, event_type: str, *told: tuple[str, JsonObject]) -> None:
        """Record the event of what was done, with the customer of its first object."""
        customer = self.customer_of(told[0][1]) if told[0][0] != "customers" else None
        beside = [] if customer is None else [("customers", customer)]
        self.objects.tell(event_type, [*told, *beside])

    def customer_of(self, whole: JsonObject) -> JsonObject | None:
        """Return the customer that an object belongs to."""
        return self.objects.find("customers", str(whole.get("customer_id", "")))

    def of_customer(self, name: str, customer_id: str) -> Iterable[JsonObject]:
        """Return a customer's objects of a resource that are there."""
        shelf = self.objects.shelf(name)
        return [
            whole
            for whole in shelf.all()
            if whole.get("customer_id") == customer_id and not is_hidden(shelf.resource, whole)
        ]
