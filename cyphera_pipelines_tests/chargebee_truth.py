"""What the tables must hold of a Chargebee site, worked out from its objects by hand and not by the code under test.

Only columns of which Chargebee's own fields leave no doubt are expected; that every row is there, that none is there
twice and that `raw` is the whole object is expected of all.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

Json = dict[str, Any]
THREE_DECIMALS = frozenset({"bhd", "iqd", "jod", "kwd", "lyd", "omr", "tnd"})
"""Currencies with thousandths, which Chargebee counts in hundredths."""
WITHOUT_DECIMALS = frozenset({"jpy", "krw", "vnd", "clp", "isk"})
SUBSCRIPTION_STATUS = {
    "in_trial": "trialing", "active": "active", "non_renewing": "active", "paused": "paused", "cancelled": "canceled",
    "transferred": "canceled", "future": "scheduled",
}  # fmt: skip
INVOICE_STATUS = {
    "pending": "draft", "posted": "open", "payment_due": "open", "not_paid": "open", "paid": "paid", "voided": "void",
}  # fmt: skip
SCHEMES = {
    "flat_fee": ("per_unit", None), "per_unit": ("per_unit", None), "tiered": ("tiered", "graduated"),
    "volume": ("tiered", "volume"), "stairstep": ("tiered", "volume"),
}  # fmt: skip
TABLES_OF = {
    "customers": ["customers", "customer_tax_ids"],
    "products": ["products"],
    "prices": ["prices", "price_tiers", "price_currency_options"],
    "subscriptions": ["subscriptions", "subscription_items", "subscription_discounts"],
    "invoices": ["invoices", "invoice_discounts", "invoice_line_items", "invoice_payments"],
}


def expected_rows(entity: str, obj: Json, coupons: Mapping[str, Json]) -> Iterable[tuple[str, Json]]:
    """Yield (table, row) for the object and everything nested in it. `coupons` are the site's, by their ids."""
    if entity == "customers":
        yield entity, {**_customer(obj), "id": obj["id"], "raw": obj}
        if "vat_number" in obj:
            yield (
                "customer_tax_ids",
                {
                    "id": f"{obj['id']}:vat_number",
                    "customer_id": obj["id"],
                    "type": "vat_number",
                    "value": obj["vat_number"],
                    "occurrence": 0,
                    "livemode": False,
                    "raw": {"value": obj["vat_number"], "vat_number_prefix": None, "vat_number_status": None},
                },
            )
    elif entity == "products":
        yield entity, {**_product(obj), "id": obj["id"], "raw": obj}
    elif entity == "prices":
        yield entity, {**_price(obj), "id": obj["id"], "raw": obj}
        for at, tier in enumerate(obj.get("tiers", [])):
            yield "price_tiers", {**_tier(tier, obj, at), "occurrence": 0, "raw": tier}
    elif entity == "subscriptions":
        yield entity, {**_subscription(obj), "id": obj["id"], "raw": obj}
        for item in obj["subscription_items"]:
            yield "subscription_items", {**_item(item, obj), "occurrence": 0, "raw": item}
        for row in _discounts(obj, coupons):
            yield "subscription_discounts", row
    else:
        yield entity, {**_invoice(obj), "id": obj["id"], "raw": obj}
        for at, line in enumerate(obj["line_items"]):
            yield "invoice_line_items", {**_line(line, obj, at), "id": line["id"], "occurrence": 0, "raw": line}
        for at, discount in enumerate(obj.get("discounts", ())):
            yield (
                "invoice_discounts",
                {
                    "id": f"{obj['id']}:{at}",
                    "invoice_id": obj["id"],
                    "position": at,
                    "coupon_id": discount["entity_id"] if discount["entity_type"].endswith("_coupon") else None,
                    "kind": {"percentage": "percent", "fixed_amount": "amount"}[discount["discount_type"]],
                    "discounted": minor_units(discount["amount"], obj["currency_code"]),
                    "currency": obj["currency_code"].lower(),
                    "occurrence": 0,
                    "livemode": False,
                    "raw": discount,
                },
            )
        for payment in obj.get("linked_payments", ()):
            yield (
                "invoice_payments",
                {
                    "id": payment["txn_id"],
                    "invoice_id": obj["id"],
                    "status": "paid",
                    "amount_paid": minor_units(payment["applied_amount"], obj["currency_code"]),
                    "currency": obj["currency_code"].lower(),
                    "transaction_id": payment["txn_id"],
                    "paid_at": _moment(payment["applied_at"]),
                    "occurrence": 0,
                    "livemode": False,
                    "raw": payment,
                },
            )


def _discounts(obj: Json, coupons: Mapping[str, Json]) -> Iterable[Json]:
    """Chargebee's own order: from items first, amounts first, coupons first."""
    found: list[tuple[bool, bool, Json]] = []
    for entry in obj.get("coupons", ()):
        coupon = coupons[entry["coupon_id"]]
        is_percent = coupon["discount_type"] == "percentage"
        row = {
            "coupon_id": coupon["id"],
            "coupon_name": coupon["name"],
            "percent_off": Decimal(str(coupon["discount_percentage"])) if is_percent else None,
            "amount_off": None if is_percent else coupon["discount_amount"],
            "duration": {"one_time": "once", "forever": "forever"}[coupon["duration_type"]],
            "raw": entry,
        }
        prices = [None]
        if coupon["apply_on"] == "each_specified_item":
            named = {name for each in coupon["item_constraints"] for name in each.get("item_price_ids", ())}
            prices = [item["item_price_id"] for item in obj["subscription_items"] if item["item_price_id"] in named]
        for price in prices:
            suffix = "" if price is None else f":{price}"
            of_item = None if price is None else f"{obj['id']}:{price}"
            named_row = {**row, "id": f"{obj['id']}:{coupon['id']}{suffix}", "subscription_item_id": of_item}
            found.append((price is None, is_percent, named_row))
    for entry in obj.get("discounts", ()):
        is_percent, price = entry["type"] == "percentage", entry.get("item_price_id")
        row = {
            "id": f"{obj['id']}:{entry['id']}",
            "subscription_item_id": None if price is None else f"{obj['id']}:{price}",
            "coupon_id": None,
            "percent_off": Decimal(str(entry["percentage"])) if is_percent else None,
            "amount_off": None if is_percent else entry["amount"],
            "duration": {"one_time": "once", "limited_period": "repeating", "forever": "forever"}[
                entry["duration_type"]
            ],
            "duration_in_months": entry.get("period"),
            "starts_at": _moment(entry["created_at"]),
            "ends_at": _moment(entry.get("apply_till")),
            "raw": entry,
        }
        found.append((price is None, is_percent, row))
    found.sort(key=lambda each: each[:2])
    shared = {"subscription_id": obj["id"], "occurrence": 0, "livemode": False}
    return [{**row, **shared, "position": at} for at, (_, _, row) in enumerate(found)]


def minor_units(amount: int | None, currency: str) -> int | None:
    """An amount as Chargebee counts it, in the smallest unit of its currency."""
    return None if amount is None else amount * (10 if currency.lower() in THREE_DECIMALS else 1)


def exact_minor_units(whole: int | None, in_major_units: str | None, currency: str) -> Decimal | None:
    """The same with the parts of the smallest unit that sites with decimals tell."""
    if in_major_units is not None:
        places = 3 if currency.lower() in THREE_DECIMALS else 0 if currency.lower() in WITHOUT_DECIMALS else 2
        return Decimal(in_major_units).scaleb(places)
    amount = minor_units(whole, currency)
    return None if amount is None else Decimal(amount)


def _moment(seconds: int | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _customer(obj: Json) -> Json:
    names = " ".join(obj[part] for part in ("first_name", "last_name") if obj.get(part))
    address = obj.get("billing_address", {})
    return {
        "name": names or obj.get("company"),
        "email": obj.get("email"),
        "phone": obj.get("phone"),
        "currency": obj["preferred_currency_code"].lower(),
        "created": _moment(obj["created_at"]),
        **{f"address_{part}": address.get(part) for part in ("line1", "line2", "city", "state", "country")},
        "address_postal_code": address.get("zip"),
        "livemode": False,
    }


def _product(obj: Json) -> Json:
    return {
        "name": obj["name"],
        "active": obj["status"] == "active",
        "description": obj.get("description"),
        "created": None,
        "updated": _moment(obj.get("updated_at")),
        "unit_label": obj.get("unit"),
        "livemode": False,
    }


def _price(obj: Json) -> Json:
    scheme, mode = SCHEMES[obj["pricing_model"]]
    is_recurring, currency = "period" in obj, obj["currency_code"]
    exact = exact_minor_units(obj.get("price"), obj.get("price_in_decimal"), currency)
    return {
        "product_id": obj["item_id"],
        "active": obj["status"] == "active",
        "currency": currency.lower(),
        "type": "recurring" if is_recurring else "one_time",
        "billing_scheme": scheme,
        "tiers_mode": mode,
        "unit_amount_decimal": exact if scheme == "per_unit" else None,
        "recurring_interval": obj.get("period_unit"),
        "recurring_interval_count": obj.get("period"),
        # Whether it is metered is said by the item alone.
        "recurring_usage_type": None,
        "created": _moment(obj["created_at"]),
        "livemode": False,
    }


def _tier(tier: Json, price: Json, at: int) -> Json:
    currency = price["currency_code"]
    exact = exact_minor_units(tier.get("price"), tier.get("price_in_decimal"), currency)
    is_flat = price["pricing_model"] == "stairstep"
    return {
        "id": f"{price['id']}:{at}",
        "price_id": price["id"],
        "tier_index": at,
        "currency": currency.lower(),
        "up_to": tier.get("ending_unit"),
        **({"flat_amount_decimal": exact} if is_flat else {}),
        **({"unit_amount_decimal": exact} if not is_flat and "pricing_type" not in tier else {}),
    }


def _subscription(obj: Json) -> Json:
    is_ending = obj["status"] == "non_renewing"
    return {
        "status": SUBSCRIPTION_STATUS[obj["status"]],
        "provider_status": obj["status"],
        "customer_id": obj["customer_id"],
        "currency": obj["currency_code"].lower(),
        "created": _moment(obj["created_at"]),
        "trial_start": _moment(obj.get("trial_start")),
        "trial_end": _moment(obj.get("trial_end")),
        "cancel_at_period_end": is_ending,
        "cancel_at": _moment(obj.get("cancelled_at", obj.get("current_term_end"))) if is_ending else None,
        "livemode": False,
    }


def _item(item: Json, subscription: Json) -> Json:
    currency = subscription["currency_code"]
    return {
        "id": f"{subscription['id']}:{item['item_price_id']}",
        "subscription_id": subscription["id"],
        "price_id": item["item_price_id"],
        "quantity": item.get("quantity"),
        "currency": currency.lower(),
        "livemode": False,
        **({"unit_amount": minor_units(item["unit_price"], currency)} if "unit_price" in item else {}),
    }


def _invoice(obj: Json) -> Json:
    currency = obj["currency_code"]
    status = INVOICE_STATUS[obj["status"]]
    if obj["status"] == "not_paid" and obj["write_off_amount"] == obj["total"] > 0:
        status = "uncollectible"
    return {
        "status": status,
        "provider_status": obj["status"],
        "customer_id": obj["customer_id"],
        "subscription_id": obj.get("subscription_id"),
        "currency": currency.lower(),
        "subtotal": minor_units(obj["sub_total"], currency),
        "total": minor_units(obj["total"], currency),
        "amount_paid": minor_units(obj["amount_paid"], currency),
        "amount_remaining": minor_units(obj["amount_due"], currency),
        "created": _moment(obj.get("generated_at", obj["date"])),
        "due_date": _moment(obj.get("due_date")),
        "paid_at": _moment(obj.get("paid_at")),
        "voided_at": _moment(obj.get("voided_at")),
        "livemode": False,
    }


def _line(line: Json, invoice: Json, at: int) -> Json:
    currency = invoice["currency_code"]
    is_priced = line["entity_type"].endswith("_item_price")
    return {
        "invoice_id": invoice["id"],
        "line_index": at,
        "amount": minor_units(line["amount"], currency),
        "currency": currency.lower(),
        "description": line["description"],
        "quantity": line["quantity"],
        "price_id": line["entity_id"] if is_priced else None,
        "subscription_id": line.get("subscription_id"),
        "period_start": _moment(line.get("date_from")),
        "period_end": _moment(line.get("date_to")),
        "proration": None,
        "livemode": False,
    }
