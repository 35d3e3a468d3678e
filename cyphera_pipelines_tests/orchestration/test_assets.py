from collections.abc import Callable
from uuid import UUID

import pytest
from dagster import DagsterInstance, DagsterRunStatus
from dagster._core.storage.partition_status_cache import get_and_update_asset_status_cache_value
from sqlalchemy import create_engine, text

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.runs import SESSION_TAG, SOURCE_TAG
from cyphera_pipelines.model.sessions import ConflictStrategy, Session, SessionStatus, SessionType, SyncRequest
from cyphera_pipelines.model.synced_tables import SYNCED_TABLES, personal_columns
from cyphera_pipelines.orchestration.asset_specs import asset_key
from cyphera_pipelines.orchestration.partitions import payment_sources
from cyphera_pipelines.sandbox import SandboxServer
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.rows import count_rows
from cyphera_pipelines.store.sessions import get_session
from cyphera_pipelines.sync.request import open_session
from cyphera_pipelines_tests.orchestration.conftest import Materialize, RunView, Tenant

View = Callable[[str], RunView]
AddTenant = Callable[..., Tenant]


def session_of(database: Database, tenant: Tenant, seen: RunView) -> Session:
    return get_session(database, tenant.source.workspace_id, UUID(seen.run.tags[SESSION_TAG]))


def test_all_tables_are_materialised_with_their_true_counts(
    database: Database,
    instance: DagsterInstance,
    sandbox: SandboxServer,
    add_tenant: AddTenant,
    materialize: Materialize,
    view: View,
) -> None:
    tenant = add_tenant(customers=30, invoices=120)
    seen = view(materialize(tenant.source.key, batch_size=50).run_id)

    assert seen.run.status is DagsterRunStatus.SUCCESS
    shown = seen.materialized()
    assert set(shown) == set(SYNCED_TABLES)
    for name, rows in count_rows(database, tenant.source, list(SYNCED_TABLES.values())).items():
        assert shown[name]["dagster/partition_row_count"] == shown[name]["created"] == rows
        assert shown[name]["dagster/table_name"] == f"payments.{name}"
        assert (shown[name]["updated"], shown[name]["unchanged"], shown[name]["deleted"]) == (0, 0, 0)
    assert shown["customers"]["fetched"] == len(list(sandbox.state.truth(tenant.account.account_id, "customers"))) == 30
    assert str(shown["customers"]["preview"]).count("\n") == 6
    for table in SYNCED_TABLES.values():
        if not shown[table.name]["created"]:
            assert shown[table.name]["preview"] == "No rows."
            continue
        columns = set(str(shown[table.name]["preview"]).partition("\n")[0].strip("| ").split(" | "))
        assert not columns & personal_columns(table), "whoever sees the UI sees every workspace's"
        assert "id" in columns
    for table in SYNCED_TABLES.values():
        assert tenant.source.key in instance.get_materialized_partitions(asset_key(table))

    again = view(materialize(tenant.source.key, full_sync=True).run_id).materialized()
    assert again["invoices"]["unchanged"] == 120
    assert again["invoice_line_items"]["unchanged"] == shown["invoice_line_items"]["created"]


def test_a_run_and_its_session_name_each_other(
    database: Database, add_tenant: AddTenant, materialize: Materialize, view: View
) -> None:
    tenant = add_tenant()
    seen = view(materialize(tenant.source.key, batch_size=7).run_id)

    session = session_of(database, tenant, seen)
    assert session.dagster_run_id == seen.run_id
    assert seen.run.tags[SOURCE_TAG] == tenant.source.key
    assert (session.status, session.session_type) == (SessionStatus.COMPLETED, SessionType.INITIAL_SYNC)
    assert session.config["batch_size"] == 7
    shown = seen.materialized()["prices"]
    assert shown["session_id"] == str(session.id)
    assert shown["session"] == f"http://127.0.0.1:8000/api/v1/sync/sessions/{session.id}"


def test_two_assets_sync_two_entities(
    database: Database, add_tenant: AddTenant, materialize: Materialize, view: View
) -> None:
    tenant = add_tenant()
    seen = view(materialize(tenant.source.key, tables=["customers", "prices"]).run_id)

    assert set(seen.materialized()) == {"customers", "prices"}
    session = session_of(database, tenant, seen)
    assert session.entity_types == (Entity.CUSTOMERS, Entity.PRICES)
    assert session.session_type is SessionType.PARTIAL_SYNC
    assert count_rows(database, tenant.source, [SYNCED_TABLES["invoices"]]) == {"invoices": 0}


def test_a_child_table_alone_syncs_its_entity(
    database: Database, add_tenant: AddTenant, materialize: Materialize, view: View
) -> None:
    tenant = add_tenant()
    seen = view(materialize(tenant.source.key, tables=["invoice_line_items"]).run_id)

    assert seen.run.status is DagsterRunStatus.SUCCESS
    assert set(seen.materialized()) == {"invoice_line_items"}
    assert session_of(database, tenant, seen).entity_types == (Entity.INVOICES,)
    assert count_rows(database, tenant.source, [SYNCED_TABLES["invoices"]])["invoices"] == 50


def test_a_run_without_a_partition_is_refused(materialize: Materialize, view: View) -> None:
    seen = view(materialize(None).run_id)

    assert seen.run.status is DagsterRunStatus.FAILURE
    message, _ = seen.failure()
    assert "no partition key" in message
    assert "cyphera sync" in message


@pytest.mark.parametrize("key", ["nobody:stripe", "not a source"])
def test_a_partition_without_a_source_fails_plainly(
    instance: DagsterInstance, materialize: Materialize, view: View, key: str
) -> None:
    instance.add_dynamic_partitions(str(payment_sources.name), [key])
    seen = view(materialize(key).run_id)

    message, metadata = seen.failure()
    assert key in message
    assert "Traceback" not in message
    assert metadata["source"] == key
    assert seen.materialized() == {}
    assert SESSION_TAG not in seen.run.tags


def test_what_a_key_may_not_read_fails_and_the_rest_is_materialised(
    database: Database, instance: DagsterInstance, add_tenant: AddTenant, materialize: Materialize, view: View
) -> None:
    tenant = add_tenant(lacks={"invoice"})
    key = tenant.source.key
    seen = view(materialize(key).run_id)

    assert session_of(database, tenant, seen).status is SessionStatus.PARTIAL
    assert seen.run.status is DagsterRunStatus.FAILURE
    assert set(seen.materialized()) == {
        table.name for table in SYNCED_TABLES.values() if table.entity is not Entity.INVOICES
    }
    message, metadata = seen.failure()
    assert "invoices did not complete" in message
    assert "invoices" in metadata
    assert "customers" not in metadata
    assert metadata["status"] == "partial"
    assert shown_as_failed(instance, "invoices", key)
    assert shown_as_failed(instance, "invoice_line_items", key)
    assert not shown_as_failed(instance, "customers", key)


def shown_as_failed(instance: DagsterInstance, table: str, partition: str) -> bool:
    """Whether the UI shows that partition of the table as failed."""
    status = get_and_update_asset_status_cache_value(
        instance, asset_key(SYNCED_TABLES[table]), payment_sources, dynamic_partitions_loader=instance
    )
    assert status is not None
    failed = status.deserialize_failed_partition_subsets(payment_sources).get_partition_keys()
    done = status.deserialize_materialized_partition_subsets(payment_sources).get_partition_keys()
    assert (partition in failed) != (partition in done)
    return partition in failed


def test_an_object_that_cannot_be_loaded_fails_its_tables_only(
    sandbox: SandboxServer, add_tenant: AddTenant, materialize: Materialize, view: View
) -> None:
    tenant = add_tenant()
    victim = next(iter(sandbox.state.truth(tenant.account.account_id, "subscriptions")))["id"]
    sandbox.state.patch(tenant.account.account_id, victim, {"created": "yesterday"}, with_event=False)
    seen = view(materialize(tenant.source.key).run_id)

    assert set(seen.materialized()) == {
        table.name for table in SYNCED_TABLES.values() if table.entity is not Entity.SUBSCRIPTIONS
    }
    message, metadata = seen.failure()
    assert "1 of subscriptions" in message
    assert "1 object could not be loaded" in str(metadata["subscriptions"])


def test_a_rejected_key_materialises_nothing(
    database: Database,
    add_tenant: AddTenant,
    sandbox: SandboxServer,
    materialize: Materialize,
    view: View,
) -> None:
    tenant = add_tenant()
    sandbox.state.remove_account(tenant.account.account_id, livemode=False)
    seen = view(materialize(tenant.source.key).run_id)

    assert seen.run.status is DagsterRunStatus.FAILURE
    assert seen.materialized() == {}
    assert session_of(database, tenant, seen).status is SessionStatus.FAILED
    assert seen.failure()[1]["status"] == "failed"


def test_a_session_in_the_runs_tag_is_carried_out_as_it_was_asked_for(
    database: Database, add_tenant: AddTenant, materialize: Materialize, view: View
) -> None:
    tenant = add_tenant()
    session = open_session(database, tenant.source, SyncRequest(batch_size=9))
    seen = view(materialize(tenant.source.key, tags={SESSION_TAG: str(session.id)}).run_id)

    ended = session_of(database, tenant, seen)
    assert (ended.id, ended.status, ended.dagster_run_id) == (session.id, SessionStatus.COMPLETED, seen.run_id)
    assert seen.materialized()["customers"]["requests"] == 3  # 20 customers in pages of 9


def test_a_run_that_is_repeated_gets_a_session_of_its_own(
    database: Database, instance: DagsterInstance, add_tenant: AddTenant, materialize: Materialize, view: View
) -> None:
    tenant = add_tenant()
    first = view(materialize(tenant.source.key, tables=["products"]).run_id)
    ended = first.run.tags[SESSION_TAG]
    again = view(materialize(tenant.source.key, tables=["products"], tags={SESSION_TAG: ended}).run_id)

    assert again.run.status is DagsterRunStatus.SUCCESS
    assert again.run.tags[SESSION_TAG] != ended
    assert session_of(database, tenant, first).dagster_run_id == first.run_id
    assert any(f"{ended} is completed already" in str(entry.user_message) for entry in instance.all_logs(again.run_id))


@pytest.mark.parametrize("chosen", [{}, {"batch_size": 30, "conflict_strategy": "OVERWRITE"}])
def test_a_run_that_is_repeated_asks_for_the_same_but_for_what_its_configuration_says(
    database: Database, add_tenant: AddTenant, materialize: Materialize, view: View, chosen: dict[str, object]
) -> None:
    tenant = add_tenant()
    asked = SyncRequest(
        batch_size=20,
        full_sync=True,
        conflict_strategy=ConflictStrategy.FLAG,
        entities=(Entity.PRODUCTS, Entity.PRICES),
    )
    tags = {SESSION_TAG: str(open_session(database, tenant.source, asked).id)}
    materialize(tenant.source.key, tables=["products", "prices"], tags=tags)
    again = view(materialize(tenant.source.key, tables=["products"], tags=tags, **chosen).run_id)

    session = session_of(database, tenant, again)
    assert session.entity_types == (Entity.PRODUCTS,)
    own = {"batch_size": 30, "conflict_strategy": "overwrite"} if chosen else {}
    assert session.config == asked.as_config() | own


def test_a_sync_of_changes_that_is_repeated_is_one_again(
    database: Database, add_tenant: AddTenant, materialize: Materialize, view: View
) -> None:
    tenant = add_tenant()
    materialize(tenant.source.key)
    asked = SyncRequest(only_changes=True, conflict_strategy=ConflictStrategy.SKIP)
    tags = {SESSION_TAG: str(open_session(database, tenant.source, asked).id)}
    materialize(tenant.source.key, tags=tags)
    session = session_of(database, tenant, view(materialize(tenant.source.key, tags=tags).run_id))

    assert str(session.id) != tags[SESSION_TAG]
    assert (session.session_type, session.config) == (SessionType.DELTA_SYNC, asked.as_config())


@pytest.mark.parametrize("strategy", list(ConflictStrategy))
def test_a_run_chooses_what_becomes_of_rows_that_differ(
    database: Database, add_tenant: AddTenant, materialize: Materialize, view: View, strategy: ConflictStrategy
) -> None:
    tenant = add_tenant()
    seen = view(materialize(tenant.source.key, tables=["products"], conflict_strategy=strategy.name).run_id)

    assert seen.run.status is DagsterRunStatus.SUCCESS
    assert session_of(database, tenant, seen).config["conflict_strategy"] == strategy.value


@pytest.mark.parametrize("tag", ["other workspace's", "00000000-0000-4000-8000-000000000000", "not an id"])
def test_a_session_that_is_not_the_sources_is_refused(
    database: Database, add_tenant: AddTenant, materialize: Materialize, view: View, tag: str
) -> None:
    tenant = add_tenant()
    if tag == "other workspace's":
        tag = str(open_session(database, add_tenant().source, SyncRequest()).id)
    seen = view(materialize(tenant.source.key, tags={SESSION_TAG: tag}).run_id)

    assert seen.run.status is DagsterRunStatus.FAILURE
    assert tag in seen.failure()[0]
    assert seen.materialized() == {}


def test_no_secret_reaches_dagsters_database(
    database: Database,
    sandbox: SandboxServer,
    add_tenant: AddTenant,
    materialize: Materialize,
    view: View,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CYPHERA_PREVIEW_PERSONAL_DATA", "1")
    tenant = add_tenant(lacks={"product"}, customers=3)
    secret = next(iter(tenant.account.restricted_keys))
    # Without its prefix, which may be shown, and in which Markdown might escape the underscores.
    needle = secret.removeprefix("rk_test_")
    account_id = tenant.account.account_id
    customer, invoice = (next(iter(sandbox.state.truth(account_id, name)))["id"] for name in ("customers", "invoices"))
    sandbox.state.patch(account_id, customer, {"name": f"{secret} | x", "email": secret}, with_event=False)
    sandbox.state.patch(account_id, invoice, {"created": secret}, with_event=False)
    shown = view(materialize(tenant.source.key).run_id).materialized()

    assert "***" in str(shown["customers"]["preview"])
    engine = create_engine(database.dagster_url)
    with engine.connect() as connection:
        tables = connection.execute(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")).scalars().all()
        assert "event_logs" in tables
        for table in tables:
            found = text(f"SELECT count(*) FROM {table} AS t WHERE t::text LIKE :secret")
            assert connection.execute(found, {"secret": f"%{needle}%"}).scalar_one() == 0, table
    engine.dispose()
