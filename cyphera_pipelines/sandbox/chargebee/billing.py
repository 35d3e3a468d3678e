"""What a change of a subscription or a payment makes of amounts: used by what happens and by what clients ask for."""

from typing import Any

from cyphera_pipelines.sandbox.chargebee.generate.subscriptions import EARNING, monthly
from cyphera_pipelines.sandbox.chargebee.objects import SiteObjects
from cyphera_pipelines.sandbox.serialization import JsonObject


def resumed_earning(objects: SiteObjects, subscription: JsonObject) -> JsonObject:
    """Return a subscription with what it brings in now, counted anew from its items and discounts."""
    periods: dict[str, tuple[str, int]] = {}
    metered: set[str] = set()
    for item in subscription["subscription_items"]:
        price = objects.find("item_prices", item["item_price_id"])
        if price is not None and "period" in price:
            periods[price["id"]] = (price["period_unit"], price["period"])
            of = objects.find("items", price["item_id"])
            if of is not None and of.get("metered"):
                metered.add(price["id"])
    named = [objects.find("coupons", each["coupon_id"]) for each in subscription.get("coupons") or ()]
    discounts = [*(each for each in named if each is not None), *(subscription.get("discounts") or ())]
    is_earning = subscription["status"] in EARNING
    mrr = monthly(subscription["subscription_items"], periods, metered, discounts) if is_earning else 0
    return {**subscription, "mrr": mrr, "arr": mrr * 12}


def collected(
    invoice: JsonObject, transaction_id: str, amount: int, at: int, **more: Any
) -> tuple[JsonObject, JsonObject]:
    """Return an invoice after a payment towards it, and the payment; `more` are fields of the payment."""
    left = invoice["amount_due"] - amount
    paid = {
        **invoice,
        "amount_paid": invoice["amount_paid"] + amount,
        "amount_due": left,
        "amount_to_collect": left,
        "linked_payments": [
            *invoice.get("linked_payments", []),
            {
                "txn_id": transaction_id,
                "applied_amount": amount,
                "applied_at": at,
                "txn_status": "success",
                "txn_date": at,
                "txn_amount": amount,
            },
        ],
    }
    if left == 0:
        paid |= {"status": "paid", "paid_at": at}
        if paid.get("dunning_status"):
            paid["dunning_status"] = "success"
    payment = {
        "id": transaction_id,
        "customer_id": invoice["customer_id"],
        "payment_method": "card",
        "gateway": "chargebee",
        "type": "payment",
        "date": at,
        "amount": amount,
        "amount_unused": 0,
        "currency_code": invoice["currency_code"],
        "status": "success",
        "linked_invoices": [
            {
                "invoice_id": invoice["id"],
                "applied_amount": amount,
                "applied_at": at,
                "invoice_date": invoice["date"],
                "invoice_total": invoice["total"],
                "invoice_status": paid["status"],
            }
        ],
        "linked_refunds": [],
        "deleted": False,
        "object": "transaction",
        **more,
    }
    if "subscription_id" in invoice:
        payment["subscription_id"] = invoice["subscription_id"]
    return paid, payment
