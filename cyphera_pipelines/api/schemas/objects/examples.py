"""What the document shows of each kind of object."""

from typing import Any

from cyphera_pipelines.api.schemas.examples import PROVIDER_NAME, shown

__all__ = [
    "CUSTOMER",
    "DRY_RUN",
    "EXTERNAL_ACCOUNT",
    "INVOICE",
    "PRICE",
    "PRODUCT",
    "SUBSCRIPTION",
    "TRANSACTION",
    "WRITE",
    "shown",
]

_ADDRESS = {
    "line1": "1 Market Street",
    "line2": None,
    "city": "Springfield",
    "state": None,
    "postal_code": "12345",
    "country": "US",
}

CUSTOMER: dict[str, Any] = {
    "id": "cus_1Example",
    "created": "2026-03-01T09:30:00Z",
    "metadata": {"plan": "pro"},
    "email": "billing@acme.example",
    "name": "Acme Inc.",
    "phone": None,
    "billing_address": _ADDRESS,
    "shipping_address": None,
    "tax_ids": [{"type": "eu_vat", "value": "DE123456789"}],
    "preferred_locale": "en",
}

PRODUCT: dict[str, Any] = {
    "id": "prod_1Example",
    "created": "2026-03-01T09:30:00Z",
    "metadata": {},
    "name": "Pro plan",
    "description": None,
    "active": True,
    "type": "service",
    "tax_code": None,
    "unit_label": "seat",
    "shippable": None,
}

PRICE: dict[str, Any] = {
    "id": "price_1Example",
    "created": "2026-03-01T09:30:00Z",
    "metadata": {},
    "product_id": "prod_1Example",
    "currency": "usd",
    "active": True,
    "unit_amount": "1999",
    "recurring": {"interval": "month", "interval_count": 1, "usage_type": "licensed"},
    "billing_scheme": "per_unit",
    "type": "recurring",
    "tax_behavior": "unspecified",
    "tiers": [],
    "tiers_mode": None,
    "transform_quantity": None,
}

SUBSCRIPTION: dict[str, Any] = {
    "id": "sub_1Example",
    "created": "2026-03-01T09:30:00Z",
    "metadata": {},
    "customer_id": "cus_1Example",
    "status": "active",
    "provider_status": "active",
    "items": [
        {"id": "si_1Example", "price_id": "price_1Example", "quantity": 3, "tax_rate_ids": [], "metadata": {}},
    ],
    "currency": "usd",
    "current_period_start": "2026-03-01T09:30:00Z",
    "current_period_end": "2026-04-01T09:30:00Z",
    "trial_start": None,
    "trial_end": None,
    "cancel_at_period_end": False,
    "cancel_at": None,
    "canceled_at": None,
    "ended_at": None,
    "default_payment_method_id": None,
    "latest_invoice_id": "in_1Example",
    "billing_cycle_anchor": "2026-03-01T09:30:00Z",
    "collection_method": "charge_automatically",
    "default_tax_rate_ids": [],
}

INVOICE: dict[str, Any] = {
    "id": "in_1Example",
    "created": "2026-03-01T09:30:00Z",
    "metadata": {},
    "customer_id": "cus_1Example",
    "status": "draft",
    "provider_status": "draft",
    "currency": "usd",
    "amount_due": 5000,
    "amount_paid": 0,
    "amount_remaining": 5000,
    "total": 5000,
    "tax": None,
    "tax_amounts": [],
    "subscription_id": None,
    "number": None,
    "collection_method": "send_invoice",
    "billing_reason": "manual",
    "due_date": "2026-03-31T09:30:00Z",
    "paid_at": None,
    "invoice_pdf": None,
    "hosted_invoice_url": None,
    "attempt_count": 0,
    "next_payment_attempt": None,
    "charge_id": None,
    "payment_intent_id": None,
    "paid_out_of_band": False,
    "lines": [
        {
            "id": "il_1Example",
            "amount": 5000,
            "description": "Setup",
            "quantity": 1,
            "price_id": None,
            "product_id": None,
            "period_start": None,
            "period_end": None,
            "type": "invoiceitem",
            "proration": False,
            "subscription_item_id": None,
            "tax_amounts": [],
            "metadata": {},
        }
    ],
    "has_more_lines": False,
}

TRANSACTION: dict[str, Any] = {
    "id": "pi_1Example",
    "created": "2026-03-01T09:30:00Z",
    "metadata": {},
    "type": "payment",
    "status": "succeeded",
    "provider_status": "succeeded",
    "money": {"amount": 4200, "currency": "eur"},
    "captured": {"amount": 4200, "currency": "eur"},
    "refunded": None,
    "fee": None,
    "customer_id": "cus_1Example",
    "invoice_id": None,
    "subscription_id": None,
    "charge_id": "ch_1Example",
    "payment_intent_id": "pi_1Example",
    "payment_method_id": "pm_1Example",
    "description": None,
    "failure_code": None,
    "failure_message": None,
}

EXTERNAL_ACCOUNT: dict[str, Any] = {
    "id": "ba_1Example",
    "created": None,
    "metadata": {},
    "type": "payout_bank_account",
    "owner_id": "acct_1Example",
    "status": "new",
    "is_default": True,
    "account_holder_name": "Acme Inc.",
    "bank_name": "Example Bank",
    "last4": "6789",
    "routing_number": "110000000",
    "country": "US",
    "currency": "usd",
}

WRITE: dict[str, Any] = {
    "id": "9d1f0b3e-1d07-4f0f-8e8e-0f6bde6d3f55",
    "provider_name": PROVIDER_NAME,
    "livemode": False,
    "kind": "refunds",
    "operation": "create",
    "object_id": None,
    "idempotency_key": "refund-of-order-7",
    "state": "unknown",
    "answer": None,
    "problem": {"code": "unknown", "message": "The connection was lost before the answer came."},
    "was_found": False,
    "was_sent": True,
    "actor": "api_key:5b1f6d2e-8a3c-4f0d-9d57-0c4f1e2a7b90",
    "actor_name": "backend",
    "attempts": 1,
    "created_at": "2026-03-01T09:30:01.366168Z",
    "sent_at": "2026-03-01T09:30:01.366168Z",
    "settled_at": None,
}

DRY_RUN: dict[str, Any] = {
    "kind": "refunds",
    "operation": "create",
    "requests": [
        {"method": "POST", "path": "/v1/refunds", "parameters": {"payment_intent": "pi_1Example", "amount": 1000}}
    ],
}
