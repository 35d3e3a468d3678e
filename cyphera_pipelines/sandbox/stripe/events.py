"""Provider events: what happened to an account's objects, kept for 30 days as Stripe does."""

import time
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable
from typing import Any

from cyphera_pipelines.sandbox.business.dice import Dice
from cyphera_pipelines.sandbox.business.ids import IdSpace
from cyphera_pipelines.sandbox.serialization import JsonObject, to_bytes
from cyphera_pipelines.sandbox.stripe.accounts import API_VERSION, SandboxAccount

RETENTION_SECONDS = 30 * 86_400
_IDS_PER_SECOND = 8_000
"""More events than are made in a second; the numbers fit into 44 bits for another ten years."""


def previous_attributes(before: JsonObject, after: JsonObject) -> JsonObject:
    """Return the old values of what changed. Of nested objects only the changed parts; a value that is new is null."""
    changed: JsonObject = {}
    for field in [*before, *(field for field in after if field not in before)]:
        old, new = before.get(field), after.get(field)
        if old == new:
            continue
        if isinstance(old, dict) and isinstance(new, dict) and old.get("object") != "list":
            changed[field] = previous_attributes(old, new)
        else:
            changed[field] = old
    return changed


def in_shape_of_2024(snapshot: JsonObject) -> JsonObject:
    """Return a snapshot as an API version before `2025-03-31.basil` has it: other places, other names."""
    old = dict(snapshot)
    if old.get("object") == "subscription":
        items = [dict(item) for item in old["items"]["data"]]
        for item in items:
            old["current_period_end"] = item.pop("current_period_end", None)
            old["current_period_start"] = item.pop("current_period_start", None)
        old["items"] = {**old["items"], "data": items}
    if old.get("object") == "invoice":
        parent: Any = old.pop("parent", None) or {}
        old["subscription"] = (parent.get("subscription_details") or {}).get("subscription")
        old["paid"] = old.get("status") == "paid"
        old["tax"] = sum(tax["amount"] for tax in old.pop("total_taxes", None) or [])
        lines = []
        for line in old["lines"]["data"]:
            earlier = dict(line)
            pricing: Any = earlier.pop("pricing", None) or {}
            earlier.pop("parent", None)
            earlier["price"] = {"id": (pricing.get("price_details") or {}).get("price"), "object": "price"}
            lines.append(earlier)
        old["lines"] = {**old["lines"], "data": lines}
    return old


def shaped(snapshot: JsonObject, version: str) -> JsonObject:
    """Return a snapshot, given as we serve it, as another API version has it."""
    return snapshot if version == API_VERSION else in_shape_of_2024(snapshot)


class EventLog:
    """The provider events of one account, numbered from oldest to newest as lists need it.

    Other than the objects', their ids differ each time: no provider gives an id twice, and whoever keeps those that it
    knows would take the events of a sandbox that was started again for known.
    """

    def __init__(self, account: SandboxAccount, ids: IdSpace) -> None:
        self._account = account
        self._ids = ids
        self._made = int(time.time() * _IDS_PER_SECOND)
        self._order: list[tuple[int, int]] = []
        self._events: dict[int, JsonObject] = {}
        self._visible_at: dict[int, float] = {}
        self._snapshots: dict[int, JsonObject] = {}
        self.on_record: Callable[[JsonObject, JsonObject], None] | None = None
        """Called with each new event and its object as the API serves it."""

    @property
    def count(self) -> int:
        """How many events there are, hidden ones included."""
        return len(self._order)

    def first_at_or_after(self, second: int) -> int:
        """Return the number of the oldest event created at or after a time; `count` if there is none."""
        return bisect_left(self._order, (second, -1))

    def listed(self, number: int) -> bool:
        """Whether the event can be seen: within 30 days, and past the account's event delay."""
        created, sequence = self._order[number]
        now = time.time()
        return created >= now - RETENTION_SECONDS and self._visible_at[sequence] <= now

    def number_of(self, identifier: str) -> int | None:
        """Return the number of an event; None if there is none of this id."""
        sequence = self._ids.decode(identifier)
        if sequence is None or sequence not in self._events:
            return None
        return bisect_right(self._order, (self._events[sequence]["created"], sequence)) - 1

    def whole(self, number: int) -> JsonObject:
        """Return an event."""
        return self._events[self._order[number][1]]

    def snapshot(self, number: int) -> JsonObject:
        """Return an event's object as the API serves it, whatever the event's version."""
        return self._snapshots[self._order[number][1]]

    def body(self, number: int) -> bytes:
        """Return an event as JSON."""
        return to_bytes(self.whole(number))

    def facts(self, number: int) -> JsonObject:
        """Return what the list can be filtered by."""
        return self.whole(number)

    def record(
        self,
        event_type: str,
        snapshot: JsonObject,
        created: int,
        previous: JsonObject | None = None,
        idempotency_key: str | None = None,
    ) -> JsonObject:
        """Add an event and return it. `snapshot` is the object as embedded, after the change.

        `idempotency_key` is that of the request that it comes of.
        """
        sequence = self._made
        self._made += 1
        dice = Dice(self._account.seed, "event", sequence)
        version = self._account.event_api_version
        data: JsonObject = {"object": shaped(snapshot, version)}
        if previous is not None:
            data["previous_attributes"] = previous
        event: JsonObject = {
            "id": self._ids.encode(sequence),
            "object": "event",
            "api_version": version,
            "created": created,
            "data": data,
            "livemode": self._account.livemode,
            "pending_webhooks": 0,
            "request": {"id": f"req_{dice.hexadecimal(14)}", "idempotency_key": idempotency_key},
            "type": event_type,
        }
        self._events[sequence] = event
        self._snapshots[sequence] = snapshot
        self._visible_at[sequence] = time.time() + self._account.event_delay_seconds
        insort(self._order, (created, sequence))
        if self.on_record is not None:
            self.on_record(event, snapshot)
        return event
