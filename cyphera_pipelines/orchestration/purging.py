"""Carrying out purges: by a sensor of Dagster's, or by the command that asked for one."""

import time
from collections.abc import Callable

from dagster import DagsterInstance, DagsterRunStatus

from cyphera_pipelines.model.purges import Purge, PurgeStatus
from cyphera_pipelines.orchestration.backstop import end_runs_of_ended_sessions
from cyphera_pipelines.orchestration.partitions import update_partitions
from cyphera_pipelines.orchestration.run_records import delete_run, delete_traces_of_partition, runs_of_source
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.purges import (
    complete_purge,
    delete_rows_of,
    find_purge,
    forget_names,
    forget_statistics,
    note_deleted_runs,
    note_wait,
)
from cyphera_pipelines.sync.purging import end_syncs_of, source_keys_of

SETTLED_AFTER = 10.0
"""Seconds after its end in which a run may still write a last event, as that its process has exited."""
LOOK_EVERY = 1.0
PIECE_SECONDS = 30.0
_HAS_YET_TO_BEGIN = (DagsterRunStatus.NOT_STARTED, DagsterRunStatus.QUEUED)


def carry_out_purge(
    database: Database,
    instance: DagsterInstance,
    purge: Purge,
    *,
    within: float,
    on_progress: Callable[[Purge], None] = lambda _purge: None,
) -> Purge:
    """Carry the purge on for so many seconds, and return it as it is then: completed, or what it waits for.

    In this order: its syncs end; Dagster's runs of them go; the rows go; then what else Dagster, the audit trail and
    Postgres' statistics know of them, and last the workspace's own row, with which the slug is free for another one.
    Whatever was done stays done if this process is killed, and is not done again.
    """
    until, keys = time.monotonic() + within, source_keys_of(database, purge)

    def tell() -> None:
        on_progress(find_purge(database, purge.id))

    while time.monotonic() < until and not is_over(find_purge(database, purge.id)):
        waits_for = end_syncs_of(database, purge) or _delete_runs(database, instance, purge, until, tell)
        note_wait(database, purge, waits_for)
        tell()
        if waits_for is None and delete_rows_of(database, purge, until=until, on_piece=tell):
            for key in keys:
                delete_traces_of_partition(instance, key)
            update_partitions(database, instance)
            forget_names(database, purge)
            forget_statistics(database)
            if complete_purge(database, purge):
                tell()
                break
        if time.monotonic() + LOOK_EVERY < until:
            time.sleep(LOOK_EVERY)
    return find_purge(database, purge.id)


def carry_out_whole_purge(database: Database, purge: Purge, *, on_progress: Callable[[Purge], None]) -> Purge:
    """Carry the purge on in this process until nothing is left, and return it. DAGSTER_HOME must be set."""
    with DagsterInstance.get() as instance:
        while not is_over(purge):
            purge = carry_out_purge(database, instance, purge, within=PIECE_SECONDS, on_progress=on_progress)
    return purge


def is_over(purge: Purge) -> bool:
    """Whether nothing is left."""
    return purge.status is PurgeStatus.COMPLETED


def _delete_runs(
    database: Database, instance: DagsterInstance, purge: Purge, until: float, tell: Callable[[], None]
) -> str | None:
    """Delete Dagster's runs of the purge's sources, and return what is still to be waited for, if anything."""
    end_runs_of_ended_sessions(database, instance)
    for key in source_keys_of(database, purge):
        for record in runs_of_source(instance, key):
            run = record.dagster_run
            if run.status in _HAS_YET_TO_BEGIN:
                instance.report_run_canceled(run, message=f"The {purge.what} is purged.")
            if not run.is_finished:
                return f"Dagster's run {run.run_id} to end"
            if record.end_time is not None and time.time() - record.end_time < SETTLED_AFTER:
                return f"Dagster's run {run.run_id}, which has just ended, to be recorded"
            if time.monotonic() > until:
                return "its turn: there are more of Dagster's runs to delete"
            if is_over(find_purge(database, purge.id)):
                # Somebody else carried it on, and the run may be of a new source of that name.
                return None
            delete_run(instance, run.run_id)
            note_deleted_runs(database, purge, 1)
            tell()
    return None
