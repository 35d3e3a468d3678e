"""What a batch shows in Dagster of the sources that it synced: each on its own partition, and nothing of the others.

What was brought up to date is a materialisation in the batch's run. A source that failed gets a run of its own that was
never launched: the record of the failure. Dagster shows a partition as failed if the last run that was to materialise
it failed; were that the batch's, it would have to fail for every source, and would be tried again for all. From the
record a person reads which source failed and why, and starts it again with one click.
"""

import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Self

from dagster import AssetCheckEvaluation, AssetMaterialization, DagsterInstance, OpExecutionContext
from dagster._core.events import EngineEventData

from cyphera_pipelines.model.columns import SyncedTable
from cyphera_pipelines.model.runs import BATCH_RUN_TAG, SOURCES_PARTITIONS
from cyphera_pipelines.model.sessions import EntityProgress, SessionStatus
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.model.synced_tables import tables_of
from cyphera_pipelines.orchestration.asset_specs import asset_key
from cyphera_pipelines.orchestration.failures import ERROR_CODE, text_value
from cyphera_pipelines.orchestration.figure_reports import bring_figures_in_step
from cyphera_pipelines.orchestration.freshness_checks import evaluations
from cyphera_pipelines.orchestration.materializations import (
    SyncedSource,
    has_changed_rows,
    has_changes,
    is_complete,
    metadata_of,
)
from cyphera_pipelines.orchestration.run import create_run, sync_source_job
from cyphera_pipelines.orchestration.session_links import session_metadata
from cyphera_pipelines.security.secrets import redact
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.sync.batch import SyncedInBatch

MOST_WAITING = 20
"""Sources that wait for their figures, after which those at rest are left to their next look."""


class BatchReports:
    """Shows the syncs of one batch, one at a time whatever thread they come from, and builds the figures that follow.

    A context: at its end it builds the figures of the sources that still wait for it, unless an error ends it.
    """

    def __init__(self, context: OpExecutionContext, database: Database) -> None:
        self._context = context
        self._database = database
        self._turn = threading.Lock()
        # Builds have a thread of their own: no sync, and no look at a source, waits for one.
        self._figures = ThreadPoolExecutor(1, thread_name_prefix="figures")
        self._waiting: list[str] = []
        self._without_figures: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_about: object) -> None:
        self._figures.shutdown(wait=True, cancel_futures=kind is not None)

    def show(self, synced: SyncedInBatch) -> None:
        """Materialise the tables that are whole, if a row of them changed, and show the others as failed.

        After a failure all that are whole are materialised, so that the partition shows that it is over. Of a sync that
        was cancelled nothing is shown but its session.
        """
        if synced.session.status is SessionStatus.CANCELLED:
            return
        whole = list(_whole_tables(synced))
        shown = [
            table
            for table in whole
            if synced.shows_all or not synced.request.only_changes or has_changes(table, _counts(synced, table))
        ]
        failed = [table for table in tables_of(synced.request.entities) if table not in whole]
        with self._turn:
            instance = self._context.instance
            if (shown or failed) and not instance.has_dynamic_partition(SOURCES_PARTITIONS, synced.source.key):
                instance.add_dynamic_partitions(SOURCES_PARTITIONS, [synced.source.key])
            for table in shown:
                self._materialize(synced, table)
            if failed:
                show_failed(instance, synced, failed, self._context.run_id)
            for evaluation in evaluations(self._database, synced.source, [*shown, *failed]):
                # In the batch's name: Dagster keeps one evaluation without a run for each source, and refuses the next.
                self._log_event(evaluation)
        self._queue_figures(
            synced.source, has_changed=synced.outcome is None or has_changed_rows(synced.outcome.entities)
        )

    def look_at_figures(self, source: Source) -> None:
        """Of a source at rest, build what webhooks that were applied at once, or the new day, have changed.

        Where many wait it is left to the next look.
        """
        with self._turn:
            is_left = len(self._waiting) >= MOST_WAITING or source.key in self._without_figures
        if not is_left:
            self._queue_figures(source, has_changed=False)

    def _queue_figures(self, source: Source, *, has_changed: bool) -> None:
        with self._turn:
            self._waiting.append(source.key)
        self._figures.submit(self._bring_figures_in_step, source, has_changed=has_changed)

    def _bring_figures_in_step(self, source: Source, *, has_changed: bool) -> None:
        instance = self._context.instance
        try:
            # Syncs have the other connections: a build takes one of them, as a look does.
            is_done = bring_figures_in_step(
                instance,
                self._database,
                source,
                has_changed=has_changed,
                show=self._show_figures,
                side_by_side=False,
            )
        finally:
            with self._turn:
                self._waiting.remove(source.key)
        if not is_done:
            # It would fail as often as somebody looks: the next sync that changes something tries again.
            with self._turn:
                self._without_figures.add(source.key)

    def _show_figures(self, event: AssetMaterialization | AssetCheckEvaluation) -> None:
        with self._turn:
            self._log_event(event)

    def _log_event(self, event: AssetMaterialization | AssetCheckEvaluation) -> None:
        # It takes evaluations too, and its types do not say so.
        self._context.log_event(event)  # type: ignore[arg-type]

    def _materialize(self, synced: SyncedInBatch, table: SyncedTable) -> None:
        source = SyncedSource(self._database, synced.source, synced.session, synced.seconds)
        self._context.log_event(
            AssetMaterialization(
                asset_key(table),
                partition=synced.source.key,
                metadata=metadata_of(source, table, _counts(synced, table)),
            )
        )


def show_failed(
    instance: DagsterInstance, synced: SyncedInBatch, tables: Iterable[SyncedTable], batch_run_id: str
) -> None:
    """Record a failed run of the source, for these tables, that says why and leads to the session."""
    keys = [asset_key(table) for table in tables]
    run = create_run(
        instance,
        sync_source_job(),
        synced.source,
        synced.session,
        synced.request,
        keys,
        tags={BATCH_RUN_TAG: batch_run_id},
    )
    message = redact(str((synced.session.error_summary or {}).get("message") or "The sync failed."))
    about = {"source": synced.source.key, **session_metadata(synced.session)}
    if synced.session.error_code is not None:
        about[ERROR_CODE] = synced.session.error_code
    metadata = {name: text_value(text) for name, text in about.items()}
    instance.report_engine_event(message, run, EngineEventData(metadata))
    instance.report_run_failed(run, message)


def _counts(synced: SyncedInBatch, table: SyncedTable) -> EntityProgress:
    assert synced.outcome is not None, "a table is whole only after a sync that came to its end"
    return synced.outcome.entities[table.entity]


def _whole_tables(synced: SyncedInBatch) -> Iterable[SyncedTable]:
    if synced.outcome is None:
        return
    for table in tables_of(synced.request.entities):
        counts = synced.outcome.entities.get(table.entity)
        if counts is not None and is_complete(counts):
            yield table
