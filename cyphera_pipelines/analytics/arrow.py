"""A table's rows as Arrow batches, read from what Postgres writes out: a piece at a time, whatever their number."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any
from uuid import UUID

import pyarrow as pa
from pyarrow import csv

from cyphera_pipelines.model.error_codes import ErrorCode
from cyphera_pipelines.model.errors import CypheraError
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.export import ExportFormat
from cyphera_pipelines.store.table_rows import RowSelection, copy_rows, selected_columns

BLOCK_BYTES = 4 << 20
"""Bytes of text that become one batch; no row may be longer."""
DECIMALS = pa.decimal128(38, 12)
"""What providers use: twelve digits after the point, and 26 before it."""
DECIMALS_OF_VIEWS = pa.decimal128(38, 16)
"""The same in whole units of a currency whose minor unit has up to four."""

_TYPES: dict[str, pa.DataType] = {
    "text": pa.string(),
    "uuid": pa.string(),
    "jsonb": pa.string(),
    "bytea": pa.string(),
    "bigint": pa.int64(),
    "boolean": pa.bool_(),
    "numeric": DECIMALS,
    "numeric(38, 16)": DECIMALS_OF_VIEWS,
    "timestamptz": pa.timestamp("us", "UTC"),
    "date": pa.date32(),
    "double precision": pa.float64(),
}


def arrow_schema(database: Database, table: str, selection: RowSelection) -> pa.Schema:
    """The columns' types: JSON and ids as strings, moments in UTC, decimals with 12 digits after it, views' 16.

    What has no type of its own here, as lists, is the text that Postgres writes.
    """
    return pa.schema(
        [(name, _TYPES.get(kind, pa.string())) for name, kind in selected_columns(database, table, selection)]
    )


@contextmanager
def arrow_batches(
    database: Database, workspace_id: UUID, table: str, selection: RowSelection
) -> Iterator[Iterator[pa.RecordBatch]]:
    """The rows as batches of some megabytes.

    Postgres writes into a pipe while the body takes batches out of it; leaving the body early ends the writing.
    Iterating raises CypheraError for a number that has more digits than `DECIMALS`, and a database error.
    """
    schema = arrow_schema(database, table, selection)
    reading, writing = os.pipe()
    failed: list[BaseException] = []

    def write() -> None:
        try:
            with os.fdopen(writing, "wb") as target:
                copy_rows(database, workspace_id, table, selection, ExportFormat.CSV, target)
        except BaseException as error:
            failed.append(error)

    writer = threading.Thread(target=write, name=f"copy-{table}", daemon=True)
    writer.start()
    try:
        with os.fdopen(reading, "rb") as source:
            yield _read(source, schema, writer, failed)
    finally:
        # The reader is closed: what still writes to it fails, and ends.
        writer.join()


def _read(
    source: IO[bytes], schema: pa.Schema, writer: threading.Thread, failed: list[BaseException]
) -> Iterator[pa.RecordBatch]:
    try:
        reader = csv.open_csv(
            source,
            read_options=csv.ReadOptions(block_size=BLOCK_BYTES, use_threads=False),
            parse_options=csv.ParseOptions(newlines_in_values=True),
            convert_options=csv.ConvertOptions(
                column_types=schema,
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
                null_values=[""],
                true_values=["t"],
                false_values=["f"],
            ),
        )
        yield from reader
    except pa.ArrowInvalid as error:
        _raise_first(writer, failed)
        raise CypheraError(
            f"The rows cannot be read as Arrow: {error}. As csv or jsonl they can be had.",
            code=ErrorCode.INVALID_REQUEST,
        ) from None
    _raise_first(writer, failed)


def _raise_first(writer: threading.Thread, failed: list[Any]) -> None:
    """Where writing failed, reading fails too, and says less."""
    writer.join()
    if failed:
        raise failed[0]
