"""From Chargebee's objects to rows, child rows and content hashes."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import xxhash

from cyphera_pipelines.model import synced_tables as tables
from cyphera_pipelines.model.columns import SyncedTable
from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.json_text import to_json
from cyphera_pipelines.model.rows import ChildRow, MappedObject, Row
from cyphera_pipelines.model.storable import is_usable_id
from cyphera_pipelines.providers.base import MappedPage
from cyphera_pipelines.providers.chargebee.discounts import Terms, coupon_ids, discounts_of
from cyphera_pipelines.providers.chargebee.fields.catalog import PRICE, PRICE_CURRENCY_OPTION, PRICE_TIER, PRODUCT
from cyphera_pipelines.providers.chargebee.fields.customers import CUSTOMER
from cyphera_pipelines.providers.chargebee.fields.discounts import (
    CREDITS,
    CUSTOMER_DISCOUNT,
    INVOICE_DISCOUNT,
    SUBSCRIPTION_CURRENCY,
    SUBSCRIPTION_DISCOUNT,
)
from cyphera_pipelines.providers.chargebee.fields.invoices import INVOICE, INVOICE_LINE_ITEM, INVOICE_PAYMENT
from cyphera_pipelines.providers.chargebee.fields.subscriptions import SUBSCRIPTION, SUBSCRIPTION_ITEM
from cyphera_pipelines.providers.chargebee.fields.taxes import CUSTOMER_TAX_ID, SUBSCRIPTION_TAX_RATE, VAT_NUMBER
from cyphera_pipelines.providers.chargebee.lines import GOES_ON
from cyphera_pipelines.providers.chargebee.resources import RESOURCES, is_deleted, version_of
from cyphera_pipelines.providers.http.clock import ProviderClock
from cyphera_pipelines.providers.mapping.contents import id_of, shown, to_storable
from cyphera_pipelines.providers.mapping.pages import map_each
from cyphera_pipelines.providers.mapping.rows import UnmappableValueError, row_mapper
from cyphera_pipelines.providers.mapping.rules import Rules, getters_of

# Part of every content hash: raise it when a mapping changes, so that the next full sync rewrites all rows.
MAPPING_VERSION = 2
MAPPED_SAMPLE = {1: "045b61120bcb1eef", 2: "0a2d4c5c259366c3"}
"""By version: the digest of the rows that it makes of a sample, by which a test sees that rows changed."""

RULES: Mapping[str, Rules] = {
    tables.CUSTOMERS.name: CUSTOMER,
    tables.CUSTOMER_DISCOUNTS.name: CUSTOMER_DISCOUNT,
    tables.CUSTOMER_TAX_IDS.name: CUSTOMER_TAX_ID,
    tables.PRODUCTS.name: PRODUCT,
    tables.PRICES.name: PRICE,
    tables.PRICE_TIERS.name: PRICE_TIER,
    tables.PRICE_CURRENCY_OPTIONS.name: PRICE_CURRENCY_OPTION,
    tables.SUBSCRIPTIONS.name: SUBSCRIPTION,
    tables.SUBSCRIPTION_ITEMS.name: SUBSCRIPTION_ITEM,
    tables.SUBSCRIPTION_DISCOUNTS.name: SUBSCRIPTION_DISCOUNT,
    tables.SUBSCRIPTION_TAX_RATES.name: SUBSCRIPTION_TAX_RATE,
    tables.INVOICES.name: INVOICE,
    tables.INVOICE_DISCOUNTS.name: INVOICE_DISCOUNT,
    tables.INVOICE_LINE_ITEMS.name: INVOICE_LINE_ITEM,
    tables.INVOICE_PAYMENTS.name: INVOICE_PAYMENT,
}
"""The rules by which the columns of each table are filled."""
NAMES: Mapping[str, str] = {
    tables.CUSTOMERS.name: "`customer`",
    tables.CUSTOMER_DISCOUNTS.name: "nothing, so that there are no rows",
    tables.CUSTOMER_TAX_IDS.name: "`vat_number` and `entity_identifiers` of a `customer`; `id` is "
    "`<customer>:vat_number` or `<customer>:<identifier>`",
    tables.PRODUCTS.name: "`item`: plans, addons and charges",
    tables.PRICES.name: "`item_price`",
    tables.PRICE_TIERS.name: "`tiers` of an `item_price`",
    tables.PRICE_CURRENCY_OPTIONS.name: "nothing, so that there are no rows",
    tables.SUBSCRIPTIONS.name: "`subscription`",
    tables.SUBSCRIPTION_ITEMS.name: "`subscription_items` of a `subscription`; `id` is `<subscription>:<item price>`",
    tables.SUBSCRIPTION_DISCOUNTS.name: "`coupons` and `discounts` of a `subscription`, with the terms of the "
    "`coupon`; `id` is `<subscription>:<coupon or discount>`, and `:<item price>` where it is taken off items",
    tables.SUBSCRIPTION_TAX_RATES.name: "nothing, so that there are no rows",
    tables.INVOICES.name: "`invoice`",
    tables.INVOICE_DISCOUNTS.name: "`discounts` of an `invoice`, without promotional and prorated credits; `id` is "
    "`<invoice>:<position>`",
    tables.INVOICE_LINE_ITEMS.name: "`line_items` of an `invoice`",
    tables.INVOICE_PAYMENTS.name: "`linked_payments` of an `invoice`; `id` is the transaction's",
}
"""What Chargebee calls the objects of each table."""

_ROWS: dict[str, Callable[[dict[str, Any]], Row]] = {
    name: row_mapper(tables.SYNCED_TABLES[name], getters_of(tables.SYNCED_TABLES[name], rules))
    for name, rules in RULES.items()
}
_CLOCK = ProviderClock()
_NO_TERMS: Terms = {}
_TERMS = "terms of coupons"  # where a subscription has them while its rows are made


def map_objects(
    entity: Entity, objects: Iterable[Any], *, version: float, livemode: bool, terms: Terms = _NO_TERMS
) -> MappedPage:
    """Map a page's completed objects. What cannot be mapped is reported with its reason, whole.

    `version` is a moment at which the provider held these states or later ones. An object that tells of a later one
    itself has that. `terms` are those of the coupons that subscriptions name, as far as they are known.
    """
    return map_each(objects, lambda obj: _map_object(entity, obj, version, livemode, terms))


def _map_object(entity: Entity, obj: Any, version: float, livemode: bool, terms: Terms) -> tuple[MappedObject, bool]:
    if not isinstance(obj, dict):
        raise UnmappableValueError("it is not an object")
    object_id, name = id_of(obj), RESOURCES[entity].name
    if obj.get("object") not in (None, name):
        raise UnmappableValueError(f"`object` should be {name}, not {shown(obj['object'])}")
    if obj.get(GOES_ON) is not None:
        raise UnmappableValueError("`line_items` is not whole")
    obj, raw, was_cleaned = to_storable(obj)
    named = {each: terms[each] for each in coupon_ids(obj) if each in terms} if entity is Entity.SUBSCRIPTIONS else {}
    told_of = {**obj, _TERMS: named} if named else obj
    children = {table.name: _CHILDREN[table.name](table, told_of) for table in tables.child_tables(entity)}
    told = None if is_deleted(obj) else version_of(obj, _CLOCK)
    mapped = MappedObject(
        id=object_id,
        livemode=livemode,
        values=_ROWS[entity.value](obj),
        raw=raw,
        # What its coupons take off is not in the object, and changes its rows.
        content_hash=_hash(raw + to_json(named) if named else raw),
        # A version of 0 is a state that is known to be out of date: it stays one.
        version=version if told is None or version <= 0 else max(version, told),
        children=children,
    )
    return mapped, was_cleaned


def _hash(raw: bytes) -> bytes:
    # Not a cryptographic hash, which nobody needs here and which costs ten times as much.
    return xxhash.xxh3_128_digest(raw, seed=MAPPING_VERSION)


def _child(table: SyncedTable, child_id: str, item: Any, place: dict[str, Any]) -> ChildRow:
    """A child's row. `place` holds what comes from the parent and from the item's position in it."""
    if not isinstance(item, dict):
        raise UnmappableValueError(f"{table.name} {child_id}: it is not an object")
    raw = to_json(item)
    try:
        return ChildRow(child_id, _ROWS[table.name](item | place), raw, _hash(raw + to_json(place)))
    except UnmappableValueError as problem:
        raise UnmappableValueError(f"{table.name} {child_id}: {problem}") from None


def _items(obj: Mapping[str, Any], name: str) -> list[Any]:
    """A list; one that is left out is empty."""
    items = obj.get(name)
    if items is None:
        return []
    if not isinstance(items, list):
        raise UnmappableValueError(f"`{name}` is not a list")
    return items


def _tiers(table: SyncedTable, price: dict[str, Any]) -> list[ChildRow]:
    """Tiers have no id of their own: their position names them."""
    place = {
        "price_id": price.get("id"),
        "currency_code": price.get("currency_code"),
        "pricing_model": price.get("pricing_model"),
    }
    return [
        _child(table, f"{price.get('id')}:{at}", tier, place | {"tier_index": at})
        for at, tier in enumerate(_items(price, "tiers"))
    ]


def _currency_options(_table: SyncedTable, _price: dict[str, Any]) -> list[ChildRow]:
    """An item price has one currency."""
    return []


def _subscription_items(table: SyncedTable, subscription: dict[str, Any]) -> list[ChildRow]:
    """Items have no id of their own: their subscription and item price name them."""
    place = {
        "subscription_id": subscription.get("id"),
        "currency_code": subscription.get("currency_code"),
        "subscription_current_term_start": subscription.get("current_term_start"),
        "subscription_current_term_end": subscription.get("current_term_end"),
    }
    rows = []
    for at, item in enumerate(_items(subscription, "subscription_items")):
        price_id = item.get("item_price_id") if isinstance(item, dict) else None
        name = price_id if is_usable_id(price_id) else str(at)
        rows.append(_child(table, f"{subscription.get('id')}:{name}", item, place))
    return rows


def _lines(table: SyncedTable, invoice: dict[str, Any]) -> list[ChildRow]:
    """A line without an id is named by its position."""
    shared = {
        "invoice_id": invoice.get("id"),
        "currency_code": invoice.get("currency_code"),
        "price_type": invoice.get("price_type"),
    }
    taxes = dict[Any, list[Any]]()
    for tax in _items(invoice, "line_item_taxes"):
        taxes.setdefault(tax.get("line_item_id"), []).append(tax)
    rows = []
    for at, line in enumerate(_items(invoice, "line_items")):
        line_id = line.get("id") if isinstance(line, dict) else None
        place = {**shared, "line_index": at}
        if is_usable_id(line_id) and line_id in taxes:
            place["taxes_of_line"] = taxes[line_id]
        rows.append(_child(table, line_id if is_usable_id(line_id) else f"{invoice.get('id')}:{at}", line, place))
    return rows


def _subscription_discounts(table: SyncedTable, subscription: dict[str, Any]) -> list[ChildRow]:
    subscription_id, terms = subscription.get("id"), subscription.get(_TERMS) or {}
    coupons, by_hand, items = (_items(subscription, name) for name in ("coupons", "discounts", "subscription_items"))
    rows = []
    for position, (name, entry, beside) in enumerate(discounts_of(coupons, by_hand, items, terms)):
        price_id = beside["item_price_id"]
        place = {
            **beside,
            "subscription_id": subscription_id,
            "subscription_item_id": None if price_id is None else f"{subscription_id}:{price_id}",
            "position": position,
            SUBSCRIPTION_CURRENCY: subscription.get("currency_code"),
        }
        rows.append(_child(table, f"{subscription_id}:{name}", entry, place))
    return rows


def _invoice_discounts(table: SyncedTable, invoice: dict[str, Any]) -> list[ChildRow]:
    """What is taken off has no id of its own: its position names it."""
    shared = {"invoice_id": invoice.get("id"), "currency_code": invoice.get("currency_code")}
    taken_off = [each for each in _items(invoice, "discounts") if each.get("entity_type") not in CREDITS]
    return [
        _child(table, f"{invoice.get('id')}:{at}", entry, shared | {"position": at})
        for at, entry in enumerate(taken_off)
    ]


def _tax_ids(table: SyncedTable, customer: dict[str, Any]) -> list[ChildRow]:
    """The customer's own number, and what other registers call it."""
    customer_id, address, rows = customer.get("id"), customer.get("billing_address"), []
    number = customer.get(VAT_NUMBER)
    if number not in (None, ""):
        told = {"value": number} | {name: customer.get(name) for name in ("vat_number_status", "vat_number_prefix")}
        place = {
            "customer_id": customer_id,
            "scheme": VAT_NUMBER,
            "country": address.get("country") if isinstance(address, dict) else None,
        }
        rows.append(_child(table, f"{customer_id}:{VAT_NUMBER}", told, place))
    for at, entry in enumerate(_items(customer, "entity_identifiers")):
        name = entry["id"] if is_usable_id(entry.get("id")) else str(at)
        rows.append(_child(table, f"{customer_id}:{name}", entry, {"customer_id": customer_id}))
    return rows


def _payments(table: SyncedTable, invoice: dict[str, Any]) -> list[ChildRow]:
    """A payment without an id is named by its position."""
    place = {"invoice_id": invoice.get("id"), "currency_code": invoice.get("currency_code")}
    rows = []
    for at, payment in enumerate(_items(invoice, "linked_payments")):
        payment_id = payment.get("txn_id") if isinstance(payment, dict) else None
        name = payment_id if is_usable_id(payment_id) else f"{invoice.get('id')}:{at}"
        rows.append(_child(table, name, payment, place))
    return rows


def _none(_table: SyncedTable, _obj: dict[str, Any]) -> list[ChildRow]:
    return []


_CHILDREN: dict[str, Callable[[SyncedTable, dict[str, Any]], list[ChildRow]]] = {
    tables.CUSTOMER_DISCOUNTS.name: _none,
    tables.CUSTOMER_TAX_IDS.name: _tax_ids,
    tables.SUBSCRIPTION_DISCOUNTS.name: _subscription_discounts,
    tables.SUBSCRIPTION_TAX_RATES.name: _none,
    tables.INVOICE_DISCOUNTS.name: _invoice_discounts,
    tables.PRICE_TIERS.name: _tiers,
    tables.PRICE_CURRENCY_OPTIONS.name: _currency_options,
    tables.SUBSCRIPTION_ITEMS.name: _subscription_items,
    tables.INVOICE_LINE_ITEMS.name: _lines,
    tables.INVOICE_PAYMENTS.name: _payments,
}
