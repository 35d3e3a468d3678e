"""All that one account holds, and the ways to look at it and to change it from outside the API."""

import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any

from cyphera_pipelines.sandbox.business.business import BASE_COLLECTIONS
from cyphera_pipelines.sandbox.change import Change
from cyphera_pipelines.sandbox.serialization import JsonObject
from cyphera_pipelines.sandbox.stripe.accounts import SandboxAccount
from cyphera_pipelines.sandbox.stripe.changes import Changer
from cyphera_pipelines.sandbox.stripe.collection import BodyCache, Collection
from cyphera_pipelines.sandbox.stripe.events import EventLog
from cyphera_pipelines.sandbox.stripe.generate.catalog import NESTED_LISTS, Catalog
from cyphera_pipelines.sandbox.stripe.generate.ugly import POISONS
from cyphera_pipelines.sandbox.stripe.test_clocks import ClockList, test_clock
from cyphera_pipelines.sandbox.stripe.webhooks.endpoints import WebhookEndpoints
from cyphera_pipelines.sandbox.stripe.writes.idempotency import IdempotencyKeys
from cyphera_pipelines.sandbox.stripe.writes.kept import KEPT_KINDS, KeptObjects


class Dataset:
    """One account's collections and events. Safe to use from several threads."""

    def __init__(self, account: SandboxAccount) -> None:
        self.account = account
        self.lock = threading.RLock()
        self.catalog = Catalog(account)
        cache = BodyCache(account.cache_megabytes * 1_000_000)
        self.collections: dict[str, Collection] = {
            name: Collection(name, self.catalog, cache) for name in BASE_COLLECTIONS
        }
        self.events = EventLog(account, self.catalog.world.ids["events"])
        self.kept = {name: KeptObjects() for name in KEPT_KINDS}
        for coupon in self.catalog.coupons():
            self.kept["coupons"].add(coupon, coupon["created"])
        self.idempotency_keys = IdempotencyKeys()
        self.webhook_endpoints = WebhookEndpoints(account.livemode)
        self._discounts_made = 0
        self._changer = Changer(account, self.collections, self.events)

    def source(self, name: str) -> Collection | EventLog | ClockList | WebhookEndpoints | KeptObjects:
        """Return a collection, events, test clocks, webhook endpoints or what is kept. KeyError for another name."""
        if name in self.kept:
            return self.kept[name]
        if name == "test_clocks":
            return ClockList(self.account, self.collections)
        if name == "webhook_endpoints":
            return self.webhook_endpoints
        return self.events if name == "events" else self.collections[name]

    def warm(self) -> None:
        """Serialise every object once, newest last, so that lists are served from memory as far as it is allowed."""
        for collection in self.collections.values():
            for number in range(collection.count):
                with self.lock:
                    collection.body(number)

    def truth(self, name: str) -> Iterator[JsonObject]:
        """Yield every object that a complete list holds, newest first, with all that is nested in it (tiers too).

        Subscriptions come in every status; deleted objects do not come. Raises KeyError for an unknown collection.
        """
        source = self.source(name)
        for number in range(source.count - 1, -1, -1):
            with self.lock:
                whole = source.whole(number) if source.listed(number) else None
            if whole is not None:
                field = NESTED_LISTS.get(name)
                if field and isinstance(whole.get(field), dict):
                    whole[field]["has_more"] = False
                yield whole

    def deleted_ids(self, name: str) -> list[str]:
        """Return the ids of the deleted objects of a collection. Raises KeyError for an unknown collection."""
        return self.collections[name].deleted_ids()

    def apply_changes(
        self,
        create: Mapping[str, int] | None = None,
        update: Mapping[str, int] | None = None,
        delete: Mapping[str, int] | None = None,
        at: int | None = None,
    ) -> list[Change]:
        """Create, update and delete so many objects per collection, as in `create={"customers": 3}`.

        Deleting a subscription cancels it; invoices are deleted while drafts, if there are any. Each change makes one
        provider event, created `at` (Unix seconds; default now). Raises ValueError for an unknown collection.
        """
        with self.lock:
            return self._changer.apply(create or {}, update or {}, delete or {}, at)

    def _find(self, object_id: str) -> tuple[str, int]:
        for name, collection in self.collections.items():
            number = collection.number_of(object_id)
            if number is not None:
                return name, number
        raise KeyError(object_id)

    def patch(
        self,
        object_id: str,
        patch: Mapping[str, Any] | None = None,
        remove: list[str] | None = None,
        with_event: bool = True,
        at: int | None = None,
    ) -> Change:
        """Overwrite top-level fields of one object with any JSON values and remove others, valid or not.

        The object keeps its place in lists, even if its `created` or `id` changes. Raises KeyError for an unknown id.
        """
        with self.lock:
            name, number = self._find(object_id)
            return self._changer.patch(name, number, dict(patch or {}), remove or [], with_event, at)

    def poison(self, object_id: str, kind: str, with_event: bool = False) -> Change:
        """Make one object awkward in a way named in `POISONS`. Raises KeyError for an unknown id or kind."""
        with self.lock:
            name, number = self._find(object_id)
            before = self.collections[name].whole(number)
            after = dict(before)
            POISONS[kind](after)
            removed = [field for field in before if field not in after]
            return self._changer.patch(name, number, after, removed, with_event, None)

    def delete(self, object_id: str, at: int | None = None) -> Change:
        """Delete one object (cancel it, if it is a subscription). Raises KeyError for an unknown or deleted id."""
        with self.lock:
            name, number = self._find(object_id)
            if not self.collections[name].listed(number):
                raise KeyError(object_id)
            return self._changer.delete(name, number, at)

    def add_discount(
        self, object_id: str, coupon_id: str, item_id: str | None = None, at: int | None = None
    ) -> JsonObject:
        """Put a discount for ever on a customer, a subscription, or an item of that; return the discount.

        Events tell of it: `customer.discount.created`, and of a subscription `customer.subscription.updated`. Raises
        KeyError for an unknown object.
        """
        with self.lock:
            name, number = self._find(object_id)
            self._discounts_made += 1
            discount_id = f"di_1{self.account.account_id.removeprefix('acct_')}Later{self._discounts_made}"
            self._changer.add_discount(name, number, discount_id, coupon_id, item_id, at)
            whole = self.collections[name].whole(number)
            held = [whole.get("discount"), *(whole.get("discounts") or [])]
            held += [each for item in (whole.get("items") or {}).get("data", []) for each in item["discounts"]]
            return next(each for each in held if isinstance(each, dict) and each["id"] == discount_id)

    def end_discount(self, object_id: str, discount_id: str, at: int | None = None) -> Change:
        """End a discount of a customer, a subscription or its item. Raises KeyError for an unknown one."""
        with self.lock:
            name, number = self._find(object_id)
            return self._changer.end_discount(name, number, discount_id, at)

    def add_tax_id(self, customer_id: str, type_: str, value: str, at: int | None = None) -> JsonObject:
        """Give a customer one more tax id, and return it; `customer.tax_id.created` tells of it, and nothing else."""
        with self.lock:
            _name, number = self._find(customer_id)
            held = (self.collections["customers"].whole(number).get("tax_ids") or {}).get("data", [])
            second = _second(at)
            made: JsonObject = {
                "id": f"txi_1{self.account.account_id.removeprefix('acct_')}{second}{len(held)}",
                "object": "tax_id",
                "country": value[:2] if value[:2].isalpha() else None,
                "created": second,
                "customer": customer_id,
                "customer_account": None,
                "livemode": self.account.livemode,
                "owner": {"customer": customer_id, "type": "customer"},
                "type": type_,
                "value": value,
                "verification": {"status": "pending", "verified_address": None, "verified_name": None},
            }
            self._changer.change_tax_ids(number, [made, *held], made, "created", second)
            return made

    def remove_tax_id(self, customer_id: str, tax_id: str, at: int | None = None) -> Change:
        """Take a tax id from a customer; `customer.tax_id.deleted` tells of it. Raises KeyError for an unknown one."""
        with self.lock:
            _name, number = self._find(customer_id)
            held = (self.collections["customers"].whole(number).get("tax_ids") or {}).get("data", [])
            gone = {each["id"]: each for each in held}[tax_id]
            left = [each for each in held if each["id"] != tax_id]
            return self._changer.change_tax_ids(number, left, gone, "deleted", _second(at))

    def delete_test_clock(self, clock_id: str, at: int | None = None) -> None:
        """Delete a test clock and everything that belongs to it; one provider event tells of the clock alone."""
        with self.lock:
            for collection in self.collections.values():
                for number in range(collection.count) if collection.has_test_clocks else ():
                    whole = collection.whole(number)
                    if collection.listed(number) and whole.get("test_clock") == clock_id:
                        collection.delete(number, str(whole.get("id")))
            self.events.record("test_helpers.test_clock.deleted", test_clock(clock_id, self.account), _second(at))

    def tell(self, event_type: str, obj: JsonObject, at: int | None = None) -> str:
        """Make a provider event about anything, as a discount or a credit note, and return its id."""
        with self.lock:
            event_id: str = self.events.record(event_type, obj, _second(at))["id"]
            return event_id

    def object(self, object_id: str) -> JsonObject:
        """Return one object, whole. Raises KeyError for an unknown or deleted id."""
        with self.lock:
            name, number = self._find(object_id)
            if not self.collections[name].listed(number):
                raise KeyError(object_id)
            return self.collections[name].whole(number)


def _second(at: int | None) -> int:
    return int(time.time()) if at is None else at
