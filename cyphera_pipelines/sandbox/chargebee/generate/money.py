"""Amounts as Chargebee tells them."""

from decimal import Decimal

WHOLE = frozenset({"JPY"})
"""Currencies of the sandbox without a smaller unit. All others have hundredths, Kuwaiti dinars too."""


def in_major_units(amount: Decimal | int, currency: str) -> str:
    """Return an amount of the smallest unit as sites with decimals tell it: in the currency's own unit."""
    value = Decimal(amount) if currency.upper() in WHOLE else Decimal(amount) / 100
    return format(value.normalize(), "f")
