"""Figures follow the tables: built where these changed, told on their own assets, and of no harm to any sync."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from dagster import AssetKey, DagsterEventType, DagsterInstance, DagsterRun, DagsterRunStatus, RunsFilter
from sqlalchemy import text

from cyphera_pipelines.definitions import definitions
from cyphera_pipelines.model.runs import FIGURES_JOB, SOURCE_TAG
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.orchestration.figures import FIGURE_CHECKS, FIGURES_STEP
from cyphera_pipelines.sandbox import SandboxServer
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.figure_builds import are_figures_behind, list_figure_builds, present_mrr
from cyphera_pipelines_tests.due_sources import make_due, put_aside
from cyphera_pipelines_tests.orchestration.conftest import Materialize, RunView, Tenant
from cyphera_pipelines_tests.orchestration.test_batches import materialized, rows_of_dagster, run_batch

MRR = {"subscription_mrr", "mrr_movements"}
REVENUE = {"billed_customers", "billed_months", "billed_products", "billed_prices", "paid_months", "revenue_periods"}
ASSETS = MRR | REVENUE


@pytest.fixture(autouse=True)
def only_ours(database: Database) -> Iterator[None]:
    put_aside(database)
    yield
    put_aside(database)


def build_in_dagster(instance: DagsterInstance, key: str | None, **config: bool) -> Any:
    return definitions.resolve_job_def(FIGURES_JOB).execute_in_process(
        partition_key=key,
        instance=instance,
        run_config={
            "ops": {FIGURES_STEP: {"config": config}},
            "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
        },
        raise_on_error=False,
    )


def figures_of(database: Database, source: Source) -> list[tuple[Any, ...]]:
    """The movements, and which transaction wrote each."""
    with database.tenant(source.workspace_id) as connection:
        rows = connection.execute(
            text("SELECT customer_id, currency, day, closing, xmin::text FROM figures.mrr_movements ORDER BY 1, 2, 3")
        )
        return [tuple(row) for row in rows]


def failed_builds(instance: DagsterInstance, source: Source) -> list[DagsterRun]:
    runs = instance.get_runs(RunsFilter(job_name=FIGURES_JOB, tags={SOURCE_TAG: source.key}))
    return [run for run in runs if run.status is DagsterRunStatus.FAILURE]


def cancel_one(database: Database, source: Source) -> None:
    """As a webhook that is applied at once would: one of the subscriptions that bring something ends."""
    with database.tenant(source.workspace_id) as connection:
        ended = connection.execute(
            text(
                "UPDATE payments.subscriptions SET status = 'canceled', ended_at = now(), canceled_at = now(), "
                "source_version = now(), synced_at = now() WHERE id = ("
                "SELECT subscription_id FROM figures.subscription_mrr WHERE valid_to IS NULL AND mrr > 0 LIMIT 1)"
            )
        )
        assert ended.rowcount == 1


def test_a_sync_builds_and_shows_figures_and_checks_them(
    instance: DagsterInstance,
    database: Database,
    add_tenant: Callable[..., Tenant],
    materialize: Materialize,
    view: Callable[[str], RunView],
) -> None:
    source = add_tenant(customers=20, subscriptions=40, invoices=60).source
    done = materialize(source.key)
    assert done.success
    shown = view(done.run_id).figures()
    assert set(shown) == ASSETS
    mrr = present_mrr(database, source, livemode=not source.is_test_mode)
    assert sum(mrr.values()) > 0
    assert {name: value for name, value in shown["mrr_movements"].items() if name.startswith("mrr_")} == {
        f"mrr_{currency}": pytest.approx(float(amount)) for currency, amount in mrr.items()
    }
    assert shown["mrr_movements"]["was_full"] is True
    assert shown["revenue_periods"]["was_full"] is True
    assert all(shown[name]["dagster/partition_row_count"] for name in REVENUE)
    assert shown["mrr_movements"]["dagster/partition_row_count"] == len(figures_of(database, source))
    for check in FIGURE_CHECKS:
        record = instance.event_log_storage.get_latest_asset_check_execution_by_key([check.key])[check.key]
        assert record.event is not None
        evaluation = record.event.dagster_event.asset_check_evaluation_data  # type: ignore[union-attr]
        assert (evaluation.passed, evaluation.partition) == (True, source.key)

    before = figures_of(database, source)
    again = materialize(source.key, only_changes=True)
    assert again.success
    assert not view(again.run_id).figures(), "nothing changed: nothing is built, and nothing shown"
    assert figures_of(database, source) == before


def test_a_batch_builds_what_changed_and_leaves_sources_at_rest_alone(
    instance: DagsterInstance, database: Database, add_tenant: Callable[..., Tenant], sandbox: SandboxServer
) -> None:
    tenant = add_tenant(customers=8, subscriptions=20)
    source = make_due(database, tenant.source)
    first = run_batch(instance)
    assert {(name, source.key) for name in MRR} <= materialized(instance, first)

    rows, built = rows_of_dagster(instance, source.key), list_figure_builds(database, source.workspace_id)
    make_due(database, source)
    run_batch(instance)
    assert rows_of_dagster(instance, source.key) == rows
    assert list_figure_builds(database, source.workspace_id) == built

    sandbox.state.apply_changes(tenant.account.account_id, update={"customers": 3}, create={"subscriptions": 2})
    make_due(database, source)
    third = run_batch(instance)
    assert ("mrr_movements", source.key) in materialized(instance, third)


def test_the_next_look_at_a_source_brings_in_step_what_a_webhook_changed_at_once(
    instance: DagsterInstance, database: Database, add_tenant: Callable[..., Tenant]
) -> None:
    source = make_due(database, add_tenant(customers=8, subscriptions=20).source)
    run_batch(instance)
    before = sum(present_mrr(database, source, livemode=False).values())
    cancel_one(database, source)
    assert are_figures_behind(database, source, livemode=False)
    make_due(database, source)
    run = run_batch(instance)
    assert {name for name, key in materialized(instance, run) if key == source.key} == MRR
    assert sum(present_mrr(database, source, livemode=False).values()) < before
    assert not failed_builds(instance, source)


def test_a_new_day_is_a_reason_to_look(
    database: Database, add_tenant: Callable[..., Tenant], materialize: Materialize
) -> None:
    source = add_tenant(customers=3, subscriptions=5).source
    assert not are_figures_behind(database, source, livemode=False), "never synced: there is nothing to build"
    materialize(source.key)
    mine = {"id": source.workspace_id, "hour": timedelta(hours=1), "day": timedelta(days=1)}
    with database.control() as connection:
        for change in (
            "UPDATE payments.subscription_history SET recorded_at = recorded_at - :hour WHERE workspace_id = :id",
            "UPDATE payments.customer_discount_history SET recorded_at = recorded_at - :hour WHERE workspace_id = :id",
        ):
            connection.execute(text(change), mine)
    assert not are_figures_behind(database, source, livemode=False)
    with database.control() as connection:
        yesterday = "UPDATE figures.figure_builds SET built_at = built_at - :day WHERE workspace_id = :id"
        connection.execute(text(yesterday), mine)
    assert are_figures_behind(database, source, livemode=False)


def test_a_bill_and_revenue_that_was_never_counted_are_reasons_to_look(
    database: Database, add_tenant: Callable[..., Tenant], materialize: Materialize
) -> None:
    source = add_tenant(customers=3, subscriptions=5, invoices=5).source
    materialize(source.key)
    long_ago = "recorded_at = recorded_at - interval '1 hour' WHERE workspace_id = :id"
    changes = (
        f"UPDATE payments.subscription_history SET {long_ago}",
        f"UPDATE payments.customer_discount_history SET {long_ago}",
        # Whatever the time of day: a new one would be a reason by itself.
        "UPDATE figures.figure_builds SET built_at = now() WHERE workspace_id = :id",
        "UPDATE figures.revenue_builds SET built_at = now() WHERE workspace_id = :id",
        "UPDATE payments.invoices SET created = now(), synced_at = now() - interval '1 hour' WHERE workspace_id = :id",
    )
    for change in changes:
        _execute(database, change, source)
    assert not are_figures_behind(database, source, livemode=False)
    _execute(database, "UPDATE payments.invoices SET synced_at = now() WHERE workspace_id = :id", source)
    assert are_figures_behind(database, source, livemode=False)
    _execute(database, changes[-1], source)
    assert not are_figures_behind(database, source, livemode=False)
    _execute(database, "DELETE FROM figures.revenue_builds WHERE workspace_id = :id", source)
    assert are_figures_behind(database, source, livemode=False)


def _execute(database: Database, statement: str, source: Source) -> None:
    with database.control() as connection:
        connection.execute(text(statement), {"id": source.workspace_id})


def test_a_build_that_fails_is_told_on_its_own_asset_and_fails_no_sync(
    instance: DagsterInstance,
    database: Database,
    add_tenant: Callable[..., Tenant],
    materialize: Materialize,
    view: Callable[[str], RunView],
) -> None:
    """The table that figures are written to refuses them, as if somebody had changed it."""
    source = add_tenant(customers=6, subscriptions=10).source
    constraint = f"refused_{source.workspace_id.hex}"
    with database.control() as connection:
        connection.execute(
            text(
                f"ALTER TABLE figures.subscription_mrr ADD CONSTRAINT {constraint} "
                f"CHECK (workspace_id <> '{source.workspace_id}')"
            )
        )
    try:
        done = materialize(source.key)
        batch = run_batch(instance)
        assert (batch.status, done.success) == (DagsterRunStatus.SUCCESS, True)
        assert "subscriptions" in view(done.run_id).materialized()
        assert not view(done.run_id).figures()
        (failed,) = failed_builds(instance, source)
        assert failed.asset_selection == {AssetKey(["figures", name]) for name in ASSETS}
        assert failed.tags["dagster/partition"] == source.key
        (record,) = instance.all_logs(failed.run_id, of_type=DagsterEventType.RUN_FAILURE)
        message = str(record.get_dagster_event().message)
        assert constraint in message
        assert "The tables are in step" in message
    finally:
        with database.control() as connection:
            connection.execute(text(f"ALTER TABLE figures.subscription_mrr DROP CONSTRAINT {constraint}"))
    assert build_in_dagster(instance, source.key).success
    assert figures_of(database, source)


def test_somebody_builds_anew_in_dagster(
    instance: DagsterInstance,
    database: Database,
    add_tenant: Callable[..., Tenant],
    materialize: Materialize,
    view: Callable[[str], RunView],
) -> None:
    source = add_tenant(customers=6, subscriptions=10).source
    materialize(source.key)
    kept = figures_of(database, source)
    with database.control() as connection:
        mine = {"id": source.workspace_id}
        connection.execute(
            text("UPDATE figures.mrr_movements SET closing = closing + 1 WHERE workspace_id = :id"), mine
        )
    done = build_in_dagster(instance, source.key)
    assert {each.check_name for each in done.get_asset_check_evaluations() if not each.passed} == {
        "movements_add_up",
        "customers_add_up",
        "months_add_up",
    }
    done = build_in_dagster(instance, source.key, full=True)
    assert all(each.passed for each in done.get_asset_check_evaluations())
    assert view(done.run_id).figures()["mrr_movements"]["was_full"] is True
    assert [row[:4] for row in figures_of(database, source)] == [row[:4] for row in kept]

    done = build_in_dagster(instance, None)
    assert not done.success, "of which source?"
