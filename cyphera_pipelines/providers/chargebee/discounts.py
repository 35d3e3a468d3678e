"""Which discounts a subscription has, on which of its items, and in which order they are taken off."""

from collections.abc import Iterator, Mapping
from typing import Any

from cyphera_pipelines.model.storable import is_usable_id
from cyphera_pipelines.providers.chargebee.fields.discounts import COUPON, is_percentage

Terms = Mapping[str, dict[str, Any]]
"""What coupons take off, by their ids, of those that could be read."""


def coupon_ids(subscription: Any) -> list[str]:
    """The ids of the coupons on a subscription, each once."""
    entries = subscription.get("coupons") if isinstance(subscription, dict) else None
    told = [entry.get("coupon_id") for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    return list(dict.fromkeys(each for each in told if is_usable_id(each)))


def discounts_of(
    coupons: list[Any], by_hand: list[Any], items: list[Any], terms: Terms
) -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
    """A subscription's discounts: of each a name, the entry as it was told, and what is to be known beside it.

    They come as Chargebee takes them off: from items before all together, amounts before percentages, coupons before
    what was given by hand. One on several items comes once for each; `item_price_id` says which.
    """
    found = [*_coupons(coupons, items, terms), *_by_hand(by_hand, {_id(entry) for entry in coupons})]
    # Sorting keeps the order of what is alike.
    found.sort(key=lambda each: (each[2]["item_price_id"] is None, is_percentage(each[1] | each[2])))
    return found


def _coupons(
    coupons: list[Any], items: list[Any], terms: Terms
) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    for entry in coupons:
        known = terms.get(str(_id(entry)))
        beside = {} if known is None else {COUPON: known}
        name = str(_id(entry))
        if known is None or known.get("apply_on") != "each_specified_item":
            yield name, entry, {**beside, "item_price_id": None}
            continue
        for item in items:
            if _applies(known, item):
                price_id = item["item_price_id"]
                yield f"{name}:{price_id}", entry, {**beside, "item_price_id": price_id}


def _by_hand(by_hand: list[Any], coupons: set[Any]) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    for at, entry in enumerate(by_hand):
        if entry.get("coupon_id") is not None and entry["coupon_id"] in coupons:
            # Told twice.
            continue
        price_id = entry.get("item_price_id") if entry.get("apply_on") == "specific_item_price" else None
        yield entry["id"] if is_usable_id(entry.get("id")) else str(at), entry, {"item_price_id": price_id}


def _id(entry: dict[str, Any]) -> Any:
    return entry.get("coupon_id")


def _applies(terms: dict[str, Any], item: dict[str, Any]) -> bool:
    """Whether the coupon is taken off the item. One that names no constraints is taken off every item."""
    constraints = terms.get("item_constraints") or []
    if not is_usable_id(item.get("item_price_id")):
        return False
    for constraint in constraints:
        if constraint.get("item_type") == item.get("item_type"):
            kind = constraint.get("constraint")
            return kind in ("all", "criteria") or (
                kind == "specific" and item["item_price_id"] in (constraint.get("item_price_ids") or ())
            )
    return not constraints
