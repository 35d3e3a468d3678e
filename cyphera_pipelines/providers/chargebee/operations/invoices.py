"""Invoices at Chargebee."""

from typing import Any

from cyphera_pipelines.model.errors import InvalidInputError
from cyphera_pipelines.providers.base import (
    Invoice,
    InvoicePayment,
    ListPage,
    ListParameters,
    NewInvoice,
    NewInvoiceLine,
    ObjectKind,
    Operation,
    PreparedWrite,
    Told,
    UnsupportedError,
)
from cyphera_pipelines.providers.chargebee.fields.invoices import STATUSES
from cyphera_pipelines.providers.chargebee.operations.catalog import chargebee_amount
from cyphera_pipelines.providers.chargebee.operations.notes import by_list, by_state
from cyphera_pipelines.providers.chargebee.operations.objects.invoices import to_invoice
from cyphera_pipelines.providers.chargebee.operations.reading import NAME, Reader, checked_id, is_in_words, is_word
from cyphera_pipelines.providers.chargebee.operations.refusals import PENDING
from cyphera_pipelines.providers.chargebee.operations.subscriptions import collection_word
from cyphera_pipelines.providers.chargebee.transport import object_path

FILTERS = {
    "customer_id": is_word("customer_id"),
    "subscription_id": is_word("subscription_id"),
    "status": is_in_words("status", STATUSES),
}
_KIND = ObjectKind.INVOICES
_PLACE = ("invoices", "invoice")


class ChargebeeInvoices:
    """See `InvoiceOperations`. A draft is a pending invoice."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def create_invoice(self, request: NewInvoice) -> PreparedWrite:
        """See `InvoiceOperations`."""
        if not request.lines:
            raise InvalidInputError("An invoice at Chargebee needs at least one line.")
        if request.metadata:
            raise UnsupportedError(NAME, _KIND, Operation.CREATE, "keep metadata of an invoice")
        owner = (
            {"customer_id": checked_id(request.customer_id)}
            if request.subscription_id is None
            else {"subscription_id": checked_id(request.subscription_id)}
        )
        told = {
            "auto_collection": collection_word(request.collection_method),
            "net_term_days": request.days_until_due,
            "invoice_note": request.description,
        }
        lines = [_line(line, request.currency) for line in request.lines]
        prices = [line for line in lines if "item_price_id" in line]
        charges = [line for line in lines if "item_price_id" not in line]
        parameters: dict[str, Any] = {
            **owner,
            "currency_code": request.currency.upper(),
            PENDING: not request.auto_advance,
            **{name: value for name, value in told.items() if value is not None},
        }
        parameters |= {name: each for name, each in (("item_prices", prices), ("charges", charges)) if each}
        asked = {f"{name}[is]": value for name, value in owner.items()}
        note = by_list(*_PLACE, asked, "date", {"currency_code": request.currency.upper(), "line_items": lines})
        path = "/invoices/create_for_charge_items_and_charges"
        return PreparedWrite(_KIND, Operation.CREATE, None, "POST", path, parameters, finding=note)

    def get_invoice(self, invoice_id: str) -> Told[Invoice]:
        """See `InvoiceOperations`."""
        return self._reader.one(*_PLACE, invoice_id, to_invoice)

    def finalize_invoice(self, invoice_id: str) -> PreparedWrite:
        """See `InvoiceOperations`: the pending invoice is closed."""
        closed = [theirs for theirs, ours in STATUSES.items() if ours != "draft"]
        return _asking(invoice_id, Operation.FINALIZE, "close", {}, status=closed)

    def pay_invoice(self, invoice_id: str, payment: InvoicePayment) -> PreparedWrite:
        """See `InvoiceOperations`."""
        if payment.paid_out_of_band:
            recorded = {"transaction": {"payment_method": "other"}}
            return _asking(invoice_id, Operation.PAY, "record_payment", recorded, status="paid")
        named = {} if payment.payment_method_id is None else {"payment_source_id": payment.payment_method_id}
        return _asking(invoice_id, Operation.PAY, "collect_payment", named, status="paid")

    def void_invoice(self, invoice_id: str) -> PreparedWrite:
        """See `InvoiceOperations`."""
        return _asking(invoice_id, Operation.VOID, "void", {}, status="voided")

    def send_invoice(self, invoice_id: str) -> PreparedWrite:
        """See `InvoiceOperations`."""
        raise UnsupportedError(NAME, _KIND, Operation.SEND, f"send invoice {invoice_id}")

    def list_invoices(self, parameters: ListParameters) -> ListPage[Invoice]:
        """See `InvoiceOperations`."""
        return self._reader.page(_KIND, *_PLACE, parameters, to_invoice, axis="date", filters=FILTERS)


def _asking(
    invoice_id: str, operation: Operation, beneath: str, parameters: dict[str, Any], **states: Any
) -> PreparedWrite:
    path = f"{object_path('invoices', checked_id(invoice_id))}/{beneath}"
    return PreparedWrite(_KIND, operation, invoice_id, "POST", path, parameters, finding=by_state(*_PLACE, **states))


def _line(line: NewInvoiceLine, currency: str) -> dict[str, Any]:
    if line.price_id is not None and line.amount is None:
        return {"item_price_id": line.price_id} | ({} if line.quantity is None else {"quantity": line.quantity})
    if line.price_id is None and line.amount is not None and line.description:
        return {"amount": chargebee_amount(line.amount, currency), "description": line.description}
    raise InvalidInputError("A line is of a price_id with a quantity, or of an amount with a description.")
