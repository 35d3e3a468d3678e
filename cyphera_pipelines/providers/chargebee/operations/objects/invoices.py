"""Invoices and their lines."""

from collections import defaultdict
from typing import Any

from cyphera_pipelines.providers.base import Invoice, InvoiceLine, TaxAmount
from cyphera_pipelines.providers.chargebee.fields.invoices import ITEM_PRICES, status_of
from cyphera_pipelines.providers.chargebee.lines import GOES_ON
from cyphera_pipelines.providers.chargebee.operations.objects.fields import (
    amount_of,
    currency_of,
    fields_of,
    metadata_of,
    required_amount,
)
from cyphera_pipelines.providers.chargebee.operations.objects.subscriptions import item_id
from cyphera_pipelines.providers.mapping.answer_fields import AnswerFields


def to_invoice(obj: Any) -> Invoice:
    """The invoice in Chargebee's object, with the lines that it tells. Raises ProviderError for what is none."""
    fields = fields_of(obj, "the invoice")
    status, currency, invoice_id = fields.required_text("status"), currency_of(fields), fields.id()
    remaining, paid = required_amount(fields, "amount_due", currency), amount_of(fields, "amount_paid", currency) or 0
    return Invoice(
        id=invoice_id,
        customer_id=fields.reference("customer_id"),
        status=str(status_of(obj)),
        provider_status=status,
        currency=currency,
        amount_due=remaining + paid,
        amount_paid=paid,
        amount_remaining=remaining,
        total=amount_of(fields, "total", currency),
        tax=amount_of(fields, "tax", currency),
        subscription_id=fields.reference("subscription_id"),
        number=None if status == "pending" else invoice_id,
        due_date=fields.moment("due_date"),
        paid_at=fields.moment("paid_at"),
        next_payment_attempt=fields.moment("next_retry_at"),
        lines=_to_lines(fields, currency),
        has_more_lines=fields.values.get(GOES_ON) is not None,
        created=fields.moment("generated_at") or fields.moment("date"),
        metadata=metadata_of(fields, "meta_data"),
    )


def _to_lines(fields: AnswerFields, currency: str) -> tuple[InvoiceLine, ...]:
    invoice_id, taxes = fields.id(), defaultdict[str | None, list[TaxAmount]](list)
    behavior = fields.text("price_type")
    is_inclusive = None if behavior is None else behavior == "tax_inclusive"
    for tax in fields.each("line_item_taxes"):
        taxes[tax.reference("line_item_id")].append(
            TaxAmount(
                required_amount(tax, "tax_amount", currency),
                taxable_amount=amount_of(tax, "taxable_amount", currency),
                inclusive=is_inclusive,
            )
        )
    lines = list[InvoiceLine]()
    for at, line in enumerate(fields.each("line_items")):
        line_id, price_id = line.reference("id"), _price_id(line)
        subscription_id = line.reference("subscription_id")
        lines.append(
            InvoiceLine(
                id=line_id or f"{invoice_id}:{at}",
                amount=required_amount(line, "amount", currency),
                description=line.text("description"),
                quantity=line.integer("quantity"),
                price_id=price_id,
                period_start=line.moment("date_from"),
                period_end=line.moment("date_to"),
                type=line.text("entity_type"),
                subscription_item_id=(
                    item_id(subscription_id, price_id) if subscription_id is not None and price_id is not None else None
                ),
                tax_amounts=tuple(taxes[line_id]) if line_id is not None else (),
            )
        )
    return tuple(lines)


def _price_id(line: AnswerFields) -> str | None:
    return line.reference("entity_id") if line.text("entity_type") in ITEM_PRICES else None
