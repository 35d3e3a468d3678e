"""Sessions that the API left pending: the sensor gives each exactly one run, or an end with a reason."""

from collections.abc import Callable

import pytest
from dagster import AssetKey, DagsterInstance, DagsterRun, DagsterRunStatus, RunRequest
from dagster._core.storage.tags import MAX_RETRIES_TAG
from sqlalchemy import text

from cyphera_pipelines.definitions import definitions
from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.runs import OUTBOX_SENSOR, PARTITION_TAG, SESSION_TAG, SOURCE_TAG, SOURCES_PARTITIONS
from cyphera_pipelines.model.sessions import Session, SessionStatus, SyncRequest
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.sessions import claim_session, get_session, start_session
from cyphera_pipelines.sync.request import open_session
from cyphera_pipelines_tests.orchestration.conftest import evaluate
from cyphera_pipelines_tests.orchestration.test_partitions import remove


@pytest.fixture
def source(add_source: Callable[..., Source], database: Database) -> Source:
    # A tick sees to the oldest sessions only: those that other tests left pending must not stand before ours.
    with database.control() as connection:
        connection.execute(text("UPDATE sync.payment_sync_sessions SET status = 'cancelled' WHERE status = 'pending'"))
    return add_source("sk_test_outbox_0001")


def left_pending(database: Database, source: Source, request: SyncRequest | None = None) -> Session:
    """A session that the API wrote a while ago."""
    session = open_session(database, source, request or SyncRequest())
    with database.control() as connection:
        earlier = text("UPDATE sync.payment_sync_sessions SET created_at = now() - interval '11 s' WHERE id = :id")
        connection.execute(earlier, {"id": session.id})
    return session


def requests_for(session: Session, instance: DagsterInstance) -> list[RunRequest]:
    """The runs that one tick of the sensor asks for on behalf of the session."""
    requests = evaluate(instance, OUTBOX_SENSOR).run_requests or []
    return [request for request in requests if request.run_key == str(session.id)]


def run_of(instance: DagsterInstance, source: Source, session: Session, status: DagsterRunStatus) -> DagsterRun:
    """A run for the session that got so far."""
    tags = {SESSION_TAG: str(session.id), PARTITION_TAG: source.key, MAX_RETRIES_TAG: "0"}
    job = definitions.resolve_job_def("sync_source")
    return instance.create_run_for_job(job, tags=tags, status=status)


def test_a_pending_session_gets_one_run_under_its_own_key(
    database: Database, instance: DagsterInstance, source: Source
) -> None:
    session = left_pending(database, source)
    (request,) = requests_for(session, instance)
    assert request.partition_key == source.key
    assert request.asset_selection is None
    assert {SESSION_TAG: str(session.id), SOURCE_TAG: source.key}.items() <= request.tags.items()
    # Until the run exists, it is asked for again: Dagster makes only one for a key.
    (again,) = requests_for(session, instance)
    assert again == request


def test_only_the_entities_asked_for_are_selected(
    database: Database, instance: DagsterInstance, source: Source
) -> None:
    session = left_pending(database, source, SyncRequest(entities=(Entity.PRICES,)))
    (request,) = requests_for(session, instance)
    names = ("prices", "price_tiers", "price_currency_options")
    assert request.asset_selection == [AssetKey(["payments", name]) for name in names]


def test_the_partition_of_a_new_source_is_added_with_the_run(
    database: Database, instance: DagsterInstance, source: Source
) -> None:
    left_pending(database, source)
    assert source.key not in instance.get_dynamic_partitions(SOURCES_PARTITIONS)
    additions = evaluate(instance, OUTBOX_SENSOR).dynamic_partitions_requests or []
    assert source.key in {key for addition in additions for key in addition.partition_keys}

    instance.add_dynamic_partitions(SOURCES_PARTITIONS, [source.key])
    additions = evaluate(instance, OUTBOX_SENSOR).dynamic_partitions_requests or []
    assert source.key not in {key for addition in additions for key in addition.partition_keys}


def test_a_session_that_the_api_is_still_busy_with_is_left_alone(
    database: Database, instance: DagsterInstance, source: Source
) -> None:
    assert requests_for(open_session(database, source, SyncRequest()), instance) == []


def test_a_session_whose_run_is_known_is_left_alone(
    database: Database, instance: DagsterInstance, source: Source
) -> None:
    submitted, started = left_pending(database, source), left_pending(database, source)
    claim_session(database, submitted, "its run")
    start_session(database, started, None)
    assert requests_for(submitted, instance) == requests_for(started, instance) == []


def test_a_run_that_the_api_was_not_told_of_becomes_the_sessions(
    database: Database, instance: DagsterInstance, source: Source
) -> None:
    session = left_pending(database, source)
    run = run_of(instance, source, session, DagsterRunStatus.STARTED)
    assert requests_for(session, instance) == []
    found = get_session(database, source.workspace_id, session.id)
    assert (found.status, found.dagster_run_id) == (SessionStatus.PENDING, run.run_id)


def test_a_run_that_was_made_but_not_queued_is_asked_for_by_its_key(
    database: Database, instance: DagsterInstance, source: Source
) -> None:
    session = left_pending(database, source)
    run_of(instance, source, session, DagsterRunStatus.NOT_STARTED)
    assert len(requests_for(session, instance)) == 1


@pytest.mark.parametrize(
    ("run_status", "status"),
    [(DagsterRunStatus.FAILURE, SessionStatus.FAILED), (DagsterRunStatus.CANCELED, SessionStatus.CANCELLED)],
)
def test_a_session_ends_with_a_run_that_ended_before_it_began(
    database: Database,
    instance: DagsterInstance,
    source: Source,
    run_status: DagsterRunStatus,
    status: SessionStatus,
) -> None:
    session = left_pending(database, source)
    run = run_of(instance, source, session, run_status)
    assert requests_for(session, instance) == []
    ended = get_session(database, source.workspace_id, session.id)
    assert ended.status is status
    assert ended.error_summary is not None
    assert ended.error_summary["dagster_run_id"] == run.run_id


def test_a_session_whose_configuration_was_removed_fails_with_the_reason(
    database: Database, instance: DagsterInstance, source: Source
) -> None:
    session = left_pending(database, source)
    remove(database, source)
    assert requests_for(session, instance) == []
    ended = get_session(database, source.workspace_id, session.id)
    assert ended.status is SessionStatus.FAILED
    assert ended.error_summary is not None
    assert f"configuration of {source.key} was removed" in ended.error_summary["message"]
