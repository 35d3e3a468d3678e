"""Drawing up an invoice."""

from cyphera_pipelines.sandbox.chargebee.writes.work import Work
from cyphera_pipelines.sandbox.serialization import JsonObject


def draw_up(
    work: Work,
    customer: JsonObject,
    currency: str,
    lines: list[JsonObject],
    subscription_id: str | None,
    date: int,
    net_term_days: int | None = None,
    percent_off: int = 0,
) -> JsonObject:
    """Return a new invoice of those lines, under the site's next number; it is not kept yet."""
    number = _next_number(work)
    for line in lines:
        line |= {
            "id": work.new_id("li_"),
            "customer_id": customer["id"],
            "is_taxed": False,
            "tax_amount": 0,
            "discount_amount": line["amount"] * percent_off // 100,
            "item_level_discount_amount": 0,
            "object": "line_item",
        }
        if subscription_id is not None:
            line["subscription_id"] = subscription_id
    sub_total = sum(line["amount"] for line in lines)
    off = sum(line["discount_amount"] for line in lines)
    terms = customer.get("net_term_days", 0) if net_term_days is None else net_term_days
    total = sub_total - off
    invoice: JsonObject = {
        "id": number,
        "customer_id": customer["id"],
        "recurring": any(line["entity_type"] == "plan_item_price" for line in lines),
        "status": "paid" if total == 0 else ("posted" if terms else "payment_due"),
        "date": date,
        "net_term_days": terms,
        "price_type": "tax_exclusive",
        "currency_code": currency,
        "exchange_rate": 1.0,
        "sub_total": sub_total,
        "tax": 0,
        "total": total,
        "amount_paid": 0,
        "amount_adjusted": 0,
        "write_off_amount": 0,
        "credits_applied": 0,
        "amount_due": total,
        "amount_to_collect": total,
        "round_off_amount": 0,
        "first_invoice": False,
        "is_gifted": False,
        "has_advance_charges": False,
        "term_finalized": True,
        "channel": "web",
        "line_items": lines,
        "deleted": False,
        "object": "invoice",
    }
    if total == 0:
        invoice["paid_at"] = date
    if off:
        invoice["discounts"] = [
            {"amount": off, "entity_type": "document_level_coupon", "discount_type": "percentage", "object": "discount"}
        ]
    if subscription_id is not None:
        invoice["subscription_id"] = subscription_id
    return invoice


def _next_number(work: Work) -> str:
    """One more than there were invoices: numbers are given in a row, and never again."""
    shelf = work.objects.shelf("invoices")
    number = len(shelf) + 1
    while str(number) in shelf:
        number += 1
    return str(number)
