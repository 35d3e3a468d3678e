"""Batch runs: one run syncs many sources, whichever are due, so that a source at rest costs a request and no run."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import uuid4

from dagster import (
    Config,
    DagsterInstance,
    DagsterRunStatus,
    OpExecutionContext,
    RunRecord,
    RunRequest,
    RunsFilter,
    in_process_executor,
    job,
    op,
)
from dagster._core.storage.dagster_run import FINISHED_STATUSES
from dagster._core.storage.tags import MAX_RETRIES_TAG, PRIORITY_TAG
from pydantic import Field

from cyphera_pipelines.connection_budget import BATCH, budget_of
from cyphera_pipelines.model.runs import BATCH_JOB, BATCH_UNTIL_TAG
from cyphera_pipelines.orchestration.batch_reports import BatchReports
from cyphera_pipelines.orchestration.failures import plain_failures
from cyphera_pipelines.orchestration.interruptible import run_interruptibly
from cyphera_pipelines.orchestration.log_redaction import redact_logs
from cyphera_pipelines.orchestration.resources import KeyringResource
from cyphera_pipelines.orchestration.run_sessions import LOOKS_FOR_CANCELLATION_EVERY, raise_if_cancelled
from cyphera_pipelines.orchestration.storage import keep_to_one_connection
from cyphera_pipelines.settings import Settings, load_settings
from cyphera_pipelines.store.claims import WORKER_NAME, Backlog, read_backlog
from cyphera_pipelines.store.connection_waits import RUN_PATIENCE, take_all_connections
from cyphera_pipelines.store.database import Database, open_database
from cyphera_pipelines.store.sessions import has_session_of_run
from cyphera_pipelines.sync.batch import LISTING_PATIENCE, Batch, BatchOptions

BATCH_SECONDS = 300.0
"""How long a batch takes sources: runs are few, and what is deployed anew is soon at work."""

ANOTHER_AFTER = 30.0
"""Seconds that a source has waited when a second batch begins, if there may be one."""

UNATTENDED_AFTER = 60.0
"""Seconds that a source has waited, with nobody heard of, when a batch begins whatever Dagster takes for running."""

LISTING_BATCHES = 4
"""Batches that take no more sources and still list: with more of them a batch goes on instead of ending."""

_STARTS_WITHIN = 120.0
_ENDS_WITHIN = 120.0
_UNFINISHED = [status for status in DagsterRunStatus if status not in FINISHED_STATUSES]


class BatchConfig(Config):
    """How long a batch run goes on."""

    seconds: float = Field(default=BATCH_SECONDS, gt=0, description="How long sources are taken as they are due.")
    longest_pause: float = Field(
        default=60.0, ge=0, description="The run ends at once where nothing is due for so many seconds."
    )


@op(name="take_due_sources", tags={"kind": "postgres"})
def take_due_sources(context: OpExecutionContext, config: BatchConfig, keyring: KeyringResource) -> None:
    """Look at the sources that are due, and sync those that need it.

    Each sync shows on its own source's partition; what is wrong with one is no failure of this run.
    """
    redact_logs(context.log)
    keep_to_one_connection(context.instance)
    settings = load_settings()
    with plain_failures():
        keys, worker = keyring.load(), uuid4()
        database = open_database(
            settings, application_name=f"{WORKER_NAME} {worker}", pool_size=BATCH, patience=RUN_PATIENCE
        )
        try:
            take_all_connections(database.engine, BATCH, database.patience)
            with BatchReports(context, database) as reports:
                options = BatchOptions(
                    run_id=context.run_id,
                    per_workspace=settings.most_sources_at_once,
                    seconds=config.seconds,
                    longest_pause=config.longest_pause,
                    listing_patience=LISTING_PATIENCE * config.seconds / BATCH_SECONDS,
                    report=reports.show,
                    on_rest=reports.look_at_figures,
                    may_end=lambda: _may_end(context.instance, context.run_id, config.seconds, settings),
                )
                batch = Batch(database, keys, worker, options)
                _takes_sources_for(context.instance, context.run_id, config.seconds)
                counts = run_interruptibly(
                    batch.run,
                    on_interrupt=lambda: batch.stop("The batch that made this sync was stopped."),
                    on_wait=lambda: raise_if_cancelled(context.instance, context.run),
                    wait_every=LOOKS_FOR_CANCELLATION_EVERY,
                )
        finally:
            database.close()
        context.log.info(counts.in_words())


@job(
    name=BATCH_JOB,
    # One process: whatever is due is synced by threads of the one step.
    executor_def=in_process_executor,
    # It ends whatever becomes of a source, and the next one is begun as soon as something is due.
    tags={MAX_RETRIES_TAG: "0"},
    description="Looks at the sources that are due, many at once, and syncs those that changed or need it. The sensor "
    "due_sources starts it.",
)
def sync_due_sources() -> None:
    """One step."""
    take_due_sources()


@dataclass(frozen=True)
class Batches:
    """The batch runs that Dagster has not seen end: those that take sources or are about to, and those only listing."""

    taking: list[str]
    ending: list[str]


def look_at_backlog(database: Database, instance: DagsterInstance, settings: Settings) -> RunRequest | str:
    """The batch run to begin now, or why none is needed."""
    if settings.batches_at_once == 0:
        return "CYPHERA_BATCHES_AT_ONCE is 0: sources are synced only when somebody asks for it."
    backlog = read_backlog(database, per_workspace=settings.most_sources_at_once)
    if backlog.longest_wait is None:
        return "No source is due."
    batches = unfinished_batches(instance)
    if not _is_another_needed(backlog, batches, settings):
        return f"{len(batches.taking)} batches take what is due; the oldest has waited {backlog.longest_wait:.0f} s."
    return RunRequest(
        # Whatever a person asks for goes first.
        tags={PRIORITY_TAG: "-1", MAX_RETRIES_TAG: "0"},
        run_config={"loggers": {"console": {"config": {"log_level": "WARNING"}}}},
    )


def _is_another_needed(backlog: Backlog, batches: Batches, settings: Settings) -> bool:
    waited = backlog.longest_wait or 0.0
    if not batches.taking:
        return True
    if len(batches.taking) < settings.batches_at_once:
        return waited > ANOTHER_AFTER
    # Their hosts may be gone, which Dagster does not see; leases tell.
    return waited > UNATTENDED_AFTER and not backlog.is_attended and len(batches.taking) == settings.batches_at_once


def unfinished_batches(instance: DagsterInstance) -> Batches:
    """The batch runs that have not ended, as far as Dagster knows."""
    taking: list[str] = []
    ending: list[str] = []
    for record in _records(instance):
        (taking if _takes_sources(record) else ending).append(record.dagster_run.run_id)
    return Batches(taking, ending)


def end_dead_batches(database: Database, instance: DagsterInstance) -> list[str]:
    """End the batch runs that have nothing to do any more, and have not ended: their hosts are gone. Returns their ids.

    One whose time is up lives only for the sessions that it has begun.
    """
    dead = []
    for record in _records(instance):
        run = record.dagster_run
        is_begun = run.status in (DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING)
        if not is_begun or time.time() < _taken_until(record) + _ENDS_WITHIN:
            continue
        if not has_session_of_run(database, run.run_id):
            instance.report_run_failed(run, "Nobody is at work on this batch: its process is gone.")
            dead.append(run.run_id)
    return dead


def _records(instance: DagsterInstance) -> Sequence[RunRecord]:
    return instance.get_run_records(RunsFilter(job_name=BATCH_JOB, statuses=_UNFINISHED))


def _takes_sources(record: RunRecord) -> bool:
    return record.dagster_run.status is not DagsterRunStatus.CANCELING and time.time() < _taken_until(record)


def _taken_until(record: RunRecord) -> float:
    """Until when the run takes sources. One that waits in the queue has all of it before it."""
    run = record.dagster_run
    if BATCH_UNTIL_TAG in run.tags:
        return float(run.tags[BATCH_UNTIL_TAG])
    if run.status is DagsterRunStatus.QUEUED:
        return math.inf
    return record.create_timestamp.timestamp() + _STARTS_WITHIN + BATCH_SECONDS


def _takes_sources_for(instance: DagsterInstance, run_id: str, seconds: float) -> None:
    instance.add_run_tags(run_id, {BATCH_UNTIL_TAG: f"{time.time() + seconds:.0f}"})


def _may_end(instance: DagsterInstance, run_id: str, seconds: float, settings: Settings) -> bool:
    """Whether there may be one more batch that only lists, as this one then does. If not, it goes on taking sources."""
    ending = len(unfinished_batches(instance).ending)
    runs = budget_of(settings).runs_at_once
    most = LISTING_BATCHES if runs is None else max(0, min(LISTING_BATCHES, runs - settings.batches_at_once - 2))
    may_end = ending < most
    _takes_sources_for(instance, run_id, 0.0 if may_end else seconds)
    return may_end
