"""Jobs."""

from dagster import AssetSelection, define_asset_job, in_process_executor

from cyphera_pipelines.model.runs import SYNC_JOB
from cyphera_pipelines.orchestration.asset_specs import ASSET_SPECS

sync_source = define_asset_job(
    name=SYNC_JOB,
    selection=AssetSelection.assets(*(spec.key for spec in ASSET_SPECS)),
    # One process: a process per step costs more than a whole sync of a small source.
    executor_def=in_process_executor,
    description="Brings all tables of one source up to date: choose the source as the partition.",
)
