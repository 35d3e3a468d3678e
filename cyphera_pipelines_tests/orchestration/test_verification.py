"""A verification that somebody asks for as a session: Dagster carries it out, and the session tells of it."""

from collections.abc import Callable

import pytest
from dagster import DagsterInstance, DagsterRunStatus
from sqlalchemy import text

from cyphera_pipelines.definitions import definitions
from cyphera_pipelines.model.runs import SESSION_TAG, SOURCE_TAG, VERIFICATION_JOB
from cyphera_pipelines.model.sessions import Session, SessionStatus, SessionType, SyncRequest, Verification
from cyphera_pipelines.orchestration.outbox import run_request
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.events import list_events
from cyphera_pipelines.store.sessions import finish_session, get_session
from cyphera_pipelines.store.verifications import list_verifications
from cyphera_pipelines.sync.request import open_only_session
from cyphera_pipelines_tests.orchestration.conftest import Materialize, Tenant


def _ask(database: Database, tenant: Tenant, verification: Verification) -> Session:
    request = SyncRequest(full_sync=True, verification=verification)
    return open_only_session(database, tenant.source, request, kind=SessionType.PARTIAL_SYNC)


def _carry_out(instance: DagsterInstance, tenant: Tenant, session: Session) -> DagsterRunStatus:
    request = run_request(session, tenant.source.key)
    assert request.job_name == VERIFICATION_JOB
    result = definitions.resolve_job_def(VERIFICATION_JOB).execute_in_process(
        partition_key=request.partition_key,
        instance=instance,
        tags={SESSION_TAG: str(session.id), SOURCE_TAG: tenant.source.key},
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        raise_on_error=False,
    )
    run = instance.get_run_by_id(result.run_id)
    assert run is not None
    return run.status


@pytest.fixture
def tenant(add_tenant: Callable[..., Tenant], materialize: Materialize, database: Database) -> Tenant:
    """A synced source of which one row is wrong, and one gone."""
    made = add_tenant(customers=6, products=2, prices=2, subscriptions=3, invoices=3)
    assert materialize(made.source.key).success
    with database.tenant(made.source.workspace_id) as connection:
        connection.execute(
            text(
                "UPDATE payments.customers SET content_hash = '\\x00', name = 'somebody else' "
                "WHERE id = (SELECT min(id) FROM payments.customers)"
            )
        )
    return made


def test_a_comparison_tells_what_differs_and_changes_nothing(
    tenant: Tenant, instance: DagsterInstance, database: Database
) -> None:
    session = _ask(database, tenant, Verification.COMPARE)
    assert session.config["verification"] == "compare"
    assert _carry_out(instance, tenant, session) is DagsterRunStatus.SUCCESS
    ended = get_session(database, session.workspace_id, session.id)
    assert (ended.status, ended.error_summary) == (SessionStatus.COMPLETED, None)
    messages = [event.event_message for event in list_events(database, session.workspace_id, session.id)]
    assert any("customers: 6 checked, 1 differed, 0 mended" in message for message in messages)
    assert any("Rows that differed: 1, of which 0 were mended." in message for message in messages)
    found = {each.entity.value: each.open_differences for each in list_verifications(database, tenant.source)}
    assert found["customers"] == 1
    assert _name_of_first(database, tenant) == "somebody else"


def test_a_repair_mends_what_differs(tenant: Tenant, instance: DagsterInstance, database: Database) -> None:
    session = _ask(database, tenant, Verification.REPAIR)
    assert _carry_out(instance, tenant, session) is DagsterRunStatus.SUCCESS
    assert get_session(database, session.workspace_id, session.id).status is SessionStatus.COMPLETED
    assert {each.open_differences for each in list_verifications(database, tenant.source)} == {0}
    assert _name_of_first(database, tenant) != "somebody else"


def test_a_session_that_has_ended_ends_the_run(tenant: Tenant, instance: DagsterInstance, database: Database) -> None:
    session = _ask(database, tenant, Verification.COMPARE)
    finish_session(database, session, SessionStatus.CANCELLED)
    assert _carry_out(instance, tenant, session) is DagsterRunStatus.CANCELED
    assert get_session(database, session.workspace_id, session.id).status is SessionStatus.CANCELLED


def _name_of_first(database: Database, tenant: Tenant) -> str:
    with database.tenant(tenant.source.workspace_id) as connection:
        row: str = connection.execute(text("SELECT name FROM payments.customers ORDER BY id LIMIT 1")).scalar_one()
    return row
