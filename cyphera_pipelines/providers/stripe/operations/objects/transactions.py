"""Payments, by their intents or by their charges, and refunds."""

from typing import Any

from cyphera_pipelines.providers.base import Money, Transaction, TransactionStatus, TransactionType
from cyphera_pipelines.providers.stripe.operations.objects.fields import Fields

_OF_INTENTS = {
    "requires_payment_method": TransactionStatus.PENDING,
    "requires_confirmation": TransactionStatus.PENDING,
    "requires_action": TransactionStatus.REQUIRES_ACTION,
    "processing": TransactionStatus.PENDING,
    "requires_capture": TransactionStatus.REQUIRES_CAPTURE,
    "canceled": TransactionStatus.CANCELED,
    "succeeded": TransactionStatus.SUCCEEDED,
}
_OF_REFUNDS = {
    "pending": TransactionStatus.PENDING,
    "requires_action": TransactionStatus.REQUIRES_ACTION,
    "succeeded": TransactionStatus.SUCCEEDED,
    "failed": TransactionStatus.FAILED,
    "canceled": TransactionStatus.CANCELED,
}


def to_payment(obj: Any) -> Transaction:
    """The payment in Stripe's payment intent. What its charge tells is there where the charge was expanded."""
    fields = Fields(obj, "the payment")
    currency, provider_status = fields.required_currency(), fields.required_text("status")
    charge, error = fields.inner("latest_charge"), fields.inner("last_payment_error")
    status = _OF_INTENTS.get(provider_status, TransactionStatus.PENDING)
    if provider_status == "requires_payment_method" and error is not None:
        status = TransactionStatus.FAILED
    received = fields.integer("amount_received")
    refunded = None if charge is None else charge.integer("amount_refunded")
    return Transaction(
        id=fields.id(),
        type=TransactionType.PAYMENT,
        status=status,
        provider_status=provider_status,
        money=Money(fields.amount("amount"), currency),
        captured=None if received is None else Money(received, currency),
        refunded=None if refunded is None else Money(refunded, currency),
        fee=_fee(charge),
        customer_id=fields.reference("customer"),
        invoice_id=fields.reference("invoice"),
        charge_id=fields.reference("latest_charge"),
        payment_intent_id=fields.id(),
        payment_method_id=fields.reference("payment_method"),
        description=fields.text("description"),
        failure_code=None if error is None else error.text("decline_code") or error.text("code"),
        failure_message=None if error is None else error.text("message"),
        created=fields.moment("created"),
        metadata=fields.metadata(),
    )


def to_charge(obj: Any) -> Transaction:
    """The payment in Stripe's charge that no payment intent made."""
    fields = Fields(obj, "the charge")
    currency, provider_status = fields.required_currency(), fields.required_text("status")
    status = {"succeeded": TransactionStatus.SUCCEEDED, "failed": TransactionStatus.FAILED}.get(
        provider_status, TransactionStatus.PENDING
    )
    if status is TransactionStatus.SUCCEEDED and fields.boolean("captured") is False:
        # A hold that was let go of counts as refunded.
        is_over = fields.boolean("refunded") is True
        status = TransactionStatus.CANCELED if is_over else TransactionStatus.REQUIRES_CAPTURE
    captured, refunded = fields.integer("amount_captured"), fields.integer("amount_refunded")
    return Transaction(
        id=fields.id(),
        type=TransactionType.PAYMENT,
        status=status,
        provider_status=provider_status,
        money=Money(fields.amount("amount"), currency),
        captured=None if captured is None else Money(captured, currency),
        refunded=None if refunded is None else Money(refunded, currency),
        fee=_fee(fields),
        customer_id=fields.reference("customer"),
        invoice_id=fields.reference("invoice"),
        charge_id=fields.id(),
        payment_intent_id=fields.reference("payment_intent"),
        payment_method_id=fields.reference("payment_method"),
        description=fields.text("description"),
        failure_code=fields.text("failure_code"),
        failure_message=fields.text("failure_message"),
        created=fields.moment("created"),
        metadata=fields.metadata(),
    )


def to_refund(obj: Any) -> Transaction:
    """The refund in Stripe's object."""
    fields = Fields(obj, "the refund")
    provider_status = fields.text("status") or "pending"
    money, reason = Money(fields.amount("amount"), fields.required_currency()), fields.text("failure_reason")
    return Transaction(
        id=fields.id(),
        type=TransactionType.REFUND,
        status=_OF_REFUNDS.get(provider_status, TransactionStatus.PENDING),
        provider_status=provider_status,
        money=money,
        customer_id=fields.reference("customer"),
        charge_id=fields.reference("charge"),
        payment_intent_id=fields.reference("payment_intent"),
        payment_method_id=fields.reference("payment_method"),
        description=fields.text("description") or fields.text("reason"),
        failure_code=reason,
        created=fields.moment("created"),
        metadata=fields.metadata(),
    )


def _fee(charge: Fields | None) -> Money | None:
    """What Stripe keeps, which the charge's balance transaction tells in the account's own currency."""
    settled = None if charge is None else charge.inner("balance_transaction")
    fee = None if settled is None else settled.integer("fee")
    return None if settled is None or fee is None else Money(fee, settled.required_currency())
