"""Sessions and Dagster's runs, with the daemon, the webserver and the code server as they are in production."""

import re
import signal
import socket
from dataclasses import dataclass
from uuid import uuid4

import httpx
import psutil
import pytest
from dagster import DagsterRunStatus

from cyphera_pipelines.api.dagster_runs import DagsterRuns
from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.runs import (
    CODE_LOCATION,
    OUTBOX_SENSOR,
    PARTITION_TAG,
    REPOSITORY,
    RUN_KEY_TAG,
    SENSOR_TAG,
    SESSION_TAG,
    SOURCE_TAG,
    SOURCES_PARTITIONS,
    SYNC_JOB,
)
from cyphera_pipelines.model.sessions import Session, SessionStatus, SyncRequest
from cyphera_pipelines.store.events import list_events
from cyphera_pipelines.store.sessions import finish_session, list_sessions
from cyphera_pipelines.sync.cancellation import Cancellation, cancel_session
from cyphera_pipelines.sync.request import open_session
from cyphera_pipelines_tests.end_to_end.conftest import Installation, Tenant, slowly, wait_for
from cyphera_pipelines_tests.truth import assert_tables_equal_truth

pytestmark = pytest.mark.slow


def event_types(installation: Installation, session: Session) -> list[str]:
    return [event.event_type for event in list_events(installation.database, session.workspace_id, session.id)]


@dataclass(frozen=True)
class Left:
    """Sessions that were left pending: one without a run, one whose run was made and not queued."""

    forgotten: Session
    half_submitted: Session
    run_id: str


@pytest.fixture(scope="module")
def submitted(installation: Installation) -> tuple[Tenant, Session]:
    """A session as the API submits it, after its end."""
    tenant = installation.add_tenant(customers=30, invoices=60)
    return tenant, installation.ended(installation.submit(tenant.source))


@pytest.fixture(scope="module", autouse=True)
def left(installation: Installation, submitted: tuple[Tenant, Session]) -> Left:
    """Made before all tests, so that the sensor finds them while the others go on."""
    (template,) = installation.runs_of(submitted[1])
    forgotten, half_submitted = (
        open_session(installation.database, installation.add_tenant().source, SyncRequest()) for _number in range(2)
    )
    key = installation.key_of(half_submitted)
    tags = {PARTITION_TAG: key, SOURCE_TAG: key, SESSION_TAG: str(half_submitted.id)}
    tags = {**template.tags, **tags, RUN_KEY_TAG: str(half_submitted.id)}
    made = template._replace(run_id=str(uuid4()), status=DagsterRunStatus.NOT_STARTED, tags=tags)
    installation.instance.add_run(made)
    for session in (forgotten, half_submitted):
        installation.leave(session)
    return Left(forgotten, half_submitted, made.run_id)


def test_a_submitted_session_is_carried_out_by_that_run_alone(
    installation: Installation, submitted: tuple[Tenant, Session]
) -> None:
    tenant, session = submitted
    assert (session.status, session.error_summary) == (SessionStatus.COMPLETED, None)
    assert_tables_equal_truth(installation.database, tenant.source, installation.sandbox, tenant.account.account_id)
    (run,) = installation.runs_of(session)
    assert (run.run_id, run.status) == (session.dagster_run_id, DagsterRunStatus.SUCCESS)
    expected = {
        PARTITION_TAG: tenant.source.key,
        SESSION_TAG: str(session.id),
        RUN_KEY_TAG: str(session.id),
        SENSOR_TAG: OUTBOX_SENSOR,
    }
    assert expected.items() <= run.tags.items()


def test_of_two_runs_for_a_session_one_does_nothing(installation: Installation) -> None:
    """As if the sensor had given up on a webserver that was only late."""
    tenant = installation.add_tenant()
    session = open_session(installation.database, tenant.source, SyncRequest(entities=(Entity.PRICES,)))
    run_ids = [installation.runs.submit(session, tenant.source.key) for _time in range(2)]
    ended = installation.ended(session)
    assert ended.status is SessionStatus.COMPLETED
    runs = {run.run_id: run.status for run in installation.runs_of(session)}
    assert ended.dagster_run_id is not None
    assert runs.pop(ended.dagster_run_id) is DagsterRunStatus.SUCCESS
    assert list(runs.values()) == [DagsterRunStatus.CANCELED]
    assert {ended.dagster_run_id, *runs} == set(run_ids)
    assert event_types(installation, session).count("session_started") == 1
    assert len(list_sessions(installation.database, session.workspace_id)) == 1


def test_cancelling_the_session_or_its_run_ends_both(installation: Installation) -> None:
    by_session, by_run = installation.add_tenant(invoices=400), installation.add_tenant(invoices=400)
    with slowly(installation):
        asked = installation.submit(by_session.source, SyncRequest(batch_size=1))
        queued = installation.submit(by_session.source)
        terminated = installation.submit(by_run.source, SyncRequest(batch_size=1))
        # What the API does for a client that cancels; the second one's run waits behind the first one's.
        for session in (queued, installation.under_way(asked)):
            cancel_session(installation.database, session, Cancellation("Cancelled by the key cyk_1234.", {}))
            assert installation.runs.terminate(str(session.dagster_run_id))
        # What somebody does in Dagster's UI.
        assert installation.runs.terminate(str(installation.under_way(terminated).dagster_run_id))
        for session in (asked, queued, terminated):
            (run,) = installation.runs_of(session)
            assert run.status is DagsterRunStatus.CANCELED
    ended = [installation.ended(session) for session in (asked, queued, terminated)]
    assert {session.status for session in ended} == {SessionStatus.CANCELLED}
    summaries = [session.error_summary or {} for session in ended]
    assert re.fullmatch(r"Cancelled by the key cyk_1234\. Merged until then: .+", summaries[0]["message"])
    assert summaries[1]["message"] == "Cancelled by the key cyk_1234. No row had been changed."
    assert "was cancelled in Dagster" in summaries[2]["message"]
    assert "merged" in summaries[0]
    assert "merged" in summaries[2]
    assert "session_started" not in event_types(installation, queued)
    assert not installation.runs.terminate(str(asked.dagster_run_id))


def test_a_session_goes_on_in_another_run_if_its_process_is_killed(installation: Installation) -> None:
    tenant = installation.add_tenant(invoices=200)
    with slowly(installation):
        session = installation.submit(tenant.source, SyncRequest(batch_size=2))
        died = installation.under_way(session).dagster_run_id
        process_of(installation, str(died)).send_signal(signal.SIGKILL)
        wait_for(lambda: installation.reload(session).dagster_run_id != died)
    assert installation.ended(session).status is SessionStatus.COMPLETED
    first, second = installation.runs_of(session)
    assert (first.run_id, first.status) == (died, DagsterRunStatus.FAILURE)
    assert (second.parent_run_id, second.status) == (died, DagsterRunStatus.SUCCESS)
    assert_tables_equal_truth(installation.database, tenant.source, installation.sandbox, tenant.account.account_id)


def process_of(installation: Installation, run_id: str) -> psutil.Process:
    """The process that carries out the run, as Dagster tells it in the run's log."""
    pids = [
        value.value
        for entry in installation.instance.all_logs(run_id)
        if entry.dagster_event is not None and entry.dagster_event.is_engine_event
        for name, value in entry.dagster_event.engine_event_data.metadata.items()
        if name == "pid"
    ]
    return psutil.Process(int(str(pids[-1])))


def test_a_run_started_in_the_ui_appears_as_a_session(installation: Installation) -> None:
    tenant = installation.add_tenant()
    # The UI offers what is there; a sensor adds it.
    wait_for(lambda: installation.instance.has_dynamic_partition(SOURCES_PARTITIONS, tenant.source.key))
    launch = """mutation($run: ExecutionParams!) { launchRun(executionParams: $run) { __typename
        ... on LaunchRunSuccess { run { runId } } } }"""
    selector = {
        "repositoryName": REPOSITORY,
        "repositoryLocationName": CODE_LOCATION,
        "jobName": SYNC_JOB,
        "assetSelection": [{"path": ["payments", "prices"]}, {"path": ["payments", "price_tiers"]}],
    }
    tags = [{"key": PARTITION_TAG, "value": tenant.source.key}]
    run = {"selector": selector, "runConfigData": {}, "executionMetadata": {"tags": tags}}
    answer = httpx.post(
        f"{installation.dagster_url}/graphql", json={"query": launch, "variables": {"run": run}}, timeout=120
    )
    run_id = answer.json()["data"]["launchRun"]["run"]["runId"]

    (session,) = wait_for(lambda: list_sessions(installation.database, tenant.source.workspace_id))
    ended = installation.ended(session)
    assert (ended.status, ended.dagster_run_id) == (SessionStatus.COMPLETED, run_id)
    assert ended.entity_types == (Entity.PRICES,)


def test_the_sensor_starts_what_nobody_submitted(installation: Installation, left: Left) -> None:
    assert installation.ended(left.forgotten).status is SessionStatus.COMPLETED
    (run,) = installation.runs_of(left.forgotten)
    assert (run.tags[SENSOR_TAG], run.tags[PARTITION_TAG]) == (OUTBOX_SENSOR, installation.key_of(left.forgotten))


def test_the_sensor_queues_the_run_that_a_dying_webserver_did_not(installation: Installation, left: Left) -> None:
    ended = installation.ended(left.half_submitted)
    assert (ended.status, ended.dagster_run_id) == (SessionStatus.COMPLETED, left.run_id)
    assert [run.run_id for run in installation.runs_of(left.half_submitted)] == [left.run_id]


def test_a_dagster_that_cannot_be_reached_is_an_answer(installation: Installation) -> None:
    tenant = installation.add_tenant()
    session = open_session(installation.database, tenant.source, SyncRequest())
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and never listens
        for url in (f"http://127.0.0.1:{taken.getsockname()[1]}", installation.sandbox.url):
            runs = DagsterRuns(url)
            assert runs.submit(session, tenant.source.key) is None
            assert runs.terminate("some run") is False
            assert f"Dagster's webserver at {url} did not answer" in str(runs.problems()["dagster"])
            runs.close()
    finish_session(installation.database, session, SessionStatus.CANCELLED)
    assert installation.runs.terminate("no run") is False


def test_a_daemon_that_is_silent_is_a_problem(installation: Installation) -> None:
    assert installation.runs.problems() == {"dagster": None, "code_location": None, "sensors": None}
    heartbeat = installation.instance.get_daemon_heartbeats()["SENSOR"]

    def problem_of_silence() -> str | None:
        # The daemon itself may beat at any moment.
        installation.instance.add_daemon_heartbeat(heartbeat._replace(timestamp=heartbeat.timestamp - 600))
        return installation.runs.problems()["dagster"]

    problem = wait_for(problem_of_silence)
    # As it is again as soon as it beats.
    installation.instance.add_daemon_heartbeat(heartbeat)
    assert "(SENSOR)" in str(problem)
    assert "cyphera daemon" in str(problem)
