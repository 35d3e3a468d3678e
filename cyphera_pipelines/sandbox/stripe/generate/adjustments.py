"""How Stripe tells of corrections of earlier bills."""

from cyphera_pipelines.sandbox.business.adjustments import Proration
from cyphera_pipelines.sandbox.business.timeline import DAY
from cyphera_pipelines.sandbox.serialization import JsonObject


def prorated(line: JsonObject, proration: Proration, amount: int, created: int) -> JsonObject:
    """The line as one that gives back what was billed for the days to come."""
    parent = line["parent"]["subscription_item_details"] or line["parent"]["invoice_item_details"]
    parent["proration"] = True
    return {
        **line,
        "amount": amount,
        "subtotal": amount,
        "description": f"Unused time on {line['description']}",
        "period": {"start": created, "end": created + proration.days * DAY},
        "pricing": {**line["pricing"], "unit_amount_decimal": str(amount)},
        "quantity": 1,
        "quantity_decimal": "1",
    }
