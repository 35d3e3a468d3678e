from collections.abc import Callable

import pytest
from dagster import DagsterInstance, DagsterRun, DagsterRunStatus
from dagster._core.storage.tags import MAX_RETRIES_TAG
from sqlalchemy import text

from cyphera_pipelines.definitions import definitions
from cyphera_pipelines.model.runs import PARTITION_TAG, SESSION_TAG, SOURCE_TAG, WILL_RETRY_TAG
from cyphera_pipelines.model.sessions import Session, SessionStatus, SyncRequest
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.orchestration.backstop import end_session_of_run
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.events import list_events
from cyphera_pipelines.store.locks import source_lock
from cyphera_pipelines.store.sessions import claim_session, finish_session, get_session, start_session
from cyphera_pipelines.sync.request import open_session
from cyphera_pipelines_tests.orchestration.conftest import evaluate
from cyphera_pipelines_tests.orchestration.test_partitions import remove


@pytest.fixture
def source(add_source: Callable[..., Source]) -> Source:
    return add_source("sk_test_backstop_0001")


def status_of(database: Database, session: Session) -> SessionStatus:
    return get_session(database, session.workspace_id, session.id).status


def run_of(source: Source, session: Session, **tags: str) -> DagsterRun:
    return DagsterRun(job_name="sync_source", tags={SESSION_TAG: str(session.id), PARTITION_TAG: source.key, **tags})


@pytest.mark.parametrize("status", [SessionStatus.FAILED, SessionStatus.CANCELLED])
def test_a_session_ends_with_its_run_even_if_the_source_is_gone(
    database: Database, source: Source, status: SessionStatus
) -> None:
    session = open_session(database, source, SyncRequest())
    run = run_of(source, session)
    start_session(database, session, run.run_id)
    remove(database, source)

    end_session_of_run(database, run, status)
    ended = get_session(database, session.workspace_id, session.id)
    assert ended.status is status
    assert ended.error_summary is not None
    assert "The next sync continues" in ended.error_summary["message"]
    (event,) = list_events(database, session.workspace_id, session.id)
    assert event.event_type == f"session_{status.value}"


@pytest.mark.parametrize("status", [SessionStatus.FAILED, SessionStatus.CANCELLED])
def test_a_session_that_never_began_is_not_told_to_have_merged_anything(
    database: Database, source: Source, status: SessionStatus
) -> None:
    session = open_session(database, source, SyncRequest())
    end_session_of_run(database, run_of(source, session), status, reason="Dagster says: no connection.")
    message = (get_session(database, session.workspace_id, session.id).error_summary or {})["message"]
    assert "No row had been changed." in message
    assert "kept" not in message
    assert message.endswith("Dagster says: no connection.")


def test_a_session_goes_on_if_its_run_is_retried_or_another_has_taken_over(database: Database, source: Source) -> None:
    session = open_session(database, source, SyncRequest())
    end_session_of_run(database, run_of(source, session, **{WILL_RETRY_TAG: "true"}), SessionStatus.FAILED)
    assert status_of(database, session) is SessionStatus.PENDING

    start_session(database, session, "another run")
    end_session_of_run(database, run_of(source, session), SessionStatus.FAILED)
    assert status_of(database, session) is SessionStatus.RUNNING


def test_runs_without_a_session_of_ours_are_left_alone(database: Database, source: Source) -> None:
    session = open_session(database, source, SyncRequest())
    for tags in ({}, {SESSION_TAG: "x", SOURCE_TAG: source.key}, {SESSION_TAG: str(session.id), SOURCE_TAG: "a:b"}):
        end_session_of_run(database, DagsterRun(job_name="sync_source", tags=tags), SessionStatus.FAILED)
    assert status_of(database, session) is SessionStatus.PENDING


@pytest.mark.parametrize(
    ("sensor_name", "run_status", "status"),
    [
        ("sessions_of_failed_runs", DagsterRunStatus.FAILURE, SessionStatus.FAILED),
        ("sessions_of_cancelled_runs", DagsterRunStatus.CANCELED, SessionStatus.CANCELLED),
    ],
)
def test_the_sensors_end_the_sessions_of_runs_that_vanished(
    database: Database,
    instance: DagsterInstance,
    source: Source,
    sensor_name: str,
    run_status: DagsterRunStatus,
    status: SessionStatus,
) -> None:
    cursor = evaluate(instance, sensor_name).cursor
    session = open_session(database, source, SyncRequest())
    run = instance.create_run_for_job(
        definitions.resolve_job_def("sync_source"),
        # All retries are used up: a run that died otherwise would have one to come.
        tags={SESSION_TAG: str(session.id), SOURCE_TAG: source.key, MAX_RETRIES_TAG: "0"},
    )
    start_session(database, session, run.run_id)
    if run_status is DagsterRunStatus.FAILURE:
        instance.report_run_failed(run)
    else:
        instance.report_run_canceling(run)
        instance.report_run_canceled(run)

    evaluate(instance, sensor_name, cursor)
    assert status_of(database, session) is status


def test_a_session_whose_process_vanished_ends_with_its_run(
    database: Database, instance: DagsterInstance, source: Source
) -> None:
    session = open_session(database, source, SyncRequest())
    run = instance.create_run_for_job(
        definitions.resolve_job_def("sync_source"),
        tags={SESSION_TAG: str(session.id), SOURCE_TAG: source.key, MAX_RETRIES_TAG: "0"},
    )
    start_session(database, session, run.run_id)
    evaluate(instance, "sessions_without_a_process")
    assert status_of(database, session) is SessionStatus.RUNNING  # it was heard of just now

    silent(database, session)
    with source_lock(database, source):
        evaluate(instance, "sessions_without_a_process")
        assert status_of(database, session) is SessionStatus.RUNNING  # silent, but somebody is at work

    evaluate(instance, "sessions_without_a_process")
    assert status_of(database, session) is SessionStatus.FAILED
    ended = instance.get_run_by_id(run.run_id)
    assert ended is not None
    assert ended.status is DagsterRunStatus.FAILURE


def silent(database: Database, session: Session) -> None:
    """Nothing was heard of the session for a while."""
    with database.tenant(session.workspace_id) as connection:
        earlier = text("UPDATE sync.payment_sync_sessions SET updated_at = now() - interval '2 minutes' WHERE id = :id")
        connection.execute(earlier, {"id": session.id})


@pytest.mark.parametrize(
    ("run_status", "status"),
    [
        (DagsterRunStatus.STARTING, SessionStatus.PENDING),
        (DagsterRunStatus.CANCELED, SessionStatus.CANCELLED),
        (DagsterRunStatus.FAILURE, SessionStatus.FAILED),
        (None, SessionStatus.FAILED),
    ],
)
def test_a_session_waits_for_its_run_as_long_as_that_may_begin(
    database: Database,
    instance: DagsterInstance,
    source: Source,
    run_status: DagsterRunStatus | None,
    status: SessionStatus,
) -> None:
    session = open_session(database, source, SyncRequest())
    run_id = "a run that was deleted"
    if run_status is not None:
        job = definitions.resolve_job_def("sync_source")
        tags = {SESSION_TAG: str(session.id), SOURCE_TAG: source.key}
        run_id = instance.create_run_for_job(job, tags=tags, status=run_status).run_id
    claim_session(database, session, run_id)
    silent(database, session)
    evaluate(instance, "sessions_without_a_process")
    assert status_of(database, session) is status


def test_a_session_waits_for_the_retry_of_its_run(
    database: Database, instance: DagsterInstance, source: Source
) -> None:
    session = open_session(database, source, SyncRequest())
    job = definitions.resolve_job_def("sync_source")
    tags = {SESSION_TAG: str(session.id), SOURCE_TAG: source.key}
    died = instance.create_run_for_job(job, tags=tags, status=DagsterRunStatus.FAILURE)
    start_session(database, session, died.run_id)
    instance.create_run_for_job(job, tags=tags, status=DagsterRunStatus.STARTING)
    silent(database, session)
    evaluate(instance, "sessions_without_a_process")
    assert status_of(database, session) is SessionStatus.RUNNING


def test_a_run_whose_session_is_over_for_a_while_holds_no_place_in_the_queue(
    database: Database, instance: DagsterInstance, source: Source
) -> None:
    """Its process was killed, and the next sync of the source has ended its session."""
    session = open_session(database, source, SyncRequest())
    tags = {SESSION_TAG: str(session.id), PARTITION_TAG: source.key, MAX_RETRIES_TAG: "0"}
    job = definitions.resolve_job_def("sync_source")
    run = instance.create_run_for_job(job, tags=tags, status=DagsterRunStatus.STARTED)

    def status_after_a_look() -> DagsterRunStatus:
        evaluate(instance, "sessions_without_a_process")
        looked_at = instance.get_run_by_id(run.run_id)
        assert looked_at is not None
        return looked_at.status

    start_session(database, session, run.run_id)
    assert status_after_a_look() is DagsterRunStatus.STARTED
    finish_session(database, session, SessionStatus.FAILED)
    assert status_after_a_look() is DagsterRunStatus.STARTED  # it may be about to end by itself
    with database.tenant(source.workspace_id) as connection:
        earlier = text("UPDATE sync.payment_sync_sessions SET completed_at = now() - interval '61 s' WHERE id = :id")
        connection.execute(earlier, {"id": session.id})
    assert status_after_a_look() is DagsterRunStatus.CANCELED
