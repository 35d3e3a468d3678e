"""Arrow batches as pandas frames: every column of the dtype that says what it holds."""

from typing import Literal

import pandas as pd
import pyarrow as pa

Amounts = Literal["minor", "major"]
CATEGORIES = (
    "provider",
    "currency",
    "status",
    "collection_method",
    "billing_reason",
    "type",
    "recurring_interval",
    "movement",
    "reason",
    "provenance",
    "left_out_by",
    "entity",
    "state",
    "bucket",
)
"""Columns of few values, as categories."""


def frame_of(batch: pa.RecordBatch | pa.Table) -> pd.DataFrame:
    """The rows as a frame.

    Whole numbers are Int64, truth values `boolean`, texts `str`; moments are UTC in microseconds, days and months
    `datetime64` without a time zone, decimals `decimal.Decimal`, and columns of few values categories. What is not
    there is NA.
    """
    frame = batch.to_pandas(types_mapper=_DTYPES.get, timestamp_as_object=False, date_as_object=False)
    few = {name: "category" for name in frame.columns if name in CATEGORIES}
    return frame.astype(few)


_DTYPES: dict[pa.DataType, object] = {
    pa.int64(): pd.Int64Dtype(),
    pa.bool_(): pd.BooleanDtype(),
    pa.string(): pd.StringDtype(na_value=float("nan")),
}
