"""What happens to a site over time: objects created, updated and deleted, each told by events."""

import time
from collections.abc import Callable, Mapping

from cyphera_pipelines.sandbox.business.business import BASE_COLLECTIONS
from cyphera_pipelines.sandbox.business.dice import Dice
from cyphera_pipelines.sandbox.business.offers import offer
from cyphera_pipelines.sandbox.change import Change
from cyphera_pipelines.sandbox.chargebee.billing import collected, resumed_earning
from cyphera_pipelines.sandbox.chargebee.generate import catalog, customers
from cyphera_pipelines.sandbox.chargebee.generate.catalog import PriceKey
from cyphera_pipelines.sandbox.chargebee.generate.ids import made_id
from cyphera_pipelines.sandbox.chargebee.generate.site_data import SiteData
from cyphera_pipelines.sandbox.chargebee.generate.subscriptions import keys_of, subscription
from cyphera_pipelines.sandbox.chargebee.objects import SiteObjects
from cyphera_pipelines.sandbox.chargebee.shelf import is_hidden
from cyphera_pipelines.sandbox.serialization import JsonObject

RESOURCE_OF = {"customers": "customers", "products": "items", "prices": "item_prices"} | {
    name: name for name in ("subscriptions", "invoices")
}


def _check_counts(counts: Mapping[str, int]) -> None:
    """Raise ValueError if a name is not a collection that can be changed or a count is negative."""
    for name, count in counts.items():
        if name not in BASE_COLLECTIONS:
            raise ValueError(f"{name!r} is not one of {', '.join(BASE_COLLECTIONS)}")
        if count < 0:
            raise ValueError(f"cannot change {count} {name}")


class Changer:
    """Changes the objects of one site. Which ones, and how, follows from the site's seed and a counter."""

    def __init__(self, data: SiteData, objects: SiteObjects) -> None:
        self._data = data
        self._objects = objects
        self._rounds = 0
        self._numbers = dict(data.world.sizes)

    def apply(
        self, create: Mapping[str, int], update: Mapping[str, int], delete: Mapping[str, int], at: int | None
    ) -> list[Change]:
        """Create, update and delete so many objects of each collection; see `SiteDataset.apply_changes`."""
        for counts in (create, update, delete):
            _check_counts(counts)
        self._rounds += 1
        dice = Dice(self._data.site.seed, "changes", self._rounds)
        changes = [self._create(name, at) for name in BASE_COLLECTIONS for _ in range(create.get(name, 0))]
        for name in BASE_COLLECTIONS:
            chosen = self._choose(RESOURCE_OF[name], update.get(name, 0), dice, _CHANGES_WELL.get(name))
            changes.extend(self._update(RESOURCE_OF[name], identifier, dice, at) for identifier in chosen)
        for name in BASE_COLLECTIONS:
            chosen = self._choose(RESOURCE_OF[name], delete.get(name, 0), dice, _GOES_FIRST.get(name))
            changes.extend(self.delete(RESOURCE_OF[name], identifier, at) for identifier in chosen)
        return changes

    def _create(self, name: str, at: int | None) -> Change:
        number = self._numbers[name]
        self._numbers[name] += 1
        second = int(time.time()) if at is None else at
        self._data.world.created_later[name, number] = second
        site, world = self._data.site, self._data.world
        if name == "customers":
            return self._added("customers", {**customers.customer(site, world, number), "deleted": False}, at)
        if name == "products":
            built = catalog.item(site, world, number, "plan")
            return self._added("items", {**built, "status": "active", "deleted": False}, at)
        if name == "prices":
            return self._added("item_prices", catalog.item_price(site, world, self._price_key(number)), at)
        if name == "subscriptions":
            for key in keys_of(self._data.subscriptions.facts(number)):
                self._add_price_if_missing(key, at)
            coupons = {coupon["id"]: coupon for coupon in self._objects.shelf("coupons").all()}
            return self._added("subscriptions", subscription(site, self._data.subscriptions, number, coupons), at)
        invoice, payment, note = self._data.invoices.billed(number)
        if payment is not None:
            self._objects.add("transactions", payment, at)
        if note is not None:
            self._objects.add("credit_notes", note, at)
        return self._added("invoices", invoice, at)

    def _price_key(self, number: int) -> PriceKey:
        sold = offer(self._data.world, number)
        return PriceKey(number, "charge" if sold.interval is None else "plan", sold.currency)

    def _add_price_if_missing(self, key: PriceKey, at: int | None) -> None:
        built = catalog.item_price(self._data.site, self._data.world, key)
        if self._objects.find("item_prices", built["id"]) is None:
            self._added("item_prices", built, at)

    def _added(self, resource: str, built: JsonObject, at: int | None) -> Change:
        whole = self._objects.add(resource, built, at)
        verbs = {"invoices": "pending_invoice_created" if whole.get("status") == "pending" else "invoice_generated"}
        return self._tell(resource, whole, verbs.get(resource, f"{whole['object']}_created"), at)

    def _choose(
        self, resource: str, wanted: int, dice: Dice, suits: Callable[[JsonObject], bool] | None = None
    ) -> list[str]:
        """Return up to `wanted` ids of objects that are there, those that suit before others."""
        if not wanted:
            return []
        shelf = self._objects.shelf(resource)
        there = [whole for whole in shelf.all() if not is_hidden(shelf.resource, whole) and whole.get("id") in shelf]
        shuffled = sorted(there, key=lambda whole: Dice(dice.hexadecimal(8), whole["id"]).below(1 << 40))
        if suits is not None:
            shuffled.sort(key=lambda whole: not suits(whole))
        return [whole["id"] for whole in shuffled[:wanted]]

    def _update(self, resource: str, identifier: str, dice: Dice, at: int | None) -> Change:
        before = self._objects.shelf(resource).get(identifier)
        if resource == "invoices":
            return self._go_on(before, dice, at)
        after, event_type = _UPDATES[resource](before, dice)
        if resource == "subscriptions":
            after = resumed_earning(self._objects, after)
        return self._tell(resource, self._objects.put(resource, after, at), event_type, at)

    def _go_on(self, invoice: JsonObject, dice: Dice, at: int | None) -> Change:
        """A pending invoice is closed, an unpaid one is paid; another gets a note."""
        second = int(time.time()) if at is None else at
        if invoice["status"] == "pending":
            closed = {**invoice, "status": "payment_due" if invoice["amount_due"] else "paid", "generated_at": second}
            return self._tell("invoices", self._objects.put("invoices", closed, at), "invoice_generated", at)
        if invoice["status"] in ("posted", "payment_due", "not_paid") and invoice["amount_due"] > 0:
            identifier = made_id(self._data.site, "txn_", invoice["id"], dice.hexadecimal(8))
            paid, payment = collected(invoice, identifier, invoice["amount_due"], second)
            payment = self._objects.add("transactions", payment, at)
            whole = self._objects.put("invoices", paid, at)
            return self._tell("invoices", whole, "payment_succeeded", at, [("transactions", payment)])
        note = {
            "entity_type": "customer",
            "note": f"Checked {dice.hexadecimal(4)}",
            "entity_id": invoice["customer_id"],
        }
        noted = {**invoice, "notes": [*invoice.get("notes", []), note]}
        return self._tell("invoices", self._objects.put("invoices", noted, at), "invoice_updated", at)

    def delete(self, resource: str, identifier: str, at: int | None) -> Change:
        """Delete an object; a subscription is cancelled instead."""
        before = self._objects.shelf(resource).get(identifier)
        if resource == "subscriptions":
            second = int(time.time()) if at is None else at
            after = {
                **{field: value for field, value in before.items() if field != "next_billing_at"},
                "status": "cancelled",
                "cancelled_at": second,
                "current_term_end": second,
                "mrr": 0,
                "arr": 0,
            }
            return self._tell(resource, self._objects.put(resource, after, at), "subscription_cancelled", at)
        after = {**before, "deleted": True}
        if resource in ("items", "item_prices", "item_families", "coupons"):
            after["status"] = "deleted"
        return self._tell(resource, self._objects.put(resource, after, at), f"{before['object']}_deleted", at)

    def _tell(
        self,
        resource: str,
        whole: JsonObject,
        event_type: str,
        at: int | None,
        others: list[tuple[str, JsonObject]] | None = None,
    ) -> Change:
        told = [(resource, whole), *(others or [])]
        customer = self._objects.find("customers", whole.get("customer_id", "")) if "customer_id" in whole else None
        if customer is not None:
            told.append(("customers", customer))
        if resource == "invoices" and isinstance(whole.get("subscription_id"), str):
            of = self._objects.find("subscriptions", whole["subscription_id"])
            told += [] if of is None else [("subscriptions", of)]
        event = self._objects.tell(event_type, told, at, source="admin_console")
        return Change(resource, str(whole.get("id", "")), event_type, event["id"])


def _update_customer(before: JsonObject, dice: Dice) -> tuple[JsonObject, str]:
    if dice.chance(0.5):
        credit = (before.get("promotional_credits") or 0) + dice.between(1, 5_000)
        return {**before, "promotional_credits": credit}, "customer_changed"
    return {**before, "company": f"{before.get('company') or 'New'} {dice.hexadecimal(4)}"}, "customer_changed"


def _switch(before: JsonObject, dice: Dice) -> tuple[JsonObject, str]:
    status = "archived" if before["status"] == "active" else "active"
    after = {**before, "status": status, "external_name": f"Renamed {dice.hexadecimal(4)}"}
    return after, f"{before['object']}_updated"


def _update_subscription(before: JsonObject, _dice: Dice) -> tuple[JsonObject, str]:
    items = [dict(item) for item in before["subscription_items"]]
    counted = next((item for item in items if "quantity" in item), None)
    if counted is not None:
        each = counted.get("unit_price", counted["amount"] // counted["quantity"])
        counted["quantity"] += 1
        counted["amount"] = each * counted["quantity"]
        for field in ("quantity_in_decimal", "amount_in_decimal"):
            counted.pop(field, None)
    if before["status"] == "in_trial":
        return {**before, "subscription_items": items, "status": "active"}, "subscription_activated"
    return {**before, "subscription_items": items}, "subscription_changed"


_UPDATES: dict[str, Callable[[JsonObject, Dice], tuple[JsonObject, str]]] = {
    "customers": _update_customer,
    "items": _switch,
    "item_prices": _switch,
    "subscriptions": _update_subscription,
}
_CHANGES_WELL: dict[str, Callable[[JsonObject], bool]] = {
    "subscriptions": lambda whole: whole["status"] in ("active", "in_trial", "non_renewing"),
    "invoices": lambda whole: whole["status"] in ("pending", "posted", "payment_due", "not_paid"),
}
_GOES_FIRST: dict[str, Callable[[JsonObject], bool]] = {
    "subscriptions": lambda whole: whole["status"] != "cancelled",
    "invoices": lambda whole: whole["status"] == "pending",
}
