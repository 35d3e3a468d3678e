"""Jobs."""

from dagster import AssetSelection, define_asset_job, in_process_executor

from cyphera_pipelines.model.runs import SYNC_JOB
from cyphera_pipelines.orchestration.asset_specs import ASSET_SPECS
from cyphera_pipelines.orchestration.assets import SYNC_STEP

_ALL_TABLES = AssetSelection.assets(*(spec.key for spec in ASSET_SPECS))

sync_source = define_asset_job(
    name=SYNC_JOB,
    selection=_ALL_TABLES,
    # One process: a process per step costs more than a whole sync of a small source.
    executor_def=in_process_executor,
    description="Brings all tables of one source up to date: choose the source as the partition.",
)

sync_changes = define_asset_job(
    name="sync_changes",
    selection=_ALL_TABLES,
    config={"ops": {SYNC_STEP: {"config": {"only_changes": True}}}},
    executor_def=in_process_executor,
    description="Applies what changed at one source since its last sync, from the provider's events: choose the source "
    "as the partition. A source that was never synced, or not for weeks, is listed whole.",
)
