"""Reading Stripe's provider events: which objects changed, and the newest state that is known of each."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

import stripe

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.storable import is_usable_id
from cyphera_pipelines.providers.base import Change
from cyphera_pipelines.providers.http.clock import ProviderClock
from cyphera_pipelines.providers.stripe.access import account_of_event
from cyphera_pipelines.providers.stripe.pages import Unread
from cyphera_pipelines.providers.stripe.paging import created_of
from cyphera_pipelines.providers.stripe.values import reference

_DISCOUNTS = ("customer.discount.created", "customer.discount.updated", "customer.discount.deleted")
_CREDIT_NOTES = ("credit_note.created", "credit_note.voided")
_TAX_IDS = ("customer.tax_id.created", "customer.tax_id.updated", "customer.tax_id.deleted")
# All that change what we keep, as `docs/stripe-events.md` shows: with all entities together two requests' worth.
_EVENT_TYPES: dict[Entity, tuple[str, ...]] = {
    Entity.CUSTOMERS: ("customer.created", "customer.updated", "customer.deleted", *_DISCOUNTS, *_TAX_IDS),
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
            "_payment.paid",
        )
    )
    + _CREDIT_NOTES,
}
# Events about something else that changes an object of ours: where its id stands.
_OWNERS: dict[str, dict[Entity, str]] = {
    **{name: {Entity.CUSTOMERS: "customer", Entity.SUBSCRIPTIONS: "subscription"} for name in _DISCOUNTS},
    **{name: {Entity.CUSTOMERS: "customer"} for name in _TAX_IDS},
    **{name: {Entity.INVOICES: "invoice"} for name in (*_CREDIT_NOTES, "invoice_payment.paid")},
}
# Parts of an object that its own events never tell, so that a newer one of those is no substitute.
_BEYOND_SNAPSHOTS = {*_TAX_IDS, "invoice_payment.paid"}
# A subscription that is "deleted" is canceled: it is still there.
_DELETIONS = {"customer.deleted", "product.deleted", "price.deleted", "invoice.deleted"}
_ENTITY_OF = {name: entity for entity, names in _EVENT_TYPES.items() for name in names if name not in _OWNERS}
# Discounts are ids there, and so are their coupons: what they take off has to be asked for.
_ONLY_IDS_IN_EVENTS: dict[Entity, tuple[str, ...]] = {
    Entity.CUSTOMERS: ("discount",),
    Entity.SUBSCRIPTIONS: ("discount", "discounts"),
    Entity.INVOICES: ("discount", "discounts", "total_discount_amounts"),
}
_MOST_TYPES_PER_REQUEST = 20
_Name = tuple[Entity, str, str | None]


def event_type_groups(entities: Iterable[Entity]) -> list[tuple[str, ...]]:
    """The event types of the entities in as few groups as Stripe's limit of 20 types allows: at most two.

    Those that hold an entity's own objects stay together, so that of two in one second both are seen. The others fill
    what room is left: their objects are fetched in any case.
    """
    chosen = list(entities)
    groups: list[tuple[str, ...]] = []
    for entity in chosen:
        _add(groups, tuple(name for name in _EVENT_TYPES[entity] if name not in _OWNERS))
    for name in dict.fromkeys(chain.from_iterable(_EVENT_TYPES[entity] for entity in chosen)):
        if name in _OWNERS:
            _add(groups, (name,))
    return groups


def _add(groups: list[tuple[str, ...]], names: tuple[str, ...]) -> None:
    """Put the names into the first group that has room for all of them, or into a new one."""
    for at, group in enumerate(groups):
        if len(group) + len(names) <= _MOST_TYPES_PER_REQUEST:
            groups[at] += names
            return
    groups.append(names)


def all_event_types() -> tuple[str, ...]:
    """The event types of all entities, each once."""
    return tuple(dict.fromkeys(chain.from_iterable(_EVENT_TYPES.values())))


@dataclass(frozen=True)
class EventReader:
    """Reads single provider events, whatever they hold.

    `livemode` is the mode of the account's own events, None where it is not known.
    """

    clock: ProviderClock
    livemode: bool | None = None

    def read(self, event: Any) -> tuple[Change, ...]:
        """What the event says of objects of ours. Raises UnreadableEventError, which says why, if that is not plain.

        Of an event whose time cannot be believed the order is not known: its object has to be fetched.
        """
        if isinstance(event, Unread):
            raise UnreadableEventError(event.reason)
        if not isinstance(event, dict):
            raise UnreadableEventError("it is no object")
        kind, data, mode = event.get("type"), event.get("data"), event.get("livemode")
        if not isinstance(kind, str):
            raise UnreadableEventError("`type` is no text")
        if kind not in _ENTITY_OF and kind not in _OWNERS:
            return ()
        if mode is not None and self.livemode is not None and mode is not self.livemode:
            raise UnreadableEventError("it is not of the key's mode")
        obj = data.get("object") if isinstance(data, dict) else None
        if not isinstance(obj, dict):
            raise UnreadableEventError("`data.object` is no object")
        return tuple(self._changes_told(event, kind, obj))

    def _changes_told(self, event: Mapping[str, Any], kind: str, obj: dict[str, Any]) -> Iterator[Change]:
        created, account = created_of(event), account_of_event(event)
        is_in_order = created is not None and created >= 0 and self.clock.believes(created)
        # Out of order it has to be earlier than what is read from now on, lest it keep out what happens in this second.
        version = float(created) if created is not None and is_in_order else max(0.0, self.clock.now() - 2.0)
        for owner, name in _OWNERS.get(kind, {}).items():
            owner_id = reference(name)(obj)
            if is_usable_id(owner_id):
                yield Change(owner, owner_id, version, account=account, beyond_snapshots=kind in _BEYOND_SNAPSHOTS)
            elif owner_id is not None:
                raise UnreadableEventError(f"`data.object.{name}` is no usable id")
        entity = _ENTITY_OF.get(kind)
        if entity is None:
            return
        if not is_usable_id(obj.get("id")):
            raise UnreadableEventError("`data.object.id` is no usable id")
        is_ours = event.get("api_version") == stripe.api_version
        is_told = is_ours and is_in_order and kind not in _DELETIONS and is_whole(entity, obj)
        yield Change(
            entity,
            obj["id"],
            version,
            snapshot=obj if is_told else None,
            is_deleted=is_in_order and kind in _DELETIONS,
            last_known=obj if is_ours else None,
            account=account,
        )


class UnreadableEventError(Exception):
    """A provider event does not tell plainly what changed."""


@dataclass
class ChangeReader:
    """Reduces provider events, given newest first, to one change per object.

    An object's newest event decides. Two of the same second for one object do not tell which came last: then the object
    has to be fetched, so that the changes of the last second of a page are held back until the next page is known. So
    it has where a newer one follows after all, and where an older one tells of what no snapshot does.
    """

    _events: EventReader
    _seen: dict[_Name, int] = field(default_factory=dict)
    _held: dict[_Name, Change] = field(default_factory=dict)
    _to_fetch: set[_Name] = field(default_factory=set)
    _unreadable: list[tuple[str, str]] = field(default_factory=list)

    def read(self, events: Iterable[Any]) -> Iterator[Change]:
        """Yield the changes that are certain after this page of events."""
        oldest = None
        for change in chain.from_iterable(map(self._told, events)):
            oldest = int(change.version)
            name = (change.entity, change.object_id, change.account)
            newest = self._seen.get(name)
            if newest is None:
                self._seen[name] = oldest
                self._held[name] = change
            elif newest < oldest or (newest == oldest and name in self._held):
                self._seen[name] = oldest
                self._held[name] = replace(change, snapshot=None, is_deleted=False)
            elif change.beyond_snapshots and name not in self._to_fetch:
                newest_of_it = self._held.get(name)
                if newest_of_it is None:
                    self._held[name] = change
                elif not newest_of_it.is_deleted:
                    self._held[name] = replace(newest_of_it, snapshot=None)
        if oldest is not None:
            yield from self._release(newer_than=oldest)

    def rest(self) -> Iterator[Change]:
        """Yield what was held back: there are no more events."""
        yield from self._release(newer_than=-1)

    def read_all(self, events: Iterable[Any]) -> list[Change]:
        """The changes that these events tell, in whatever order they come: one per object."""
        told = sorted(events, key=lambda event: created_of(event) or 0, reverse=True)
        return [*self.read(told), *self.rest()]

    def take_unreadable(self) -> list[tuple[str, str]]:
        """The ids of the events that could not be read since this was last asked, and why not."""
        unreadable, self._unreadable = self._unreadable, []
        return unreadable

    def _told(self, event: Any) -> tuple[Change, ...]:
        try:
            return self._events.read(event)
        except UnreadableEventError as why:
            event_id = event.get("id") if isinstance(event, dict) else None
            self._unreadable.append((event_id if is_usable_id(event_id) else "one without an id", str(why)))
            return ()

    def _release(self, *, newer_than: int) -> Iterator[Change]:
        for name in [name for name, change in self._held.items() if change.version > newer_than]:
            change = self._held.pop(name)
            if change.snapshot is None:
                self._to_fetch.add(name)
            yield change


def is_whole(entity: Entity, snapshot: Mapping[str, Any]) -> bool:
    """Whether the snapshot equals what Stripe would answer for the object, nested lists and all."""
    if entity is Entity.PRICES:
        # Events expand nothing: neither the tiers nor what the price costs in other currencies.
        return False
    if any(snapshot.get(name) for name in _ONLY_IDS_IN_EVENTS.get(entity, ())):
        return False
    nested = {Entity.INVOICES: "lines", Entity.SUBSCRIPTIONS: "items"}.get(entity)
    if nested is None:
        return True
    embedded = snapshot.get(nested)
    if not isinstance(embedded, dict) or embedded.get("has_more") is not False:
        return False
    items = embedded.get("data") if entity is Entity.SUBSCRIPTIONS else None
    return not isinstance(items, list) or not any(isinstance(item, dict) and item.get("discounts") for item in items)
