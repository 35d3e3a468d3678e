"""What a stretch of work made the embedded server write: rows by schema, and WAL (the write-ahead log) by what for."""

import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import text
from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

from cyphera_pipelines.local.cluster import installation
from cyphera_pipelines.store.database import Database

SYNCED, CONTROL, CATALOG, REST = "payments", "sync", "pg_catalog", "rest"
"""Schemas, and what belongs to none: commits, checkpoints, lists of running transactions."""
_STATISTICS_DEADLINE = 15.0
_RECORD = re.compile(r"len \(rec/tot\):\s*\d+/\s*(\d+)")
_RELATION = re.compile(r"rel \d+/(\d+)/(\d+)")

_ROWS = text(
    "SELECT schemaname, sum(n_tup_ins + n_tup_upd + n_tup_del)::bigint FROM pg_stat_user_tables GROUP BY schemaname"
)
_SYNC_CLIENTS = text(
    "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND datname = current_database() "
    "AND application_name <> current_setting('application_name')"
)
_SCHEMAS_OF_FILES = text(
    "SELECT pg_relation_filenode(files.oid), coalesce(owners.nspname, schemas.nspname) FROM pg_class files "
    "JOIN pg_namespace schemas ON schemas.oid = files.relnamespace "
    # A TOAST table and its index stand for the table whose long values they hold.
    "LEFT JOIN pg_index indexes ON indexes.indexrelid = files.oid "
    "LEFT JOIN pg_class owner ON owner.reltoastrelid IN (files.oid, indexes.indrelid) AND owner.reltoastrelid <> 0 "
    "LEFT JOIN pg_namespace owners ON owners.oid = owner.relnamespace "
    "WHERE pg_relation_filenode(files.oid) IS NOT NULL"
)


@dataclass
class ServerWrites:
    """Rows written (created, updated and deleted) and bytes of WAL, both by schema; `REST` belongs to none."""

    rows: dict[str, int] = field(default_factory=dict)
    wal_bytes: dict[str, int] = field(default_factory=dict)


@contextmanager
def observed_writes(database: Database, home: Path) -> Iterator[ServerWrites]:
    """Observe what everybody writes while the body runs. Filled in at its end, when its processes have left."""
    writes = ServerWrites()
    rows_before, wal_before = _rows_written(database), _wal_position(database)
    yield writes
    rows_after = _rows_written(database)
    writes.wal_bytes = _wal_by_schema(database, home, wal_before, _wal_position(database))
    writes.rows = {schema: rows_after[schema] - rows_before.get(schema, 0) for schema in rows_after}


def tidy(database: Database) -> None:
    """Do now what the server still owes earlier writes, so that nobody is charged for it later."""
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("CHECKPOINT"))
        connection.execute(text("VACUUM (ANALYZE)"))


def _rows_written(database: Database) -> dict[str, int]:
    """A process' share is told when its connections have ended: wait for that."""
    left = Retrying(
        retry=retry_if_result(lambda clients: clients > 0),
        stop=stop_after_delay(_STATISTICS_DEADLINE),
        wait=wait_fixed(0.05),
    )
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        left(lambda: connection.execute(_SYNC_CLIENTS).scalar_one())
        return {row[0]: row[1] for row in connection.execute(_ROWS)}


def _wal_position(database: Database) -> str:
    with database.control() as connection:
        position: str = connection.execute(text("SELECT pg_current_wal_flush_lsn()::text")).scalar_one()
        return position


def _wal_by_schema(database: Database, home: Path, start: str, end: str) -> dict[str, int]:
    """Read the WAL itself: only there it is told which file each record is for."""
    if start == end:
        return {}
    with database.control() as connection:
        schemas: dict[str, str] = {str(row[0]): row[1] for row in connection.execute(_SCHEMAS_OF_FILES)}
    program, folder = installation() / "bin" / "pg_waldump", home / "postgres" / "pg_wal"
    command = [str(program), "--path", str(folder), "--start", start, "--end", end]
    told = subprocess.run(command, capture_output=True, text=True, check=True)
    bytes_by_schema: Counter[str] = Counter()
    for line in told.stdout.splitlines():
        length, relation = _RECORD.search(line), _RELATION.search(line)
        if length is not None:
            schema = schemas.get(relation[2], CATALOG) if relation is not None else REST
            bytes_by_schema[schema] += int(length[1])
    return dict(bytes_by_schema)
