"""Subscriptions, prices and customers as mappings hand them over, with what a test says of them."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from cyphera_pipelines.model.columns import SyncedTable
from cyphera_pipelines.model.rows import ChildRow, MappedObject
from cyphera_pipelines.model.synced_tables import (
    CUSTOMER_DISCOUNTS,
    CUSTOMERS,
    PRICE_CURRENCY_OPTIONS,
    PRICE_TIERS,
    PRICES,
    SUBSCRIPTION_DISCOUNTS,
    SUBSCRIPTION_ITEMS,
    SUBSCRIPTION_TAX_RATES,
    SUBSCRIPTIONS,
)

Values = Mapping[str, Any]
CREATED = 1_700_000_000


def subscription(
    subscription_id: str,
    items: Sequence[Values] = (),
    discounts: Sequence[Values] = (),
    tax_rates: Sequence[Values] = (),
    **values: Any,
) -> MappedObject:
    """A subscription of test mode. Children are given with their `id` and what else is known of them."""
    values = {"created": CREATED, "status": "active", "currency": "eur", "customer_id": "cus_1", **values}
    of_parent = {"subscription_id": subscription_id}
    children = {
        "subscription_items": [_child(SUBSCRIPTION_ITEMS, each, of_parent) for each in items],
        "subscription_discounts": [_child(SUBSCRIPTION_DISCOUNTS, each, of_parent) for each in discounts],
        "subscription_tax_rates": [_child(SUBSCRIPTION_TAX_RATES, each, of_parent) for each in tax_rates],
    }
    return _object(SUBSCRIPTIONS, subscription_id, values, children)


def customer(customer_id: str, discounts: Sequence[Values] = (), **values: Any) -> MappedObject:
    """A customer of test mode."""
    children = [_child(CUSTOMER_DISCOUNTS, each, {"customer_id": customer_id}) for each in discounts]
    return _object(CUSTOMERS, customer_id, {"created": CREATED, **values}, {"customer_discounts": children})


def price(price_id: str, tiers: Sequence[Values] = (), options: Sequence[Values] = (), **values: Any) -> MappedObject:
    """A price of test mode. An option's id follows from its currency, a tier's from its place."""
    of_parent = {"price_id": price_id}
    children = {
        "price_tiers": [
            _child(PRICE_TIERS, {"id": f"{price_id}:{at}", "tier_index": at, **each}, of_parent)
            for at, each in enumerate(tiers)
        ],
        "price_currency_options": [
            _child(PRICE_CURRENCY_OPTIONS, {"id": f"{price_id}:{each['currency']}", **each}, of_parent)
            for each in options
        ],
    }
    return _object(PRICES, price_id, {"created": CREATED, "currency": "eur", **values}, children)


def _object(table: SyncedTable, object_id: str, values: Values, children: dict[str, list[ChildRow]]) -> MappedObject:
    raw = orjson.dumps(
        {"id": object_id, **values, **{name: [row.values for row in children[name]] for name in children}}
    )
    return MappedObject(object_id, False, _row(table, values), raw, _digest(raw), 0.0, children)


def _child(table: SyncedTable, values: Values, of_parent: Values) -> ChildRow:
    own = {**{name: value for name, value in values.items() if name != "id"}, **of_parent}
    raw = orjson.dumps({"id": values["id"], **own})
    return ChildRow(values["id"], _row(table, own), raw, _digest(raw))


def _row(table: SyncedTable, values: Values) -> tuple[Any, ...]:
    assert set(values) <= {column.name for column in table.columns}
    return tuple(values.get(column.name) for column in table.columns)


def _digest(raw: bytes) -> bytes:
    return hashlib.md5(raw, usedforsecurity=False).digest()
