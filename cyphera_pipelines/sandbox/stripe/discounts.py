"""Discounts and coupons as answers show them: ids, unless somebody asks to expand them.

The account keeps its objects with whole discounts in them, whose coupons are ids; events always tell ids only.
"""

from collections.abc import Callable, Set
from typing import Any

from cyphera_pipelines.sandbox.serialization import JsonObject

FindCoupon = Callable[[str], Any]
"""The coupon of an id as it is shown expanded; the id itself if there never was one."""


def with_ids(name: str, whole: JsonObject) -> JsonObject:
    """The object of a collection with ids in place of discounts. It shares its parts: read it only."""
    if name == "subscriptions":
        return _subscription(whole, lambda _path, value: _id_of(value))
    return _invoice(whole, lambda _path, value: _id_of(value)) if name == "invoices" else whole


def expanded(name: str, whole: JsonObject, expand: Set[str], find_coupon: FindCoupon) -> JsonObject:
    """The object with those discounts and coupons in it that are asked for, as in `discounts.source.coupon`."""

    def show(path: str, value: Any) -> Any:
        if not any(each == path or each.startswith(f"{path}.") for each in expand):
            return _id_of(value)
        return _with_coupon(value, find_coupon) if f"{path}.source.coupon" in expand else value

    if name == "subscriptions":
        return _subscription(whole, show)
    if name == "invoices":
        return _invoice(whole, show)
    if name == "customers" and "discount.source.coupon" in expand:
        return {**whole, "discount": _with_coupon(whole.get("discount"), find_coupon)}
    return whole


def item_with_ids(item: JsonObject) -> JsonObject:
    """A subscription's item with ids in place of its discounts."""
    return {**item, "discounts": list(map(_id_of, item["discounts"]))} if item.get("discounts") else item


Show = Callable[[str, Any], Any]


def _subscription(whole: JsonObject, show: Show) -> JsonObject:
    shown, items = whole, whole.get("items")
    if whole.get("discounts"):
        shown = {**shown, "discounts": _each("discounts", whole["discounts"], show)}
    if isinstance(items, dict) and any(each.get("discounts") for each in items["data"]):
        path = "items.data.discounts"
        data = [{**each, "discounts": _each(path, each.get("discounts"), show)} for each in items["data"]]
        shown = {**shown, "items": {**items, "data": data}}
    return shown


def _invoice(whole: JsonObject, show: Show) -> JsonObject:
    shown = whole
    if whole.get("discounts"):
        shown = {**shown, "discounts": _each("discounts", whole["discounts"], show)}
    totals = whole.get("total_discount_amounts")
    if totals:
        path = "total_discount_amounts.discount"
        amounts = [{**each, "discount": show(path, each["discount"])} for each in totals]
        shown = {**shown, "total_discount_amounts": amounts}
    return shown


def _each(path: str, values: Any, show: Show) -> Any:
    return [show(path, value) for value in values] if isinstance(values, list) else values


def _id_of(value: Any) -> Any:
    return value["id"] if isinstance(value, dict) else value


def _with_coupon(discount: Any, find_coupon: FindCoupon) -> Any:
    source = discount.get("source") if isinstance(discount, dict) else None
    if not isinstance(source, dict) or not isinstance(source.get("coupon"), str):
        return discount
    return {**discount, "source": {**source, "coupon": find_coupon(source["coupon"])}}
