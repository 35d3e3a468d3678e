"""A process that loads an account with as little work as there can be: `... API_KEY BASE_URL DATABASE_URL HOME`.

A thread for each list asks for page after page and copies each object, and each that is embedded in it, into a table of
two texts without any index: its id and its JSON. Nothing is looked up, compared or taken apart. What it took, and the
rows, are printed as JSON.
"""

import io
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import orjson
import psycopg2
import psycopg2.extensions
import requests

from cyphera_pipelines_tests.benchmarks.consumption import measured
from cyphera_pipelines_tests.benchmarks.dataset import LISTS, NESTED, PAGE


def main() -> None:
    """Load everything."""
    api_key, base_url, database_url, home = sys.argv[1:]
    _create_tables(database_url)
    with measured(Path(home)) as consumption, ThreadPoolExecutor(len(LISTS)) as threads:
        loaded = list(threads.map(lambda name: _load(name, api_key, base_url, database_url), LISTS))
    rows = {table: count for counts in loaded for table, count in counts.items()}
    print(orjson.dumps({"consumption": consumption, "rows": rows}).decode())


def _create_tables(database_url: str) -> None:
    connection = psycopg2.connect(database_url)
    with connection, connection.cursor() as cursor:
        cursor.execute("DROP SCHEMA IF EXISTS bare CASCADE; CREATE SCHEMA bare")
        for table in (*LISTS, *(table for _, table in NESTED.values())):
            cursor.execute(f"CREATE TABLE bare.{table} (id text, raw text)")
    connection.close()


def _load(name: str, api_key: str, base_url: str, database_url: str) -> dict[str, int]:
    field, nested = NESTED.get(name, ("", ""))
    rows = {name: 0, **({nested: 0} if nested else {})}
    connection, session = psycopg2.connect(database_url), requests.Session()
    session.headers["Authorization"] = f"Bearer {api_key}"
    cursor: dict[str, str] = {}
    while True:
        answer = session.get(f"{base_url}/v1/{name}", params={"limit": str(PAGE), **LISTS[name], **cursor}, timeout=60)
        answer.raise_for_status()
        page = orjson.loads(answer.content)
        rows[name] += _copy(connection, name, page["data"])
        if nested:
            rows[nested] += _copy(connection, nested, [part for obj in page["data"] for part in obj[field]["data"]])
        connection.commit()
        if not page["has_more"]:
            connection.close()
            return rows
        cursor = {"starting_after": page["data"][-1]["id"]}


def _copy(connection: psycopg2.extensions.connection, table: str, objects: Iterable[dict[str, Any]]) -> int:
    lines = [b"%b\t%b\n" % (obj["id"].encode(), orjson.dumps(obj).replace(b"\\", b"\\\\")) for obj in objects]
    with connection.cursor() as cursor:
        cursor.copy_expert(f"COPY bare.{table} FROM STDIN", io.BytesIO(b"".join(lines)))
    return len(lines)


if __name__ == "__main__":
    main()
