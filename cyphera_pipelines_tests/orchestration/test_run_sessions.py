"""Two runs never carry out one session, and a run whose session was cancelled is cancelled too."""

import itertools
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from dagster import DagsterInstance, DagsterRunStatus

from cyphera_pipelines.definitions import definitions
from cyphera_pipelines.model.runs import OUTBOX_SENSOR, RUN_KEY_TAG, SENSOR_TAG, SESSION_TAG
from cyphera_pipelines.model.sessions import Session, SessionStatus, SyncRequest
from cyphera_pipelines.sandbox import SandboxServer
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.sessions import (
    claim_session,
    finish_session,
    get_session,
    list_sessions,
    start_session,
)
from cyphera_pipelines.sync.cancellation import Cancellation, cancel_session
from cyphera_pipelines.sync.request import open_session
from cyphera_pipelines_tests.orchestration.conftest import Materialize, RunView, Tenant, evaluate
from cyphera_pipelines_tests.orchestration.test_partitions import remove
from cyphera_pipelines_tests.orchestration.test_run import slowly

AddTenant = Callable[..., Tenant]
View = Callable[[str], RunView]


def tags_of(session: Session) -> dict[str, str]:
    """The tags of a run that the API or the outbox sensor started for the session."""
    return {SESSION_TAG: str(session.id), RUN_KEY_TAG: str(session.id), SENSOR_TAG: OUTBOX_SENSOR}


def reload(database: Database, session: Session) -> Session:
    return get_session(database, session.workspace_id, session.id)


def test_of_runs_that_ask_for_a_session_at_once_one_gets_it(database: Database, add_tenant: AddTenant) -> None:
    session = open_session(database, add_tenant().source, SyncRequest())
    runs = [f"run {number}" for number in range(8)]
    together = threading.Barrier(len(runs))

    def claim(run_id: str) -> bool:
        together.wait()
        return claim_session(database, session, run_id)

    with ThreadPoolExecutor(len(runs)) as threads:
        claims = dict(zip(runs, threads.map(claim, runs), strict=True))
    (winner,) = [run_id for run_id, has_it in claims.items() if has_it]
    assert reload(database, session).dagster_run_id == winner
    assert [run_id for run_id in runs if start_session(database, session, run_id)] == [winner]


def test_a_second_run_for_a_session_does_nothing(
    database: Database, instance: DagsterInstance, add_tenant: AddTenant, materialize: Materialize, view: View
) -> None:
    tenant = add_tenant()
    session = open_session(database, tenant.source, SyncRequest())
    first = instance.create_run_for_job(definitions.resolve_job_def("sync_source"), tags=tags_of(session))
    start_session(database, session, first.run_id)

    second = view(materialize(tenant.source.key, tags=tags_of(session)).run_id)
    assert second.run.status is DagsterRunStatus.CANCELED
    assert second.materialized() == {}
    assert "carried out by another run" in second.failure()[0]
    untouched = reload(database, session)
    assert (untouched.status, untouched.dagster_run_id) == (SessionStatus.RUNNING, first.run_id)
    assert [found.id for found in list_sessions(database, session.workspace_id)] == [session.id]


def test_a_session_cancelled_while_its_run_was_queued_is_not_synced(
    database: Database, add_tenant: AddTenant, materialize: Materialize, view: View
) -> None:
    tenant = add_tenant()
    session = open_session(database, tenant.source, SyncRequest())
    finish_session(database, session, SessionStatus.CANCELLED, error_summary={"message": "Nobody needs it."})

    seen = view(materialize(tenant.source.key, tags=tags_of(session)).run_id)
    assert seen.run.status is DagsterRunStatus.CANCELED
    assert f"{session.id} is cancelled already" in seen.failure()[0]
    assert seen.materialized() == {}
    assert [found.id for found in list_sessions(database, session.workspace_id)] == [session.id]


def test_a_session_cancelled_while_it_is_synced_cancels_its_run_and_says_what_was_merged(
    database: Database, sandbox: SandboxServer, add_tenant: AddTenant, materialize: Materialize, view: View
) -> None:
    tenant = add_tenant(invoices=400)
    session = open_session(database, tenant.source, SyncRequest(batch_size=1))
    cancellation = Cancellation("Cancelled by the key cyk_1234.", {"api_key_id": "cyk_1234"})

    def cancel() -> None:
        cancel_session(database, session, cancellation)

    with slowly(sandbox), when_asked_for_the(40, sandbox, cancel):
        seen = view(materialize(tenant.source.key, tags=tags_of(session)).run_id)
    assert seen.run.status is DagsterRunStatus.CANCELED
    ended = reload(database, session)
    assert ended.status is SessionStatus.CANCELLED
    assert ended.error_summary is not None
    assert ended.error_summary["cancelled_by"] == cancellation.cancelled_by
    assert ended.error_summary["message"].startswith(f"{cancellation.reason} Merged until then: ")
    merged = {name: counts["created"] for name, counts in ended.error_summary["merged"].items()}
    assert 0 < sum(merged.values()) < 400
    assert merged == {entity.value: counts["created"] for entity, counts in ended.entity_progress()}


def test_a_run_whose_configuration_was_removed_tells_its_session_why(
    database: Database, instance: DagsterInstance, add_tenant: AddTenant, materialize: Materialize, view: View
) -> None:
    tenant = add_tenant()
    session = open_session(database, tenant.source, SyncRequest())
    cursor = evaluate(instance, "sessions_of_failed_runs").cursor
    remove(database, tenant.source)
    seen = view(materialize(tenant.source.key, tags=tags_of(session)).run_id)
    assert seen.run.status is DagsterRunStatus.FAILURE

    evaluate(instance, "sessions_of_failed_runs", cursor)
    ended = reload(database, session)
    assert ended.status is SessionStatus.FAILED
    assert ended.error_summary is not None
    assert f"no active source '{tenant.source.key}'" in ended.error_summary["message"]


@pytest.mark.parametrize("changed", [False, True])
def test_a_sync_of_changes_shows_only_what_changed(
    database: Database,
    sandbox: SandboxServer,
    add_tenant: AddTenant,
    materialize: Materialize,
    view: View,
    changed: bool,
) -> None:
    tenant = add_tenant()
    materialize(tenant.source.key)
    if changed:
        customer = next(iter(sandbox.state.truth(tenant.account.account_id, "customers")))
        sandbox.state.patch(tenant.account.account_id, customer["id"], {"name": "Another name"})
    done = materialize(tenant.source.key, only_changes=True)
    seen = view(done.run_id)
    assert seen.run.status is DagsterRunStatus.SUCCESS
    assert set(seen.materialized()) == ({"customers"} if changed else set())
    if not changed:
        assert done.get_asset_check_evaluations() == []


@contextmanager
def when_asked_for_the(number: int, sandbox: SandboxServer, act: Callable[[], None]) -> Iterator[None]:
    """Act when the sandbox gets its so-manieth request."""
    numbers = itertools.count(1)

    def watch(_endpoint: str, _query: str) -> None:
        if next(numbers) == number:
            act()

    sandbox.state.watchers.append(watch)
    try:
        yield
    finally:
        sandbox.state.watchers.remove(watch)
