"""Payments and refunds at Stripe."""

from typing import Any

from cyphera_pipelines.model.errors import InvalidInputError
from cyphera_pipelines.providers.base import (
    ListPage,
    ListParameters,
    NewPayment,
    NewRefund,
    ObjectKind,
    Operation,
    PreparedWrite,
    Told,
    Transaction,
)
from cyphera_pipelines.providers.stripe.operations.listing import Reader, checked_id, path_of
from cyphera_pipelines.providers.stripe.operations.mark import marked
from cyphera_pipelines.providers.stripe.operations.notes import by_mark, by_state, one_of
from cyphera_pipelines.providers.stripe.operations.objects.transactions import to_charge, to_payment, to_refund

PAYMENT_FILTERS = {"customer_id": "customer"}
REFUND_FILTERS = {"charge_id": "charge", "payment_id": "payment_intent"}
EXPANSIONS = ("latest_charge.balance_transaction",)
"""Without these the charge, and what Stripe keeps of it, are not told."""
_CHARGES = ("ch_", "py_")


class StripePayments:
    """See `PaymentOperations`. A payment is a payment intent; charges that none made can be read."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def create_payment(self, request: NewPayment) -> PreparedWrite:
        """See `PaymentOperations`. Methods that would lead the customer elsewhere and back are left out."""
        if request.off_session and not request.confirm:
            raise InvalidInputError("off_session is for a payment that is tried at once: set confirm too.")
        parameters: dict[str, Any] = {
            "amount": request.money.amount,
            "currency": request.money.currency.lower(),
            "confirm": request.confirm,
            "capture_method": "manual" if request.captures_later else "automatic",
            "metadata": marked(request.metadata),
            "expand": list(EXPANSIONS),
        }
        if request.confirm:
            # Nobody is there to be led back: Stripe asks for an address to return to otherwise.
            parameters["automatic_payment_methods"] = {"enabled": True, "allow_redirects": "never"}
        named = {
            "customer": request.customer_id,
            "payment_method": request.payment_method_id,
            "description": request.description,
            "off_session": True if request.off_session else None,
        }
        parameters |= {name: value for name, value in named.items() if value is not None}
        path, kind = path_of("payment_intents"), ObjectKind.PAYMENTS
        note = by_mark(
            path, {} if request.customer_id is None else {"customer": request.customer_id}, expand=EXPANSIONS
        )
        return PreparedWrite(kind, Operation.CREATE, None, "POST", path, parameters, finding=note)

    def get_transaction(self, transaction_id: str) -> Told[Transaction]:
        """See `PaymentOperations`."""
        if not transaction_id.startswith(_CHARGES):
            return self._reader.one("payment_intents", transaction_id, to_payment, EXPANSIONS)
        charge = self._reader.one("charges", transaction_id, to_charge, ("balance_transaction",))
        intent_id = charge.item.payment_intent_id
        if intent_id is None:
            return charge
        return self._reader.one("payment_intents", intent_id, to_payment, EXPANSIONS)

    def capture_payment(self, payment_id: str, amount: int | None) -> PreparedWrite:
        """See `PaymentOperations`. What is not captured is let go of."""
        parameters: dict[str, Any] = {"expand": list(EXPANSIONS)}
        captured = [one_of("succeeded", at=["status"])]
        if amount is not None:
            if amount < 1:
                raise InvalidInputError("At least one minor unit has to be captured; to let go of all, cancel it.")
            parameters["amount_to_capture"] = amount
            captured.append(one_of(amount, at=["amount_received"]))
        path, kind = path_of("payment_intents", checked_id(payment_id)), ObjectKind.PAYMENTS
        note = by_state(path, captured, ["payment_intent.succeeded"], expand=EXPANSIONS)
        return PreparedWrite(kind, Operation.CAPTURE, payment_id, "POST", f"{path}/capture", parameters, finding=note)

    def cancel_payment(self, payment_id: str) -> PreparedWrite:
        """See `PaymentOperations`."""
        path, kind = path_of("payment_intents", checked_id(payment_id)), ObjectKind.PAYMENTS
        note = by_state(path, [one_of("canceled", at=["status"])], ["payment_intent.canceled"], expand=EXPANSIONS)
        parameters = {"expand": list(EXPANSIONS)}
        return PreparedWrite(kind, Operation.CANCEL, payment_id, "POST", f"{path}/cancel", parameters, finding=note)

    def list_transactions(self, parameters: ListParameters) -> ListPage[Transaction]:
        """See `PaymentOperations`."""
        path = path_of("payment_intents")
        return self._reader.page(path, "payments", parameters, to_payment, filters=PAYMENT_FILTERS, expand=EXPANSIONS)

    def create_refund(self, request: NewRefund) -> PreparedWrite:
        """See `PaymentOperations`."""
        if (request.charge_id is None) == (request.payment_id is None):
            raise InvalidInputError("A refund is of a charge_id or of a payment_id: give one of both.")
        of = {"charge": request.charge_id, "payment_intent": request.payment_id}
        owner = {name: checked_id(value) for name, value in of.items() if value is not None}
        parameters: dict[str, Any] = {**owner, "metadata": marked(request.metadata)}
        if request.amount is not None:
            parameters["amount"] = request.amount
        if request.reason is not None:
            parameters["reason"] = request.reason
        path, kind = path_of("refunds"), ObjectKind.REFUNDS
        note = by_mark(path, owner)
        return PreparedWrite(kind, Operation.CREATE, None, "POST", path, parameters, finding=note)

    def get_refund(self, refund_id: str) -> Told[Transaction]:
        """See `PaymentOperations`."""
        return self._reader.one("refunds", refund_id, to_refund)

    def list_refunds(self, parameters: ListParameters) -> ListPage[Transaction]:
        """See `PaymentOperations`."""
        path = path_of("refunds")
        return self._reader.page(path, "refunds", parameters, to_refund, filters=REFUND_FILTERS)
