"""Invoices made, closed, paid, voided, written off, refunded and deleted."""

from cyphera_pipelines.sandbox.chargebee.billing import collected
from cyphera_pipelines.sandbox.chargebee.errors import cannot_be_charged, missing, wrong_state, wrong_value
from cyphera_pipelines.sandbox.chargebee.writes.bills import draw_up
from cyphera_pipelines.sandbox.chargebee.writes.work import Work
from cyphera_pipelines.sandbox.serialization import JsonObject

UNPAID = ("posted", "payment_due", "not_paid")
_METHODS = ("cash", "check", "bank_transfer", "other", "custom", "app_store", "play_store")
_CHARGE = ("amount", "amount_in_decimal", "description", "date_from", "date_to", "taxable")
_ITEM_PRICE = ("item_price_id", "quantity", "unit_price", "date_from", "date_to", "quantity_in_decimal")


def create(work: Work) -> JsonObject:
    """Bill a customer for charges and prices, at once; it is collected if the customer has what to pay with."""
    form = work.form
    subscription_id, customer_id = form.text("subscription_id"), form.text("customer_id")
    if subscription_id is not None:
        customer_id = work.expect("subscriptions", subscription_id)["customer_id"]
    if customer_id is None:
        raise missing("customer_id")
    customer = work.expect("customers", customer_id)
    currency = (form.text("currency_code") or work.site.default_currency).upper()
    lines = [_charge(work, row, index) for index, row in enumerate(form.rows("charges", _CHARGE))]
    lines += [_priced(work, row, index, currency) for index, row in enumerate(form.rows("item_prices", _ITEM_PRICE))]
    date, collection = form.integer("invoice_date"), form.choice("auto_collection", ("on", "off"))
    terms, note = form.integer("net_term_days"), form.text("invoice_note")
    order, is_pending = form.text("po_number"), form.boolean("create_pending_invoice")
    form.end()
    if not lines:
        raise missing("charges[amount][0]")
    invoice = draw_up(work, customer, currency, lines, subscription_id, date or work.now, terms)
    if note is not None:
        invoice["notes"] = [{"note": note, "entity_type": "customer", "entity_id": customer_id}]
    if order is not None:
        invoice["po_number"] = order
    if is_pending or (is_pending is None and work.site.pending_invoices):
        invoice["status"] = "pending"
        whole = work.add("invoices", invoice)
        work.tell("pending_invoice_created", ("invoices", whole))
        return {"invoice": whole}
    return issue(work, invoice, customer, collection or customer.get("auto_collection", "on"))


def issue(work: Work, invoice: JsonObject, customer: JsonObject, collection: str) -> JsonObject:
    """Send a new invoice out, and collect it at once where that can be done; return it, with its payment."""
    whole = work.add("invoices", {**invoice, "generated_at": work.now, "due_date": _due(invoice)})
    work.tell("invoice_generated", ("invoices", whole))
    source = customer.get("primary_payment_source_id")
    if whole["amount_due"] == 0:
        return {"invoice": whole}
    if collection == "on" and source is not None:
        return _collect(work, whole, whole["amount_due"], source)
    return {"invoice": whole}


def _due(invoice: JsonObject) -> int:
    date: int = invoice["date"]
    return date + int(invoice["net_term_days"]) * 86_400


def close(work: Work, invoice_id: str) -> JsonObject:
    """Make a pending invoice a bill."""
    before = work.expect("invoices", invoice_id)
    date, note = work.form.integer("invoice_date"), work.form.text("invoice_note")
    work.form.boolean("remove_general_note")
    work.form.end()
    if before["status"] != "pending":
        raise wrong_state(f"The invoice {invoice_id} is not pending: it is {before['status']}")
    after = {**before, "generated_at": work.now, "date": date or before["date"]}
    after["due_date"] = _due(after)
    if note is not None:
        after["notes"] = [*before.get("notes", []), {"note": note, "entity_type": "customer"}]
    after["status"] = _open_status(after)
    if after["status"] == "paid":
        after["paid_at"] = work.now
    whole = work.put("invoices", after)
    work.tell("invoice_generated", ("invoices", whole))
    return {"invoice": whole}


def _open_status(invoice: JsonObject) -> str:
    if invoice["amount_due"] == 0:
        return "paid"
    return "posted" if invoice["net_term_days"] else "payment_due"


def collect_payment(work: Work, invoice_id: str) -> JsonObject:
    """Charge what is due to the customer's payment source, or a named one."""
    before = work.expect("invoices", invoice_id)
    amount, source_id = work.form.integer("amount", least=1), work.form.text("payment_source_id")
    work.form.text("payment_initiator")
    work.form.end()
    _refuse_unless_unpaid(before)
    customer = work.expect("customers", before["customer_id"])
    source_id = source_id or customer.get("primary_payment_source_id")
    if source_id is None:
        raise cannot_be_charged(f"The customer {customer['id']} has no payment method")
    source = work.expect("payment_sources", source_id)
    if source["customer_id"] != customer["id"]:
        raise wrong_value("payment_source_id", "is another customer's")
    return _collect(work, before, _payable(before, amount, "amount"), source_id)


def _collect(work: Work, invoice: JsonObject, amount: int, source_id: str) -> JsonObject:
    paid, payment = collected(invoice, work.new_id("txn_"), amount, work.now, payment_source_id=source_id)
    return _keep_payment(work, paid, payment)


def _keep_payment(work: Work, paid: JsonObject, payment: JsonObject) -> JsonObject:
    transaction = work.add("transactions", payment)
    whole = work.put("invoices", paid)
    of = work.objects.find("subscriptions", str(whole.get("subscription_id")))
    told = [("invoices", whole), ("transactions", transaction)]
    if of is not None and whole["status"] == "paid" and of.get("due_invoices_count"):
        of = work.put("subscriptions", {**of, "due_invoices_count": of["due_invoices_count"] - 1})
    work.tell("payment_succeeded", *told, *([] if of is None else [("subscriptions", of)]))
    return {"invoice": whole, "transaction": transaction}


def record_payment(work: Work, invoice_id: str) -> JsonObject:
    """Note that an invoice was paid elsewhere."""
    before = work.expect("invoices", invoice_id)
    names = ("amount", "payment_method", "reference_number", "date", "id_at_gateway", "status")
    given = work.form.group("transaction", names) or {}
    work.form.text("comment")
    work.form.end()
    method = given.get("payment_method")
    if method not in _METHODS:
        raise wrong_value("transaction[payment_method]", f"should be one of {', '.join(_METHODS)}")
    _refuse_unless_unpaid(before)
    amount = _payable(before, _number(given, "amount"), "transaction[amount]")
    date = _number(given, "date") or work.now
    more = {"payment_method": method, "gateway": "not_applicable"}
    if "reference_number" in given:
        more["reference_number"] = given["reference_number"]
    return _keep_payment(work, *collected(before, work.new_id("txn_"), amount, date, **more))


def _number(given: JsonObject, name: str) -> int | None:
    if name not in given:
        return None
    try:
        return int(given[name])
    except ValueError:
        raise wrong_value(f"transaction[{name}]", "should be a number") from None


def _payable(invoice: JsonObject, amount: int | None, param: str) -> int:
    due: int = invoice["amount_due"]
    if amount is not None and not 0 < amount <= due:
        raise wrong_value(param, f"should be between 1 and {due}")
    return amount or due


def _refuse_unless_unpaid(invoice: JsonObject) -> None:
    if invoice["status"] not in UNPAID:
        raise wrong_state(f"The invoice {invoice['id']} cannot be paid: it is {invoice['status']}")


def void(work: Work, invoice_id: str) -> JsonObject:
    """Declare an invoice void. What was paid has to be refunded before."""
    before = work.expect("invoices", invoice_id)
    reason = work.form.text("void_reason_code")
    work.form.text("comment")
    work.form.end()
    if before["status"] in ("voided", "pending"):
        raise wrong_state(f"The invoice {invoice_id} cannot be voided: it is {before['status']}")
    if before["amount_paid"]:
        raise wrong_state(f"The invoice {invoice_id} cannot be voided: it has payments")
    after = {**before, "status": "voided", "voided_at": work.now, "amount_due": 0, "amount_to_collect": 0}
    if reason is not None:
        after["void_reason_code"] = reason
    whole = work.put("invoices", after)
    work.tell("invoice_updated", ("invoices", whole))
    return {"invoice": whole}


def write_off(work: Work, invoice_id: str) -> JsonObject:
    """Give up what is due."""
    before = work.expect("invoices", invoice_id)
    work.form.text("comment")
    work.form.end()
    _refuse_unless_unpaid(before)
    due = before["amount_due"]
    note = _credit_note(work, before, due, "write_off", kind="adjustment", status="adjusted")
    after = {
        **before,
        "status": "not_paid" if due == before["total"] else "paid",
        "write_off_amount": before.get("write_off_amount", 0) + due,
        "amount_adjusted": before["amount_adjusted"] + due,
        "amount_due": 0,
        "amount_to_collect": 0,
        "adjustment_credit_notes": [*before.get("adjustment_credit_notes", []), _link(note)],
    }
    whole = work.put("invoices", after)
    work.tell("invoice_updated", ("invoices", whole), ("credit_notes", note))
    return {"invoice": whole, "credit_note": note}


def refund(work: Work, invoice_id: str) -> JsonObject:
    """Give back what was paid, or a part of it, by a refundable credit note."""
    before = work.expect("invoices", invoice_id)
    amount = work.form.integer("refund_amount", least=1)
    reason = (work.form.group("credit_note", ("reason_code", "create_reason_code")) or {}).get("reason_code")
    comment = work.form.text("comment")
    work.form.text("customer_notes")
    work.form.end()
    given_back = sum(note["cn_total"] for note in before.get("issued_credit_notes", ()))
    left = before["amount_paid"] - given_back
    if left <= 0:
        raise wrong_state(f"The invoice {invoice_id} has no payment that can be refunded")
    if amount is not None and amount > left:
        raise wrong_value("refund_amount", f"should be between 1 and {left}")
    amount = amount or left
    payment = before["linked_payments"][-1]["txn_id"]
    original = work.expect("transactions", payment)
    transaction = work.add("transactions", _refund_of(work, before, original, amount, comment))
    note = _credit_note(work, before, amount, reason or "other", kind="refundable", status="refunded")
    work.put(
        "transactions",
        {
            **original,
            "linked_refunds": [
                *original.get("linked_refunds", []),
                {"txn_id": transaction["id"], "txn_status": "success", "txn_date": work.now, "txn_amount": amount},
            ],
        },
    )
    issued = [*before.get("issued_credit_notes", []), _link(note)]
    whole = work.put("invoices", {**before, "issued_credit_notes": issued})
    work.tell("payment_refunded", ("invoices", whole), ("transactions", transaction), ("credit_notes", note))
    return {"invoice": whole, "transaction": transaction, "credit_note": note}


def _refund_of(work: Work, invoice: JsonObject, original: JsonObject, amount: int, comment: str | None) -> JsonObject:
    return {
        "id": work.new_id("txn_"),
        "customer_id": invoice["customer_id"],
        "payment_method": original["payment_method"],
        "gateway": original["gateway"],
        "type": "refund",
        "date": work.now,
        "amount": amount,
        "currency_code": invoice["currency_code"],
        "status": "success",
        "refunded_txn_id": original["id"],
        "linked_invoices": [],
        "deleted": False,
        "object": "transaction",
        **({} if comment is None else {"reference_number": comment[:100]}),
    }


def _credit_note(work: Work, invoice: JsonObject, amount: int, reason: str, *, kind: str, status: str) -> JsonObject:
    note = {
        "id": work.new_id("CN-"),
        "customer_id": invoice["customer_id"],
        "reference_invoice_id": invoice["id"],
        "type": kind,
        "reason_code": reason,
        "status": status,
        "date": work.now,
        "price_type": invoice["price_type"],
        "currency_code": invoice["currency_code"],
        "sub_total": amount,
        "total": amount,
        "amount_allocated": amount if kind == "adjustment" else 0,
        "amount_refunded": amount if kind == "refundable" else 0,
        "amount_available": 0,
        "line_items": [],
        "deleted": False,
        "object": "credit_note",
    }
    whole = work.add("credit_notes", note)
    work.tell("credit_note_created", ("credit_notes", whole))
    return whole


def _link(note: JsonObject) -> JsonObject:
    return {"cn_id": note["id"], "cn_total": note["total"], "cn_status": note["status"], "cn_date": note["date"]}


def delete(work: Work, invoice_id: str) -> JsonObject:
    """Delete an invoice that nothing was paid for."""
    before = work.expect("invoices", invoice_id)
    work.form.text("comment")
    work.form.end()
    if before["amount_paid"]:
        raise wrong_state(f"The invoice {invoice_id} cannot be deleted: it has payments")
    whole = work.put("invoices", {**before, "deleted": True})
    work.tell("invoice_deleted", ("invoices", whole))
    return {"invoice": whole}


def _charge(work: Work, row: dict[str, str], index: int) -> JsonObject:
    if "amount" not in row and "amount_in_decimal" not in row:
        raise missing(f"charges[amount][{index}]")
    if "description" not in row:
        raise missing(f"charges[description][{index}]")
    try:
        amount = int(row["amount"])
    except (KeyError, ValueError):
        raise wrong_value(f"charges[amount][{index}]", "should be a number") from None
    return {
        **_period(work, row, "charges", index),
        "unit_amount": amount,
        "quantity": 1,
        "amount": amount,
        "pricing_model": "flat_fee",
        "description": row["description"],
        "entity_type": "adhoc",
    }


def _priced(work: Work, row: dict[str, str], index: int, currency: str) -> JsonObject:
    if "item_price_id" not in row:
        raise missing(f"item_prices[item_price_id][{index}]")
    price = work.expect("item_prices", row["item_price_id"])
    if price["item_type"] != "charge":
        raise wrong_value(f"item_prices[item_price_id][{index}]", "should be the price of a charge")
    if price["currency_code"] != currency:
        raise wrong_value(f"item_prices[item_price_id][{index}]", f"is not in {currency}")
    try:
        units = int(row.get("quantity", "1"))
        each = int(row["unit_price"]) if "unit_price" in row else int(price.get("price", 0))
    except ValueError:
        raise wrong_value(f"item_prices[quantity][{index}]", "should be a number") from None
    is_flat = price["pricing_model"] == "flat_fee"
    return {
        **_period(work, row, "item_prices", index),
        "unit_amount": each,
        "quantity": 1 if is_flat else units,
        "amount": each if is_flat else each * units,
        "pricing_model": price["pricing_model"],
        "description": price.get("external_name", price["name"]),
        "entity_type": "charge_item_price",
        "entity_id": price["id"],
    }


def _period(work: Work, row: dict[str, str], name: str, index: int) -> JsonObject:
    try:
        return {"date_from": int(row.get("date_from", work.now)), "date_to": int(row.get("date_to", work.now))}
    except ValueError:
        raise wrong_value(f"{name}[date_from][{index}]", "should be a number") from None
