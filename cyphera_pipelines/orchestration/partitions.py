"""Partitions: one per source, kept in step with the active configurations."""

from dataclasses import dataclass

from dagster import DagsterInstance, DagsterRun, DynamicPartitionsDefinition
from dagster._core.execution.backfill import (
    BULK_ACTION_TERMINAL_STATUSES,
    BulkActionsFilter,
    BulkActionStatus,
    PartitionBackfill,
)

from cyphera_pipelines.model.runs import PARTITION_TAG, SOURCES_PARTITIONS
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.sources import list_sources

payment_sources = DynamicPartitionsDefinition(name=SOURCES_PARTITIONS)
"""One partition per source, with keys like `acme:stripe`."""


@dataclass(frozen=True)
class PartitionChanges:
    """The partitions to add and to remove, each sorted."""

    added: list[str]
    removed: list[str]


def partition_changes(database: Database, instance: DagsterInstance) -> PartitionChanges:
    """What separates the instance's partitions from the sources that there are.

    A partition that a backfill is still to see to stays until it has: Dagster would give up the whole backfill.
    """
    wanted = {source.key for source in list_sources(database)}
    present = set(instance.get_dynamic_partitions(SOURCES_PARTITIONS))
    removed = present - wanted
    if removed:
        removed -= _partitions_of_backfills(instance)
    return PartitionChanges(sorted(wanted - present), sorted(removed))


def _partitions_of_backfills(instance: DagsterInstance) -> set[str]:
    """The partitions that unfinished backfills were asked for."""
    unfinished = [status for status in BulkActionStatus if status not in BULK_ACTION_TERMINAL_STATUSES]
    backfills = instance.get_backfills(filters=BulkActionsFilter(statuses=unfinished))
    return {key for backfill in backfills for key in _partitions_of(backfill)}


def _partitions_of(backfill: PartitionBackfill) -> set[str]:
    if backfill.asset_backfill_data is None:
        return set(backfill.partition_names or ())
    subsets = backfill.asset_backfill_data.target_subset.partitions_subsets_by_asset_key.values()
    return {key for subset in subsets for key in subset.get_partition_keys()}


def update_partitions(database: Database, instance: DagsterInstance) -> PartitionChanges:
    """Bring the instance's partitions in step with the sources and return what was done."""
    changes = partition_changes(database, instance)
    if changes.added:
        instance.add_dynamic_partitions(SOURCES_PARTITIONS, changes.added)
    for key in changes.removed:
        instance.delete_dynamic_partition(SOURCES_PARTITIONS, key)
    return changes


def source_key_of(run: DagsterRun) -> str | None:
    """The run's partition key. A range of partitions is none: its keys would follow the order of their insertion."""
    return run.tags.get(PARTITION_TAG)
