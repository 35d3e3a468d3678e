"""Several sources at once, as the Dagster UI asks for them: 'Materialize' of an asset's, or all assets', partitions."""

from collections.abc import Callable, Iterator
from uuid import UUID

import pytest
from dagster import DagsterInstance, DagsterRun, DagsterRunStatus
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill
from dagster._core.instance.config import PoolGranularity
from dagster._core.op_concurrency_limits_counter import GlobalOpConcurrencyLimitsCounter

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.runs import PARTITION_TAG, SESSION_TAG
from cyphera_pipelines.model.sessions import SessionType
from cyphera_pipelines.model.synced_tables import SYNCED_TABLES
from cyphera_pipelines.orchestration.asset_specs import ASSET_SPECS, asset_key
from cyphera_pipelines.orchestration.checks import TABLE_CHECKS
from cyphera_pipelines.orchestration.partitions import update_partitions
from cyphera_pipelines.sandbox import SandboxServer
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.sessions import get_session
from cyphera_pipelines.store.sources import find_source
from cyphera_pipelines_tests.orchestration.conftest import RunView, Tenant
from cyphera_pipelines_tests.orchestration.test_assets import shown_as_failed
from cyphera_pipelines_tests.orchestration.test_partitions import remove
from cyphera_pipelines_tests.orchestration.webserver import Webserver, webserver

ALL = [spec.key for spec in ASSET_SPECS]
AddTenant = Callable[..., Tenant]


@pytest.fixture(scope="module")
def ui(instance: DagsterInstance) -> Iterator[Webserver]:
    with webserver(instance) as opened:
        yield opened


def runs_by_source(ui: Webserver, backfill: PartitionBackfill) -> dict[str, DagsterRun]:
    """The backfill's runs, each of one source alone."""
    runs = ui.runs_of(backfill)
    found = {run.tags[PARTITION_TAG]: run for run in runs}
    assert len(found) == len(runs), "a source had several runs"
    return found


def entities_of(database: Database, run: DagsterRun) -> tuple[Entity, ...]:
    source = find_source(database, run.tags[PARTITION_TAG])
    return get_session(database, source.workspace_id, UUID(run.tags[SESSION_TAG])).entity_types


def test_all_tables_of_several_sources_are_materialised_in_a_run_for_each(
    ui: Webserver, add_tenant: AddTenant, view: Callable[[str], RunView]
) -> None:
    keys = [add_tenant().source.key for _number in range(3)]
    # Against the order in which Dagster knows them.
    backfill = ui.materialize(keys[::-1], ALL)

    assert backfill.status is BulkActionStatus.COMPLETED_SUCCESS
    runs = runs_by_source(ui, backfill)
    assert {key: run.status for key, run in runs.items()} == dict.fromkeys(keys, DagsterRunStatus.SUCCESS)
    for run in runs.values():
        assert set(view(run.run_id).materialized()) == set(SYNCED_TABLES)


@pytest.mark.parametrize(
    ("tables", "entities"),
    [
        (["customers"], (Entity.CUSTOMERS,)),
        (["invoice_line_items"], (Entity.INVOICES,)),
        (["customers", "invoices"], (Entity.CUSTOMERS, Entity.INVOICES)),
    ],
    ids=["one table", "a child table", "tables that refer to each other"],
)
def test_a_selection_of_tables_syncs_their_entities_alone(
    tables: list[str],
    entities: tuple[Entity, ...],
    ui: Webserver,
    database: Database,
    add_tenant: AddTenant,
    view: Callable[[str], RunView],
) -> None:
    keys = [add_tenant().source.key for _number in range(2)]
    backfill = ui.materialize(keys, [asset_key(SYNCED_TABLES[name]) for name in tables])

    assert backfill.status is BulkActionStatus.COMPLETED_SUCCESS
    runs = runs_by_source(ui, backfill)
    assert set(runs) == set(keys)
    for run in runs.values():
        assert entities_of(database, run) == entities
        assert set(view(run.run_id).materialized()) == set(tables)


def test_what_cannot_be_synced_fails_alone_and_can_be_tried_again(
    ui: Webserver,
    database: Database,
    instance: DagsterInstance,
    sandbox: SandboxServer,
    add_tenant: AddTenant,
    view: Callable[[str], RunView],
) -> None:
    whole, removed, revoked = add_tenant(), add_tenant(), add_tenant()
    remove(database, removed.source)
    sandbox.state.remove_account(revoked.account.account_id, livemode=False)
    keys = [tenant.source.key for tenant in (removed, whole, revoked)]
    backfill = ui.materialize(keys, ALL)

    assert backfill.status is BulkActionStatus.COMPLETED_FAILED
    runs = runs_by_source(ui, backfill)
    assert set(runs) == set(keys)
    assert runs[whole.source.key].status is DagsterRunStatus.SUCCESS
    for tenant in (removed, revoked):
        run = runs[tenant.source.key]
        assert run.status is DagsterRunStatus.FAILURE
        message, metadata = view(run.run_id).failure()
        assert metadata["source"] == tenant.source.key
        assert "Traceback" not in message
        assert shown_as_failed(instance, "customers", tenant.source.key)
    assert removed.source.key in view(runs[removed.source.key].run_id).failure()[0]

    sandbox.state.put_account(revoked.account)
    again = ui.retry(backfill)
    runs = runs_by_source(ui, again)
    assert {key: run.status for key, run in runs.items()} == {
        removed.source.key: DagsterRunStatus.FAILURE,
        revoked.source.key: DagsterRunStatus.SUCCESS,
    }
    assert not shown_as_failed(instance, "customers", revoked.source.key)


@pytest.mark.parametrize("strategy", ["ALL_STEPS", "FROM_FAILURE", "FROM_ASSET_FAILURE"])
def test_a_run_of_a_backfill_can_be_tried_again(
    strategy: str, ui: Webserver, sandbox: SandboxServer, add_tenant: AddTenant, view: Callable[[str], RunView]
) -> None:
    tenant = add_tenant()
    broken = next(iter(sandbox.state.truth(tenant.account.account_id, "subscriptions")))
    sandbox.state.patch(tenant.account.account_id, broken["id"], {"created": "yesterday"}, with_event=False)
    (run,) = ui.runs_of(ui.materialize([tenant.source.key], ALL))
    assert run.status is DagsterRunStatus.FAILURE
    sandbox.state.patch(tenant.account.account_id, broken["id"], {"created": broken["created"]}, with_event=True)

    again = ui.retry_run(run, strategy)
    assert again.status is DagsterRunStatus.SUCCESS, view(again.run_id).failure()
    assert again.tags[PARTITION_TAG] == tenant.source.key
    assert again.tags[SESSION_TAG] != run.tags[SESSION_TAG]
    assert {"subscriptions", "subscription_items"} <= set(view(again.run_id).materialized())


def test_a_source_that_is_removed_before_its_run_fails_alone(
    ui: Webserver, database: Database, instance: DagsterInstance, add_tenant: AddTenant, view: Callable[[str], RunView]
) -> None:
    """Its partition goes when the backfill has ended, and not before: Dagster would give up the whole of it."""
    kept, removed, gone = add_tenant().source, add_tenant().source, add_tenant().source
    backfill_id = ui.launch([removed.key, kept.key], ALL)
    remove(database, removed)
    remove(database, gone)
    taken = update_partitions(database, instance).removed
    assert gone.key in taken
    assert removed.key not in taken
    backfill = ui.end_of(backfill_id)

    runs = runs_by_source(ui, backfill)
    assert backfill.status is BulkActionStatus.COMPLETED_FAILED
    assert runs[kept.key].status is DagsterRunStatus.SUCCESS
    assert removed.key in view(runs[removed.key].run_id).failure()[0]
    assert removed.key in update_partitions(database, instance).removed


def test_the_job_s_own_backfill_has_a_run_for_each_source_too(
    ui: Webserver, database: Database, instance: DagsterInstance, add_tenant: AddTenant
) -> None:
    kept, removed = add_tenant().source, add_tenant().source
    backfill_id = ui.launch_job([removed.key, kept.key])
    remove(database, removed)
    assert removed.key not in update_partitions(database, instance).removed
    runs = runs_by_source(ui, ui.end_of(backfill_id))
    assert {key: run.status for key, run in runs.items()} == {
        kept.key: DagsterRunStatus.SUCCESS,
        removed.key: DagsterRunStatus.FAILURE,
    }


def test_a_run_takes_a_place_in_its_providers_pool(ui: Webserver, add_tenant: AddTenant) -> None:
    first, second = (ui.queue(add_tenant().source.key) for _number in range(2))
    events = ui.instance.event_log_storage
    events.set_concurrency_slots("stripe", 1)
    try:
        counter = GlobalOpConcurrencyLimitsCounter(
            ui.instance,
            [first, second],
            [],
            events.get_concurrency_keys(),
            events.get_pool_limits(),
            pool_granularity=PoolGranularity.RUN,
        )
        assert not counter.is_blocked(first)
        counter.update_counters_with_launched_item(first)
        assert counter.is_blocked(second)
    finally:
        events.delete_concurrency_limit("stripe")
        for run in (first, second):
            ui.instance.report_run_canceled(run)


def test_the_job_for_changes_lists_nothing_anew(
    ui: Webserver, database: Database, sandbox: SandboxServer, add_tenant: AddTenant, view: Callable[[str], RunView]
) -> None:
    tenant = add_tenant()
    (whole,) = runs_by_source(ui, ui.end_of(ui.launch_job([tenant.source.key]))).values()
    assert whole.status is DagsterRunStatus.SUCCESS
    sandbox.state.apply_changes(tenant.account.account_id, create={"customers": 2}, update={"products": 1})
    (run,) = runs_by_source(ui, ui.end_of(ui.launch_job([tenant.source.key], "sync_changes"))).values()

    assert run.status is DagsterRunStatus.SUCCESS
    session = get_session(database, tenant.source.workspace_id, UUID(run.tags[SESSION_TAG]))
    assert session.session_type is SessionType.DELTA_SYNC
    shown = view(run.run_id).materialized()
    assert {name: (counts["created"], counts["updated"]) for name, counts in shown.items()} == {
        "customers": (2, 0),
        "products": (0, 1),
    }


def test_checks_alone_sync_nothing(
    ui: Webserver, add_tenant: AddTenant, instance: DagsterInstance, view: Callable[[str], RunView]
) -> None:
    tenant = add_tenant()
    ui.materialize([tenant.source.key], ALL)
    done = ui.check(tenant.source.key, [(key.asset_key, key.name) for key in TABLE_CHECKS])

    assert done.status is DagsterRunStatus.SUCCESS
    assert view(done.run_id).materialized() == {}
    assert SESSION_TAG not in done.tags
