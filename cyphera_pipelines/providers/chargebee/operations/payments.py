"""Transactions at Chargebee: payments and refunds."""

from cyphera_pipelines.model.errors import InvalidInputError
from cyphera_pipelines.providers.base import (
    ListPage,
    ListParameters,
    NewPayment,
    NewRefund,
    ObjectGoneError,
    ObjectKind,
    Operation,
    PreparedWrite,
    Told,
    Transaction,
    TransactionType,
    UnsupportedError,
)
from cyphera_pipelines.providers.chargebee.operations.notes import by_list
from cyphera_pipelines.providers.chargebee.operations.objects.transactions import REFUND, to_transaction
from cyphera_pipelines.providers.chargebee.operations.reading import NAME, Reader, checked_id, is_word

PAYMENT_FILTERS = {"customer_id": is_word("customer_id"), "subscription_id": is_word("subscription_id")}
REFUND_FILTERS = {"customer_id": is_word("customer_id")}
THE_INVOICE = "{invoice}"
"""Stands for the invoice that the payment which is refunded is for: it is read first."""
PAYMENT, AMOUNT = "payment", "refund_amount"
"""In a refund's note, the payment; in its parameters, the amount in our minor units."""
_PAYMENTS, _REFUNDS = ObjectKind.PAYMENTS, ObjectKind.REFUNDS
_PLACE = ("transactions", "transaction")


class ChargebeePayments:
    """See `PaymentOperations`. Payments are made by collecting invoices."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def create_payment(self, request: NewPayment) -> PreparedWrite:
        """See `PaymentOperations`."""
        raise UnsupportedError(NAME, _PAYMENTS, Operation.CREATE, f"charge {request.money.currency} without an invoice")

    def get_transaction(self, transaction_id: str) -> Told[Transaction]:
        """See `PaymentOperations`."""
        return self._reader.one(*_PLACE, transaction_id, to_transaction)

    def capture_payment(self, payment_id: str, amount: int | None) -> PreparedWrite:  # noqa: ARG002
        """See `PaymentOperations`."""
        raise UnsupportedError(NAME, _PAYMENTS, Operation.CAPTURE, f"capture payment {payment_id}")

    def cancel_payment(self, payment_id: str) -> PreparedWrite:
        """See `PaymentOperations`."""
        raise UnsupportedError(NAME, _PAYMENTS, Operation.CANCEL, f"cancel payment {payment_id}")

    def list_transactions(self, parameters: ListParameters) -> ListPage[Transaction]:
        """See `PaymentOperations`."""
        return self._reader.page(
            _PAYMENTS,
            *_PLACE,
            parameters,
            to_transaction,
            axis="date",
            filters=PAYMENT_FILTERS,
            fixed={"type[in]": '["payment","authorization"]'},
        )

    def create_refund(self, request: NewRefund) -> PreparedWrite:
        """See `PaymentOperations`. What is refunded is a payment of one invoice.

        Its currency is not known yet: `refund_amount` is ours until it is sent.
        """
        payment_id = request.charge_id or request.payment_id
        if payment_id is None or (request.charge_id is not None and request.payment_id is not None):
            raise InvalidInputError("A refund is of a charge_id or of a payment_id: give one of both.")
        if request.metadata:
            raise UnsupportedError(NAME, _REFUNDS, Operation.CREATE, "keep metadata of a refund")
        parameters: dict[str, object] = {"credit_note": {"reason_code": "other"}}
        if request.reason is not None:
            parameters["comment"] = request.reason
        if request.amount is not None:
            parameters[AMOUNT] = request.amount
        states: dict[str, object] = {"type": REFUND, "refunded_txn_id": checked_id(payment_id)}
        states |= {} if request.amount is None else {"amount": request.amount}
        note = by_list(*_PLACE, {"type[is]": REFUND}, "date", states) | {PAYMENT: payment_id}
        path = f"/invoices/{THE_INVOICE}/refund"
        return PreparedWrite(_REFUNDS, Operation.CREATE, None, "POST", path, parameters, finding=note)

    def get_refund(self, refund_id: str) -> Told[Transaction]:
        """See `PaymentOperations`."""
        told = self._reader.one(*_PLACE, refund_id, to_transaction)
        if told.item.type is not TransactionType.REFUND:
            raise ObjectGoneError(f"{refund_id} is no refund, but a payment.")
        return told

    def list_refunds(self, parameters: ListParameters) -> ListPage[Transaction]:
        """See `PaymentOperations`."""
        return self._reader.page(
            _REFUNDS,
            *_PLACE,
            parameters,
            to_transaction,
            axis="date",
            filters=REFUND_FILTERS,
            fixed={"type[is]": REFUND},
        )
