"""A process of one Dagster run, as its launcher starts it: `... batch` takes what is due, `... KEY` syncs one source.

All the CPU that the process took, its imports too, and what the run left in Dagster's storage are printed as JSON.
"""

import os
import sys
import time
from dataclasses import asdict
from uuid import uuid4

import orjson
from dagster import DagsterInstance
from sqlalchemy import text

from cyphera_pipelines.definitions import definitions
from cyphera_pipelines.model.runs import BATCH_JOB
from cyphera_pipelines.model.sessions import SyncRequest
from cyphera_pipelines.orchestration.run import run_source_sync
from cyphera_pipelines.settings import load_settings, project_root
from cyphera_pipelines.store.database import open_database
from cyphera_pipelines.store.sources import find_source
from cyphera_pipelines.sync.request import open_session
from cyphera_pipelines_tests.benchmarks.consumption import measured


def main(what: str) -> None:
    """Carry the run out."""
    os.environ["DAGSTER_HOME"] = str(project_root())
    settings = load_settings()
    with measured(settings.home) as consumption, DagsterInstance.get() as instance:
        before = _rows(instance)
        if what == "batch":
            config = {
                "ops": {"take_due_sources": {"config": {"longest_pause": 0.0}}},
                "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
            }
            ended = definitions.resolve_job_def(BATCH_JOB).execute_in_process(instance=instance, run_config=config)
            assert ended.success
        else:
            database = open_database(settings)
            source = find_source(database, what)
            request = SyncRequest(only_changes=True)
            run_source_sync(
                database, source, open_session(database, source, request, dagster_run_id=str(uuid4())), request
            )
        rows = _rows(instance) - before
    # What it took to come here, too.
    consumption.client_cpu = time.process_time()
    print(orjson.dumps({"dagster_rows": rows, "consumption": asdict(consumption)}).decode())


def _rows(instance: DagsterInstance) -> int:
    with instance.event_log_storage.index_connection() as connection:  # type: ignore[attr-defined]
        counted = "SELECT (SELECT count(*) FROM event_logs) + (SELECT count(*) FROM runs)"
        return int(connection.execute(text(counted)).scalar_one())


if __name__ == "__main__":
    main(sys.argv[1])
