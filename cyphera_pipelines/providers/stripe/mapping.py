"""From a page of Stripe objects to rows, child rows and content hashes."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any

import orjson
import xxhash

from cyphera_pipelines.model import synced_tables as tables
from cyphera_pipelines.model.columns import SyncedTable
from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.json_text import to_json
from cyphera_pipelines.model.rows import ChildRow, MappedObject, Row, UnmappableObject
from cyphera_pipelines.model.storable import LONGEST_ID, is_usable_id, storable
from cyphera_pipelines.providers.base import MappedPage
from cyphera_pipelines.providers.stripe import fields
from cyphera_pipelines.providers.stripe.rows import UnmappableValueError, row_mapper
from cyphera_pipelines.providers.stripe.values import currency

# Part of every content hash: raise it when a mapping changes, so that the next full sync rewrites all rows.
MAPPING_VERSION = 3
MAPPED_SAMPLE = {3: "3674ec105c856325"}
"""By version: the digest of the rows that it makes of a sample, by which a test sees that rows changed."""
# Links that Stripe signs anew for every reader: they must not make an unchanged invoice look changed.
VOLATILE_FIELDS: dict[Entity, tuple[str, ...]] = {Entity.INVOICES: ("hosted_invoice_url", "invoice_pdf")}

_CURRENCY, _PRICE_CURRENCY = currency("currency"), currency("price", "currency")
OBJECT_NAMES = {entity: entity.value.removesuffix("s") for entity in Entity}
"""What Stripe calls a single object of the entity."""
_MODES = {True: "live", False: "test"}

_ROWS: dict[str, Callable[[dict[str, Any]], Row]] = {
    table.name: row_mapper(table, getters)
    for table, getters in (
        (tables.CUSTOMERS, fields.CUSTOMER),
        (tables.PRODUCTS, fields.PRODUCT),
        (tables.PRICES, fields.PRICE),
        (tables.PRICE_TIERS, fields.PRICE_TIER),
        (tables.PRICE_CURRENCY_OPTIONS, fields.PRICE_CURRENCY_OPTION),
        (tables.SUBSCRIPTIONS, fields.SUBSCRIPTION),
        (tables.SUBSCRIPTION_ITEMS, fields.SUBSCRIPTION_ITEM),
        (tables.INVOICES, fields.INVOICE),
        (tables.INVOICE_LINE_ITEMS, fields.INVOICE_LINE_ITEM),
    )
}


def map_objects(entity: Entity, objects: Iterable[Any], *, version: float, livemode: bool | None) -> MappedPage:
    """Map a page's completed objects. What cannot be mapped is reported with its reason, whole.

    `livemode` is the mode that they have to be of; None if any will do.
    """
    page = MappedPage()
    for obj in objects:
        try:
            mapped, was_cleaned = _map_object(entity, obj, version, livemode)
        except Exception as problem:  # whatever stands in it, it is one object's trouble
            object_id = obj.get("id") if isinstance(obj, dict) else None
            reason = (
                str(problem) if isinstance(problem, UnmappableValueError) else f"it has an unknown shape ({problem!r})"
            )
            page.unmappable.append(UnmappableObject(object_id if isinstance(object_id, str) else None, reason, obj))
            continue
        page.objects.append(mapped)
        if was_cleaned:
            page.cleaned.append(mapped.id)
    return page


def _map_object(entity: Entity, obj: Any, version: float, wanted: bool | None) -> tuple[MappedObject, bool]:
    if not isinstance(obj, dict):
        raise UnmappableValueError("it is not an object")
    object_id = _id_of(obj)
    if obj.get("object") not in (None, OBJECT_NAMES[entity]):
        raise UnmappableValueError(f"`object` should be {OBJECT_NAMES[entity]}, not {_shown(obj['object'])}")
    livemode = obj.get("livemode", bool(wanted))
    if not isinstance(livemode, bool):
        raise UnmappableValueError(f"`livemode` should be true or false, not {_shown(livemode)}")
    if wanted is not None and livemode is not wanted:
        raise UnmappableValueError(f"it is of {_MODES[livemode]} mode, and the key of {_MODES[wanted]} mode")
    obj, raw, was_cleaned = _to_storable(obj)
    children = {table.name: _CHILDREN[table.name](table, obj) for table in tables.child_tables(entity)}
    mapped = MappedObject(
        id=object_id,
        livemode=livemode,
        values=_ROWS[entity.value](obj),
        raw=raw,
        content_hash=_content_hash(entity, obj, raw),
        version=version,
        children=children,
    )
    return mapped, was_cleaned


def _to_storable(obj: dict[str, Any]) -> tuple[dict[str, Any], bytes, bool]:
    """The object and its JSON without what Postgres cannot hold, and whether anything had to be taken out."""
    # Lone surrogates, which UTF-8 cannot say, are taken out; whatever else cannot be written fails again below.
    with suppress(TypeError, ValueError):
        raw = to_json(obj)
        # Hardly any object holds a backslash, which is found sooner.
        if b"\\" not in raw or b"\\u0000" not in raw:
            return obj, raw, False
    clean = storable(obj)
    return clean, to_json(clean), clean != obj


def _id_of(obj: Mapping[str, Any]) -> str:
    object_id = obj.get("id")
    if not isinstance(object_id, str) or not object_id:
        raise UnmappableValueError("`id` is missing")
    if not is_usable_id(object_id):
        raise UnmappableValueError(f"`id` holds characters that no id has, or more than {LONGEST_ID}")
    return object_id


def _content_hash(entity: Entity, obj: Mapping[str, Any], raw: bytes) -> bytes:
    for name in VOLATILE_FIELDS.get(entity, ()):
        if obj.get(name) is not None:
            # With its name: the same text in another field counts.
            before, _, after = raw.partition(b'"%b":%b' % (name.encode(), orjson.dumps(obj[name])))
            raw = before + after
    return _hash(raw)


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


def _items(obj: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """The items of an embedded list that has been completed."""
    embedded = obj.get(name)
    if not isinstance(embedded, dict) or not isinstance(embedded.get("data"), list):
        raise UnmappableValueError(f"`{name}` is not a list")
    if embedded.get("has_more") not in (None, False):
        raise UnmappableValueError(f"`{name}` is not whole, and does not tell where it goes on")
    return list(embedded["data"])


def _shown(value: Any) -> str:
    return repr(value)[:80]


def _lines(table: SyncedTable, invoice: dict[str, Any]) -> list[ChildRow]:
    lines = enumerate(_items(invoice, "lines"))
    return [
        _child(table, _id_of(line), line, {"invoice_id": invoice.get("id"), "line_index": at}) for at, line in lines
    ]


def _subscription_items(table: SyncedTable, subscription: dict[str, Any]) -> list[ChildRow]:
    """An item is billed in its subscription's currency, whatever that of its price is."""
    items, billed_in = _items(subscription, "items"), _CURRENCY(subscription)
    place = {"subscription_id": subscription.get("id")}
    return [
        _child(table, _id_of(item), item, place | {"currency": billed_in or _PRICE_CURRENCY(item)}) for item in items
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


_CHILDREN: dict[str, Callable[[SyncedTable, dict[str, Any]], list[ChildRow]]] = {
    tables.PRICE_TIERS.name: _tiers,
    tables.PRICE_CURRENCY_OPTIONS.name: _currency_options,
    tables.SUBSCRIPTION_ITEMS.name: _subscription_items,
    tables.INVOICE_LINE_ITEMS.name: _lines,
}
