from collections.abc import Callable

from dagster import DagsterInstance, ResourceDefinition, SensorEvaluationContext
from dagster._core.definitions.sensor_definition import SensorExecutionData

from cyphera_pipelines.definitions import definitions
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.orchestration.partitions import partitions_name, update_partitions
from cyphera_pipelines.store.configurations import find_active_configuration, remove_configuration
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.workspaces import find_workspace


def tick(instance: DagsterInstance) -> SensorExecutionData:
    """One evaluation of the sensor, as the daemon makes it."""
    sensor = definitions.get_repository_def().get_sensor_def("payment_sources")
    with SensorEvaluationContext(
        instance_ref=instance.get_ref(),
        last_tick_completion_time=None,
        last_run_key=None,
        cursor=None,
        repository_name=None,
        repository_def=definitions.get_repository_def(),
        instance=instance,
        resources=sensor_resources(),
    ) as context:
        return sensor.evaluate_tick(context)


def sensor_resources() -> dict[str, ResourceDefinition]:
    resources = definitions.get_repository_def().get_top_level_resources()
    return {"database": resources["database"]}


def remove(database: Database, source: Source) -> None:
    workspace = find_workspace(database, source.workspace_slug)
    remove_configuration(database, find_active_configuration(database, workspace, source.provider))


def test_the_sensor_adds_and_removes_partitions(
    database: Database, instance: DagsterInstance, add_source: Callable[..., Source]
) -> None:
    new, gone = add_source("sk_test_partitions_new"), add_source("sk_test_partitions_gone")
    instance.add_dynamic_partitions(partitions_name(), [gone.key])
    remove(database, gone)

    requests = {type(request).__name__: request for request in tick(instance).dynamic_partitions_requests or []}
    assert new.key in requests["AddDynamicPartitionsRequest"].partition_keys
    assert gone.key in requests["DeleteDynamicPartitionsRequest"].partition_keys


def test_updating_brings_partitions_in_step(
    database: Database, instance: DagsterInstance, add_source: Callable[..., Source]
) -> None:
    source = add_source("sk_test_partitions_update")
    assert source.key in update_partitions(database, instance).added
    assert source.key in instance.get_dynamic_partitions(partitions_name())
    remove(database, source)
    assert update_partitions(database, instance).removed == [source.key]
    assert source.key not in instance.get_dynamic_partitions(partitions_name())
    result = tick(instance)
    assert result.skip_message
    assert not result.dynamic_partitions_requests
