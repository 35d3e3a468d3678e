"""A purged workspace leaves no trace in any table or file, and nobody else's row is touched."""

import hashlib
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import pytest
from dagster import AssetKey, DagsterEventType, DagsterInstance
from sqlalchemy import Engine, create_engine, text
from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.errors import NotFoundError
from cyphera_pipelines.model.purges import DAGSTER_RUNS, Purge, PurgeUnderWayError
from cyphera_pipelines.model.runs import SOURCES_PARTITIONS
from cyphera_pipelines.model.sessions import SessionEvent, SessionStatus, SyncRequest
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.model.workspace import Workspace
from cyphera_pipelines.orchestration import purging
from cyphera_pipelines.providers.base import ProviderAccount
from cyphera_pipelines.sandbox import SandboxServer
from cyphera_pipelines.store.analysts import add_analyst
from cyphera_pipelines.store.api_keys import create_api_key, find_caller
from cyphera_pipelines.store.audit import list_audit_entries
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.events import record_events
from cyphera_pipelines.store.locks import source_lock
from cyphera_pipelines.store.purges import complete_purge, delete_rows_of, find_purge, forget_names, request_purge
from cyphera_pipelines.store.sessions import finish_session, get_session, list_sessions, start_session
from cyphera_pipelines.store.webhooks import find_webhook_target
from cyphera_pipelines.store.workspaces import create_workspace, find_workspace
from cyphera_pipelines.sync.connection import ConnectionReport, record_connection
from cyphera_pipelines.sync.request import open_session
from cyphera_pipelines_tests.orchestration.conftest import Materialize, Tenant, evaluate
from cyphera_pipelines_tests.webhooks import keep_webhook

EMAIL, NAME = "planted.person@victim.example", "Planted Person"
DEADLINE_SECONDS = 180.0
AddTenant = Callable[..., Tenant]


@dataclass(frozen=True)
class Servers:
    """Both databases."""

    product: Engine
    dagster: Engine

    def texts(self) -> dict[str, str]:
        """Every row of every table as text, bytes and Postgres' own statistics included."""
        found = {}
        for engine in (self.product, self.dagster):
            with engine.connect() as connection:
                tables = connection.execute(
                    text(
                        "SELECT quote_ident(schemaname) || '.' || quote_ident(tablename) FROM pg_tables "
                        "WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
                    )
                ).scalars()
                for table in [*tables, "pg_catalog.pg_stats"]:
                    rows = connection.execute(text(f"SELECT found::text FROM {table} AS found")).scalars()
                    found[f"{engine.url.database} {table}"] = "\n".join(rows)
        return found

    def rows_of(self, workspace_id: UUID) -> dict[str, str]:
        """A digest of the workspace's rows by table."""
        digests = {}
        with self.product.connect() as connection:
            tables = connection.execute(
                text(
                    "SELECT table_schema || '.' || table_name FROM information_schema.columns "
                    "WHERE column_name = 'workspace_id' AND table_schema IN ('sync', 'payments')"
                )
            ).scalars()
            for table in list(tables):
                rows = text(f"SELECT found::text FROM {table} AS found WHERE workspace_id = :id ORDER BY 1")
                found = connection.execute(rows, {"id": workspace_id}).scalars().all()
                if found:
                    digests[table] = f"{len(found)} {hashlib.sha256(repr(found).encode()).hexdigest()}"
        return digests


@pytest.fixture
def servers(database: Database) -> Servers:
    return Servers(database.engine, create_engine(database.dagster_url, isolation_level="AUTOCOMMIT"))


@pytest.fixture(autouse=True)
def runs_are_settled_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(purging, "SETTLED_AFTER", 0.0)


def where(found: dict[str, str]) -> list[str]:
    forms = [form for needle in (EMAIL, NAME) for form in (needle, needle.encode().hex())]
    return [name for name, value in found.items() if any(form in value for form in forms)]


def files(home: Path) -> dict[str, str]:
    """But for the server's own, which it overwrites when it comes to it."""
    return {
        str(path.relative_to(home)): path.read_bytes().decode("latin-1")
        for path in home.rglob("*")
        if path.is_file() and (path.relative_to(home).parts[0] != "postgres" or path.suffix == ".log")
    }


def plant(tenant: Tenant, sandbox: SandboxServer, database: Database, materialize: Materialize, home: Path) -> None:
    """Put a person into everything that may ever hold one."""
    account, source = tenant.account.account_id, tenant.source
    first, second, *_others = sandbox.state.truth(account, "customers")
    product = next(iter(sandbox.state.truth(account, "products")))
    sandbox.state.patch(account, first["id"], {"email": EMAIL, "name": NAME})
    sandbox.state.patch(account, product["id"], {"name": f"Plan for {EMAIL}"})
    assert materialize(source.key).success
    sandbox.state.patch(account, second["id"], {"email": EMAIL, "balance": "not a number"})
    run = materialize(source.key, full_sync=True)
    assert not run.success
    session = open_session(database, source, SyncRequest())
    record_events(database, session, [SessionEvent("told", f"{NAME} was told.", event_details={"email": EMAIL})])
    finish_session(database, session, SessionStatus.FAILED, error_summary={"message": f"{EMAIL} is odd."})
    target = find_webhook_target(database, source.provider, source.configuration_id)
    assert target is not None
    payload = {"data": {"object": {"email": EMAIL, "name": NAME}}}
    keep_webhook(
        database, target, external_id="evt_1", kind="customer.updated", entity=Entity.CUSTOMERS, payload=payload
    )
    workspace = find_workspace(database, source.workspace_slug)
    create_api_key(database, workspace, f"{NAME}'s key")
    add_analyst(database, workspace, "planted")
    printed = home / "dagster" / "compute_logs" / run.run_id / "compute_logs" / "step.err"
    printed.parent.mkdir(parents=True, exist_ok=True)
    printed.write_text(f"{EMAIL} went wrong.")
    with database.control() as connection:
        connection.execute(text("ANALYZE"))


def finish(instance: DagsterInstance, database: Database, purge: Purge) -> Purge:
    """Let the sensor look until the purge has completed, but not for ever."""

    def look() -> Purge:
        evaluate(instance, "requested_purges")
        return find_purge(database, purge.id)

    patience = Retrying(
        retry=retry_if_result(lambda found: not purging.is_over(found)),
        stop=stop_after_delay(DEADLINE_SECONDS),
        wait=wait_fixed(0.1),
    )
    return patience(look)


@pytest.mark.slow
def test_nothing_of_a_purged_workspace_is_left(
    add_tenant: AddTenant,
    sandbox: SandboxServer,
    database: Database,
    instance: DagsterInstance,
    materialize: Materialize,
    servers: Servers,
    home: Path,
) -> None:
    sizes = {"customers": 6, "products": 2, "prices": 3, "subscriptions": 3, "invoices": 6}
    other, victim = add_tenant(**sizes), add_tenant(**sizes)
    others_run = materialize(other.source.key).run_id
    plant(victim, sandbox, database, materialize, home)
    others_rows = servers.rows_of(other.source.workspace_id)
    others_events = len(instance.all_logs(others_run))
    planted = where(servers.texts())
    for table in (
        "cyphera payments.customers",
        "cyphera sync.payment_sync_sessions",
        "cyphera sync.payment_sync_events",
        "cyphera sync.webhook_events",
        "cyphera sync.workspace_api_keys",
        "cyphera sync.audit_entries",
        "cyphera pg_catalog.pg_stats",
        "dagster public.event_logs",
        "dagster public.asset_keys",
    ):
        assert table in planted, "the search finds what is there"
    assert any("compute_logs" in name for name in where(files(home)))

    workspace = find_workspace(database, victim.source.workspace_slug)
    purge = request_purge(database, workspace)
    assert request_purge(database, workspace).id == purge.id, "it is under way"
    done = finish(instance, database, purge)

    assert where(servers.texts()) == []
    assert where(files(home)) == []
    assert done.deleted["payments.customers"] == 6
    assert done.deleted[DAGSTER_RUNS] == 2
    left = servers.rows_of(workspace.id)
    assert left.keys() == {"sync.purges", "sync.audit_entries"}
    assert not instance.has_dynamic_partition(SOURCES_PARTITIONS, victim.source.key)
    with servers.product.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM pg_roles WHERE rolname LIKE '%\\_planted'")).scalar() == 0
    newest = list_audit_entries(database, workspace.id)
    assert newest[0].action == "workspace.purged"
    assert newest[0].details["rows"] == done.rows
    assert {entry.action for entry in newest} > {"workspace.created", "key.created", "workspace.purge_requested"}

    assert servers.rows_of(other.source.workspace_id) == others_rows
    assert len(instance.all_logs(others_run)) == others_events
    products = AssetKey(["payments", "products"])
    shown = instance.get_latest_materialization_event(products)
    assert shown is not None
    assert shown.run_id == others_run, "the last that there still is"
    assert materialize(other.source.key).success
    assert create_workspace(database, workspace.slug).id != workspace.id, "the slug is free again"


@pytest.mark.slow
def test_a_sync_under_way_is_ended_and_waited_for_and_nothing_new_begins(
    add_tenant: AddTenant, database: Database, instance: DagsterInstance, servers: Servers
) -> None:
    source: Source = add_tenant(customers=3).source
    workspace = find_workspace(database, source.workspace_slug)
    key, presented = create_api_key(database, workspace, "backend")
    target = find_webhook_target(database, source.provider, source.configuration_id)
    assert target is not None
    running = open_session(database, source, SyncRequest())
    assert start_session(database, running, None)
    with source_lock(database, source):
        purge = request_purge(database, workspace, source.provider)
        evaluate(instance, "requested_purges")
        waiting = find_purge(database, purge.id)
        assert waiting.waits_for == f"the sync of {source.key}, which is cancelled, to stop"
        assert get_session(database, workspace.id, running.id).status is SessionStatus.CANCELLED
        with pytest.raises(PurgeUnderWayError):
            open_session(database, source, SyncRequest())
        with pytest.raises(NotFoundError):
            keep_webhook(database, target, external_id="evt_late", kind="k", entity=Entity.CUSTOMERS, payload={})
    finish(instance, database, purge)
    # A connection test that took its time.
    record_connection(database, source, ConnectionReport(ProviderAccount("acct_late", NAME, livemode=False)))
    assert servers.rows_of(workspace.id).keys() == {"sync.purges", "sync.audit_entries", "sync.workspace_api_keys"}
    assert list_sessions(database, workspace.id) == []
    assert find_caller(database, workspace.id, presented) is not None, "only the source is gone"
    told = {entry.action: entry for entry in list_audit_entries(database, workspace.id)}
    assert told["source.purged"].subject_id == source.key
    assert told["key.created"].subject_id == str(key.id)


def test_who_comes_late_to_a_purge_deletes_nothing_of_a_source_that_was_connected_anew(
    add_tenant: AddTenant,
    add_source: Callable[..., Source],
    database: Database,
    instance: DagsterInstance,
    servers: Servers,
) -> None:
    source: Source = add_tenant(customers=3).source
    workspace = find_workspace(database, source.workspace_slug)
    purge = request_purge(database, workspace, source.provider)
    finish(instance, database, purge)
    anew = add_source("sk_test_connected_anew", workspace=workspace)
    open_session(database, anew, SyncRequest())
    before = servers.rows_of(workspace.id)
    assert delete_rows_of(database, purge, until=float("inf"), on_piece=lambda: None)
    forget_names(database, purge)
    assert not complete_purge(database, purge)
    assert servers.rows_of(workspace.id) == before


def test_a_killed_purge_goes_on_where_it_was(
    add_tenant: AddTenant, database: Database, instance: DagsterInstance, materialize: Materialize, servers: Servers
) -> None:
    tenant = add_tenant(customers=120, products=5, prices=5, subscriptions=40, invoices=60)
    assert materialize(tenant.source.key).success
    before = servers.rows_of(tenant.source.workspace_id)
    workspace: Workspace = find_workspace(database, tenant.source.workspace_slug)
    purge = request_purge(database, workspace, tenant.source.provider)
    module = "cyphera_pipelines_tests.orchestration.purge_process"

    def counted() -> int:
        return find_purge(database, purge.id).deleted.get("payments.invoice_line_items", 0)

    patience = Retrying(
        retry=retry_if_result(lambda count: not count), stop=stop_after_delay(DEADLINE_SECONDS), wait=wait_fixed(0.01)
    )
    with database.control() as connection:
        # So that it does not come to its end before it is killed.
        held = text("SELECT FROM payments.customers WHERE workspace_id = :id FOR UPDATE")
        connection.execute(held, {"id": workspace.id})
        worker = subprocess.Popen([sys.executable, "-m", module, str(purge.id)])
        patience(counted)
        worker.send_signal(signal.SIGKILL)
        worker.wait(DEADLINE_SECONDS)
    assert not purging.is_over(find_purge(database, purge.id))
    done = finish(instance, database, purge)
    for table, digest in before.items():
        if table.startswith("payments."):
            assert done.deleted[table] == int(digest.partition(" ")[0]), "each row was counted once"
    assert not any(table.startswith("payments.") for table in servers.rows_of(workspace.id))
    assert instance.get_records_for_run("none", of_type=DagsterEventType.ASSET_MATERIALIZATION).records == [], (
        "Dagster still answers"
    )
