"""A table's rows as a Parquet file."""

from collections.abc import Callable
from typing import IO
from uuid import UUID

from pyarrow import parquet

from cyphera_pipelines.analytics.arrow import arrow_batches, arrow_schema
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.table_rows import RowSelection


def write_parquet(
    database: Database,
    workspace_id: UUID,
    table: str,
    selection: RowSelection,
    target: IO[bytes],
    on_rows: Callable[[int], None] = lambda _rows: None,
) -> int:
    """Write the rows as Parquet and return their number; `on_rows` hears of it as it grows.

    Memory does not grow with the rows. Raises as `arrow_batches` does, and InvalidInputError.
    """
    rows = 0
    schema = arrow_schema(database, table, selection)
    with (
        parquet.ParquetWriter(target, schema, compression="zstd") as writer,
        arrow_batches(database, workspace_id, table, selection) as batches,
    ):
        for batch in batches:
            writer.write_batch(batch)
            rows += batch.num_rows
            on_rows(rows)
    return rows
