"""What the tables must hold, worked out from the provider's objects by hand and not by the code under test."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Protocol

from sqlalchemy import select

from cyphera_pipelines.model.source import Source
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.tables import synced_tables
from cyphera_pipelines_tests import chargebee_truth

ENTITIES = ("customers", "products", "prices", "subscriptions", "invoices")
NOT_COMPARED = {"workspace_id", "provider", "content_hash", "source_version", "synced_at", "deleted_at"}
PARENTS = {
    "customer_discounts": "customer_id",
    "customer_tax_ids": "customer_id",
    "price_tiers": "price_id",
    "price_currency_options": "price_id",
    "subscription_items": "subscription_id",
    "subscription_discounts": "subscription_id",
    "subscription_tax_rates": "subscription_id",
    "invoice_discounts": "invoice_id",
    "invoice_line_items": "invoice_id",
    "invoice_payments": "invoice_id",
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
    rows_of = _rows_of(database, source, sandbox, account_id)
    for entity in entities:
        for name in chargebee_truth.TABLES_OF[entity] if source.provider == "chargebee" else _TABLES_OF[entity]:
            expected[name] = {}
        for obj in sandbox.truth(account_id, entity):
            if obj.get("id") not in left_out:
                for name, row in rows_of(entity, storable(obj)):
                    key = row_name(name, row)
                    assert key not in expected[name], f"{name} has {key} twice at the provider"
                    expected[name][key] = row
    # Of a Chargebee site's rows only those columns are expected that its fields leave no doubt of.
    is_whole = source.provider != "chargebee"
    for name, rows in expected.items():
        actual = {row_name(name, row): row for row in read_live_rows(database, source, name)}
        assert actual.keys() == rows.keys(), (
            f"{name}: missing {rows.keys() - actual.keys()}, surplus {actual.keys() - rows.keys()}"
        )
        for row_id, row in rows.items():
            differing = {
                column: (actual[row_id][column], row[column])
                for column in (actual[row_id] if is_whole else row.keys() - {"occurrence"})
                if column != "raw" and actual[row_id][column] != row[column]
            }
            assert not differing, f"{name} {row_id}: (in the table, at the provider) {differing}"
            if source.store_raw:
                assert actual[row_id]["raw"] == row["raw"], f"{name} {row_id}: raw differs"
            else:
                assert actual[row_id]["raw"] is None


def _rows_of(
    database: Database, source: Source, sandbox: Truth, account_id: str
) -> Callable[[str, Json], Iterable[tuple[str, Json]]]:
    """How objects of the source's provider are rows."""
    if source.provider == "chargebee":
        coupons = {coupon["id"]: coupon for coupon in sandbox.truth(account_id, "coupons")}
        return lambda entity, obj: chargebee_truth.expected_rows(entity, obj, coupons)
    options = known_options(database, source, sandbox, account_id)
    coupons = {coupon["id"]: coupon for coupon in sandbox.truth(account_id, "coupons")}
    return lambda entity, obj: expected_rows(entity, obj, options, coupons)


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
        # Most text is ASCII, which holds no surrogate.
        text = value.replace("\x00", "")
        return text if text.isascii() else re.sub("[\ud800-\udfff]", "\ufffd", text)
    if isinstance(value, dict):
        return {storable(key): storable(item) for key, item in value.items()}
    return [storable(item) for item in value] if isinstance(value, list) else value


def known_options(database: Database, source: Source, sandbox: Truth, account_id: str) -> dict[str, Json]:
    """What the provider's prices cost in each currency, by price: of those prices that were synced at all."""
    synced = {row["price_id"] for row in read_live_rows(database, source, "price_currency_options")}
    prices = sandbox.truth(account_id, "prices") if synced else ()
    return {price["id"]: price.get("currency_options") or {} for price in prices if price.get("id") in synced}


def expected_rows(
    entity: str, obj: Json, options: Mapping[str, Json], coupons: Mapping[str, Json]
) -> Iterable[tuple[str, Json]]:
    """Yield (table, row) for the object and everything nested in it. `options` are what prices cost by currency."""
    if entity == "customers":
        yield from _counted("customer_discounts", _customer_discounts(obj, coupons), obj)
        yield from _counted("customer_tax_ids", _customer_tax_ids(obj), obj)
        obj = {name: value for name, value in obj.items() if name != "tax_ids"}
    if entity == "invoices":
        yield from _counted("invoice_payments", _invoice_payments(obj), obj)
        obj = {name: value for name, value in obj.items() if name != "payments"}
    yield entity, {**_OWN_COLUMNS[entity](obj), **_shared(obj, obj["livemode"])}
    if entity == "prices":
        for at, tier in enumerate(obj.get("tiers") or []):
            row = {**_tier(tier, obj, at), "id": f"{obj['id']}:{at}", "livemode": obj["livemode"], "raw": tier}
            yield "price_tiers", {**row, "occurrence": 0}
        for currency, option in (obj.get("currency_options") or {}).items():
            row = {**_option(option, obj, currency), "livemode": obj["livemode"], "raw": option, "occurrence": 0}
            yield "price_currency_options", {**row, "id": f"{obj['id']}:{currency}"}
    if entity == "subscriptions":
        yield from _counted("subscription_discounts", _subscription_discounts(obj, coupons), obj)
        yield from _counted("subscription_tax_rates", _subscription_tax_rates(obj), obj)
        items = obj["items"]["data"]
        for at, item in enumerate(items):
            row = {**_subscription_item(item, obj, options), **_shared(item, obj["livemode"])}
            yield "subscription_items", {**row, "occurrence": _before(items, at)}
    if entity == "invoices":
        yield from _counted("invoice_discounts", _invoice_discounts(obj, coupons), obj)
        lines = obj["lines"]["data"]
        for at, line in enumerate(lines):
            row = {**_line(line, obj, at), **_shared(line, obj["livemode"])}
            yield "invoice_line_items", {**row, "occurrence": _before(lines, at)}


def _counted(name: str, rows: Iterable[Json], obj: Json) -> Iterable[tuple[str, Json]]:
    """The rows of a child table of the object; of further ones of the same id it is said the how manieth they are."""
    seen = Counter[str]()
    for row in rows:
        yield name, {**row, "livemode": obj["livemode"], "occurrence": seen[row["id"]]}
        seen[row["id"]] += 1


def _whole(value: Any) -> Json:
    return {"id": value} if isinstance(value, str) else value


def _discount(value: Any, coupons: Mapping[str, Json], at: int) -> Json:
    discount = _whole(value)
    coupon_id = (discount.get("source") or {}).get("coupon")
    coupon = {} if coupon_id is None else coupons.get(coupon_id, {})
    percent, amount = coupon.get("percent_off"), coupon.get("amount_off")
    return {
        "id": discount["id"],
        "raw": discount,
        "position": at,
        "coupon_id": coupon_id,
        "coupon_name": coupon.get("name"),
        "promotion_code_id": discount.get("promotion_code"),
        "kind": "percent" if percent is not None else "amount" if amount is not None else None,
        "percent_off": None if percent is None else Decimal(str(percent)),
        "amount_off": amount,
        **_pick(coupon, "currency", "duration", "duration_in_months"),
        "starts_at": _moment(discount.get("start")),
        "ends_at": _moment(discount.get("end")),
        "product_ids": (coupon.get("applies_to") or {}).get("products"),
    }


def _customer_discounts(obj: Json, coupons: Mapping[str, Json]) -> Iterable[Json]:
    if obj.get("discount") is not None:
        yield {**_discount(obj["discount"], coupons, 0), "customer_id": obj["id"]}


def _customer_tax_ids(obj: Json) -> Iterable[Json]:
    for tax_id in (obj.get("tax_ids") or {}).get("data", []):
        yield {
            **_pick(tax_id, "id", "type", "value", "country"),
            "raw": tax_id,
            "customer_id": obj["id"],
            "created": _moment(tax_id["created"]),
            "verification_status": tax_id["verification"]["status"],
        }


def _subscription_discounts(obj: Json, coupons: Mapping[str, Json]) -> Iterable[Json]:
    for item_id, held in [(None, obj), *((item["id"], item) for item in obj["items"]["data"])]:
        for at, discount in enumerate(held.get("discounts") or []):
            row = _discount(discount, coupons, at)
            yield {**row, "subscription_id": obj["id"], "subscription_item_id": item_id}


def _subscription_tax_rates(obj: Json) -> Iterable[Json]:
    held = [(None, obj.get("default_tax_rates"))]
    held += [(item["id"], item.get("tax_rates")) for item in obj["items"]["data"]]
    for item_id, rates in held:
        for at, rate in enumerate(rates or []):
            yield {
                "id": rate["id"],
                "raw": rate,
                "tax_rate_id": rate["id"],
                "position": at,
                "percentage": Decimal(str(rate["percentage"])),
                **_pick(rate, "display_name", "inclusive", "country", "jurisdiction"),
                "subscription_id": obj["id"],
                "subscription_item_id": item_id,
            }


def _invoice_payments(obj: Json) -> Iterable[Json]:
    for payment in (obj.get("payments") or {"data": []})["data"]:
        if payment["status"] == "paid":
            made_by = payment["payment"]
            yield {
                "id": payment["id"],
                "raw": payment,
                "invoice_id": obj["id"],
                **_pick(payment, "status", "amount_requested", "amount_paid", "currency", "is_default"),
                "type": made_by["type"],
                "payment_intent_id": made_by.get("payment_intent"),
                "charge_id": made_by.get("charge"),
                "transaction_id": made_by.get("payment_record"),
                "paid_out_of_band": made_by["type"] == "payment_record",
                "created": _moment(payment["created"]),
                "paid_at": _moment(payment["status_transitions"]["paid_at"]),
            }


def _invoice_discounts(obj: Json, coupons: Mapping[str, Json]) -> Iterable[Json]:
    totals = obj.get("total_discount_amounts") or []
    of_lines = [each["discount"] for each in totals]
    found = {_whole(each)["id"]: each for each in [*of_lines, *(obj.get("discounts") or [])]}
    in_order = [_whole(each)["id"] for each in [*(obj.get("discounts") or []), *of_lines]]
    for at, discount_id in enumerate(dict.fromkeys(in_order)):
        off = [each["amount"] for each in totals if _whole(each["discount"])["id"] == discount_id]
        row = _discount(found[discount_id], coupons, at)
        yield {**row, "invoice_id": obj["id"], "discounted": sum(off) if off else None}


def _before(items: list[Json], at: int) -> int:
    """How many of the items before this one have its id."""
    return sum(item["id"] == items[at]["id"] for item in items[:at])


_TABLES_OF = {
    "customers": ["customers", "customer_discounts", "customer_tax_ids"],
    "products": ["products"],
    "prices": ["prices", "price_tiers", "price_currency_options"],
    "subscriptions": ["subscriptions", "subscription_items", "subscription_discounts", "subscription_tax_rates"],
    "invoices": ["invoices", "invoice_discounts", "invoice_line_items", "invoice_payments"],
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
        "provider_status": obj.get("status"),
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
        "provider_status": obj.get("status"),
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
