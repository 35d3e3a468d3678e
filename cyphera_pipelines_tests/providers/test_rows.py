"""Each kind of column takes what fits it, and names what does not."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cyphera_pipelines.model.columns import Column, Kind, SyncedTable
from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.providers.mapping.rows import UnmappableValueError, row_mapper


def to_value(kind: Kind, value: object, *, required: bool = False) -> Any:
    """What a row of one column named `value` holds for an object with that field."""
    table = SyncedTable("one", Entity.CUSTOMERS, "One column", (Column("value", kind, "A value", required),))
    (mapped,) = row_mapper(table, {})({"value": value})
    return mapped


@pytest.mark.parametrize(
    ("kind", "value", "mapped"),
    [
        (Kind.TEXT, "text", "text"),
        (Kind.TEXT, "", ""),
        (Kind.TEXT, 12, "12"),
        (Kind.TEXT, 1.5, "1.5"),
        (Kind.INTEGER, -(2**63), -(2**63)),
        (Kind.INTEGER, 2**63 - 1, 2**63 - 1),
        (Kind.INTEGER, 12.0, 12),
        (Kind.BOOLEAN, False, False),
        (Kind.TIMESTAMP, 0, 0),
        (Kind.TIMESTAMP, 1_790_000_000.0, 1_790_000_000),
        (Kind.TIMESTAMP, 253_402_300_799, 253_402_300_799),
        (Kind.NUMERIC, "0.000000000001", "0.000000000001"),
        (Kind.NUMERIC, "-12.", "-12."),
        (Kind.NUMERIC, "1e5", "1e5"),
        (Kind.NUMERIC, 7, "7"),
        (Kind.NUMERIC, 0.5, "0.5"),
        (Kind.JSON, {"a": [1, None]}, {"a": [1, None]}),
        (Kind.JSON, False, False),
    ],
)
def test_what_fits_is_taken(kind: Kind, value: object, mapped: object) -> None:
    taken = to_value(kind, value)
    assert taken == mapped
    assert type(taken) is type(mapped)


@pytest.mark.parametrize(
    ("kind", "values", "says"),
    [
        (Kind.TEXT, [True, {}, ["a"]], "a text"),
        (Kind.INTEGER, ["12", 1.5, True, 2**63, -(2**63) - 1, math.inf, math.nan, {}], "a whole number of 64 bits"),
        (Kind.BOOLEAN, [0, 1, "true", []], "true or false"),
        (
            Kind.TIMESTAMP,
            ["2026-01-01", True, 0.5, 253_402_300_800, -62_135_596_801, math.nan],
            "a moment in seconds since 1970",
        ),
        (Kind.NUMERIC, ["", "1,5", "NaN", "Infinity", "0x1", "1 2", "٣", True, {}, math.nan], "a decimal number"),
    ],
)
def test_what_does_not_fit_is_named(kind: Kind, values: list[object], says: str) -> None:
    for value in values:
        with pytest.raises(UnmappableValueError) as caught:
            to_value(kind, value)
        assert str(caught.value) == f"`value` should be {says}, not {value!r}"


def test_a_misfit_is_shown_in_part_only() -> None:
    with pytest.raises(UnmappableValueError) as caught:
        to_value(Kind.BOOLEAN, "x" * 10_000)
    assert len(str(caught.value)) < 140


@pytest.mark.parametrize("kind", Kind)
def test_null_is_null_unless_the_column_is_required(kind: Kind) -> None:
    assert to_value(kind, None) is None
    with pytest.raises(UnmappableValueError, match=r"^`value` is missing$"):
        to_value(kind, None, required=True)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=12))
def test_decimal_texts_are_taken_to_the_last_digit(value: object) -> None:
    assert to_value(Kind.NUMERIC, str(value)) == str(value)
