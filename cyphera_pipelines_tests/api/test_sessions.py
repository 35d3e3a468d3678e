"""Starting syncs, watching them and stopping them."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from cyphera_pipelines.api.app import create_app
from cyphera_pipelines.api.dagster_runs import DagsterRuns
from cyphera_pipelines.model.sessions import SessionEvent, SessionStatus, SyncRequest
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.sandbox import Fault, FaultKind, SandboxServer
from cyphera_pipelines.security.encryption import Keyring
from cyphera_pipelines.settings import Settings
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.events import record_events
from cyphera_pipelines.store.locks import source_lock
from cyphera_pipelines.store.pauses import pause_source, resume_source
from cyphera_pipelines.store.sessions import finish_session, get_session, start_session, write_progress
from cyphera_pipelines.store.workspaces import find_workspace
from cyphera_pipelines.sync.engine import SyncJob, run_sync
from cyphera_pipelines_tests.api.conftest import (
    ACCOUNT,
    DEADLINE_SECONDS,
    Client,
    MakeClient,
    fields,
    problem,
    serving,
    until,
)

ENTITIES = ["customers", "products", "prices", "subscriptions", "invoices"]
COUNTS = ("fetched", "created", "updated", "unchanged", "deleted", "failed", "flagged", "requests")
NOTHING: dict[str, Any] = {
    "estimated": None,
    **dict.fromkeys(COUNTS, 0),
    "done": False,
    "error": None,
    "error_code": None,
    "children": {},
}


@pytest.fixture
def source(client: Client, sandbox: SandboxServer, add_source: Callable[..., Source]) -> Source:
    """A source of the client's workspace."""
    return add_source(ACCOUNT.api_key, sandbox.url, workspace=client.workspace)


def start(client: Client, what: str = "initial", **body: Any) -> dict[str, Any]:
    response = client.post(f"/stripe/{what}", json=body)
    assert response.status_code == 201, response.text
    started: dict[str, Any] = response.json()
    return started


def job(database: Database, keyring: Keyring, source: Source, session_id: str) -> SyncJob:
    """What Dagster's run of a session would do."""
    session = get_session(database, source.workspace_id, UUID(session_id))
    return SyncJob(database, keyring, source, session, SyncRequest.from_config(session.entity_types, session.config))


@pytest.mark.parametrize("what", ["initial", "delta"])
@pytest.mark.parametrize("given", [None, ""])
def test_no_conflict_strategy_is_the_default(given: str | None, what: str, client: Client, source: Source) -> None:
    assert start(client, what, conflict_strategy=given)["config"]["conflict_strategy"] == "overwrite"


@pytest.mark.parametrize("named", [None, []])
def test_no_entities_are_all_entities(named: list[str] | None, client: Client, source: Source) -> None:
    assert start(client, entity_types=named)["entity_types"] == ENTITIES


def test_a_sync_is_started_and_waits_with_zeros(client: Client, source: Source) -> None:
    started = start(client)
    assert started.keys() == {"session_id", "status", "provider", "entity_types", "config", "created_at"}
    assert (started["status"], started["provider"], started["entity_types"]) == ("pending", "stripe", ENTITIES)
    defaults = {"batch_size": 100, "full_sync": False, "conflict_strategy": "overwrite", "only_changes": False}
    assert started["config"] == defaults
    session = client.get(f"/sessions/{started['session_id']}").json()
    assert (session["id"], session["provider_name"]) == (started["session_id"], "stripe")
    assert {name: session[name] for name in started} == started
    assert (session["session_type"], session["started_at"], session["dagster_run_id"]) == ("initial_sync", None, None)
    status = client.get(f"/sessions/{started['session_id']}/status").json()
    told = ("status", "progress", "error_summary", "started_at", "completed_at")
    assert {name: status[name] for name in told} == {name: session[name] for name in told}
    waiting = status["waiting"]
    assert (waiting["waits_for"], waiting["since"], waiting["behind"]) == ("turn", session["created_at"], None)
    assert status["progress"] == {
        "entities": dict.fromkeys(ENTITIES, NOTHING),
        "percent": 0.0,
        "rows_per_second": 0.0,
        "eta_seconds": None,
        "requests": 0,
        "retries": 0,
        "missing": [],
    }


def test_what_is_asked_for_is_what_the_session_does(client: Client, source: Source) -> None:
    body: dict[str, Any] = {
        "entity_types": ["invoices", "customers", "invoices"],
        "batch_size": 7,
        "full_sync": True,
        "conflict_strategy": "flag",
    }
    started = start(client, **body)
    assert started["entity_types"] == ["customers", "invoices"]
    assert started["config"] == {
        "batch_size": 7,
        "full_sync": True,
        "conflict_strategy": "flag",
        "only_changes": False,
    }
    assert client.get(f"/sessions/{started['session_id']}").json()["session_type"] == "initial_sync"


def test_a_delta_sync_is_a_session_of_its_own_type(client: Client, source: Source) -> None:
    started = client.post("/stripe/delta").json()
    assert started["config"]["only_changes"] is True
    assert client.get(f"/sessions/{started['session_id']}").json()["session_type"] == "delta_sync"


def test_a_sync_is_watched_to_its_end(client: Client, source: Source, database: Database, keyring: Keyring) -> None:
    started = start(client, entity_types=["customers", "invoices"])
    run_sync(job(database, keyring, source, started["session_id"]))
    status = client.get(f"/sessions/{started['session_id']}/status").json()
    assert (status["status"], status["error_summary"]) == ("completed", None)
    progress = status["progress"]
    assert (progress["percent"], progress["eta_seconds"]) == (100.0, 0)
    assert progress["rows_per_second"] > 0
    customers = progress["entities"]["customers"]
    assert {name: customers[name] for name in ("estimated", "fetched", "created", "done")} == {
        "estimated": 60,
        "fetched": 60,
        "created": 60,
        "done": True,
    }
    assert progress["entities"]["invoices"]["children"]["invoice_line_items"]["created"] > 0
    events = client.get(f"/sessions/{started['session_id']}/events").json()
    types = [event["event_type"] for event in events["events"]]
    assert (types[0], types[-1], len(types)) == ("session_started", "session_completed", events["total"])
    assert client.get("/config/stripe").json()["last_sync_at"].endswith("Z")


def test_events_are_paged_oldest_first(client: Client, source: Source, database: Database) -> None:
    session_id = start(client)["session_id"]
    session = get_session(database, source.workspace_id, UUID(session_id))
    for number in range(5):
        record_events(database, session, [SessionEvent("noted", f"number {number}")])
    page = client.get(f"/sessions/{session_id}/events", params={"limit": 2, "offset": 1}).json()
    assert [event["event_message"] for event in page["events"]] == ["number 1", "number 2"]
    assert page["total"] == 5


def test_sessions_are_filtered_and_paged(client: Client, source: Source, database: Database) -> None:
    made = []
    for _ in range(4):
        made.append(start(client)["session_id"])
        session = get_session(database, source.workspace_id, UUID(made[-1]))
        finish_session(database, session, SessionStatus.FAILED if len(made) % 2 else SessionStatus.COMPLETED)
    page = client.get("/sessions", params={"limit": 3}).json()
    assert ([each["id"] for each in page["sessions"]], page["total"]) == ([made[3], made[2], made[1]], 4)
    failed = client.get("/sessions", params={"status": "failed", "provider": "stripe"}).json()
    assert ([each["id"] for each in failed["sessions"]], failed["total"]) == ([made[2], made[0]], 2)
    assert client.get("/sessions", params={"status": "running"}).json()["total"] == 0


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"entity_types": ["refunds"]}, "entity_types.0"),
        (None, ""),
        ({"entity_types": "customers"}, "entity_types"),
        ({"entity_types": ["customers"] * 21}, "entity_types"),
        ({"batch_size": -1}, "batch_size"),
        ({"batch_size": 101}, "batch_size"),
        ({"batch_size": "10"}, "batch_size"),
        ({"batch_size": True}, "batch_size"),
        ({"batch_size": 1.5}, "batch_size"),
        ({"full_sync": "true"}, "full_sync"),
        ({"conflict_strategy": "merge"}, "conflict_strategy"),
        ({"only_changes": True}, "only_changes"),
        ([], ""),
    ],
    ids=str,
)
def test_a_wrong_value_is_named(body: Any, named: str, client: Client, source: Source) -> None:
    content = json.dumps(body)
    response = client.post("/stripe/initial", content=content, headers={"Content-Type": "application/json"})
    assert fields(response) == [named]
    assert client.get("/sessions").json()["total"] == 0


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("/sessions?limit=0", "limit"),
        ("/sessions?limit=101", "limit"),
        ("/sessions?offset=-1", "offset"),
        ("/sessions?offset=9223372036854775808", "offset"),
        ("/sessions?status=done", "status"),
        ("/sessions?provider=paypal", "provider"),
        ("/sessions/7c9e6679", "session_id"),
        ("/sessions/7c9e6679-7425-40de-944b-e07fc1f90ae7%00", "session_id"),
        ("/config/id/none", "config_id"),
        ("/config/paypal", "reference"),
    ],
)
def test_a_wrong_parameter_is_named(path: str, named: str, client: Client) -> None:
    assert fields(client.get(path)) == [named]


def test_without_a_configuration_the_remedy_is_told(client: Client) -> None:
    document = problem(client.post("/stripe/initial"), 404)
    assert "POST /api/v1/sync/config" in document["detail"]
    assert fields(client.post("/paypal/initial")) == ["provider"]
    problem(client.get(f"/sessions/{uuid4()}"), 404)


def test_an_active_session_is_named_instead_of_a_second_one(client: Client, source: Source, database: Database) -> None:
    first = start(client)["session_id"]
    for what in ("initial", "delta"):
        document = problem(client.post(f"/stripe/{what}"), 409)
        assert (document["type"], document["session_id"]) == ("urn:cyphera:problem:session-active", first)
    session = get_session(database, source.workspace_id, UUID(first))
    start_session(database, session, None)
    assert problem(client.post("/stripe/initial"), 409)["session_id"] == first
    finish_session(database, session, SessionStatus.COMPLETED)
    start(client)


def test_of_many_requests_at_once_one_makes_a_session(client: Client, source: Source) -> None:
    barrier = threading.Barrier(12)

    def ask(_number: int) -> int:
        barrier.wait()
        return client.post("/stripe/initial", json={}).status_code

    with ThreadPoolExecutor(12) as threads:
        assert sorted(threads.map(ask, range(12))) == [201] + [409] * 11
    assert client.get("/sessions").json()["total"] == 1


def test_a_session_whose_process_is_gone_does_not_block_for_ever(
    client: Client, source: Source, database: Database, keyring: Keyring
) -> None:
    dead = start(client)["session_id"]
    session = get_session(database, source.workspace_id, UUID(dead))
    start_session(database, session, None)
    with database.control() as connection:
        silent = "UPDATE sync.payment_sync_sessions SET updated_at = now() - interval '61 seconds' WHERE id = :id"
        connection.execute(text(silent), {"id": dead})
    with source_lock(database, source):
        assert problem(client.post("/stripe/initial"), 409)["session_id"] == dead, "somebody is at work on it"
    second = start(client)["session_id"]
    run_sync(job(database, keyring, source, second))
    assert client.get(f"/sessions/{dead}/status").json()["status"] == "failed"
    assert client.get(f"/sessions/{second}/status").json()["status"] == "completed"


def test_a_waiting_session_is_cancelled(client: Client, source: Source) -> None:
    session_id = start(client)["session_id"]
    cancelled = client.post(f"/sessions/{session_id}/cancel").json()
    assert cancelled["status"] == "cancelled"
    assert cancelled["completed_at"]
    summary = cancelled["error_summary"]
    assert summary["cancelled_by"]["name"] == "tests"
    assert "with key 'tests'" in summary["message"]
    assert "No row had been changed." in summary["message"]
    assert client.post(f"/sessions/{session_id}/cancel").json() == cancelled, "once is enough"
    events = client.get(f"/sessions/{session_id}/events").json()["events"]
    assert [event["event_type"] for event in events] == ["session_cancelled"]
    start(client)


def test_a_cancelled_session_says_all_that_had_been_merged(client: Client, source: Source, database: Database) -> None:
    session_id = start(client, entity_types=["customers", "products", "invoices"])["session_id"]
    session = get_session(database, source.workspace_id, UUID(session_id))
    counts = {"invoices": {"updated": 1_200, "deleted": 2}, "customers": {"created": 3, "failed": 1}, "products": {}}
    write_progress(database, session, {"entities": counts})
    message = client.post(f"/sessions/{session_id}/cancel").json()["error_summary"]["message"]
    assert "Merged until then: customers (3 created), invoices (1,200 updated, 2 deleted). These rows are" in message


def test_a_session_that_has_ended_is_not_cancelled(client: Client, source: Source, database: Database) -> None:
    session_id = start(client)["session_id"]
    session = get_session(database, source.workspace_id, UUID(session_id))
    finish_session(database, session, SessionStatus.COMPLETED)
    assert "completed already" in problem(client.post(f"/sessions/{session_id}/cancel"), 409)["detail"]
    assert client.get(f"/sessions/{session_id}").json()["status"] == "completed"


@pytest.fixture
def stalling(sandbox: SandboxServer) -> Iterator[None]:
    """Customers arrive; invoices keep the client waiting."""
    options = sandbox.state.options
    stall = Fault(kind=FaultKind.STALL, path="/v1/invoices", seconds=2)
    sandbox.state.set_options(options.model_copy(update={"faults": (stall,)}))
    yield
    sandbox.state.set_options(options)


@pytest.mark.usefixtures("stalling")
def test_a_running_sync_is_cancelled_and_says_what_had_been_merged(
    client: Client, source: Source, database: Database, keyring: Keyring
) -> None:
    session_id = start(client, entity_types=["customers", "invoices"])["session_id"]
    work = threading.Thread(target=run_sync, args=(job(database, keyring, source, session_id),))
    work.start()
    path = f"/sessions/{session_id}"
    until(lambda: client.get(f"{path}/status").json()["progress"]["entities"]["customers"]["created"] == 60)
    running = client.get(f"{path}/status").json()
    assert running["status"] == "running"
    assert problem(client.post("/stripe/initial"), 409)["session_id"] == session_id
    cancelled = client.post(f"{path}/cancel").json()
    assert cancelled["status"] == "cancelled"
    known = (
        "Merged when that was last reported: customers (60 created). These rows are kept, as are those merged since."
    )
    assert known in cancelled["error_summary"]["message"]
    work.join(DEADLINE_SECONDS)
    assert not work.is_alive()
    ended = client.get(path).json()
    assert ended["status"] == "cancelled"
    assert ended["error_summary"]["cancelled_by"]["name"] == "tests"
    assert ended["error_summary"]["merged"]["customers"]["created"] == 60
    message = ended["error_summary"]["message"]
    assert message.startswith("Cancelled through the API with key 'tests'")
    assert "Merged until then: customers (60 created). These rows are kept." in message, "now all of it is known"
    events = client.get(f"{path}/events").json()["events"]
    assert [event["event_type"] for event in events[-2:]] == ["session_cancelled", "session_stopped"]
    assert "reported" not in events[-2]["event_message"], "only one of them tells what was merged"
    assert events[-2]["event_details"]["merged"]["customers"]["created"] == 60
    assert "customers (60 created)" in events[-1]["event_message"]


def test_a_sync_is_accepted_although_dagster_does_not_answer(
    make_client: MakeClient, settings: Settings, keyring: Keyring, database: Database, add_source: Callable[..., Source]
) -> None:
    client = make_client()
    add_source("sk_test_api_unreachable", workspace=find_workspace(database, client.workspace.slug))
    silent = socket.socket()
    silent.bind(("127.0.0.1", 0))
    silent.listen()
    runs = DagsterRuns(f"http://127.0.0.1:{silent.getsockname()[1]}")
    with serving(create_app(database, keyring, settings, runs)) as api:
        started = api.ask("POST", "/api/v1/sync/stripe/initial", headers=client.headers)
        assert started.status_code == 201
        session_id, request_id = started.json()["session_id"], started.headers["X-Request-ID"]
        assert not any("sensor" in line for line in api.lines), "Dagster is being asked still"
        silent.close()
        until(lambda: any(session_id in line and "sensor" in line for line in api.lines))
        (line,) = [line for line in api.lines if session_id in line and "sensor" in line]
        assert request_id in line, "it can be told which request it belongs to"
    assert client.get(f"/sessions/{session_id}").json()["status"] == "pending"


def test_a_paused_source_starts_no_sync_and_says_why(client: Client, source: Source, database: Database) -> None:
    pause_source(database, source, "a migration at Stripe's")
    for path in ("/stripe/initial", "/stripe/delta"):
        document = problem(client.post(path), 409)
        assert document["type"] == "urn:cyphera:problem:source-paused"
        assert "(a migration at Stripe's): no sync of it starts" in document["detail"]
        assert f"cyphera source resume {source.workspace_slug} stripe" in document["detail"]
    pause = client.get("/config/stripe").json()["pause"]
    assert pause["paused_reason"] == "a migration at Stripe's"
    resume_source(database, source)
    assert client.get("/config/stripe").json()["pause"] is None
    assert client.post("/stripe/initial").status_code == 201
