"""Discounts of subscriptions and invoices. There are none on customers."""

from typing import Any

from cyphera_pipelines.providers.chargebee.money import to_minor
from cyphera_pipelines.providers.chargebee.values import CURRENCY, lower, money, one_of
from cyphera_pipelines.providers.mapping.rules import Rules, absent, derived, mapped
from cyphera_pipelines.providers.mapping.values import Getter

COUPON = "coupon_terms"
"""Where a row's entry of a subscription's `coupons` has its coupon's terms."""
SUBSCRIPTION_CURRENCY = "subscription_currency_code"
CREDITS = ("promotional_credits", "prorated_credits")
"""What stands among an invoice's discounts, and takes nothing off: it pays."""
KINDS = {"percentage": "percent", "fixed_amount": "amount", "offer_quantity": None}
DURATIONS = {"one_time": "once", "limited_period": "repeating"}
_MONTHS = {"month": 1, "year": 12}
_kind, _duration = one_of(KINDS), one_of(DURATIONS)
_NONE = "a customer has no discounts: they are the subscriptions' and invoices'"


def terms_of(discount: dict[str, Any]) -> dict[str, Any]:
    """What is known of the discount's terms: its coupon's, or its own where it was made by hand."""
    terms = discount.get(COUPON)
    return terms if isinstance(terms, dict) else discount


def kind_of(discount: dict[str, Any]) -> Any:
    """Percent, amount, or None for so many units that cost nothing, and for a coupon that is not known."""
    terms = terms_of(discount)
    return _kind(terms.get("discount_type", terms.get("type")))


def is_percentage(discount: dict[str, Any]) -> bool:
    """Whether a share is taken off, and no amount."""
    return bool(kind_of(discount) == "percent")


def _value(kind: str, *names: str) -> Getter:
    """The first of the terms' values that is told, if the discount is of that kind."""

    def get(discount: dict[str, Any]) -> Any:
        if kind_of(discount) != kind:
            return None
        terms = terms_of(discount)
        return next((terms[name] for name in names if terms.get(name) is not None), None)

    return get


def _currency(discount: dict[str, Any]) -> Any:
    """An amount that names no currency is in the subscription's."""
    if kind_of(discount) != "amount":
        return None
    told = terms_of(discount).get(CURRENCY)
    code = discount.get(SUBSCRIPTION_CURRENCY) if told is None else told
    return code.lower() if isinstance(code, str) else code


def _amount_off(discount: dict[str, Any]) -> Any:
    currency = _currency(discount)
    told = _value("amount", "discount_amount", "amount")(discount)
    return to_minor(told, currency)


def _duration_in_months(discount: dict[str, Any]) -> Any:
    terms = terms_of(discount)
    if terms.get("duration_type") != "limited_period":
        return None
    period, unit = terms.get("period"), terms.get("period_unit")
    if period is None:
        return terms.get("duration_month")
    is_told = isinstance(period, int) and isinstance(unit, str)
    return period * _MONTHS[unit] if is_told and unit in _MONTHS else None


SUBSCRIPTION_DISCOUNT: Rules = {
    "subscription_id": mapped("subscription_id", note="the subscription that it stands in"),
    "subscription_item_id": derived(
        "coupon.apply_on, coupon.item_constraints, discounts[].apply_on, item_price_id",
        "where it is taken off items, a row for each that it applies to; criteria of a coupon, of which only a type of "
        "item can be looked at here, count as met; NULL where it is taken off all together",
        lambda obj: obj.get("subscription_item_id"),
    ),
    "position": mapped(
        "position",
        note="as they are taken off: items' amounts, items' percentages, then those of all together; of each the "
        "coupons first",
    ),
    "coupon_id": mapped("coupon_id"),
    "coupon_name": derived("coupon.name", "of a coupon", lambda obj: obj.get(COUPON, {}).get("name")),
    "promotion_code_id": mapped("coupon_code"),
    "kind": derived(
        "coupon.discount_type, discounts[].type",
        "percentage is percent, fixed_amount is amount; NULL for offer_quantity, and for a coupon that cannot be read",
        kind_of,
    ),
    "percent_off": derived(
        "coupon.discount_percentage, discounts[].percentage",
        "of those of that kind",
        _value("percent", "discount_percentage", "percentage"),
    ),
    "amount_off": derived(
        "coupon.discount_amount, discounts[].amount", "of those of that kind, in minor units", _amount_off
    ),
    "currency": derived(
        "coupon.currency_code, discounts[].currency_code",
        "of those that are an amount, in lower case; the subscription's where none is named",
        _currency,
    ),
    "duration": derived(
        "coupon.duration_type, discounts[].duration_type",
        "one_time is once, limited_period is repeating",
        lambda obj: _duration(terms_of(obj).get("duration_type")),
    ),
    "duration_in_months": derived(
        "coupon.period, period_unit, discounts[].period, period_unit",
        "of those that are repeating, where they are told in months or years",
        _duration_in_months,
    ),
    "starts_at": derived("discounts[].created_at", "of those made by hand", lambda obj: obj.get("created_at")),
    "ends_at": mapped("apply_till"),
    "product_ids": absent("coupons are limited to item prices: see `subscription_item_id`"),
}

INVOICE_DISCOUNT: Rules = {
    "invoice_id": mapped("invoice_id", note="the invoice that it stands on"),
    "position": mapped("position", note="its place in the list, without credits"),
    "coupon_id": derived(
        "entity_id, entity_type",
        "of item_level_coupon and document_level_coupon",
        lambda obj: obj.get("entity_id") if str(obj.get("entity_type")).endswith("_coupon") else None,
    ),
    "coupon_name": mapped("description", note="as the invoice shows it"),
    "promotion_code_id": mapped("coupon_set_code"),
    "kind": derived("discount_type", "percentage is percent, fixed_amount is amount; NULL for offer_quantity", kind_of),
    "percent_off": derived(
        "discount_percentage", "where the invoice tells it", _value("percent", "discount_percentage")
    ),
    "amount_off": absent("the invoice tells what it came to: see `discounted`"),
    "currency": lower(CURRENCY),
    "duration": absent("the subscription's discount tells"),
    "duration_in_months": absent("the subscription's discount tells"),
    "starts_at": absent("the subscription's discount tells"),
    "ends_at": absent("the subscription's discount tells"),
    "product_ids": absent("an invoice does not tell"),
    "discounted": money("amount"),
}

CUSTOMER_DISCOUNT: Rules = dict.fromkeys(
    (
        "customer_id",
        "position",
        "coupon_id",
        "coupon_name",
        "promotion_code_id",
        "kind",
        "percent_off",
        "amount_off",
        "currency",
        "duration",
        "duration_in_months",
        "starts_at",
        "ends_at",
        "product_ids",
    ),
    absent(_NONE),
)
