"""What a price comes to, and which period it is billed for."""

from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from cyphera_pipelines.sandbox.serialization import JsonObject

DAY = 86_400
_DAYS = {"day": 1, "week": 7, "month": 30, "year": 365}


def billed_amount(price: JsonObject, quantity: int) -> int:
    """Return what so many units cost, in minor units, rounded half up."""
    if price["billing_scheme"] != "tiered":
        exact = price["unit_amount_decimal"]
        each = Decimal(price["unit_amount"] or 0) if exact is None else Decimal(exact)
        return int((each * quantity).to_integral_value(ROUND_HALF_UP))
    total, from_unit = Decimal(0), 0
    for tier in price.get("tiers") or []:
        up_to = tier["up_to"]
        is_last = up_to is None or quantity <= up_to
        if price["tiers_mode"] == "volume":
            if is_last:
                return int((_cost(tier, quantity)).to_integral_value(ROUND_HALF_UP))
            continue
        units = (quantity if is_last else up_to) - from_unit
        total += _cost(tier, units)
        from_unit = up_to or quantity
        if is_last:
            break
    return int(total.to_integral_value(ROUND_HALF_UP))


def period_seconds(price: JsonObject) -> int:
    """Return how long a recurring price's period is: months have 30 days here, and years 365."""
    recurring: Any = price["recurring"] or {"interval": "month", "interval_count": 1}
    return int(_DAYS[recurring["interval"]] * recurring["interval_count"] * DAY)


def _cost(tier: JsonObject, units: int) -> Decimal:
    each, flat = tier["unit_amount_decimal"] or tier["unit_amount"] or 0, tier["flat_amount"] or 0
    return Decimal(each) * units + Decimal(flat)
