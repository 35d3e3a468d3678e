"""Reading Stripe's provider events: which objects changed, and the newest state that is known of each."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import stripe

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.providers.base import Change
from cyphera_pipelines.providers.stripe.access import account_of_event
from cyphera_pipelines.providers.stripe.values import reference

_DISCOUNTS = ("customer.discount.created", "customer.discount.updated", "customer.discount.deleted")
_CREDIT_NOTES = ("credit_note.created", "credit_note.voided")
# All that change what we keep, as `docs/stripe-events.md` shows: with all entities together two requests' worth.
_EVENT_TYPES: dict[Entity, tuple[str, ...]] = {
    Entity.CUSTOMERS: ("customer.created", "customer.updated", "customer.deleted", *_DISCOUNTS),
    Entity.PRODUCTS: ("product.created", "product.updated", "product.deleted"),
    Entity.PRICES: ("price.created", "price.updated", "price.deleted"),
    Entity.SUBSCRIPTIONS: tuple(
        f"customer.subscription.{what}"
        for what in (
            "created",
            "updated",
            "deleted",
            "paused",
            "resumed",
            "pending_update_applied",
            "pending_update_expired",
            "trial_will_end",
        )
    )
    + _DISCOUNTS,
    Entity.INVOICES: tuple(
        f"invoice{what}"
        for what in (
            ".created",
            ".updated",
            ".deleted",
            ".finalized",
            ".finalization_failed",
            ".marked_uncollectible",
            ".overdue",
            ".overpaid",
            ".paid",
            ".payment_action_required",
            ".payment_attempt_required",
            ".payment_failed",
            ".payment_succeeded",
            ".sent",
            ".voided",
            ".will_be_due",
            "_payment.paid",
        )
    )
    + _CREDIT_NOTES,
}
# Events about something else that changes an object of ours: where its id stands.
_OWNERS: dict[str, dict[Entity, str]] = {
    **{name: {Entity.CUSTOMERS: "customer", Entity.SUBSCRIPTIONS: "subscription"} for name in _DISCOUNTS},
    **{name: {Entity.INVOICES: "invoice"} for name in (*_CREDIT_NOTES, "invoice_payment.paid")},
}
# A subscription that is "deleted" is canceled: it is still there.
_DELETIONS = {"customer.deleted", "product.deleted", "price.deleted", "invoice.deleted"}
_ENTITY_OF = {name: entity for entity, names in _EVENT_TYPES.items() for name in names if name not in _OWNERS}
_MOST_TYPES_PER_REQUEST = 20
_Name = tuple[Entity, str, str | None]


def event_type_groups(entities: Iterable[Entity]) -> list[tuple[str, ...]]:
    """The event types of the entities in as few groups as Stripe's limit of 20 types allows: at most two."""
    groups: list[tuple[str, ...]] = []
    for entity in entities:
        names = tuple(name for name in _EVENT_TYPES[entity] if all(name not in group for group in groups))
        fitting = next(
            (at for at, group in enumerate(groups) if len(group) + len(names) <= _MOST_TYPES_PER_REQUEST), None
        )
        if fitting is None:
            groups.append(names)
        else:
            groups[fitting] += names
    return groups


@dataclass
class ChangeReader:
    """Reduces provider events, given newest first, to one change per object.

    An object's newest event decides. Two of the same second for one object do not tell which came last: then the object
    has to be fetched, so that the changes of the last second of a page are held back until the next page is known.
    """

    _seen: dict[_Name, int] = field(default_factory=dict)
    _held: dict[_Name, Change] = field(default_factory=dict)

    def read(self, events: Iterable[Mapping[str, Any]]) -> Iterator[Change]:
        """Yield the changes that are certain after this page of events."""
        oldest = None
        for event in events:
            for change in _changes_told(event):
                oldest = int(change.version)
                name = (change.entity, change.object_id, change.account)
                newest = self._seen.get(name)
                if newest is None:
                    self._seen[name] = oldest
                    self._held[name] = change
                elif newest == oldest and name in self._held:
                    self._held[name] = replace(change, snapshot=None, is_deleted=False)
        if oldest is not None:
            yield from self._release(newer_than=oldest)

    def rest(self) -> Iterator[Change]:
        """Yield what was held back: there are no more events."""
        yield from self._release(newer_than=-1)

    def _release(self, *, newer_than: int) -> Iterator[Change]:
        for name in [name for name, change in self._held.items() if change.version > newer_than]:
            yield self._held.pop(name)


def entity_of(event: Mapping[str, Any]) -> Entity | None:
    """The entity that the event tells a change of, of several the first; None if it tells of none."""
    return next((change.entity for change in _changes_told(event)), None)


def changes_of(events: Iterable[Mapping[str, Any]]) -> list[Change]:
    """The changes that these events tell, in whatever order they come: one per object."""
    reader = ChangeReader()
    told = [event for event in events if entity_of(event) is not None]
    newest_first = sorted(told, key=lambda event: int(event["created"]), reverse=True)
    return [*reader.read(newest_first), *reader.rest()]


def _changes_told(event: Mapping[str, Any]) -> Iterator[Change]:
    """What one event says of objects of ours."""
    kind, data = str(event.get("type")), event.get("data")
    obj = data.get("object") if isinstance(data, dict) else None
    entity, created = _ENTITY_OF.get(kind), event.get("created")
    if not isinstance(obj, dict) or not isinstance(created, int):
        return
    for owner, name in _OWNERS.get(kind, {}).items():
        owner_id = reference(name)(obj)
        if isinstance(owner_id, str) and owner_id:
            yield Change(owner, owner_id, float(created), account=account_of_event(event))
    if entity is None or not isinstance(obj.get("id"), str):
        return
    is_ours = event.get("api_version") == stripe.api_version
    yield Change(
        entity,
        obj["id"],
        float(created),
        snapshot=obj if is_ours and kind not in _DELETIONS and _is_whole(entity, obj) else None,
        is_deleted=kind in _DELETIONS,
        last_known=obj if is_ours else None,
        account=account_of_event(event),
    )


def _is_whole(entity: Entity, snapshot: Mapping[str, Any]) -> bool:
    """Whether the snapshot equals what Stripe would answer for the object, nested lists and all."""
    if entity is Entity.PRICES:
        # Events expand nothing: neither the tiers nor what the price costs in other currencies.
        return False
    nested = {Entity.INVOICES: "lines", Entity.SUBSCRIPTIONS: "items"}.get(entity)
    if nested is None:
        return True
    embedded = snapshot.get(nested)
    return isinstance(embedded, dict) and embedded.get("has_more") is False
