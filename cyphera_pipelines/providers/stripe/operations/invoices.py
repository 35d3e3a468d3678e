"""Invoices at Stripe."""

from dataclasses import replace
from typing import Any

from cyphera_pipelines.model.errors import InvalidInputError
from cyphera_pipelines.providers.base import (
    THE_OBJECT,
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
)
from cyphera_pipelines.providers.stripe.operations.listing import Reader, checked_id, path_of
from cyphera_pipelines.providers.stripe.operations.mark import MARK, THE_KEY, marked
from cyphera_pipelines.providers.stripe.operations.notes import Note, by_mark, by_state, one_of
from cyphera_pipelines.providers.stripe.operations.objects.invoices import to_invoice

FILTERS = {
    "customer_id": "customer",
    "subscription_id": "subscription",
    "status": "status",
    "collection_method": "collection_method",
    "due_date_after": "due_date[gte]",
    "due_date_before": "due_date[lt]",
}
MOST_LINES = 250
"""Of one request, as Stripe documents it."""
EXPANSIONS = ("payments",)
"""Without these it is not told which payment paid an invoice."""
_KIND = ObjectKind.INVOICES


class StripeInvoices:
    """See `InvoiceOperations`."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def create_invoice(self, request: NewInvoice) -> PreparedWrite:
        """See `InvoiceOperations`. The draft comes first, then its lines; it advances by itself when it has them."""
        if len(request.lines) > MOST_LINES:
            raise InvalidInputError(f"{len(request.lines)} lines are more than the {MOST_LINES} Stripe takes at once.")
        parameters: dict[str, Any] = {
            "customer": checked_id(request.customer_id),
            "currency": request.currency.lower(),
            "auto_advance": request.auto_advance and not request.lines,
            # What waits at the customer for the next invoice was not asked for.
            "pending_invoice_items_behavior": "exclude",
            "metadata": marked(request.metadata),
        }
        named = {
            "subscription": request.subscription_id,
            "collection_method": request.collection_method,
            "days_until_due": request.days_until_due,
            "description": request.description,
        }
        parameters |= {name: value for name, value in named.items() if value is not None}
        path = path_of("invoices")
        note = by_mark(path, {"customer": request.customer_id})
        draft = PreparedWrite(_KIND, Operation.CREATE, None, "POST", path, parameters, finding=note)
        if not request.lines:
            return draft
        place = f"{path}/{THE_OBJECT}"
        lines = {"lines": [_line(line) for line in request.lines]}
        marked_lines = by_mark(f"{place}/lines", is_dated=False)
        steps = [_step(f"{place}/add_lines", lines, marked_lines)]
        if request.auto_advance:
            advances = by_state(place, [one_of(True, at=["auto_advance"])], [])
            steps.append(_step(place, {"auto_advance": True}, advances))
        return replace(draft, then=tuple(steps))

    def get_invoice(self, invoice_id: str) -> Told[Invoice]:
        """See `InvoiceOperations`."""
        return self._reader.one("invoices", invoice_id, to_invoice, EXPANSIONS)

    def finalize_invoice(self, invoice_id: str) -> PreparedWrite:
        """See `InvoiceOperations`."""
        finalized = [one_of("open", "paid", "void", "uncollectible", at=["status"])]
        return self._deed(invoice_id, Operation.FINALIZE, "finalize", {}, finalized, ["invoice.finalized"])

    def pay_invoice(self, invoice_id: str, payment: InvoicePayment) -> PreparedWrite:
        """See `InvoiceOperations`."""
        if payment.paid_out_of_band and payment.payment_method_id is not None:
            raise InvalidInputError("What was paid elsewhere has no payment_method_id here. Leave out one of both.")
        parameters = dict[str, Any]()
        if payment.paid_out_of_band:
            parameters["paid_out_of_band"] = True
        if payment.payment_method_id is not None:
            parameters["payment_method"] = checked_id(payment.payment_method_id)
        paid = [one_of("paid", at=["status"])]
        write = self._deed(invoice_id, Operation.PAY, "pay", parameters, paid, ["invoice.paid"])
        # Which payment paid it is asked for afterwards: what is paid must not be refused for an expansion.
        return replace(write, finding={**write.finding, "shows": path_of("invoices", invoice_id)})

    def void_invoice(self, invoice_id: str) -> PreparedWrite:
        """See `InvoiceOperations`."""
        void = [one_of("void", at=["status"])]
        return self._deed(invoice_id, Operation.VOID, "void", {}, void, ["invoice.voided"])

    def send_invoice(self, invoice_id: str) -> PreparedWrite:
        """See `InvoiceOperations`. An invoice does not show that it was sent: only a provider event tells."""
        return self._deed(invoice_id, Operation.SEND, "send", {}, [], ["invoice.sent"])

    def list_invoices(self, parameters: ListParameters) -> ListPage[Invoice]:
        """See `InvoiceOperations`."""
        path = path_of("invoices")
        return self._reader.page(path, "invoices", parameters, to_invoice, filters=FILTERS, expand=EXPANSIONS)

    @staticmethod
    def _deed(
        invoice_id: str, operation: Operation, verb: str, parameters: dict[str, Any], conditions: Any, events: list[str]
    ) -> PreparedWrite:
        note = by_state(path_of("invoices", checked_id(invoice_id)), conditions, events, expand=EXPANSIONS)
        path = path_of("invoices", invoice_id, verb)
        return PreparedWrite(_KIND, operation, invoice_id, "POST", path, parameters, finding=note)


def _step(path: str, parameters: dict[str, Any], note: Note) -> PreparedWrite:
    return PreparedWrite(_KIND, Operation.CREATE, None, "POST", path, parameters, finding=note)


def _line(line: NewInvoiceLine) -> dict[str, Any]:
    if (line.price_id is None) == (line.amount is None):
        raise InvalidInputError("A line is either a price_id or an amount.")
    parameters: dict[str, Any] = {"metadata": {MARK: THE_KEY}}
    if line.price_id is not None:
        parameters["pricing"] = {"price": checked_id(line.price_id)}
        if line.quantity is not None:
            parameters["quantity"] = line.quantity
    else:
        if not line.description:
            raise InvalidInputError("A line with an amount needs a description.")
        parameters["amount"] = line.amount
        if line.quantity not in (None, 1):
            raise InvalidInputError("A line with an amount has no quantity: the amount is that of the whole line.")
    if line.description is not None:
        parameters["description"] = line.description
    return parameters
