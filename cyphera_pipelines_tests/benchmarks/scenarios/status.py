"""What it takes to say how fresh 10,000 sources are: `cyphera status`, and the API's metrics."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import text

from cyphera_pipelines.store.freshness import count_by_freshness, list_least_fresh
from cyphera_pipelines_tests.benchmarks.figures import Result
from cyphera_pipelines_tests.benchmarks.workbench import BenchmarkError, Workbench

SOURCES = 10_000
_MAKE = (
    """
    INSERT INTO sync.workspaces (slug, name) SELECT 'status-' || at, at::text FROM generate_series(1, :sources) AS at
    """,
    """
    INSERT INTO sync.workspace_payment_configurations (workspace_id, provider_name, is_test_mode, configuration)
    SELECT id, 'stripe', true, '' FROM sync.workspaces WHERE slug LIKE 'status-%'
    """,
    """
    INSERT INTO sync.source_schedules (workspace_id, provider_name, due_at, fresh_at, last_failure, failing_since)
    SELECT id, 'stripe', now() + random() * interval '1 hour', now() - random() * interval '2 hours',
        CASE WHEN random() < 0.05 THEN 'Stripe cannot be reached.' END, now()
    FROM sync.workspaces WHERE slug LIKE 'status-%'
    """,
    "ANALYZE sync.source_schedules",
)


def run(bench: Workbench) -> Result:
    """Make rows as of sources that are synced, then ask."""
    result, sources = Result("status"), max(1, round(SOURCES * bench.scale))
    with bench.database.control() as connection:
        for statement in _MAKE:
            connection.execute(text(statement), {"sources": sources} if ":sources" in statement else {})
    result.add("sources", sources)
    result.add("counting them by state", _seconds(lambda: count_by_freshness(bench.database)) * 1e3, "ms")
    result.add("naming the worst 20", _seconds(lambda: list_least_fresh(bench.database, limit=20)) * 1e3, "ms")
    result.add("cyphera status", _seconds(lambda: _command(bench.home)), "s")
    with bench.database.control() as connection:
        for table in ("source_schedules", "workspace_payment_configurations"):
            mine = "workspace_id IN (SELECT id FROM sync.workspaces WHERE slug LIKE 'status-%')"
            connection.execute(text(f"DELETE FROM sync.{table} WHERE {mine}"))
        connection.execute(text("DELETE FROM sync.workspaces WHERE slug LIKE 'status-%'"))
    return result


def _seconds(work: Callable[[], object]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began


def _command(home: Path) -> None:
    command = [str(Path(sys.executable).with_name("cyphera")), "status"]
    environment = os.environ | {"CYPHERA_HOME": str(home)}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        raise BenchmarkError(f"cyphera status failed: {ended.stderr}")
