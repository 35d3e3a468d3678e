"""Figures as pandas frames: amounts in the unit that was asked for, and days without a change filled in."""

from collections.abc import Hashable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Literal

import pandas as pd

from cyphera_pipelines.model.currencies import exponent_of

By = Literal["month", "day", "customer"]
KEY = ["provider", "currency"]
"""What figures are never summed across."""


def with_amounts(frame: pd.DataFrame, names: list[str], *, minor_units: bool) -> pd.DataFrame:
    """The frame with these amounts as `decimal.Decimal` with the currency's own decimals, or as Int64 of minor units.

    An amount whose currency is none is NA in minor units, and as it is otherwise.
    """
    exponents = [exponent_of(*key) for key in frame[KEY].astype("object").itertuples(index=False, name=None)]
    changed = frame.copy()
    for name in names:
        amounts = [
            _amount(amount, exponent, minor_units=minor_units)
            for amount, exponent in zip(frame[name], exponents, strict=True)
        ]
        changed[name] = pd.Series(amounts, index=frame.index, dtype="Int64" if minor_units else "object")
    return changed


def _amount(amount: Decimal | None, exponent: int | None, *, minor_units: bool) -> Decimal | int | None:
    if amount is None or pd.isna(amount):
        return pd.NA if minor_units else None
    if exponent is None:
        return pd.NA if minor_units else amount
    if minor_units:
        return int(amount.scaleb(exponent))
    return amount.quantize(Decimal(1).scaleb(-exponent))


def of_each_day(movements: pd.DataFrame, until: date) -> pd.DataFrame:
    """provider, currency, day, mrr: what it closed with on every day from the first movement on, until then.

    `movements` are rows of the view mrr_movements, of all customers and of all days from the first on.
    """
    pieces = []
    for key, rows in _groups(movements):
        changes = rows.groupby("day")["change_mrr"].agg(_sum)
        days = pd.date_range(changes.index.min(), max(pd.Timestamp(until), changes.index.max()), freq="D")
        # Sums of objects stay exact; pandas' own cumsum of them does too.
        mrr = changes.reindex(days, fill_value=Decimal(0)).cumsum()
        pieces.append(_piece(key, {"day": days, "mrr": mrr.to_numpy()}))
    return _together(pieces, {"day": "datetime64[s]", "mrr": "object"})


def of_each_customer(movements: pd.DataFrame) -> pd.DataFrame:
    """provider, currency, customer_id, mrr: what each customer's last movement closed with, if it is more than 0."""
    last = movements.sort_values("day", kind="stable").groupby([*KEY, "customer_id"], observed=True, sort=True).tail(1)
    present = last[last["closing_mrr"] > 0].rename(columns={"closing_mrr": "mrr"})
    return present[[*KEY, "customer_id", "mrr"]].sort_values([*KEY, "customer_id"]).reset_index(drop=True)


def today() -> date:
    """The day in UTC, which is that of all figures."""
    return datetime.now(UTC).date()


def _groups(frame: pd.DataFrame) -> list[tuple[tuple[Hashable, ...], pd.DataFrame]]:
    return list(frame.groupby(KEY, observed=True, sort=True))


def _piece(key: tuple[Hashable, ...], columns: dict[str, object]) -> pd.DataFrame:
    frame = pd.DataFrame(columns)
    for place, (name, value) in enumerate(zip(KEY, key, strict=True)):
        frame.insert(place, name, value)
    return frame


def _together(pieces: list[pd.DataFrame], dtypes: dict[str, str]) -> pd.DataFrame:
    if not pieces:
        return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in {**_CATEGORIES, **dtypes}.items()})
    return pd.concat(pieces, ignore_index=True).astype({**_CATEGORIES, **dtypes})


def _sum(amounts: pd.Series) -> Decimal:
    return sum(amounts, Decimal(0))


_CATEGORIES = dict.fromkeys(KEY, "category")
