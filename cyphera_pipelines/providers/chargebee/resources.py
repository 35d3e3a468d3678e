"""What Chargebee calls the entities, where they are listed, and by which of their moments."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.storable import is_usable_id
from cyphera_pipelines.providers.http.clock import ProviderClock


@dataclass(frozen=True)
class Resource:
    """One of Chargebee's resources. `name` is what one of them is called, `plural` its place beneath the API's address.

    `axis` is the field by which a listing is sorted and divided, None where there is none. `shows_deleted` is what a
    list has to be asked for if it is to show what was deleted.
    """

    name: str
    plural: str
    axis: str | None
    shows_deleted: Mapping[str, str]


_INCLUDED = {"include_deleted": "true"}
_EVERY_STATUS = {"status[in]": '["active","archived","deleted"]'}

RESOURCES: Mapping[Entity, Resource] = {
    Entity.CUSTOMERS: Resource("customer", "customers", "created_at", _INCLUDED),
    Entity.PRODUCTS: Resource("item", "items", None, _EVERY_STATUS),
    Entity.PRICES: Resource("item_price", "item_prices", None, _EVERY_STATUS),
    Entity.SUBSCRIPTIONS: Resource("subscription", "subscriptions", "created_at", _INCLUDED),
    Entity.INVOICES: Resource("invoice", "invoices", "date", _INCLUDED),
}


def id_of(obj: Any) -> str | None:
    """The object's id; None if it has none that could be one."""
    object_id = obj.get("id") if isinstance(obj, dict) else None
    return object_id if is_usable_id(object_id) else None


def moment_of(obj: Any, name: str) -> int | None:
    """A moment that the object tells, in seconds since 1970; None if it cannot be read."""
    moment = obj.get(name) if isinstance(obj, dict) else None
    if moment.__class__ is float and moment.is_integer():
        moment = int(moment)
    return moment if moment.__class__ is int else None


def version_of(obj: Mapping[str, Any], clock: ProviderClock | None = None) -> float | None:
    """When the provider made this state, in seconds since 1970; None if it does not tell, or nobody can believe it.

    Chargebee counts in milliseconds, and later states have later ones.
    """
    told = moment_of(obj, "resource_version")
    if told is None or not 0 < told < 2**63:
        return None
    moment = told / 1000
    if clock is not None and not clock.believes(moment):
        return None
    return moment


def is_deleted(obj: Mapping[str, Any]) -> bool:
    """Whether the object says itself that it was deleted."""
    return obj.get("deleted") is True or obj.get("status") == "deleted"
