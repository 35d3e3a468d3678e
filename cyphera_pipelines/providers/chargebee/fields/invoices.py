"""Invoices and their lines."""

from collections.abc import Callable
from typing import Any

from cyphera_pipelines.providers.chargebee.money import to_minor
from cyphera_pipelines.providers.chargebee.values import (
    CURRENCY,
    exact_price,
    full_name,
    lower,
    metadata,
    money,
    one_of,
    whole_number,
)
from cyphera_pipelines.providers.mapping.rules import Rule, Rules, absent, derived, mapped
from cyphera_pipelines.providers.mapping.values import Getter, path

STATUSES = {
    "pending": "draft",
    "posted": "open",
    "payment_due": "open",
    "not_paid": "open",
    "paid": "paid",
    "voided": "void",
}
ITEM_PRICES = ("plan_item_price", "addon_item_price", "charge_item_price")
_CREDITS = ("promotional_credits", "prorated_credits")
_BEHAVIORS = {"tax_exclusive": "exclusive", "tax_inclusive": "inclusive"}


def status_of(invoice: dict[str, Any]) -> Any:
    """Our word for the invoice's status: what was written off whole is given up."""
    status, total = invoice.get("status"), invoice.get("total")
    is_written_off = isinstance(total, int) and total > 0 and invoice.get("write_off_amount") == total
    if is_written_off and status not in ("voided", "pending"):
        return "uncollectible"
    return STATUSES.get(status, status) if isinstance(status, str) else status


def made_at(invoice: dict[str, Any]) -> Any:
    """When it was made: an invoice that was pending for a while is dated later."""
    generated = invoice.get("generated_at")
    return invoice.get("date") if generated is None else generated


def number_of(invoice: dict[str, Any]) -> Any:
    """The number that the customer sees, which is the id of all but drafts."""
    return None if invoice.get("status") == "pending" else invoice.get("id")


def amount_due(invoice: dict[str, Any]) -> Any:
    """What was to be paid: what is left, and what was paid of it."""
    left, paid = invoice.get("amount_due"), invoice.get("amount_paid")
    if not isinstance(left, int) or not isinstance(paid, int | None):
        return left
    return to_minor(left + (paid or 0), invoice.get(CURRENCY))


def total_without_tax(invoice: dict[str, Any]) -> Any:
    """The total less the taxes in it."""
    total, tax = invoice.get("total"), invoice.get("tax")
    if not isinstance(total, int) or not isinstance(tax, int | None):
        return None
    return to_minor(total - (tax or 0), invoice.get(CURRENCY))


def _subtotal_without_tax(invoice: dict[str, Any]) -> Any:
    is_without = invoice.get("price_type") == "tax_exclusive"
    return to_minor(invoice.get("sub_total"), invoice.get(CURRENCY)) if is_without else None


def _sum(name: str, amount: str, counts: Callable[[dict[str, Any]], bool], note: str) -> Rule:
    """The sum of a list's amounts; a list that is left out is empty."""

    def get(invoice: dict[str, Any]) -> Any:
        entries = invoice.get(name) or []
        return to_minor(sum(entry[amount] for entry in entries if counts(entry)), invoice.get(CURRENCY))

    return derived(f"{name}[].{amount}", note, get)


def _price_id(line: dict[str, Any]) -> Any:
    return line.get("entity_id") if line.get("entity_type") in ITEM_PRICES else None


def _is_of_subscription(line: dict[str, Any]) -> bool:
    return line.get("subscription_id") is not None and line.get("entity_type") in ITEM_PRICES


def _parent_type(line: dict[str, Any]) -> str:
    return "subscription_item_details" if _is_of_subscription(line) else "invoice_item_details"


def _subscription_item_id(line: dict[str, Any]) -> Any:
    price_id = _price_id(line)
    return f"{line['subscription_id']}:{price_id}" if _is_of_subscription(line) and price_id is not None else None


def _discount_amounts(line: dict[str, Any]) -> Any:
    told = {kind: line.get(name) for kind, name in _LINE_DISCOUNTS.items()}
    found = [{"amount": to_minor(amount, line.get(CURRENCY)), "type": kind} for kind, amount in told.items() if amount]
    return found or None


_LINE_DISCOUNTS = {"document_level": "discount_amount", "item_level": "item_level_discount_amount"}


def _taxes(line: dict[str, Any]) -> Any:
    """The line's taxes, with our word for whether they are in its amount. `taxes_of_line` stands for the invoice's."""
    currency, behavior = line.get(CURRENCY), _BEHAVIORS.get(str(line.get("price_type")))
    entries = line.get("taxes_of_line") or ()
    if not entries and line.get("tax_amount"):
        entries = ({"tax_amount": line["tax_amount"], "tax_rate": line.get("tax_rate")},)
    found = [
        {
            "amount": to_minor(entry.get("tax_amount"), currency),
            "taxable_amount": to_minor(entry.get("taxable_amount"), currency),
            "tax_behavior": behavior,
            "name": entry.get("tax_name"),
            "rate": entry.get("tax_rate"),
        }
        for entry in entries
    ]
    return found or None


INVOICE: Rules = {
    "created": derived("generated_at, date", "when it was generated; its date without", made_at),
    "number": derived("id", "NULL while it is pending", number_of),
    "customer_id": mapped("customer_id"),
    "customer_email": mapped("billing_address", "email"),
    "customer_name": derived(
        "billing_address.first_name, last_name, company", "as the customer's", full_name("billing_address")
    ),
    "subscription_id": mapped("subscription_id", note="NULL on consolidated invoices: see their lines"),
    "status": derived(
        "status, write_off_amount, total",
        "; ".join(f"{theirs} is {ours}" for theirs, ours in STATUSES.items() if theirs != ours)
        + "; uncollectible once all of it was written off",
        status_of,
    ),
    "provider_status": mapped("status"),
    "billing_reason": absent("an invoice tells that it is recurring, not why it was made: see `raw`"),
    "collection_method": absent("the subscription's or customer's auto_collection tells"),
    "currency": lower("currency_code"),
    "subtotal": money("sub_total"),
    "subtotal_excluding_tax": derived(
        "sub_total, price_type", "where taxes are not in the prices; NULL where they are", _subtotal_without_tax
    ),
    "total": money("total"),
    "total_excluding_tax": derived("total, tax", "the total less the tax", total_without_tax),
    "total_taxes": money("tax"),
    "total_discounts": _sum(
        "discounts",
        "amount",
        lambda entry: entry.get("entity_type") not in _CREDITS,
        "the sum, without promotional and prorated credits",
    ),
    "amount_due": derived("amount_due, amount_paid", "what is left, and what was paid of it", amount_due),
    "amount_paid": money("amount_paid"),
    "amount_remaining": money("amount_due"),
    "amount_overpaid": absent("what is paid beyond is the customer's excess_payments"),
    "amount_shipping": absent("shipping is a line like any other"),
    "starting_balance": absent("credits are told as they are applied: see `raw`"),
    "ending_balance": absent("credits are told as they are applied: see `raw`"),
    "pre_payment_credit_notes_amount": money("amount_adjusted"),
    "post_payment_credit_notes_amount": _sum("issued_credit_notes", "cn_total", lambda _entry: True, "the sum"),
    "attempt_count": absent("payments that were tried are told apart: see `raw`'s linked_payments"),
    "attempted": absent("payments that were tried are told apart: see `raw`'s linked_payments"),
    "auto_advance": absent("the subscription and site tell"),
    "period_start": absent("each line has its own"),
    "period_end": absent("each line has its own"),
    "due_date": mapped("due_date"),
    "effective_at": mapped("date"),
    "finalized_at": absent("an invoice does not tell when it was closed"),
    "paid_at": mapped("paid_at"),
    "voided_at": mapped("voided_at"),
    "marked_uncollectible_at": absent("the credit note of the write-off tells"),
    "next_payment_attempt": mapped("next_retry_at"),
    "default_payment_method_id": absent("the subscription and customer tell"),
    "description": absent("notes are told each for itself: see `raw`"),
    "account_country": absent("the site's country is not told"),
    "receipt_number": absent("there are no receipts apart from invoices"),
    "hosted_invoice_url": absent("a link is made when it is asked for"),
    "invoice_pdf": absent("a link is made when it is asked for"),
    "discounts": mapped("discounts"),
    "test_clock_id": absent("Chargebee's time machine is of a whole site"),
    "metadata": metadata("meta_data"),
}

INVOICE_LINE_ITEM: Rules = {
    "invoice_id": mapped("invoice_id", note="the invoice that the line stands on"),
    "line_index": mapped("line_index", note="the line's place on the invoice"),
    "amount": money("amount"),
    "subtotal": money("amount"),
    "currency": lower("currency_code"),
    "description": mapped("description"),
    "quantity": whole_number("quantity"),
    "quantity_decimal": derived(
        "quantity_in_decimal, quantity",
        "with decimals where the site has them",
        lambda line: line.get("quantity") if line.get("quantity_in_decimal") is None else line["quantity_in_decimal"],
    ),
    "unit_amount_decimal": exact_price("unit_amount"),
    "price_id": derived("entity_id, entity_type", "where the line is of an item price", _price_id),
    "product_id": absent("a line names its item price only: see the price"),
    "parent_type": derived(
        "subscription_id, entity_type",
        "subscription_item_details for a subscription's item price, or else invoice_item_details",
        _parent_type,
    ),
    "subscription_id": mapped("subscription_id"),
    "subscription_item_id": derived(
        "subscription_id, entity_id", "as the subscription's items are called here", _subscription_item_id
    ),
    "invoice_item_id": absent("a line is made of nothing that has an id"),
    "proration": absent("a line does not tell"),
    "discountable": absent("a line does not tell"),
    "period_start": mapped("date_from"),
    "period_end": mapped("date_to"),
    "discount_amounts": derived(
        ", ".join(_LINE_DISCOUNTS.values()), "each that is not 0, with its type", _discount_amounts
    ),
    "taxes": derived(
        "invoice.line_item_taxes, tax_amount, invoice.price_type",
        "the line's taxes; exclusive or inclusive as the invoice's prices",
        _taxes,
    ),
    "metadata": absent("a line has none"),
}

PAYMENT_STATUSES = {
    "success": "paid",
    "in_progress": "open",
    "needs_attention": "open",
    "failure": "failed",
    "late_failure": "failed",
    "timeout": "failed",
    "voided": "canceled",
}
_payment_status = one_of(PAYMENT_STATUSES)


def _of_paid(name: str, get: Getter) -> Rule:
    return derived(name, "of those that are paid", lambda obj: get(obj) if obj.get("txn_status") == "success" else None)


INVOICE_PAYMENT: Rules = {
    "invoice_id": mapped("invoice_id", note="the invoice that the payment stands on"),
    "status": derived(
        "txn_status",
        "; ".join(f"{theirs} is {ours}" for theirs, ours in PAYMENT_STATUSES.items()),
        lambda obj: _payment_status(obj.get("txn_status")),
    ),
    "amount_requested": absent("the transaction's amount may be for several invoices: see `raw`"),
    "amount_paid": _of_paid("applied_amount", money("applied_amount").get),
    "currency": lower(CURRENCY),
    "type": derived("", "always transaction", lambda _obj: "transaction"),
    "payment_intent_id": absent("a payment is a transaction here"),
    "charge_id": absent("a payment is a transaction here"),
    "transaction_id": mapped("txn_id"),
    "is_default": absent("none is made by itself"),
    "paid_out_of_band": absent("the transaction's payment method tells"),
    "created": mapped("txn_date"),
    "paid_at": _of_paid("applied_at", path("applied_at")),
}
