"""A process that loads an account as the `stripe` package makes it easiest: `... API_KEY BASE_URL DATABASE_URL HOME`.

One list after the other with `auto_paging_iter`, an upsert for every hundred objects, nested lists as far as they come
embedded. What it took, and the rows, are printed as JSON.
"""

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import orjson
import psycopg2
import psycopg2.extensions
import stripe
from psycopg2.extras import execute_values

from cyphera_pipelines_tests.benchmarks.consumption import measured
from cyphera_pipelines_tests.benchmarks.dataset import LISTS, NESTED

BATCH = 100
COLUMNS = ("id", "parent", "created", "customer", "status", "currency", "amount", "raw")
_TABLE = (
    "CREATE TABLE baseline.{table} (id text PRIMARY KEY, parent text, created bigint, customer text, status text, "
    "currency text, amount bigint, raw jsonb)"
)
_UPSERT = (
    f"INSERT INTO baseline.{{table}} ({', '.join(COLUMNS)}) VALUES %s ON CONFLICT (id) DO UPDATE SET "
    + ", ".join(f"{column} = excluded.{column}" for column in COLUMNS[1:])
)


def main() -> None:
    """Load everything."""
    api_key, base_url, database_url, home = sys.argv[1:]
    client = stripe.StripeClient(api_key, base_addresses={"api": base_url})
    connection = psycopg2.connect(database_url)
    _create_tables(connection)
    rows = dict.fromkeys((*LISTS, *(table for _, table in NESTED.values())), 0)
    with measured(Path(home)) as consumption:
        for name, parameters in LISTS.items():
            listing = getattr(client.v1, name).list({"limit": BATCH, **parameters})
            for batch in _batches(listing.auto_paging_iter()):
                for table, written in _write(connection, name, batch).items():
                    rows[table] += written
    connection.close()
    print(orjson.dumps({"consumption": consumption, "rows": rows}).decode())


def _create_tables(connection: psycopg2.extensions.connection) -> None:
    with connection, connection.cursor() as cursor:
        cursor.execute("DROP SCHEMA IF EXISTS baseline CASCADE; CREATE SCHEMA baseline")
        for table in (*LISTS, *(table for _, table in NESTED.values())):
            cursor.execute(_TABLE.format(table=table))


def _batches(objects: Iterable[stripe.StripeObject]) -> Iterator[list[stripe.StripeObject]]:
    batch: list[stripe.StripeObject] = []
    for obj in objects:
        batch.append(obj)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _write(connection: psycopg2.extensions.connection, name: str, batch: list[stripe.StripeObject]) -> dict[str, int]:
    objects = [obj.to_dict(for_json=True) for obj in batch]
    tables = {name: [_row(obj, None) for obj in objects]}
    if name in NESTED:
        field, table = NESTED[name]
        tables[table] = [_row(part, obj["id"]) for obj in objects for part in obj[field]["data"]]
    with connection, connection.cursor() as cursor:
        for table, rows in tables.items():
            execute_values(cursor, _UPSERT.format(table=table), rows, page_size=max(1, len(rows)))
    return {table: len(rows) for table, rows in tables.items()}


def _row(obj: dict[str, Any], parent: str | None) -> tuple[Any, ...]:
    amount = next(
        (obj[name] for name in ("total", "amount", "unit_amount", "balance") if obj.get(name) is not None), None
    )
    known = (obj.get("created"), obj.get("customer"), obj.get("status"), obj.get("currency"))
    return (obj["id"], parent, *known, amount, json.dumps(obj))


if __name__ == "__main__":
    main()
