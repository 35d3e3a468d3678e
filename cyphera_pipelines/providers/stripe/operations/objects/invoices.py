"""Invoices and their lines."""

from typing import Any

from cyphera_pipelines.providers.base import Invoice, InvoiceLine, TaxAmount
from cyphera_pipelines.providers.stripe.operations.objects.fields import Fields


def to_invoice(obj: Any) -> Invoice:
    """The invoice in Stripe's object, with the lines that it tells. Raises ProviderError for what is none."""
    fields = Fields(obj, "the invoice")
    status, taxes = fields.text("status") or "draft", _taxes(fields, "total_taxes")
    transitions, of_subscription = fields.inner("status_transitions"), fields.inner("parent", "subscription_details")
    charge_id, payment_intent_id = _paid_by(fields)
    due, paid, remaining = fields.amount("amount_due"), fields.amount("amount_paid"), fields.integer("amount_remaining")
    return Invoice(
        id=fields.id(),
        customer_id=fields.reference("customer"),
        status=status,
        provider_status=status,
        currency=fields.required_currency(),
        amount_due=due,
        amount_paid=paid,
        amount_remaining=due - paid if remaining is None else remaining,
        total=fields.integer("total"),
        tax=sum(tax.amount for tax in taxes) if obj.get("total_taxes") is not None else fields.integer("tax"),
        tax_amounts=taxes,
        subscription_id=(
            fields.reference("subscription") if of_subscription is None else of_subscription.reference("subscription")
        ),
        number=fields.text("number"),
        collection_method=fields.text("collection_method"),
        billing_reason=fields.text("billing_reason"),
        due_date=fields.moment("due_date"),
        paid_at=None if transitions is None else transitions.moment("paid_at"),
        invoice_pdf=fields.text("invoice_pdf"),
        hosted_invoice_url=fields.text("hosted_invoice_url"),
        attempt_count=fields.integer("attempt_count"),
        next_payment_attempt=fields.moment("next_payment_attempt"),
        charge_id=charge_id,
        payment_intent_id=payment_intent_id,
        paid_out_of_band=_was_paid_elsewhere(fields, status),
        lines=tuple(_to_line(line) for line in fields.each("lines")),
        has_more_lines=fields.has_more("lines"),
        created=fields.moment("created"),
        metadata=fields.metadata(),
    )


def _to_line(fields: Fields) -> InvoiceLine:
    pricing, period = fields.inner("pricing", "price_details"), fields.inner("period")
    by_item, by_hand = (
        fields.inner("parent", "subscription_item_details"),
        fields.inner("parent", "invoice_item_details"),
    )
    parent, kind = by_item or by_hand, fields.inner("parent")
    return InvoiceLine(
        id=fields.id(),
        amount=fields.amount("amount"),
        description=fields.text("description"),
        quantity=fields.integer("quantity"),
        price_id=fields.reference("price") if pricing is None else pricing.reference("price"),
        product_id=None if pricing is None else pricing.reference("product"),
        period_start=None if period is None else period.moment("start"),
        period_end=None if period is None else period.moment("end"),
        type=fields.text("type") if kind is None else kind.text("type"),
        proration=fields.boolean("proration") if parent is None else parent.boolean("proration"),
        subscription_item_id=(
            fields.reference("subscription_item") if by_item is None else by_item.reference("subscription_item")
        ),
        tax_amounts=_taxes(fields, "taxes"),
        metadata=fields.metadata(),
    )


def _taxes(fields: Fields, name: str) -> tuple[TaxAmount, ...]:
    taxes = list[TaxAmount]()
    for each in fields.each(name):
        rate, behavior = each.inner("tax_rate_details"), each.text("tax_behavior")
        taxes.append(
            TaxAmount(
                amount=each.amount("amount"),
                rate_id=None if rate is None else rate.reference("tax_rate"),
                taxable_amount=each.integer("taxable_amount"),
                inclusive=None if behavior is None else behavior == "inclusive",
            )
        )
    return tuple(taxes)


def _paid_by(fields: Fields) -> tuple[str | None, str | None]:
    """The charge and the payment intent of the invoice's default payment, which are told where it was expanded."""
    payments = fields.each("payments")
    default = next((each for each in payments if each.boolean("is_default")), payments[0] if payments else None)
    payment = None if default is None else default.inner("payment")
    if payment is None:
        # Where versions before 2025-03-31 have it.
        return fields.reference("charge"), fields.reference("payment_intent")
    intent = payment.inner("payment_intent")
    charge_id = payment.reference("charge")
    if charge_id is None and intent is not None:
        charge_id = intent.reference("latest_charge")
    return charge_id, payment.reference("payment_intent")


def _was_paid_elsewhere(fields: Fields, status: str) -> bool | None:
    told, off_stripe = fields.boolean("paid_out_of_band"), fields.integer("amount_paid_off_stripe")
    if told is not None or off_stripe is None:
        return told
    return status == "paid" and off_stripe > 0
