"""What happens to an account over time: objects created, updated and deleted, each with its provider event."""

import time
from collections.abc import Callable, Mapping
from copy import deepcopy

from cyphera_pipelines.sandbox.business.business import BASE_COLLECTIONS
from cyphera_pipelines.sandbox.business.dice import Dice
from cyphera_pipelines.sandbox.change import Change
from cyphera_pipelines.sandbox.serialization import JsonObject
from cyphera_pipelines.sandbox.stripe.accounts import SandboxAccount
from cyphera_pipelines.sandbox.stripe.collection import EXPANDED_ONLY, Collection, embed
from cyphera_pipelines.sandbox.stripe.discounts import with_ids
from cyphera_pipelines.sandbox.stripe.events import EventLog, previous_attributes
from cyphera_pipelines.sandbox.stripe.generate.discounts import new_discount

EVENT_PREFIXES = {
    "customers": "customer",
    "products": "product",
    "prices": "price",
    "subscriptions": "customer.subscription",
    "invoices": "invoice",
}


_DISCOUNTS_CHANGE = 0.3
"""The share of subscriptions' updates that add a discount or end one, where the account has such."""


def _check_counts(counts: Mapping[str, int]) -> None:
    """Raise ValueError if a name is not a collection that can be changed or a count is negative."""
    for name, count in counts.items():
        if name not in BASE_COLLECTIONS:
            raise ValueError(f"{name!r} is not one of {', '.join(BASE_COLLECTIONS)}")
        if count < 0:
            raise ValueError(f"cannot change {count} {name}")


class Changer:
    """Changes the objects of one account. Which ones, and how, follows from the account's seed and a counter."""

    def __init__(self, account: SandboxAccount, collections: Mapping[str, Collection], events: EventLog) -> None:
        self._account = account
        self._collections = collections
        self._events = events
        self._rounds = 0

    def apply(
        self, create: Mapping[str, int], update: Mapping[str, int], delete: Mapping[str, int], at: int | None
    ) -> list[Change]:
        """Create, update and delete so many objects of each collection; see `Dataset.apply_changes`."""
        for counts in (create, update, delete):
            _check_counts(counts)
        self._rounds += 1
        dice = Dice(self._account.seed, "changes", self._rounds)
        changes = [self._create(name, at) for name in BASE_COLLECTIONS for _ in range(create.get(name, 0))]
        for name in BASE_COLLECTIONS:
            chosen = self._choose(name, update.get(name, 0), dice)
            changes.extend(self._update(name, number, dice, at) for number in chosen)
        for name in BASE_COLLECTIONS:
            chosen = self._choose(name, delete.get(name, 0), dice, _deletable.get(name))
            changes.extend(self.delete(name, number, at) for number in chosen)
        return changes

    def _create(self, name: str, at: int | None) -> Change:
        collection = self._collections[name]
        second = int(time.time()) if at is None else at
        newest = collection.created_at(collection.count - 1) if collection.count else 0
        number = collection.create(max(second, newest))
        built = collection.generate(number)
        collection.put(number, built)
        made = self._tell(name, built, "created", collection.created_at(number))
        for tax_id in (built.get("tax_ids") or {}).get("data", []):
            self._events.record("customer.tax_id.created", tax_id, collection.created_at(number))
        return made

    def _choose(
        self, name: str, wanted: int, dice: Dice, suits: Callable[[JsonObject], bool] | None = None
    ) -> list[int]:
        """Return up to `wanted` different numbers of listed objects, those that suit before others."""
        collection = self._collections[name]
        chosen: dict[int, None] = {}
        for attempt in range(wanted * 50):
            if len(chosen) == wanted or not collection.count:
                break
            number = dice.below(collection.count)
            picky = suits is not None and attempt < wanted * 40
            if number in chosen or not collection.listed(number):
                continue
            if picky and suits is not None and not suits(collection.facts(number)):
                continue
            chosen[number] = None
        for number in range(collection.count):
            if len(chosen) >= wanted:
                break
            if number not in chosen and collection.listed(number):
                chosen[number] = None
        return list(chosen)

    def _update(self, name: str, number: int, dice: Dice, at: int | None) -> Change:
        collection = self._collections[name]
        before = collection.whole(number)
        if name == "subscriptions" and self._account.coupon_share and dice.chance(_DISCOUNTS_CHANGE):
            if before.get("discounts"):
                return self.end_discount(name, number, before["discounts"][-1]["id"], at)
            return self.add_discount(name, number, f"di_1{dice.hexadecimal(20)}", "OFF20", None, at)
        after = deepcopy(before)
        second = int(time.time()) if at is None else at
        verb = _UPDATES[name](self._account, after, dice, second)
        collection.put(number, after)
        return self._tell(name, after, verb, second, before)

    def add_discount(
        self, name: str, number: int, discount_id: str, coupon_id: str, item_id: str | None, at: int | None
    ) -> Change:
        """Put a discount for ever on a customer, on a subscription or on one of its items. See `Dataset`."""
        collection, second = self._collections[name], int(time.time()) if at is None else at
        before = collection.whole(number)
        after, discount = deepcopy(before), new_discount(discount_id, coupon_id, second, None)
        if name == "customers":
            discount["customer"], after["discount"] = before["id"], discount
        else:
            discount |= {"customer": before["customer"], "subscription": before["id"], "subscription_item": item_id}
            _holder(after, item_id)["discounts"].append(discount)
        collection.put(number, after)
        return self._tell_of_discount(name, after, before, discount, "created", second)

    def end_discount(self, name: str, number: int, discount_id: str, at: int | None) -> Change:
        """Take a discount off what it is on. Raises KeyError if it is not there."""
        collection, second = self._collections[name], int(time.time()) if at is None else at
        before = collection.whole(number)
        after = deepcopy(before)
        if name == "customers":
            ended, after["discount"] = after["discount"], None
            if ended is None or ended["id"] != discount_id:
                raise KeyError(discount_id)
        else:
            holders = (after, *after["items"]["data"])
            found = [(held, each) for held in holders for each in held["discounts"] if each["id"] == discount_id]
            if not found:
                raise KeyError(discount_id)
            holder, ended = found[0]
            holder["discounts"].remove(ended)
        collection.put(number, after)
        return self._tell_of_discount(name, after, before, {**ended, "end": second}, "deleted", second)

    def change_tax_ids(self, number: int, tax_ids: list[JsonObject], told: JsonObject, verb: str, at: int) -> Change:
        """Give a customer other tax ids. Of the one that was added or removed there is an event, and none beside."""
        collection = self._collections["customers"]
        after = collection.whole(number)
        url = f"/v1/customers/{after['id']}/tax_ids"
        after["tax_ids"] = {"object": "list", "data": tax_ids, "has_more": False, "url": url}
        collection.put(number, after)
        event = self._events.record(f"customer.tax_id.{verb}", told, at)
        return Change("customers", after["id"], event["type"], event["id"])

    def _tell_of_discount(
        self, name: str, after: JsonObject, before: JsonObject, discount: JsonObject, verb: str, at: int
    ) -> Change:
        """Of a customer's there is no other event: what holds for a subresource is not said of its parent too."""
        event = self._events.record(f"customer.discount.{verb}", discount, at)
        if name == "customers":
            return Change(name, after["id"], event["type"], event["id"])
        return self._tell(name, after, "updated", at, before)

    def patch(
        self, name: str, number: int, patch: JsonObject, remove: list[str], with_event: bool, at: int | None
    ) -> Change:
        """Overwrite top-level fields of an object and remove others. See `Dataset.patch`."""
        collection = self._collections[name]
        before = collection.whole(number)
        after = {field: value for field, value in {**before, **patch}.items() if field not in remove}
        collection.put(number, after)
        if not with_event:
            return Change(name, before.get("id", ""), None, None)
        return self._tell(name, after, "updated", int(time.time()) if at is None else at, before)

    def delete(self, name: str, number: int, at: int | None) -> Change:
        """Delete an object; a subscription is canceled instead, which is what Stripe calls deleted."""
        collection = self._collections[name]
        before = collection.whole(number)
        second = int(time.time()) if at is None else at
        if name == "subscriptions":
            after = {
                **before,
                "status": "canceled",
                "canceled_at": second,
                "ended_at": second,
                "cancel_at_period_end": False,
                "cancellation_details": {
                    "comment": None,
                    "feedback": None,
                    "feedback_option": None,
                    "reason": "cancellation_requested",
                },
            }
            collection.put(number, after)
            return self._tell(name, after, "deleted", second)
        collection.delete(number, before["id"])
        return self._tell(name, before, "deleted", second)

    def _tell(self, name: str, after: JsonObject, verb: str, at: int, before: JsonObject | None = None) -> Change:
        snapshot = snapshot_of(name, after)
        previous = previous_attributes(snapshot_of(name, before), snapshot) if before is not None else None
        event_type = f"{EVENT_PREFIXES[name]}.{verb}"
        event = self._events.record(event_type, snapshot, at, previous)
        return Change(name, after.get("id", ""), event_type, event["id"])


def _holder(subscription: JsonObject, item_id: str | None) -> JsonObject:
    """What a discount is on: the subscription or one of its items. Raises KeyError for an unknown item."""
    if item_id is None:
        return subscription
    for item in subscription["items"]["data"]:
        if item["id"] == item_id:
            found: JsonObject = item
            return found
    raise KeyError(item_id)


def snapshot_of(name: str, whole: JsonObject) -> JsonObject:
    """Return an object as provider events tell it: as Stripe embeds it, without what has to be expanded."""
    shown = with_ids(name, embed(name, whole))
    return deepcopy({field: value for field, value in shown.items() if field not in EXPANDED_ONLY})


def _can_cancel(facts: JsonObject) -> bool:
    return facts["status"] not in ("canceled", "incomplete_expired")


def _is_draft(facts: JsonObject) -> bool:
    return bool(facts["status"] == "draft")


_deletable: dict[str, Callable[[JsonObject], bool]] = {"subscriptions": _can_cancel, "invoices": _is_draft}


def _mark(target: JsonObject, dice: Dice) -> None:
    target["metadata"] = {**(target.get("metadata") or {}), "revision": dice.hexadecimal(12)}


def _update_customer(_account: SandboxAccount, target: JsonObject, dice: Dice, _at: int) -> str:
    if dice.chance(0.5):
        target["balance"] = (target.get("balance") or 0) - dice.between(1, 5_000)
    else:
        target["name"] = f"{target.get('name') or 'New'} {dice.hexadecimal(4)}"
    _mark(target, dice)
    return "updated"


def _update_product(_account: SandboxAccount, target: JsonObject, dice: Dice, at: int) -> str:
    target["active"] = not target["active"]
    target["updated"] = at
    _mark(target, dice)
    return "updated"


def _update_price(_account: SandboxAccount, target: JsonObject, dice: Dice, _at: int) -> str:
    target["active"] = not target["active"]
    target["nickname"] = f"Renamed {dice.hexadecimal(4)}"
    _mark(target, dice)
    return "updated"


def _update_subscription(_account: SandboxAccount, target: JsonObject, dice: Dice, _at: int) -> str:
    item = dice.pick(target["items"]["data"])
    item["quantity"] = (item.get("quantity") or 0) + 1
    if target["status"] in ("trialing", "past_due"):
        target["status"] = "active"
    _mark(target, dice)
    return "updated"


def _update_invoice(account: SandboxAccount, target: JsonObject, dice: Dice, at: int) -> str:
    if target["status"] == "draft":
        target["status"] = "open"
        target["auto_advance"] = True
        target["effective_at"] = at
        target["number"] = f"LATER-{dice.hexadecimal(8).upper()}"
        target["hosted_invoice_url"] = f"https://invoice.example.com/i/{account.account_id}/{target['id']}"
        target["status_transitions"] = {**target["status_transitions"], "finalized_at": at}
        return "finalized"
    if target["status"] == "open":
        target["status"] = "paid"
        target["amount_paid"] = target["amount_due"]
        target["amount_remaining"] = 0
        target["status_transitions"] = {**target["status_transitions"], "paid_at": at}
        return "paid"
    _mark(target, dice)
    return "updated"


_UPDATES: dict[str, Callable[[SandboxAccount, JsonObject, Dice, int], str]] = {
    "customers": _update_customer,
    "products": _update_product,
    "prices": _update_price,
    "subscriptions": _update_subscription,
    "invoices": _update_invoice,
}
