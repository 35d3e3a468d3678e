"""What happens to an account over time: objects created, updated and deleted, each with its provider event."""

import time
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cyphera_pipelines.sandbox.accounts import BASE_COLLECTIONS
from cyphera_pipelines.sandbox.collection import EXPANDED_ONLY, embed
from cyphera_pipelines.sandbox.events import previous_attributes
from cyphera_pipelines.sandbox.generate.dice import Dice
from cyphera_pipelines.sandbox.serialization import JsonObject

if TYPE_CHECKING:
    from cyphera_pipelines.sandbox.dataset import Dataset

EVENT_PREFIXES = {
    "customers": "customer",
    "products": "product",
    "prices": "price",
    "subscriptions": "customer.subscription",
    "invoices": "invoice",
}


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that happened: to which object, and the provider event that tells of it (None if none was made)."""

    collection: str
    object_id: str
    event_type: str | None
    event_id: str | None

    def as_json(self) -> JsonObject:
        """Return the change for the control interface."""
        return {
            "collection": self.collection,
            "object_id": self.object_id,
            "event_type": self.event_type,
            "event_id": self.event_id,
        }


def _check_counts(counts: Mapping[str, int]) -> None:
    """Raise ValueError if a name is not a collection that can be changed or a count is negative."""
    for name, count in counts.items():
        if name not in BASE_COLLECTIONS:
            raise ValueError(f"{name!r} is not one of {', '.join(BASE_COLLECTIONS)}")
        if count < 0:
            raise ValueError(f"cannot change {count} {name}")


class Changer:
    """Changes the objects of one data set. Which ones, and how, follows from the account's seed and a counter."""

    def __init__(self, dataset: "Dataset") -> None:
        self._dataset = dataset
        self._rounds = 0

    def apply(
        self, create: Mapping[str, int], update: Mapping[str, int], delete: Mapping[str, int], at: int | None
    ) -> list[Change]:
        """Create, update and delete so many objects of each collection; see `Dataset.apply_changes`."""
        for counts in (create, update, delete):
            _check_counts(counts)
        self._rounds += 1
        dice = Dice(self._dataset.account.seed, "changes", self._rounds)
        changes = [self._create(name, at) for name in BASE_COLLECTIONS for _ in range(create.get(name, 0))]
        for name in BASE_COLLECTIONS:
            chosen = self._choose(name, update.get(name, 0), dice)
            changes.extend(self._update(name, number, dice, at) for number in chosen)
        for name in BASE_COLLECTIONS:
            chosen = self._choose(name, delete.get(name, 0), dice, _deletable.get(name))
            changes.extend(self.delete(name, number, at) for number in chosen)
        return changes

    def _create(self, name: str, at: int | None) -> Change:
        collection = self._dataset.collections[name]
        second = int(time.time()) if at is None else at
        newest = collection.created_at(collection.count - 1) if collection.count else 0
        number = collection.create(max(second, newest))
        built = collection.generate(number)
        collection.put(number, built)
        return self._tell(name, built, "created", collection.created_at(number))

    def _choose(
        self, name: str, wanted: int, dice: Dice, suits: Callable[[JsonObject], bool] | None = None
    ) -> list[int]:
        """Return up to `wanted` different numbers of listed objects, those that suit before others."""
        collection = self._dataset.collections[name]
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
        collection = self._dataset.collections[name]
        before = collection.whole(number)
        after = deepcopy(before)
        second = int(time.time()) if at is None else at
        verb = _UPDATES[name](self._dataset, after, dice, second)
        collection.put(number, after)
        return self._tell(name, after, verb, second, before)

    def patch(
        self, name: str, number: int, patch: JsonObject, remove: list[str], with_event: bool, at: int | None
    ) -> Change:
        """Overwrite top-level fields of an object and remove others. See `Dataset.patch`."""
        collection = self._dataset.collections[name]
        before = collection.whole(number)
        after = {field: value for field, value in {**before, **patch}.items() if field not in remove}
        collection.put(number, after)
        if not with_event:
            return Change(name, before.get("id", ""), None, None)
        return self._tell(name, after, "updated", int(time.time()) if at is None else at, before)

    def delete(self, name: str, number: int, at: int | None) -> Change:
        """Delete an object; a subscription is canceled instead, which is what Stripe calls deleted."""
        collection = self._dataset.collections[name]
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
        snapshot = _snapshot(name, after)
        previous = previous_attributes(_snapshot(name, before), snapshot) if before is not None else None
        event_type = f"{EVENT_PREFIXES[name]}.{verb}"
        event = self._dataset.events.record(event_type, snapshot, at, previous)
        return Change(name, after.get("id", ""), event_type, event["id"])


def _snapshot(name: str, whole: JsonObject) -> JsonObject:
    shown = embed(name, whole)
    return deepcopy({field: value for field, value in shown.items() if field not in EXPANDED_ONLY})


def _can_cancel(facts: JsonObject) -> bool:
    return facts["status"] not in ("canceled", "incomplete_expired")


def _is_draft(facts: JsonObject) -> bool:
    return bool(facts["status"] == "draft")


_deletable: dict[str, Callable[[JsonObject], bool]] = {"subscriptions": _can_cancel, "invoices": _is_draft}


def _mark(target: JsonObject, dice: Dice) -> None:
    target["metadata"] = {**(target.get("metadata") or {}), "revision": dice.hexadecimal(12)}


def _update_customer(_dataset: "Dataset", target: JsonObject, dice: Dice, _at: int) -> str:
    if dice.chance(0.5):
        target["balance"] = (target.get("balance") or 0) - dice.between(1, 5_000)
    else:
        target["name"] = f"{target.get('name') or 'New'} {dice.hexadecimal(4)}"
    _mark(target, dice)
    return "updated"


def _update_product(_dataset: "Dataset", target: JsonObject, dice: Dice, at: int) -> str:
    target["active"] = not target["active"]
    target["updated"] = at
    _mark(target, dice)
    return "updated"


def _update_price(_dataset: "Dataset", target: JsonObject, dice: Dice, _at: int) -> str:
    target["active"] = not target["active"]
    target["nickname"] = f"Renamed {dice.hexadecimal(4)}"
    _mark(target, dice)
    return "updated"


def _update_subscription(_dataset: "Dataset", target: JsonObject, dice: Dice, _at: int) -> str:
    item = dice.pick(target["items"]["data"])
    item["quantity"] = (item.get("quantity") or 0) + 1
    if target["status"] in ("trialing", "past_due"):
        target["status"] = "active"
    _mark(target, dice)
    return "updated"


def _update_invoice(dataset: "Dataset", target: JsonObject, dice: Dice, at: int) -> str:
    if target["status"] == "draft":
        target["status"] = "open"
        target["auto_advance"] = True
        target["effective_at"] = at
        target["number"] = f"LATER-{dice.hexadecimal(8).upper()}"
        target["hosted_invoice_url"] = f"https://invoice.example.com/i/{dataset.account.account_id}/{target['id']}"
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


_UPDATES: dict[str, Callable[["Dataset", JsonObject, Dice, int], str]] = {
    "customers": _update_customer,
    "products": _update_product,
    "prices": _update_price,
    "subscriptions": _update_subscription,
    "invoices": _update_invoice,
}
