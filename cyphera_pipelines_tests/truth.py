"""What the tables must hold, worked out from the provider's objects by hand and not by the code under test."""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Protocol

from sqlalchemy import select

from cyphera_pipelines.model.source import Source
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.tables import synced_tables

ENTITIES = ("customers", "products", "prices", "subscriptions", "invoices")
NOT_COMPARED = {"workspace_id", "provider", "content_hash", "source_version", "synced_at", "deleted_at"}
PARENTS = {
    "price_tiers": "price_id",
    "price_currency_options": "price_id",
    "subscription_items": "subscription_id",
    "invoice_line_items": "invoice_id",
}
Json = dict[str, Any]
RowName = tuple[Any, ...]


class Truth(Protocol):
    """A sandbox, in this process or another one."""

    def truth(self, account_id: str, collection: str) -> Iterable[Json]: ...


def assert_tables_equal_truth(
    database: Database,
    source: Source,
    sandbox: Truth,
    account_id: str,
    *,
    entities: Iterable[str] = ENTITIES,
    without: Iterable[str] = (),
) -> None:
    """Compare every live row and every column with the provider's objects, all nested ones included.

    `without` names objects that must not be there.
    """
    left_out = set(without)
    expected: dict[str, dict[RowName, Json]] = {}
    options = known_options(database, source, sandbox, account_id)
    for entity in entities:
        for name in _TABLES_OF[entity]:
            expected[name] = {}
        for obj in sandbox.truth(account_id, entity):
            if obj.get("id") not in left_out:
                for name, row in expected_rows(entity, storable(obj), options):
                    key = row_name(name, row)
                    assert key not in expected[name], f"{name} has {key} twice at the provider"
                    expected[name][key] = row
    for name, rows in expected.items():
        actual = {row_name(name, row): row for row in read_live_rows(database, source, name)}
        assert actual.keys() == rows.keys(), (
            f"{name}: missing {rows.keys() - actual.keys()}, surplus {actual.keys() - rows.keys()}"
        )
        for row_id, row in rows.items():
            differing = {
                column: (actual[row_id][column], row[column])
                for column in actual[row_id]
                if column != "raw" and actual[row_id][column] != row[column]
            }
            assert not differing, f"{name} {row_id}: (in the table, at the provider) {differing}"
            if source.store_raw:
                assert actual[row_id]["raw"] == row["raw"], f"{name} {row_id}: raw differs"
            else:
                assert actual[row_id]["raw"] is None


def row_name(name: str, row: Mapping[Any, Any]) -> RowName:
    """What tells a row from every other one of its table."""
    parent = PARENTS.get(name)
    return (row["id"],) if parent is None else (row[parent], row["id"], row["occurrence"])


def live_rows(database: Database, source: Source, name: str) -> dict[str, Json]:
    """An entity's rows that are not tombstones, by id."""
    assert name not in PARENTS, "the ids of children are not unique"
    return {row["id"]: row for row in read_live_rows(database, source, name)}


def read_live_rows(database: Database, source: Source, name: str) -> list[Json]:
    """The source's rows that are not tombstones, as the workspace's own role sees them."""
    table = synced_tables[name]
    columns = [column for column in table.c if column.name not in NOT_COMPARED]
    with database.tenant(source.workspace_id) as connection:
        statement = select(*columns).where(table.c.provider == source.provider, table.c.deleted_at.is_(None))
        return [dict(row._mapping) for row in connection.execute(statement)]


def storable(value: Any) -> Any:
    """What Postgres can hold of a JSON value."""
    if isinstance(value, str):
        return re.sub("[\ud800-\udfff]", "\ufffd", value.replace("\x00", ""))
    if isinstance(value, dict):
        return {storable(key): storable(item) for key, item in value.items()}
    return [storable(item) for item in value] if isinstance(value, list) else value


def known_options(database: Database, source: Source, sandbox: Truth, account_id: str) -> dict[str, Json]:
    """What the provider's prices cost in each currency, by price: of those prices that were synced at all."""
    synced = {row["price_id"] for row in read_live_rows(database, source, "price_currency_options")}
    prices = sandbox.truth(account_id, "prices") if synced else ()
    return {price["id"]: price.get("currency_options") or {} for price in prices if price.get("id") in synced}


def expected_rows(entity: str, obj: Json, options: Mapping[str, Json]) -> Iterable[tuple[str, Json]]:
    """Yield (table, row) for the object and everything nested in it. `options` are what prices cost by currency."""
    yield entity, {**_OWN_COLUMNS[entity](obj), **_shared(obj, obj["livemode"])}
    if entity == "prices":
        for at, tier in enumerate(obj.get("tiers") or []):
            row = {**_tier(tier, obj, at), "id": f"{obj['id']}:{at}", "livemode": obj["livemode"], "raw": tier}
            yield "price_tiers", {**row, "occurrence": 0}
        for currency, option in (obj.get("currency_options") or {}).items():
            row = {**_option(option, obj, currency), "livemode": obj["livemode"], "raw": option, "occurrence": 0}
            yield "price_currency_options", {**row, "id": f"{obj['id']}:{currency}"}
    if entity == "subscriptions":
        items = obj["items"]["data"]
        for at, item in enumerate(items):
            row = {**_subscription_item(item, obj, options), **_shared(item, obj["livemode"])}
            yield "subscription_items", {**row, "occurrence": _before(items, at)}
    if entity == "invoices":
        lines = obj["lines"]["data"]
        for at, line in enumerate(lines):
            row = {**_line(line, obj, at), **_shared(line, obj["livemode"])}
            yield "invoice_line_items", {**row, "occurrence": _before(lines, at)}


def _before(items: list[Json], at: int) -> int:
    """How many of the items before this one have its id."""
    return sum(item["id"] == items[at]["id"] for item in items[:at])


_TABLES_OF = {
    "customers": ["customers"],
    "products": ["products"],
    "prices": ["prices", "price_tiers", "price_currency_options"],
    "subscriptions": ["subscriptions", "subscription_items"],
    "invoices": ["invoices", "invoice_line_items"],
}


def _shared(obj: Json, livemode: bool) -> Json:
    return {"id": obj["id"], "livemode": livemode, "metadata": obj.get("metadata"), "raw": obj}


def _moment(seconds: int | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def _pick(obj: Json, *names: str) -> Json:
    return {name: obj.get(name) for name in names}


def _customer(obj: Json) -> Json:
    address = obj.get("address") or {}
    parts = ("line1", "line2", "city", "state", "postal_code", "country")
    return {
        **_pick(obj, "email", "name", "phone", "description", "currency", "balance", "delinquent", "tax_exempt"),
        **_pick(obj, "invoice_prefix", "preferred_locales", "shipping", "discount"),
        **{f"address_{part}": address.get(part) for part in parts},
        "created": _moment(obj["created"]),
        "default_source_id": obj.get("default_source"),
        "default_payment_method_id": (obj.get("invoice_settings") or {}).get("default_payment_method"),
        "test_clock_id": obj.get("test_clock"),
    }


def _product(obj: Json) -> Json:
    return {
        **_pick(obj, "name", "active", "description", "type", "unit_label", "statement_descriptor", "shippable", "url"),
        **_pick(obj, "images", "marketing_features", "package_dimensions"),
        "created": _moment(obj["created"]),
        "updated": _moment(obj.get("updated")),
        "default_price_id": obj.get("default_price"),
        "tax_code_id": obj.get("tax_code"),
    }


def _price(obj: Json) -> Json:
    recurring, transform = obj.get("recurring") or {}, obj.get("transform_quantity") or {}
    return {
        **_pick(obj, "active", "type", "currency", "unit_amount", "billing_scheme", "tiers_mode", "nickname"),
        **_pick(obj, "lookup_key", "tax_behavior", "custom_unit_amount"),
        "created": _moment(obj["created"]),
        "product_id": obj["product"],
        "unit_amount_decimal": _decimal(obj.get("unit_amount_decimal")),
        "recurring_interval": recurring.get("interval"),
        "recurring_interval_count": recurring.get("interval_count"),
        "recurring_usage_type": recurring.get("usage_type"),
        "recurring_meter_id": recurring.get("meter"),
        "recurring_trial_period_days": recurring.get("trial_period_days"),
        "transform_quantity_divide_by": transform.get("divide_by"),
        "transform_quantity_round": transform.get("round"),
    }


def _tier(tier: Json, price: Json, at: int) -> Json:
    return {
        **_pick(tier, "up_to", "unit_amount", "flat_amount"),
        "price_id": price["id"],
        "tier_index": at,
        "currency": price["currency"],
        "unit_amount_decimal": _decimal(tier.get("unit_amount_decimal")),
        "flat_amount_decimal": _decimal(tier.get("flat_amount_decimal")),
    }


def _option(option: Json, price: Json, currency: str) -> Json:
    is_own = currency == price["currency"]
    return {
        **_pick(option, "unit_amount", "tax_behavior", "custom_unit_amount"),
        "price_id": price["id"],
        "currency": currency,
        "unit_amount_decimal": _decimal(option.get("unit_amount_decimal")),
        "tiers": option.get("tiers", price.get("tiers") if is_own else None),
    }


def _subscription(obj: Json) -> Json:
    cancellation, pause = obj.get("cancellation_details") or {}, obj.get("pause_collection") or {}
    moments = ("created", "start_date", "ended_at", "cancel_at", "canceled_at", "trial_start", "trial_end")
    return {
        **_pick(obj, "status", "currency", "collection_method", "cancel_at_period_end", "days_until_due"),
        **_pick(obj, "description", "discounts"),
        **{name: _moment(obj.get(name)) for name in (*moments, "billing_cycle_anchor")},
        "customer_id": obj["customer"],
        "cancellation_reason": cancellation.get("reason"),
        "cancellation_feedback": cancellation.get("feedback"),
        "cancellation_comment": cancellation.get("comment"),
        "latest_invoice_id": obj.get("latest_invoice"),
        "default_payment_method_id": obj.get("default_payment_method"),
        "schedule_id": obj.get("schedule"),
        "pause_collection_behavior": pause.get("behavior"),
        "pause_collection_resumes_at": _moment(pause.get("resumes_at")),
        "test_clock_id": obj.get("test_clock"),
    }


def _subscription_item(item: Json, subscription: Json, options: Mapping[str, Json]) -> Json:
    price, billed_in = item["price"], subscription["currency"]
    told = price if price["currency"] == billed_in else options.get(price["id"], {}).get(billed_in, {})
    return {
        **_pick(item, "quantity", "discounts"),
        **{name: _moment(item.get(name)) for name in ("created", "current_period_start", "current_period_end")},
        "subscription_id": subscription["id"],
        "price_id": item["price"]["id"],
        "product_id": item["price"]["product"],
        "currency": billed_in,
        "unit_amount": told.get("unit_amount"),
        "unit_amount_decimal": _decimal(told.get("unit_amount_decimal")),
    }


def _invoice(obj: Json) -> Json:
    transitions = obj.get("status_transitions") or {}
    details = (obj.get("parent") or {}).get("subscription_details") or {}
    moments = ("created", "period_start", "period_end", "due_date", "effective_at", "next_payment_attempt")
    changes = ("finalized_at", "paid_at", "voided_at", "marked_uncollectible_at")
    taxes, discounts = obj.get("total_taxes"), obj.get("total_discount_amounts")
    return {
        **_pick(obj, "number", "customer_email", "customer_name", "status", "billing_reason", "collection_method"),
        **_pick(obj, "currency", "subtotal", "subtotal_excluding_tax", "total", "total_excluding_tax", "amount_due"),
        **_pick(obj, "amount_paid", "amount_remaining", "amount_overpaid", "amount_shipping", "starting_balance"),
        **_pick(obj, "ending_balance", "pre_payment_credit_notes_amount", "post_payment_credit_notes_amount"),
        **_pick(obj, "attempt_count", "attempted", "auto_advance", "description", "account_country"),
        **_pick(obj, "receipt_number", "hosted_invoice_url", "invoice_pdf", "discounts"),
        **{name: _moment(obj.get(name)) for name in moments},
        **{name: _moment(transitions.get(name)) for name in changes},
        "customer_id": obj.get("customer"),
        "subscription_id": details.get("subscription"),
        "total_taxes": None if taxes is None else sum(tax["amount"] for tax in taxes),
        "total_discounts": None if discounts is None else sum(discount["amount"] for discount in discounts),
        "default_payment_method_id": obj.get("default_payment_method"),
        "test_clock_id": obj.get("test_clock"),
    }


def _line(line: Json, invoice: Json, at: int) -> Json:
    pricing, parent = line.get("pricing") or {}, line.get("parent") or {}
    price = pricing.get("price_details") or {}
    of_subscription = parent.get("subscription_item_details") or {}
    of_item = parent.get("invoice_item_details") or {}
    proration = of_subscription.get("proration")
    return {
        **_pick(line, "amount", "subtotal", "currency", "description", "quantity", "discountable"),
        **_pick(line, "discount_amounts", "taxes"),
        "invoice_id": invoice["id"],
        "line_index": at,
        "quantity_decimal": _decimal(line.get("quantity_decimal")),
        "unit_amount_decimal": _decimal(pricing.get("unit_amount_decimal")),
        "price_id": price.get("price"),
        "product_id": price.get("product"),
        "parent_type": parent.get("type"),
        "subscription_id": of_subscription.get("subscription")
        or of_item.get("subscription")
        or line.get("subscription"),
        "subscription_item_id": of_subscription.get("subscription_item"),
        "invoice_item_id": of_item.get("invoice_item") or of_subscription.get("invoice_item"),
        "proration": of_item.get("proration") if proration is None else proration,
        "period_start": _moment((line.get("period") or {}).get("start")),
        "period_end": _moment((line.get("period") or {}).get("end")),
    }


_OWN_COLUMNS = {
    "customers": _customer,
    "products": _product,
    "prices": _price,
    "subscriptions": _subscription,
    "invoices": _invoice,
}
