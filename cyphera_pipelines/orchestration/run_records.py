"""What Dagster keeps of runs and partitions, and how it is deleted: more than `DagsterInstance.delete_run` does.

That leaves the results of asset checks, the last materialisation of each asset (with its preview, if it was the run's),
and what the run's process printed.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

from dagster import AssetKey, DagsterInstance, EventLogRecord, RunRecord, RunsFilter
from dagster._core.storage.event_log.schema import (
    AssetCheckExecutionsTable,
    AssetEventTagsTable,
    AssetKeyTable,
    SqlEventLogStorageTable,
)
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage
from dagster._core.storage.schedules.schema import JobTickTable
from dagster._core.storage.schedules.sql_schedule_storage import SqlScheduleStorage
from dagster._core.storage.tags import ASSET_PARTITION_RANGE_END_TAG, ASSET_PARTITION_RANGE_START_TAG
from dagster._serdes import deserialize_value, serialize_value
from sqlalchemy import Connection, delete, func, or_, select, text, update

from cyphera_pipelines.model.runs import PARTITION_TAG, SOURCE_TAG
from cyphera_pipelines.orchestration.asset_specs import TABLES_BY_ASSET_KEY

RUNS_AT_ONCE = 50
EVENTS_AT_ONCE = 5_000
_TAGS = (SOURCE_TAG, PARTITION_TAG, ASSET_PARTITION_RANGE_START_TAG, ASSET_PARTITION_RANGE_END_TAG)


def runs_of_source(instance: DagsterInstance, source_key: str) -> Iterator[RunRecord]:
    """Every run that was started for the source. Those that are deleted meanwhile are not asked for again."""
    for tag in _TAGS:
        while records := instance.get_run_records(RunsFilter(tags={tag: source_key}), limit=RUNS_AT_ONCE):
            yield from records


def delete_run(instance: DagsterInstance, run_id: str) -> None:
    """Delete the run, its events and whatever they led to. The run's own row goes last: by it the rest is found."""
    storage = _event_log(instance)
    with storage.index_connection() as connection:
        checks = delete(AssetCheckExecutionsTable).where(AssetCheckExecutionsTable.c.run_id == run_id)
        connection.execute(checks)
    instance.compute_log_manager.delete_logs(prefix=[run_id])
    shutil.rmtree(Path(instance.storage_directory()) / run_id, ignore_errors=True)
    storage.delete_events(run_id)
    instance.run_storage.delete_run(run_id)


def delete_traces_of_partition(instance: DagsterInstance, source_key: str) -> None:
    """Delete what is kept of the partition beyond its runs, once these are gone."""
    storage = _event_log(instance)
    with storage.index_connection() as connection:
        for asset_key in TABLES_BY_ASSET_KEY:
            _delete_events(connection, asset_key, source_key)
        connection.execute(delete(AssetCheckExecutionsTable).where(AssetCheckExecutionsTable.c.partition == source_key))
        for asset_key in TABLES_BY_ASSET_KEY:
            _mend_last_materialization(connection, instance, asset_key)
    schedules = instance.schedule_storage
    assert isinstance(schedules, SqlScheduleStorage)
    with schedules.connect() as connection:
        # Ticks tell what they asked for. One that goes on is written again when it ends.
        told = func.strpos(JobTickTable.c.tick_body, f'"{source_key}"') > 0
        connection.execute(delete(JobTickTable).where(told, JobTickTable.c.status != "STARTED"))
        _forget_statistics(connection)


def _delete_events(connection: Connection, asset_key: AssetKey, source_key: str) -> None:
    """Events of the partition that other runs wrote, or none."""
    events = SqlEventLogStorageTable.c
    mine = (events.asset_key == asset_key.to_string(), events.partition == source_key)
    while ids := connection.execute(select(events.id).where(*mine).limit(EVENTS_AT_ONCE)).scalars().all():
        connection.execute(delete(AssetEventTagsTable).where(AssetEventTagsTable.c.event_id.in_(ids)))
        connection.execute(delete(SqlEventLogStorageTable).where(events.id.in_(ids)))


def _mend_last_materialization(connection: Connection, instance: DagsterInstance, asset_key: AssetKey) -> None:
    """Let an asset show the last materialisation that there still is, if the one that it shows is deleted."""
    assets = AssetKeyTable.c
    row = connection.execute(
        select(assets.last_materialization).where(assets.asset_key == asset_key.to_string())
    ).one_or_none()
    if row is None:
        return
    shown = deserialize_value(row.last_materialization) if row.last_materialization else None
    # It tells of partitions by name, and is worked out again.
    instance.wipe_asset_cached_status([asset_key])
    if isinstance(shown, EventLogRecord) and _exists(connection, shown.storage_id):
        return
    left = instance.fetch_materializations(asset_key, limit=1).records
    values = {
        "last_materialization": serialize_value(left[0]) if left else None,
        "last_run_id": left[0].run_id if left else None,
    }
    as_it_was = or_(
        assets.last_materialization == row.last_materialization,
        assets.last_materialization.is_(None),
    )
    # Unless a run of another source has just materialised it.
    mend = update(AssetKeyTable).where(assets.asset_key == asset_key.to_string(), as_it_was)
    connection.execute(mend.values(values))


def _exists(connection: Connection, storage_id: int) -> bool:
    found = select(SqlEventLogStorageTable.c.id).where(SqlEventLogStorageTable.c.id == storage_id)
    return connection.execute(found).first() is not None


def _forget_statistics(connection: Connection) -> None:
    """Postgres' own statistics of the tables hold values of rows that are gone."""
    for table in ("event_logs", "asset_event_tags", "asset_check_executions", "asset_keys", "runs", "run_tags"):
        connection.execute(text(f"ANALYZE {table}"))


def _event_log(instance: DagsterInstance) -> SqlEventLogStorage:
    storage = instance.event_log_storage
    assert isinstance(storage, SqlEventLogStorage)
    return storage
