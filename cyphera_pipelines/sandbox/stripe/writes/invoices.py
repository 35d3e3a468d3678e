"""Invoices: drafts and their lines, and what becomes of them."""

from typing import Any

from cyphera_pipelines.sandbox.serialization import JsonObject
from cyphera_pipelines.sandbox.stripe.errors import ProviderError
from cyphera_pipelines.sandbox.stripe.writes.amounts import DAY, billed_amount
from cyphera_pipelines.sandbox.stripe.writes.kept import new_id
from cyphera_pipelines.sandbox.stripe.writes.new_invoice import new_invoice, new_line
from cyphera_pipelines.sandbox.stripe.writes.parameters import Given, missing
from cyphera_pipelines.sandbox.stripe.writes.payments import declined, is_refused, paid_at_once
from cyphera_pipelines.sandbox.stripe.writes.work import Work

_COMMON = frozenset({"auto_advance", "collection_method", "days_until_due", "description", "metadata"})
CREATE = _COMMON | {"customer", "currency", "subscription", "pending_invoice_items_behavior"}
UPDATE = _COMMON
METHODS = ("charge_automatically", "send_invoice")
MOST_LINES = 250


def create(work: Work, given: Given) -> JsonObject:
    """Make a draft without lines."""
    given.only(CREATE)
    customer = work.find("customers", given.required("customer"), "customer")
    subscription_id = given.text("subscription")
    if subscription_id is not None:
        work.find("subscriptions", subscription_id, "subscription")
    currency = (given.text("currency") or customer["currency"] or "usd").lower()
    made = new_invoice(work, customer, currency, subscription_id, "manual")
    return work.make("invoices", _applied(made, given))


def update(work: Work, given: Given, identifier: str) -> JsonObject:
    """Change a draft."""
    given.only(UPDATE)
    return work.change("invoices", _applied(_draft(work.find("invoices", identifier)), given))


def delete(work: Work, given: Given, identifier: str) -> JsonObject:
    """Delete a draft."""
    given.only(())
    invoice = work.find("invoices", identifier)
    if invoice["status"] != "draft":
        raise ProviderError(400, "You can only delete draft invoices.")
    return work.remove("invoices", invoice)


def add_lines(work: Work, given: Given, identifier: str) -> JsonObject:
    """Add lines to a draft: all of them or none."""
    given.only(("lines", "invoice_metadata"))
    invoice, entries = _draft(work.find("invoices", identifier)), given.each("lines")
    if not entries:
        raise missing("lines")
    if len(entries) > MOST_LINES:
        raise ProviderError(400, f"You can add up to {MOST_LINES} lines at once.", param="lines")
    return work.change("invoices", with_lines(invoice, [_line(work, invoice, each) for each in entries]))


def finalize(work: Work, given: Given, identifier: str) -> JsonObject:
    """Make a draft a bill that can be paid."""
    given.only(("auto_advance",))
    invoice = work.find("invoices", identifier)
    if invoice["status"] != "draft":
        raise ProviderError(400, "This invoice is already finalized, you can't re-finalize a non-draft invoice.")
    return work.change("invoices", _finalized(work, invoice), "finalized")


def pay(work: Work, given: Given, identifier: str) -> JsonObject:
    """Collect an invoice now, or note that it was paid elsewhere; a draft is finalized before."""
    given.only(("payment_method", "paid_out_of_band", "source", "off_session", "forgive", "mandate"))
    invoice = work.find("invoices", identifier)
    if invoice["status"] == "paid":
        raise ProviderError(400, "Invoice is already paid", code="invoice_already_paid")
    if invoice["status"] in ("void", "uncollectible"):
        raise ProviderError(400, f"You cannot pay an invoice that is {invoice['status']}.")
    if invoice["status"] == "draft":
        invoice = work.change("invoices", _finalized(work, invoice), "finalized")
    method, is_elsewhere = given.text("payment_method"), given.boolean("paid_out_of_band") is True
    if not is_elsewhere and is_refused(work, method):
        invoice["attempt_count"], invoice["attempted"] = invoice["attempt_count"] + 1, True
        work.change("invoices", invoice, "payment_failed")
        raise declined()
    return work.change("invoices", settled(work, invoice, method, is_elsewhere=is_elsewhere), "paid")


def void(work: Work, given: Given, identifier: str) -> JsonObject:
    """Declare an invoice void."""
    given.only(())
    invoice = work.find("invoices", identifier)
    if invoice["status"] not in ("open", "uncollectible"):
        message = "You can only pass in open or uncollectible invoices. This invoice is neither."
        raise ProviderError(400, message, param="invoice")
    invoice |= {"status": "void", "amount_remaining": 0, "auto_advance": False, "next_payment_attempt": None}
    invoice["status_transitions"] = {**invoice["status_transitions"], "voided_at": work.now}
    return work.change("invoices", invoice, "voided")


def send(work: Work, given: Given, identifier: str) -> JsonObject:
    """Send an invoice by mail: nobody gets one from here, but the provider event is made."""
    given.only(())
    invoice = work.find("invoices", identifier)
    if invoice["collection_method"] != "send_invoice":
        message = "You can only manually send an invoice if its collection method is 'send_invoice'."
        raise ProviderError(400, message)
    if invoice["status"] == "draft":
        invoice = work.change("invoices", _finalized(work, invoice), "finalized")
    return work.change("invoices", invoice, "sent")


def bill(work: Work, subscription: JsonObject, reason: str) -> JsonObject:
    """Make the invoice of a subscription's present period: paid at once, or open where it is sent."""
    customer = work.find("customers", subscription["customer"], "customer")
    invoice = new_invoice(work, customer, subscription["currency"], subscription["id"], reason)
    invoice |= {name: subscription[name] for name in ("collection_method", "default_payment_method")}
    if invoice["collection_method"] == "send_invoice":
        invoice["due_date"] = work.now + (subscription["days_until_due"] or 30) * DAY
    lines = []
    for item in subscription["items"]["data"]:
        quantity = item.get("quantity", 0)
        price = work.find("prices", item["price"]["id"], "price")
        line = new_line(invoice, work.livemode, billed_amount(price, quantity), quantity, price)
        line["period"] = {"start": item["current_period_start"], "end": item["current_period_end"]}
        line["parent"] = {
            "invoice_item_details": None,
            "subscription_item_details": {
                "invoice_item": None,
                "proration": False,
                "proration_details": {"credited_items": None},
                "subscription": subscription["id"],
                "subscription_item": item["id"],
            },
            "type": "subscription_item_details",
        }
        lines.append(line)
    work.make("invoices", with_lines(invoice, lines))
    invoice = work.change("invoices", _finalized(work, invoice), "finalized")
    if invoice["collection_method"] == "send_invoice":
        return invoice
    return work.change("invoices", settled(work, invoice, invoice["default_payment_method"]), "paid")


def with_lines(invoice: JsonObject, added: list[JsonObject]) -> JsonObject:
    """The invoice with further lines, and what it comes to with them."""
    lines = [*invoice["lines"]["data"], *added]
    total = sum(line["amount"] for line in lines)
    invoice["lines"] = {**invoice["lines"], "data": lines, "has_more": False, "total_count": len(lines)}
    for name in ("subtotal", "subtotal_excluding_tax", "total", "total_excluding_tax"):
        invoice[name] = total
    invoice["amount_due"] = invoice["amount_remaining"] = max(0, total)
    return invoice


def settled(work: Work, invoice: JsonObject, method: str | None, *, is_elsewhere: bool = False) -> JsonObject:
    """The invoice as it is once it is paid; its payment is made, unless it was paid elsewhere."""
    due = invoice["amount_remaining"]
    if is_elsewhere:
        invoice["amount_paid_off_stripe"] = due
    elif due:
        paid = paid_at_once(work, due, invoice["currency"], invoice["customer"], method)
        payment: JsonObject = {
            "id": new_id("inpay_1"),
            "object": "invoice_payment",
            "amount_paid": due,
            "amount_requested": due,
            "created": work.now,
            "currency": invoice["currency"],
            "invoice": invoice["id"],
            "is_default": True,
            "livemode": work.livemode,
            "payment": {"payment_intent": paid["id"], "type": "payment_intent"},
            "status": "paid",
            "status_transitions": {"canceled_at": None, "paid_at": work.now},
        }
        invoice["payments"]["data"].append(payment)
        work.events.record("invoice_payment.paid", payment, work.now, None, work.key)
        invoice["attempt_count"] += 1
    invoice |= {"status": "paid", "amount_paid": due, "amount_remaining": 0, "attempted": True, "auto_advance": False}
    invoice["next_payment_attempt"] = None
    invoice["status_transitions"] = {**invoice["status_transitions"], "paid_at": work.now}
    return invoice


def _finalized(work: Work, invoice: JsonObject) -> JsonObject:
    hosted = f"https://invoice.example.com/i/{work.account_id}/{invoice['id']}"
    invoice |= {
        "status": "open",
        "effective_at": work.now,
        "number": f"{new_id('')[:8].upper()}-0001",
        "hosted_invoice_url": f"{hosted}?s=ap",
        "invoice_pdf": f"{hosted}/pdf?s=ap",
        "automatically_finalizes_at": None,
        "ending_balance": 0,
    }
    invoice["status_transitions"] = {**invoice["status_transitions"], "finalized_at": work.now}
    if invoice["amount_due"] == 0:
        invoice["status"] = "paid"
        invoice["status_transitions"] |= {"paid_at": work.now}
    return invoice


def _draft(invoice: JsonObject) -> JsonObject:
    if invoice["status"] != "draft":
        message = "Finalized invoices can't be updated in this way"
        raise ProviderError(400, message, code="invoice_not_editable")
    # Those that are generated have none of it.
    url = f"/v1/invoices/{invoice['id']}/payments"
    invoice.setdefault("payments", {"object": "list", "data": [], "has_more": False, "url": url})
    return invoice


def _applied(invoice: JsonObject, given: Given) -> JsonObject:
    method, days = given.choice("collection_method", METHODS), given.integer("days_until_due", 0)
    invoice["collection_method"] = method or invoice["collection_method"]
    if days is not None:
        if invoice["collection_method"] != "send_invoice":
            message = "You can only set `days_until_due` if `collection_method` is `send_invoice`."
            raise ProviderError(400, message, param="days_until_due")
        invoice["due_date"] = invoice["created"] + days * DAY
    if invoice["collection_method"] == "send_invoice" and invoice["due_date"] is None:
        raise missing("days_until_due")
    if "description" in given:
        invoice["description"] = given.text("description")
    if "auto_advance" in given:
        invoice["auto_advance"] = given.boolean("auto_advance")
    invoice["metadata"] = given.metadata(invoice["metadata"])
    return invoice


def _line(work: Work, invoice: JsonObject, given: Given) -> JsonObject:
    given.only(("amount", "description", "metadata", "pricing", "quantity", "tax_rates", "period"))
    pricing, amount, quantity = given.inner("pricing"), given.integer("amount"), given.integer("quantity", 0)
    if (pricing is None) == (amount is None):
        raise missing(given.named("amount"))
    price: Any = None
    if pricing is not None:
        price = work.find("prices", pricing.required("price"), pricing.named("price"))
        if price["currency"] != invoice["currency"]:
            message = "The currency of the price must match the invoice's."
            raise ProviderError(400, message, param=pricing.named("price"))
        amount = billed_amount(price, 1 if quantity is None else quantity)
    line = new_line(invoice, work.livemode, amount or 0, 1 if quantity is None else quantity, price)
    line["description"] = given.text("description") or line["description"]
    line["metadata"] = given.metadata()
    return line
