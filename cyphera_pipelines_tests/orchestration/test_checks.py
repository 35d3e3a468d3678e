from collections.abc import Callable, Iterator
from contextlib import contextmanager

from dagster import AssetCheckKey, AssetCheckSeverity, DagsterEventType, DagsterInstance, ExecuteInProcessResult
from sqlalchemy import Connection, text

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.synced_tables import SYNCED_TABLES
from cyphera_pipelines.orchestration.asset_specs import asset_key
from cyphera_pipelines.orchestration.checks import TABLE_CHECKS
from cyphera_pipelines.orchestration.figures import FIGURE_CHECKS
from cyphera_pipelines.orchestration.freshness_checks import (
    FRESHNESS_CHECK,
    FRESHNESS_CHECKS,
    check_freshness,
    evaluations,
)
from cyphera_pipelines.store.database import Database
from cyphera_pipelines_tests.orchestration.conftest import Materialize, Tenant


def test_every_check_passes_on_a_whole_source(add_tenant: Callable[..., Tenant], materialize: Materialize) -> None:
    evaluations = materialize(add_tenant(invoices=200).source.key).get_asset_check_evaluations()
    assert {(evaluation.asset_key, evaluation.check_name) for evaluation in evaluations} == {
        (key.asset_key, key.name) for key in (*TABLE_CHECKS, *FRESHNESS_CHECKS, *(check.key for check in FIGURE_CHECKS))
    }
    assert [evaluation.check_name for evaluation in evaluations if not evaluation.passed] == []


def test_what_fails_leaves_the_checks_of_the_other_tables_alone(
    instance: DagsterInstance, add_tenant: Callable[..., Tenant], materialize: Materialize
) -> None:
    done = materialize(add_tenant(lacks={"invoice"}).source.key)

    assert not done.success
    records = instance.all_logs(done.run_id, of_type=DagsterEventType.ASSET_CHECK_EVALUATION)
    evaluations = [record.get_dagster_event().asset_check_evaluation_data for record in records]
    of_invoices = {asset_key(table) for table in SYNCED_TABLES.values() if table.entity is Entity.INVOICES}
    evaluations = [each for each in evaluations if each.asset_key.path[0] == "payments"]
    assert {AssetCheckKey(each.asset_key, each.check_name) for each in evaluations} == {
        key for key in (*TABLE_CHECKS, *FRESHNESS_CHECKS) if key.asset_key not in of_invoices
    }
    assert all(each.target_materialization_data for each in evaluations)
    of_source = [each for each in evaluations if each.check_name == FRESHNESS_CHECK]
    assert all(each.passed for each in evaluations if each not in of_source)
    # The source is not fresh as long as one of its tables is not.
    assert {each.passed for each in of_source} == {False}
    assert all("invoices did not complete" in str(each.description) for each in of_source)


def test_checks_find_what_is_missing_and_only_warn(
    database: Database, add_tenant: Callable[..., Tenant], materialize: Materialize
) -> None:
    tenant = add_tenant(invoices=30)
    materialize(tenant.source.key)
    with database.tenant(tenant.source.workspace_id) as connection:
        longest = connection.execute(
            text("SELECT invoice_id FROM payments.invoice_line_items ORDER BY line_index DESC LIMIT 1")
        ).scalar_one()
    with database.control() as connection:
        values = {"workspace": tenant.source.workspace_id, "invoice": longest}
        mine = "workspace_id = :workspace"
        connection.execute(
            text(f"DELETE FROM payments.invoice_line_items WHERE {mine} AND invoice_id = :invoice AND line_index = 0"),
            values,
        )
        connection.execute(text(f"DELETE FROM payments.customers WHERE {mine}"), values)
        connection.execute(
            text(f"UPDATE payments.subscription_items SET subscription_id = 'sub_lost' WHERE {mine}"), values
        )
    # Unchanged objects are not rewritten: syncing again leaves the damage as it is.
    done = materialize(tenant.source.key, tables=["invoice_line_items", "subscription_items", "invoices"])

    failed = _failed(done)
    assert done.success
    assert failed["no_line_is_missing"] == (1, longest)
    assert failed["customer_id_is_known"][0] == 30
    assert failed["every_row_has_its_subscription"][0] > 0


def test_what_does_not_add_up_for_analysts_is_found(
    database: Database, add_tenant: Callable[..., Tenant], materialize: Materialize
) -> None:
    """Their views are made of the tables that they are compared with: only another view comes to something else."""
    tenant = add_tenant(invoices=60, subscriptions=20)
    materialize(tenant.source.key)
    with database.tenant(tenant.source.workspace_id) as connection:
        owed = connection.execute(text(_OWED)).scalars().all()
    with another_view(database, "analytics_test.invoice_aging", "remaining", "remaining + 0.01"):
        failed = _failed(materialize(tenant.source.key, tables=["invoices"]))
    assert failed == {"aging_adds_up": (len(owed), "\n".join(owed))}
    assert owed
    assert _failed(materialize(tenant.source.key, tables=["invoices"])) == {}


@contextmanager
def another_view(database: Database, name: str, column: str, instead: str) -> Iterator[None]:
    """The view with something else in a column, for as long as the block lasts."""
    with database.control() as connection:
        query = connection.execute(text(_QUERY), {"name": name}).scalar_one()
        columns = connection.execute(text(_COLUMNS), {"name": name}).scalars().all()
        shown = ", ".join(f"{instead} AS {each}" if each == column else each for each in columns)
        _replace(connection, name, f"SELECT {shown} FROM ({query.rstrip('; ')}) AS made")
    try:
        yield
    finally:
        with database.control() as connection:
            _replace(connection, name, query)


def _replace(connection: Connection, name: str, query: str) -> None:
    connection.exec_driver_sql(f"CREATE OR REPLACE VIEW {name} WITH (security_invoker = true) AS {query}")


_QUERY = "SELECT pg_get_viewdef(to_regclass(:name))"
_COLUMNS = "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(:name) AND attnum > 0 ORDER BY attnum"
_OWED = "SELECT DISTINCT currency FROM analytics_test.invoice_aging ORDER BY 1"


def _failed(done: ExecuteInProcessResult) -> dict[str, tuple[int, str]]:
    found = {}
    for evaluation in done.get_asset_check_evaluations():
        assert evaluation.severity is AssetCheckSeverity.WARN
        if not evaluation.passed and evaluation.check_name != FRESHNESS_CHECK:
            metadata = {name: value.value for name, value in evaluation.metadata.items()}
            found[evaluation.check_name] = (int(str(metadata["count"])), str(metadata["sample_ids"]))
    return found


def test_whether_a_source_is_fresh_is_told_of_its_own_partition(
    instance: DagsterInstance, database: Database, add_tenant: Callable[..., Tenant]
) -> None:
    tenant = add_tenant(customers=3)
    tables = [SYNCED_TABLES["customers"], SYNCED_TABLES["price_tiers"]]
    for told in evaluations(database, tenant.source, tables):
        instance.report_runless_asset_event(told)
    key = AssetCheckKey(asset_key(SYNCED_TABLES["customers"]), FRESHNESS_CHECK)
    (record,) = instance.event_log_storage.get_asset_check_execution_history(key, limit=1)
    assert record.event is not None
    told = record.event.get_dagster_event().asset_check_evaluation_data
    assert (told.partition, told.passed) == (tenant.source.key, False)
    assert f"cyphera sync {tenant.source.workspace_slug} stripe" in str(told.description)
    with database.control() as connection:
        connection.execute(
            text("UPDATE sync.source_schedules SET fresh_at = now() WHERE workspace_id = :id"),
            {"id": tenant.source.workspace_id},
        )
    assert [each.passed for each in check_freshness(database, tenant.source, [key])] == [True]
