from collections.abc import Callable

from dagster import DagsterInstance

from cyphera_pipelines.model.runs import SOURCES_PARTITIONS
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.orchestration.partitions import update_partitions
from cyphera_pipelines.store.configurations import find_active_configuration, remove_configuration
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.workspaces import find_workspace
from cyphera_pipelines_tests.orchestration.conftest import evaluate


def remove(database: Database, source: Source) -> None:
    workspace = find_workspace(database, source.workspace_slug)
    remove_configuration(database, find_active_configuration(database, workspace, source.provider))


def test_the_sensor_adds_and_removes_partitions(
    database: Database, instance: DagsterInstance, add_source: Callable[..., Source]
) -> None:
    new, gone = add_source("sk_test_partitions_new"), add_source("sk_test_partitions_gone")
    instance.add_dynamic_partitions(SOURCES_PARTITIONS, [gone.key])
    remove(database, gone)

    requests = {
        type(request).__name__: request
        for request in evaluate(instance, "payment_sources").dynamic_partitions_requests or []
    }
    assert new.key in requests["AddDynamicPartitionsRequest"].partition_keys
    assert gone.key in requests["DeleteDynamicPartitionsRequest"].partition_keys


def test_updating_brings_partitions_in_step(
    database: Database, instance: DagsterInstance, add_source: Callable[..., Source]
) -> None:
    source = add_source("sk_test_partitions_update")
    assert source.key in update_partitions(database, instance).added
    assert source.key in instance.get_dynamic_partitions(SOURCES_PARTITIONS)
    remove(database, source)
    assert update_partitions(database, instance).removed == [source.key]
    assert source.key not in instance.get_dynamic_partitions(SOURCES_PARTITIONS)
    result = evaluate(instance, "payment_sources")
    assert result.skip_message
    assert not result.dynamic_partitions_requests
