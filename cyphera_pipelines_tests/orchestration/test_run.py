import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID, uuid4

import pytest
from dagster import DagsterInstance, DagsterRun, DagsterRunStatus, RunsFilter
from sqlalchemy import text

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.runs import CODE_LOCATION, PARTITION_TAG, SESSION_TAG, SOURCE_TAG
from cyphera_pipelines.model.sessions import ConflictStrategy, Session, SessionStatus, SyncRequest
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.orchestration import run as run_module
from cyphera_pipelines.orchestration.assets import SYNC_STEP
from cyphera_pipelines.orchestration.run import run_source_sync
from cyphera_pipelines.orchestration.run_record import RunRecordLostError
from cyphera_pipelines.orchestration.run_sessions import cancel_session
from cyphera_pipelines.sandbox import SandboxOptions, SandboxServer
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.sessions import get_session, list_sessions
from cyphera_pipelines.sync.request import open_session
from cyphera_pipelines_tests.orchestration.conftest import Materialize, RunView, Tenant

AddTenant = Callable[..., Tenant]
View = Callable[[str], RunView]
T = TypeVar("T")
PATIENCE_SECONDS = 180.0


def wait_for(condition: Callable[[], T | None]) -> T:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        result = condition()
        if result:
            return result
        time.sleep(0.05)
    raise AssertionError("it did not happen in time")


def reload(database: Database, session: Session) -> Session:
    return get_session(database, session.workspace_id, session.id)


def test_a_session_is_carried_out_in_a_run_of_the_job(
    database: Database, instance: DagsterInstance, add_tenant: AddTenant, view: View
) -> None:
    tenant = add_tenant()
    request = SyncRequest(entities=(Entity.PRODUCTS, Entity.PRICES), batch_size=4)
    session = open_session(database, tenant.source, request)
    waits: list[None] = []
    run_id = run_source_sync(database, tenant.source, session, request, on_wait=lambda: waits.append(None))

    ended = reload(database, session)
    assert (ended.status, ended.dagster_run_id) == (SessionStatus.COMPLETED, run_id)
    seen = view(run_id)
    assert set(seen.materialized()) == {"products", "prices", "price_tiers", "price_currency_options"}
    expected = {SESSION_TAG: str(session.id), SOURCE_TAG: tenant.source.key, PARTITION_TAG: tenant.source.key}
    assert expected.items() <= seen.run.tags.items()
    # As the job's page of the UI asks for them.
    listed = instance.get_runs(
        RunsFilter(job_name="sync_source", tags={".dagster/repository": f"__repository__@{CODE_LOCATION}"})
    )
    assert run_id in {run.run_id for run in listed}


def test_the_runs_page_tells_every_option_and_a_repetition_has_them_too(
    database: Database, add_tenant: AddTenant, materialize: Materialize, view: View
) -> None:
    tenant = add_tenant()
    request = SyncRequest(batch_size=7, full_sync=True, conflict_strategy=ConflictStrategy.SKIP)
    session = open_session(database, tenant.source, request)
    seen = view(run_source_sync(database, tenant.source, session, request))
    steps: Any = seen.run.run_config["ops"]
    config = steps[SYNC_STEP]["config"]
    assert config == {"batch_size": 7, "full_sync": True, "conflict_strategy": "SKIP", "only_changes": False}

    again = view(materialize(tenant.source.key, tags={SESSION_TAG: str(session.id)}, **config).run_id)
    repeated = get_session(database, session.workspace_id, UUID(again.run.tags[SESSION_TAG]))
    assert (repeated.id != session.id, repeated.config) == (True, request.as_config())


def test_a_sync_that_fails_raises_nothing(database: Database, add_tenant: AddTenant, view: View) -> None:
    tenant = add_tenant(lacks={"invoice"})
    session = open_session(database, tenant.source, SyncRequest())
    run_id = run_source_sync(database, tenant.source, session, SyncRequest())
    assert reload(database, session).status is SessionStatus.PARTIAL
    assert view(run_id).run.status is DagsterRunStatus.FAILURE


def test_an_interruption_ends_the_session_and_passes_through(
    database: Database, sandbox: SandboxServer, add_tenant: AddTenant, view: View
) -> None:
    tenant = add_tenant(invoices=400)
    session = open_session(database, tenant.source, SyncRequest())

    def interrupt() -> None:
        if reload(database, session).status is SessionStatus.RUNNING:
            raise KeyboardInterrupt

    with slowly(sandbox), pytest.raises(KeyboardInterrupt):
        run_source_sync(database, tenant.source, session, SyncRequest(batch_size=1), on_wait=interrupt)
    ended = reload(database, session)
    assert ended.status is SessionStatus.CANCELLED
    assert ended.dagster_run_id is not None
    assert view(ended.dagster_run_id).run.status is DagsterRunStatus.CANCELED


def test_an_interruption_before_the_run_begins_leaves_none_that_waits(
    database: Database, add_tenant: AddTenant, view: View, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant = add_tenant()
    run_id = str(uuid4())
    session = open_session(database, tenant.source, SyncRequest(), dagster_run_id=run_id)

    def interrupt(*_arguments: Any, **_options: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(run_module, "run_interruptibly", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run_source_sync(database, tenant.source, session, SyncRequest())
    assert view(run_id).run.status is DagsterRunStatus.CANCELED


def test_a_session_that_ends_before_its_run_begins_is_not_made_up_for(
    database: Database, add_tenant: AddTenant, view: View
) -> None:
    tenant = add_tenant()
    session = open_session(database, tenant.source, SyncRequest(), dagster_run_id=str(uuid4()))
    cancel_session(database, session, "The sync was interrupted.")
    run_id = run_source_sync(database, tenant.source, session, SyncRequest())
    assert view(run_id).run.status is DagsterRunStatus.CANCELED
    assert [each.id for each in list_sessions(database, tenant.source.workspace_id)] == [session.id]


def test_ctrl_c_in_a_process_of_its_own_cancels_run_and_session(
    database: Database, sandbox: SandboxServer, add_tenant: AddTenant, view: View, dagster_home: Path
) -> None:
    tenant = add_tenant(invoices=400)
    session = open_session(database, tenant.source, SyncRequest())
    arguments = [tenant.source.key, str(session.id), "1"]
    module = "cyphera_pipelines_tests.orchestration.sync_process"
    with slowly(sandbox), running([sys.executable, "-m", module, *arguments], dagster_home) as process:
        wait_for(lambda: reload(database, session).status is SessionStatus.RUNNING)
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_SECONDS) == -signal.SIGINT
    ended = reload(database, session)
    assert ended.status is SessionStatus.CANCELLED
    assert view(str(ended.dagster_run_id)).run.status is DagsterRunStatus.CANCELED


@pytest.mark.parametrize("is_told_by_signal", [True, False])
def test_a_terminated_worker_cancels_its_session(
    is_told_by_signal: bool,
    database: Database,
    instance: DagsterInstance,
    sandbox: SandboxServer,
    add_tenant: AddTenant,
    dagster_home: Path,
) -> None:
    tenant = add_tenant(invoices=400)
    config = '{"ops": {"sync_payment_source": {"config": {"batch_size": 1}}}}'
    command = [
        str(Path(sys.executable).with_name("dagster")),
        *("asset", "materialize", "-m", CODE_LOCATION, "--select", "*"),
        *("--partition", tenant.source.key, "--config-json", config),
    ]
    with slowly(sandbox), running(command, dagster_home) as process:
        session = wait_for(lambda: running_session(database, tenant.source))
        run = instance.get_run_by_id(str(session.dagster_run_id))
        assert isinstance(run, DagsterRun)
        # As a launcher does when somebody terminates the run in the UI.
        instance.report_run_canceling(run)
        if is_told_by_signal:
            process.terminate()
        process.wait(PATIENCE_SECONDS)
    assert reload(database, session).status is SessionStatus.CANCELLED
    ended = instance.get_run_by_id(run.run_id)
    assert ended is not None
    assert ended.status is DagsterRunStatus.CANCELED


def test_a_run_whose_record_is_lost_says_so_and_its_sync_goes_on(
    database: Database, instance: DagsterInstance, sandbox: SandboxServer, add_tenant: AddTenant
) -> None:
    tenant = add_tenant(invoices=400)
    request = SyncRequest(entities=(Entity.INVOICES,), batch_size=10)
    session = open_session(database, tenant.source, request)
    with ExitStack() as cuts, slowly(sandbox):
        is_cut = threading.Event()

        def cut() -> None:
            if reload(database, session).status is SessionStatus.RUNNING and not is_cut.is_set():
                is_cut.set()
                cuts.enter_context(without_dagsters_database(database))

        with pytest.raises(RunRecordLostError, match="Dagster's database was lost") as raised:
            run_source_sync(database, tenant.source, session, request, on_wait=cut)
    assert "\n" not in str(raised.value)
    assert reload(database, session).status is SessionStatus.COMPLETED
    assert instance.get_run_by_id(str(reload(database, session).dagster_run_id)) is not None


@contextmanager
def without_dagsters_database(database: Database) -> Iterator[None]:
    """Nobody can connect to Dagster's database, and whoever was connected is no more."""
    refuse = "UPDATE pg_database SET datallowconn = {} WHERE datname = 'dagster'"
    cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'dagster'"
    with database.control() as connection:
        connection.execute(text(refuse.format("false")))
    with database.control() as connection:
        connection.execute(text(cut))
    try:
        yield
    finally:
        with database.control() as connection:
            connection.execute(text(refuse.format("true")))


def running_session(database: Database, source: Source) -> Session | None:
    sessions = list_sessions(database, source.workspace_id)
    return next((session for session in sessions if session.status is SessionStatus.RUNNING), None)


@contextmanager
def slowly(sandbox: SandboxServer) -> Iterator[None]:
    """The provider takes its time, so that a sync lasts long enough to be interrupted."""
    before = sandbox.state.options
    sandbox.state.set_options(SandboxOptions(latency_ms=100))
    try:
        yield
    finally:
        sandbox.state.set_options(before)


@contextmanager
def running(command: list[str], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        command, cwd=folder, env=dict(os.environ), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
