"""Where each column's value stands in a Stripe object.

Columns that are not named here hold the field of their own name. Alternatives behind the first are the places of older
API versions.
"""

from typing import Any

from cyphera_pipelines.providers.mapping.values import Getter, currency, first, path
from cyphera_pipelines.providers.stripe.values import billed, reference, total_of

CUSTOMER: dict[str, Getter] = {
    "currency": currency("currency"),
    "default_source_id": reference("default_source"),
    "default_payment_method_id": reference("invoice_settings", "default_payment_method"),
    "address_line1": path("address", "line1"),
    "address_line2": path("address", "line2"),
    "address_city": path("address", "city"),
    "address_state": path("address", "state"),
    "address_postal_code": path("address", "postal_code"),
    "address_country": path("address", "country"),
    "test_clock_id": reference("test_clock"),
}

DISCOUNT: dict[str, Getter] = {
    # Beside these, what the coupon says of itself, and the discount's place.
    "coupon_id": first(reference("source", "coupon"), reference("coupon")),
    "promotion_code_id": reference("promotion_code"),
    "starts_at": path("start"),
    "ends_at": path("end"),
}

TAX_RATE: dict[str, Getter] = {
    "tax_rate_id": path("id"),
}

CUSTOMER_TAX_ID: dict[str, Getter] = {
    "verification_status": path("verification", "status"),
}

PRODUCT: dict[str, Getter] = {
    "default_price_id": reference("default_price"),
    "tax_code_id": reference("tax_code"),
}

PRICE: dict[str, Getter] = {
    "product_id": reference("product"),
    "currency": currency("currency"),
    "recurring_interval": path("recurring", "interval"),
    "recurring_interval_count": path("recurring", "interval_count"),
    "recurring_usage_type": path("recurring", "usage_type"),
    "recurring_meter_id": reference("recurring", "meter"),
    "recurring_trial_period_days": path("recurring", "trial_period_days"),
    "transform_quantity_divide_by": path("transform_quantity", "divide_by"),
    "transform_quantity_round": path("transform_quantity", "round"),
}

PRICE_TIER: dict[str, Getter] = {
    "currency": currency("currency"),
}

PRICE_CURRENCY_OPTION: dict[str, Getter] = {}

SUBSCRIPTION: dict[str, Getter] = {
    "provider_status": path("status"),
    "customer_id": reference("customer"),
    "currency": currency("currency"),
    "cancellation_reason": path("cancellation_details", "reason"),
    "cancellation_feedback": path("cancellation_details", "feedback"),
    "cancellation_comment": path("cancellation_details", "comment"),
    "latest_invoice_id": reference("latest_invoice"),
    "default_payment_method_id": reference("default_payment_method"),
    "schedule_id": reference("schedule"),
    "pause_collection_behavior": path("pause_collection", "behavior"),
    "pause_collection_resumes_at": path("pause_collection", "resumes_at"),
    "test_clock_id": reference("test_clock"),
}

SUBSCRIPTION_ITEM: dict[str, Getter] = {
    "price_id": reference("price"),
    "product_id": reference("price", "product"),
    "unit_amount": billed("unit_amount"),
    "unit_amount_decimal": billed("unit_amount_decimal"),
}

INVOICE: dict[str, Getter] = {
    "provider_status": path("status"),
    "customer_id": reference("customer"),
    "subscription_id": first(reference("parent", "subscription_details", "subscription"), reference("subscription")),
    "currency": currency("currency"),
    "total_taxes": first(total_of("total_taxes"), total_of("total_tax_amounts")),
    "total_discounts": total_of("total_discount_amounts"),
    "finalized_at": path("status_transitions", "finalized_at"),
    "paid_at": path("status_transitions", "paid_at"),
    "voided_at": path("status_transitions", "voided_at"),
    "marked_uncollectible_at": path("status_transitions", "marked_uncollectible_at"),
    "default_payment_method_id": reference("default_payment_method"),
    "test_clock_id": reference("test_clock"),
}

INVOICE_LINE_ITEM: dict[str, Getter] = {
    "currency": currency("currency"),
    # The line's own price is in the line's currency; one that is embedded as a whole may be in another.
    "unit_amount_decimal": first(path("pricing", "unit_amount_decimal"), billed("unit_amount_decimal")),
    "price_id": first(reference("pricing", "price_details", "price"), reference("price")),
    "product_id": first(reference("pricing", "price_details", "product"), reference("price", "product")),
    "parent_type": path("parent", "type"),
    "subscription_id": first(
        reference("parent", "subscription_item_details", "subscription"),
        reference("parent", "invoice_item_details", "subscription"),
        reference("subscription"),
    ),
    "subscription_item_id": first(
        reference("parent", "subscription_item_details", "subscription_item"), reference("subscription_item")
    ),
    "invoice_item_id": first(
        reference("parent", "invoice_item_details", "invoice_item"),
        reference("parent", "subscription_item_details", "invoice_item"),
        reference("invoice_item"),
    ),
    "proration": first(
        path("parent", "subscription_item_details", "proration"),
        path("parent", "invoice_item_details", "proration"),
        path("proration"),
    ),
    "period_start": path("period", "start"),
    "period_end": path("period", "end"),
}


def _was_paid_elsewhere(payment: dict[str, Any]) -> bool:
    return bool(path("payment", "type")(payment) == "payment_record")


INVOICE_PAYMENT: dict[str, Getter] = {
    "currency": currency("currency"),
    "type": path("payment", "type"),
    "payment_intent_id": reference("payment", "payment_intent"),
    "charge_id": reference("payment", "charge"),
    "transaction_id": reference("payment", "payment_record"),
    "paid_out_of_band": _was_paid_elsewhere,
    "paid_at": path("status_transitions", "paid_at"),
}
