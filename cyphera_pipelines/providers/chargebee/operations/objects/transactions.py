"""Transactions: payments and refunds."""

from typing import Any

from cyphera_pipelines.providers.base import Money, Transaction, TransactionStatus, TransactionType
from cyphera_pipelines.providers.chargebee.operations.objects.fields import (
    amount_of,
    currency_of,
    fields_of,
    required_amount,
)
from cyphera_pipelines.providers.mapping.answer_fields import AnswerFields

STATUSES = {
    "in_progress": TransactionStatus.PENDING,
    "success": TransactionStatus.SUCCEEDED,
    "voided": TransactionStatus.CANCELED,
    "failure": TransactionStatus.FAILED,
    "timeout": TransactionStatus.FAILED,
    "needs_attention": TransactionStatus.REQUIRES_ACTION,
    "late_failure": TransactionStatus.FAILED,
}
REFUND = "refund"


def to_transaction(obj: Any) -> Transaction:
    """The transaction in Chargebee's object. Raises ProviderError for what is none.

    An authorization is a payment whose money is held only. `charge_id` is what a refund is asked for: the id itself.
    """
    fields = fields_of(obj, "the transaction")
    kind, status, currency = fields.required_text("type"), fields.required_text("status"), currency_of(fields)
    is_refund = kind == REFUND
    amount = required_amount(fields, "amount", currency)
    refunded = [amount_of(each, "txn_amount", currency) or 0 for each in fields.each("linked_refunds")]
    known = STATUSES.get(status, TransactionStatus.PENDING)
    if kind == "authorization" and known is TransactionStatus.SUCCEEDED:
        known = TransactionStatus.REQUIRES_CAPTURE
    is_taken = known is TransactionStatus.SUCCEEDED and not is_refund
    return Transaction(
        id=fields.id(),
        type=TransactionType.REFUND if is_refund else TransactionType.PAYMENT,
        status=known,
        provider_status=status,
        money=Money(amount, currency),
        captured=Money(amount, currency) if is_taken else None,
        refunded=Money(sum(refunded), currency) if refunded else None,
        customer_id=fields.reference("customer_id"),
        invoice_id=_invoice_id(fields),
        subscription_id=fields.reference("subscription_id"),
        charge_id=fields.reference("refunded_txn_id") if is_refund else fields.id(),
        payment_method_id=fields.reference("payment_source_id"),
        failure_code=fields.text("error_code"),
        failure_message=fields.text("error_text"),
        created=fields.moment("date"),
    )


def _invoice_id(fields: AnswerFields) -> str | None:
    """The one invoice that it is for; None of several."""
    linked = [each.reference("invoice_id") for each in fields.each("linked_invoices")]
    return linked[0] if len(linked) == 1 else None
