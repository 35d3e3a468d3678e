"""What a refund has to know of its payment before it is sent: the invoice, and the currency of its amount."""

from collections.abc import Mapping
from typing import Any

from cyphera_pipelines.providers.base import Rejected
from cyphera_pipelines.providers.chargebee.money import from_minor
from cyphera_pipelines.providers.chargebee.operations.notes import Note
from cyphera_pipelines.providers.chargebee.operations.objects.transactions import to_transaction
from cyphera_pipelines.providers.chargebee.operations.payments import AMOUNT, PAYMENT
from cyphera_pipelines.providers.chargebee.operations.reading import Reader


def invoice_and_parameters(
    reader: Reader, payment_id: str, parameters: Mapping[str, Any]
) -> tuple[str, dict[str, Any]] | Rejected:
    """The invoice that the payment is for, and the parameters with the amount as Chargebee counts it."""
    payment = reader.one("transactions", "transaction", payment_id, to_transaction).item
    if payment.invoice_id is None:
        return Rejected(
            "no_invoice",
            f"The payment {payment_id} is not for one invoice alone, through which it could be refunded.",
            field="payment_id",
            remedy="Refund it at Chargebee.",
        )
    told = dict(parameters)
    if AMOUNT in told:
        theirs = from_minor(told[AMOUNT], payment.money.currency)
        if theirs is None:
            return Rejected(
                "amount_too_fine",
                f"Chargebee counts {payment.money.currency.upper()} in hundredths: the amount has more decimals.",
                field="amount",
            )
        told[AMOUNT] = theirs
    return payment.invoice_id, told


def refund_note(reader: Reader, note: Note) -> Note:
    """The note with the amount as Chargebee counts it, where it is of a refund."""
    states = note.get("states") or {}
    if PAYMENT not in note or "amount" not in states:
        return note
    payment = reader.one("transactions", "transaction", note[PAYMENT], to_transaction).item
    return note | {"states": states | {"amount": from_minor(states["amount"], payment.money.currency)}}
