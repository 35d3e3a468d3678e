"""From a page of Stripe objects to rows, child rows and content hashes."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import orjson
import xxhash

from cyphera_pipelines.model import synced_tables as tables
from cyphera_pipelines.model.columns import SyncedTable
from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.json_text import to_json
from cyphera_pipelines.model.rows import ChildRow, MappedObject, Row
from cyphera_pipelines.providers.base import MappedPage
from cyphera_pipelines.providers.mapping.contents import id_of, shown, to_storable
from cyphera_pipelines.providers.mapping.pages import map_each
from cyphera_pipelines.providers.mapping.rows import UnmappableValueError, row_mapper
from cyphera_pipelines.providers.mapping.values import currency, first, path
from cyphera_pipelines.providers.stripe import fields
from cyphera_pipelines.providers.stripe.coupons import UNKNOWN, Coupons, to_coupon

# Part of every content hash: raise it when a mapping changes, so that the next full sync rewrites all rows.
MAPPING_VERSION = 5
MAPPED_SAMPLE = {3: "3674ec105c856325", 4: "ec30634e86e797dc", 5: "c5afd0112c37d76d"}
"""By version: the digest of the rows that it makes of a sample, by which a test sees that rows changed."""
# Links that Stripe signs anew for every reader: they must not make an unchanged invoice look changed.
VOLATILE_FIELDS: dict[Entity, tuple[str, ...]] = {Entity.INVOICES: ("hosted_invoice_url", "invoice_pdf")}

_COUPON = first(path("source", "coupon"), path("coupon"))
_CURRENCY, _PRICE_CURRENCY = currency("currency"), currency("price", "currency")
OBJECT_NAMES = {entity: entity.value.removesuffix("s") for entity in Entity}
"""What Stripe calls a single object of the entity."""
NO_COUPONS: Coupons = {}
_BESIDE = {Entity.CUSTOMERS: "tax_ids", Entity.INVOICES: "payments"}
"""What stands in objects only where it is expanded."""
_MODES = {True: "live", False: "test"}

# Without it nobody could tell of a product whether it is gone.
_ALWAYS = {tables.PRODUCTS.name: ("created",)}
_ROWS: dict[str, Callable[[dict[str, Any]], Row]] = {
    table.name: row_mapper(table, getters, _ALWAYS.get(table.name, ()))
    for table, getters in (
        (tables.CUSTOMERS, fields.CUSTOMER),
        (tables.CUSTOMER_DISCOUNTS, fields.DISCOUNT),
        (tables.CUSTOMER_TAX_IDS, fields.CUSTOMER_TAX_ID),
        (tables.PRODUCTS, fields.PRODUCT),
        (tables.PRICES, fields.PRICE),
        (tables.PRICE_TIERS, fields.PRICE_TIER),
        (tables.PRICE_CURRENCY_OPTIONS, fields.PRICE_CURRENCY_OPTION),
        (tables.SUBSCRIPTIONS, fields.SUBSCRIPTION),
        (tables.SUBSCRIPTION_ITEMS, fields.SUBSCRIPTION_ITEM),
        (tables.SUBSCRIPTION_DISCOUNTS, fields.DISCOUNT),
        (tables.SUBSCRIPTION_TAX_RATES, fields.TAX_RATE),
        (tables.INVOICES, fields.INVOICE),
        (tables.INVOICE_DISCOUNTS, fields.DISCOUNT),
        (tables.INVOICE_LINE_ITEMS, fields.INVOICE_LINE_ITEM),
        (tables.INVOICE_PAYMENTS, fields.INVOICE_PAYMENT),
    )
}


def map_objects(
    entity: Entity, objects: Iterable[Any], *, version: float, livemode: bool | None, coupons: Coupons = NO_COUPONS
) -> MappedPage:
    """Map a page's completed objects. What cannot be mapped is reported with its reason, whole.

    `livemode` is the mode that they have to be of; None if any will do. `coupons` are those of their discounts.
    """
    return map_each(objects, lambda obj: _map_object(entity, obj, version, livemode, coupons))


def _map_object(
    entity: Entity, obj: Any, version: float, wanted: bool | None, coupons: Coupons
) -> tuple[MappedObject, bool]:
    if not isinstance(obj, dict):
        raise UnmappableValueError("it is not an object")
    object_id = id_of(obj)
    if obj.get("object") not in (None, OBJECT_NAMES[entity]):
        raise UnmappableValueError(f"`object` should be {OBJECT_NAMES[entity]}, not {shown(obj['object'])}")
    livemode = obj.get("livemode", bool(wanted))
    if not isinstance(livemode, bool):
        raise UnmappableValueError(f"`livemode` should be true or false, not {shown(livemode)}")
    if wanted is not None and livemode is not wanted:
        raise UnmappableValueError(f"it is of {_MODES[livemode]} mode, and the key of {_MODES[wanted]} mode")
    obj, beside = _apart(entity, obj)
    obj, raw, was_cleaned = to_storable(obj)
    children = dict[str, list[ChildRow]]()
    for table in tables.child_tables(entity):
        if table.name in _CHILDREN:
            children[table.name] = _CHILDREN[table.name](table, obj)
        elif table.name in _DISCOUNTED:
            children[table.name] = _DISCOUNTED[table.name](obj, coupons)
    if beside:
        told, _, beside_was_cleaned = to_storable(beside)
        for table in tables.loose_child_tables(entity):
            children[table.name] = _LOOSE[table.name](table, object_id, told)
        was_cleaned = was_cleaned or beside_was_cleaned
    mapped = MappedObject(
        id=object_id,
        livemode=livemode,
        values=_ROWS[entity.value](obj),
        raw=raw,
        content_hash=_content_hash(entity, obj, raw, children),
        version=version,
        children=children,
    )
    return mapped, was_cleaned


def _content_hash(
    entity: Entity, obj: Mapping[str, Any], raw: bytes, children: Mapping[str, Iterable[ChildRow]]
) -> bytes:
    for name in VOLATILE_FIELDS.get(entity, ()):
        if obj.get(name) is not None:
            # With its name: the same text in another field counts.
            before, _, after = raw.partition(b'"%b":%b' % (name.encode(), orjson.dumps(obj[name])))
            raw = before + after
    # What discounts take off stands in their coupons, and not in the object.
    terms = [child.content_hash for name in _DISCOUNTED for child in children.get(name, ())]
    return _hash(b"".join((raw, *terms)) if terms else raw)


def _apart(entity: Entity, obj: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The object without what events never tell of it, and that: it is kept, and compared, by itself."""
    name = _BESIDE.get(entity)
    if name is None or name not in obj:
        return obj, {}
    kept = obj.copy()
    told = kept.pop(name)
    return kept, {} if told is None else {name: told}


def _hash(raw: bytes) -> bytes:
    # Not a cryptographic hash, which nobody needs here and which costs ten times as much.
    return xxhash.xxh3_128_digest(raw, seed=MAPPING_VERSION)


def _child(table: SyncedTable, child_id: str, item: dict[str, Any], place: dict[str, Any]) -> ChildRow:
    """A child's row. `place` holds the columns that come from the parent and from the item's position in it."""
    raw = to_json(item)
    try:
        return ChildRow(child_id, _ROWS[table.name](item | place), raw, _hash(raw + orjson.dumps(place)))
    except UnmappableValueError as problem:
        raise UnmappableValueError(f"{table.name} {child_id}: {problem}") from None


def _child_id(table: SyncedTable, item: Mapping[str, Any]) -> str:
    try:
        return id_of(item)
    except UnmappableValueError as problem:
        raise UnmappableValueError(f"one of its {table.name}: {problem}") from None


def _items(obj: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """The items of an embedded list that has been completed."""
    embedded = obj.get(name)
    if not isinstance(embedded, dict) or not isinstance(embedded.get("data"), list):
        raise UnmappableValueError(f"`{name}` is not a list")
    if embedded.get("has_more") not in (None, False):
        raise UnmappableValueError(f"`{name}` is not whole, and does not tell where it goes on")
    return list(embedded["data"])


def _lines(table: SyncedTable, invoice: dict[str, Any]) -> list[ChildRow]:
    lines = enumerate(_items(invoice, "lines"))
    return [
        _child(table, _child_id(table, line), line, {"invoice_id": invoice.get("id"), "line_index": at})
        for at, line in lines
    ]


def _subscription_items(table: SyncedTable, subscription: dict[str, Any]) -> list[ChildRow]:
    """An item is billed in its subscription's currency, whatever that of its price is."""
    items, billed_in = _items(subscription, "items"), _CURRENCY(subscription)
    place = {"subscription_id": subscription.get("id")}
    return [
        _child(table, _child_id(table, item), item, place | {"currency": billed_in or _PRICE_CURRENCY(item)})
        for item in items
    ]


def _tiers(table: SyncedTable, price: dict[str, Any]) -> list[ChildRow]:
    """Tiers have no id of their own: their position names them."""
    about = {"price_id": price.get("id"), "currency": price.get("currency")}
    return [
        _child(table, f"{price.get('id')}:{at}", tier, about | {"tier_index": at})
        for at, tier in enumerate(price.get("tiers") or ())
    ]


def _currency_options(table: SyncedTable, price: dict[str, Any]) -> list[ChildRow]:
    """What the price costs in each currency that it names: they have no id of their own either."""
    options, own = price.get("currency_options") or {}, _CURRENCY(price)
    rows = []
    for name, option in options.items():
        place = {"price_id": price.get("id"), "currency": name.lower()}
        if place["currency"] == own and option.get("tiers") is None:
            place["tiers"] = price.get("tiers")
        rows.append(_child(table, f"{price.get('id')}:{name.lower()}", option, place))
    return rows


def _tax_rates(table: SyncedTable, subscription: dict[str, Any]) -> list[ChildRow]:
    """Those of the whole subscription, then those of its items."""
    rows = list[ChildRow]()
    held: list[tuple[str, Any, str | None]] = [("default_tax_rates", subscription.get("default_tax_rates"), None)]
    held += [
        ("tax_rates", item.get("tax_rates"), _child_id(tables.SUBSCRIPTION_ITEMS, item))
        for item in _items(subscription, "items")
    ]
    for name, rates, item_id in held:
        for at, rate in enumerate(_objects(name, rates)):
            place = {"subscription_id": subscription.get("id"), "subscription_item_id": item_id, "position": at}
            rows.append(_child(table, _child_id(table, rate), rate, place))
    return rows


def _objects(name: str, values: Any) -> list[dict[str, Any]]:
    """The objects of a list of expandable ones, of which some may be mere ids; none where there is no list."""
    if values is None:
        return []
    if not isinstance(values, list):
        raise UnmappableValueError(f"`{name}` is not a list")
    return [_object(name, value) for value in values]


def _object(name: str, value: Any) -> dict[str, Any]:
    if isinstance(value, str):
        return {"id": value}
    if not isinstance(value, dict):
        raise UnmappableValueError(f"`{name}` holds {shown(value)}, which is neither an object nor an id")
    return value


def _discount(
    table: SyncedTable, discount: dict[str, Any], coupons: Coupons, currency: str | None, place: dict[str, Any]
) -> ChildRow:
    """A discount's row: what it takes off its coupon tells, in the currency that it applies to."""
    told, coupon_id = _COUPON(discount), fields.DISCOUNT["coupon_id"](discount)
    if isinstance(told, dict):
        coupon = to_coupon(told)
    else:
        coupon = coupons.get(coupon_id, UNKNOWN) if isinstance(coupon_id, str) else UNKNOWN
    return _child(table, _child_id(table, discount), discount, place | coupon.terms_in(currency))


def _customer_discounts(customer: dict[str, Any], coupons: Coupons) -> list[ChildRow]:
    discount, table = customer.get("discount"), tables.CUSTOMER_DISCOUNTS
    if discount is None:
        return []
    place = {"customer_id": customer.get("id"), "position": 0}
    return [_discount(table, _object("discount", discount), coupons, _CURRENCY(customer), place)]


def _own_discounts(obj: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Those of an object; older versions know one at most."""
    if obj.get("discounts") is None and obj.get("discount") is not None:
        return [_object("discount", obj["discount"])]
    return _objects("discounts", obj.get("discounts"))


def _subscription_discounts(subscription: dict[str, Any], coupons: Coupons) -> list[ChildRow]:
    """Those of the whole subscription, then those of its items."""
    rows, currency, table = list[ChildRow](), _CURRENCY(subscription), tables.SUBSCRIPTION_DISCOUNTS
    held: list[tuple[str | None, list[dict[str, Any]]]] = [(None, _own_discounts(subscription))]
    held += [
        (_child_id(tables.SUBSCRIPTION_ITEMS, item), _own_discounts(item)) for item in _items(subscription, "items")
    ]
    for item_id, discounts in held:
        for at, discount in enumerate(discounts):
            place = {"subscription_id": subscription.get("id"), "subscription_item_id": item_id, "position": at}
            rows.append(_discount(table, discount, coupons, currency, place))
    return rows


def _invoice_discounts(invoice: dict[str, Any], coupons: Coupons) -> list[ChildRow]:
    """Those of the whole invoice, then those that stand on its lines only, with what each took off in all."""
    table, taken = tables.INVOICE_DISCOUNTS, dict[str, float]()
    found = {_child_id(table, each): each for each in _own_discounts(invoice)}
    for total in _objects("total_discount_amounts", invoice.get("total_discount_amounts")):
        discount = _object("discount", total.get("discount"))
        discount_id, amount = _child_id(table, discount), total.get("amount")
        if amount.__class__ not in (int, float):
            raise UnmappableValueError(f"`total_discount_amounts` holds {shown(amount)} as an amount")
        found.setdefault(discount_id, discount)
        taken[discount_id] = taken.get(discount_id, 0) + amount
    return [
        _discount(
            table,
            discount,
            coupons,
            _CURRENCY(invoice),
            {"invoice_id": invoice.get("id"), "position": at, "discounted": taken.get(discount_id)},
        )
        for at, (discount_id, discount) in enumerate(found.items())
    ]


_DISCOUNTED: dict[str, Callable[[dict[str, Any], Coupons], list[ChildRow]]] = {
    tables.CUSTOMER_DISCOUNTS.name: _customer_discounts,
    tables.SUBSCRIPTION_DISCOUNTS.name: _subscription_discounts,
    tables.INVOICE_DISCOUNTS.name: _invoice_discounts,
}


def _tax_ids(table: SyncedTable, customer_id: str, told: dict[str, Any]) -> list[ChildRow]:
    place = {"customer_id": customer_id}
    return [_child(table, _child_id(table, tax_id), tax_id, place) for tax_id in _items(told, "tax_ids")]


def _payments(table: SyncedTable, invoice_id: str, told: dict[str, Any]) -> list[ChildRow]:
    """Those that were paid: of no other one any event tells when it comes or goes."""
    paid = [payment for payment in _items(told, "payments") if payment.get("status") == "paid"]
    return [_child(table, _child_id(table, payment), payment, {"invoice_id": invoice_id}) for payment in paid]


_LOOSE: dict[str, Callable[[SyncedTable, str, dict[str, Any]], list[ChildRow]]] = {
    tables.CUSTOMER_TAX_IDS.name: _tax_ids,
    tables.INVOICE_PAYMENTS.name: _payments,
}
_CHILDREN: dict[str, Callable[[SyncedTable, dict[str, Any]], list[ChildRow]]] = {
    tables.SUBSCRIPTION_TAX_RATES.name: _tax_rates,
    tables.PRICE_TIERS.name: _tiers,
    tables.PRICE_CURRENCY_OPTIONS.name: _currency_options,
    tables.SUBSCRIPTION_ITEMS.name: _subscription_items,
    tables.INVOICE_LINE_ITEMS.name: _lines,
}
