"""A process that asks what the Dagster UI's asset page asks, and looks as the sensors do: `...` without arguments.

Every source has its partition, and every tenth of these was materialised. Seconds are printed as JSON.
"""

import os
import time
from collections.abc import Callable

import orjson
from dagster import AssetKey, AssetMaterialization, DagsterInstance

from cyphera_pipelines.model.runs import SOURCES_PARTITIONS
from cyphera_pipelines.orchestration.batches import look_at_backlog
from cyphera_pipelines.orchestration.partitions import partition_changes, update_partitions
from cyphera_pipelines.settings import load_settings, project_root
from cyphera_pipelines.store.database import open_database
from cyphera_pipelines_tests.orchestration.webserver import webserver

MATERIALIZED_EVERY = 10
_PAGE = """
query ($asset: AssetKeyInput!) {
  assetNodeOrError(assetKey: $asset) {
    ... on AssetNode {
      partitionKeysByDimension { name partitionKeys }
      partitionStats { numMaterialized numPartitions numFailed numMaterializing }
      assetPartitionStatuses {
        ... on DefaultPartitionStatuses { materializedPartitions failedPartitions unmaterializedPartitions }
      }
    }
  }
}
"""


def main() -> None:
    """Make the partitions, then time what is asked of them."""
    os.environ["DAGSTER_HOME"] = str(project_root())
    settings = load_settings()
    database = open_database(settings)
    with DagsterInstance.get() as instance:
        seconds = {"adding all partitions": _timed(lambda: update_partitions(database, instance))}
        keys = instance.get_dynamic_partitions(SOURCES_PARTITIONS)
        for key in keys[::MATERIALIZED_EVERY]:
            instance.report_runless_asset_event(AssetMaterialization(["payments", "customers"], partition=key))
        with webserver(instance) as ui:
            asset = AssetKey(["payments", "customers"]).to_graphql_input()
            seconds["asset page, first time"] = _timed(lambda: ui.ask(_PAGE, asset=asset))
            seconds["asset page, again"] = _timed(lambda: ui.ask(_PAGE, asset=asset))
        seconds["sensor payment_sources"] = _timed(lambda: partition_changes(database, instance))
        seconds["sensor due_sources"] = _timed(lambda: look_at_backlog(database, instance, settings))
    print(orjson.dumps({"partitions": len(keys), "seconds": seconds}).decode())


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
