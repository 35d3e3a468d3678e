"""Chargebee's amounts in our minor units.

Chargebee counts every currency that has decimals in hundredths, and those that have none in whole units. We count in
the currency's own minor units, as ISO 4217 has them: of a dinar in thousandths. Amounts of sites with more decimals are
texts in whole units (`*_in_decimal`).
"""

from decimal import Decimal, InvalidOperation
from typing import Any

_WITHOUT_DECIMALS = frozenset(
    ("bif", "clp", "djf", "gnf", "isk", "jpy", "kmf", "krw", "pyg", "rwf", "ugx", "uyi", "vnd", "vuv", "xaf", "xof")
) | {"xpf"}
_WITH_THREE = frozenset(["bhd", "iqd", "jod", "kwd", "lyd", "omr", "tnd"])
_WITH_FOUR = frozenset(("clf", "uyw"))
_LONGEST = 60
"""Characters of an amount: more are no amount."""


def decimals_of(currency: Any) -> int:
    """How many decimals the currency's minor unit is of a whole one."""
    code = currency.lower() if isinstance(currency, str) else ""
    if code in _WITHOUT_DECIMALS:
        return 0
    if code in _WITH_THREE:
        return 3
    return 4 if code in _WITH_FOUR else 2


def to_minor(amount: Any, currency: Any) -> Any:
    """An amount of Chargebee's as one of ours. What is no whole number stays as it is, for its column to refuse."""
    if amount.__class__ is float and amount.is_integer():
        amount = int(amount)
    return amount * _factor(currency) if amount.__class__ is int else amount


def from_minor(amount: int, currency: str) -> int | None:
    """An amount of ours as Chargebee counts it; None if that has no place for all of its decimals."""
    whole, rest = divmod(amount, _factor(currency))
    return None if rest else whole


def decimal_to_minor(text: Any, currency: Any) -> str | None:
    """An amount in whole units, as a text with decimals, in minor units; None if it is none."""
    if not isinstance(text, str) or len(text) > _LONGEST:
        return None
    try:
        amount = Decimal(text)
    except InvalidOperation:
        return None
    if not amount.is_finite() or abs(amount.adjusted()) > _LONGEST:
        return None
    return format(_plain(amount.scaleb(decimals_of(currency))), "f")


def _plain(amount: Decimal) -> Decimal:
    return amount.quantize(Decimal(1)) if amount == amount.to_integral_value() else amount.normalize()


def _factor(currency: Any) -> int:
    return int(10 ** max(0, decimals_of(currency) - 2))
