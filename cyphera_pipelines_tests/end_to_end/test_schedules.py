"""Schedules in a whole installation: what is due is synced by batches that the daemon starts, whoever is killed."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import psutil
import pytest
from dagster import AssetKey, RunsFilter
from sqlalchemy import text

from cyphera_pipelines.model.runs import BATCH_JOB, SOURCE_TAG
from cyphera_pipelines.model.sessions import Session, SessionStatus
from cyphera_pipelines.settings import project_root
from cyphera_pipelines.store.schedules import read_schedule
from cyphera_pipelines.store.sessions import list_sessions
from cyphera_pipelines_tests.due_sources import make_due
from cyphera_pipelines_tests.end_to_end.conftest import Installation, Tenant, slowly
from cyphera_pipelines_tests.end_to_end.conftest import wait_for as wait_for_a_minute
from cyphera_pipelines_tests.truth import assert_tables_equal_truth

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

PATIENCE_SECONDS = 300.0
wait_for = partial(wait_for_a_minute, within=PATIENCE_SECONDS)
INVOICES = AssetKey(["payments", "invoices"])


def test_what_is_due_is_synced_without_a_run_of_its_own_and_what_is_at_rest_leaves_nothing(
    installation: Installation,
) -> None:
    tenants = [installation.add_tenant() for _ in range(6)]
    are_made_due(installation, tenants)
    assert_level(installation, tenants)
    assert {len(sessions_of(installation, tenant)) for tenant in tenants} == {1}
    keys = {tenant.source.key for tenant in tenants}
    for key in keys:
        assert not installation.instance.get_runs(RunsFilter(tags={SOURCE_TAG: key}))
    assert keys <= installation.instance.get_materialized_partitions(INVOICES)
    events = events_of_batches(installation)
    changed, *at_rest = tenants
    installation.sandbox.apply_changes(changed.account.account_id, update={"invoices": 3})
    are_made_due(installation, tenants)
    assert_level(installation, tenants)
    assert [len(sessions_of(installation, tenant)) for tenant in (changed, *at_rest)] == [2, 1, 1, 1, 1, 1]
    # Of the tables of one source, and of the runs themselves; nothing that grows with those at rest.
    assert events_of_batches(installation) - events < 100


def test_a_batch_that_is_killed_leaves_its_sources_to_the_next(installation: Installation) -> None:
    tenants = [installation.add_tenant(customers=400, invoices=800) for _ in range(2)]
    with slowly(installation, latency_ms=1_000):
        are_made_due(installation, tenants, wait=False)
        killed = wait_for(lambda: under_way(installation, tenants))
        os.kill(process_of(installation, killed), signal.SIGKILL)
    wait_for(lambda: all(is_fresh(installation, tenant) for tenant in tenants))
    assert_level(installation, tenants)
    ended = {session.id: session for tenant in tenants for session in sessions_of(installation, tenant)}
    assert all(session.status.is_final for session in ended.values())
    interrupted = [session for session in ended.values() if session.status is not SessionStatus.COMPLETED]
    assert [session.id for session in interrupted] == [killed.id]
    assert interrupted[0].status is SessionStatus.FAILED


def test_a_daemon_that_is_killed_and_a_second_one_beside_it_sync_each_source_once(installation: Installation) -> None:
    tenants = [installation.add_tenant() for _ in range(8)]
    daemon_of(installation).kill()
    with second_daemon(installation):
        are_made_due(installation, tenants)
    assert_level(installation, tenants)
    statuses = [[session.status for session in sessions_of(installation, tenant)] for tenant in tenants]
    assert statuses == [[SessionStatus.COMPLETED]] * len(tenants)


def are_made_due(installation: Installation, tenants: Sequence[Tenant], *, wait: bool = True) -> None:
    """Make sources due now, and wait until each has been looked at."""
    checked = {tenant.source.key: checked_at(installation, tenant) for tenant in tenants}
    for tenant in tenants:
        make_due(installation.database, tenant.source)
    if wait:
        wait_for(lambda: all(checked_at(installation, each) != checked[each.source.key] for each in tenants))


def checked_at(installation: Installation, tenant: Tenant) -> object:
    state = read_schedule(installation.database, tenant.source.workspace_id, "stripe")
    return None if state is None else state.checked_at


def is_fresh(installation: Installation, tenant: Tenant) -> bool:
    state = read_schedule(installation.database, tenant.source.workspace_id, "stripe")
    return state is not None and state.fresh_at is not None


def sessions_of(installation: Installation, tenant: Tenant) -> list[Session]:
    return list_sessions(installation.database, workspace_id=tenant.source.workspace_id)


def assert_level(installation: Installation, tenants: Sequence[Tenant]) -> None:
    for tenant in tenants:
        assert is_fresh(installation, tenant)
        assert_tables_equal_truth(installation.database, tenant.source, installation.sandbox, tenant.account.account_id)


def under_way(installation: Installation, tenants: Sequence[Tenant]) -> Session | None:
    """A session that has brought something into the tables."""
    for tenant in tenants:
        for session in sessions_of(installation, tenant):
            is_running = session.status is SessionStatus.RUNNING
            if is_running and any(counts["created"] for _entity, counts in session.entity_progress()):
                return session
    return None


def process_of(installation: Installation, session: Session) -> int:
    """The process of the batch that has the session: its connections are called by its worker and its id."""
    statement = text(
        "SELECT application_name FROM pg_stat_activity JOIN sync.source_schedules AS schedule "
        "ON starts_with(application_name, 'cyphera batch ' || schedule.claimed_by) "
        "WHERE schedule.workspace_id = :workspace_id LIMIT 1"
    )
    with installation.database.control() as connection:
        name: str = connection.execute(statement, {"workspace_id": session.workspace_id}).scalar_one()
    return int(name.split()[-1])


def events_of_batches(installation: Installation) -> int:
    runs = installation.instance.get_runs(RunsFilter(job_name=BATCH_JOB))
    return sum(len(installation.instance.all_logs(run.run_id)) for run in runs)


def daemon_of(installation: Installation) -> psutil.Process:
    """The daemon of this home, and of no other."""
    home = str(installation.cyphera.home)
    for process in psutil.process_iter(["cmdline"]):
        if any("dagster-daemon" in part for part in process.info["cmdline"] or ()):
            try:
                if process.environ().get("CYPHERA_HOME") == home:
                    return process
            except psutil.Error:
                continue
    raise AssertionError("no daemon of this home runs")


@contextmanager
def second_daemon(installation: Installation) -> Iterator[None]:
    program = Path(sys.executable).with_name("dagster-daemon")
    environment = {**installation.cyphera.environment, "DAGSTER_HOME": str(project_root())}
    with subprocess.Popen(
        [str(program), "run", "--workspace", str(project_root() / "workspace.yaml")],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            yield
        finally:
            process.terminate()
