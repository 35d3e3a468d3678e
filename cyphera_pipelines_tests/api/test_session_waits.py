"""Waiting for a session's status: what it waits for, what ends it, and what it takes."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from uuid import UUID

import anyio
import httpx
import pytest

from cyphera_pipelines.api import places
from cyphera_pipelines.api.app import create_app
from cyphera_pipelines.api.services import Services
from cyphera_pipelines.model.sessions import SessionStatus
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.sandbox import SandboxServer
from cyphera_pipelines.security.encryption import Keyring
from cyphera_pipelines.settings import Settings
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.sessions import finish_session, get_session, start_session, write_progress
from cyphera_pipelines_tests.api.conftest import (
    ACCOUNT,
    DEADLINE_SECONDS,
    PREFIX,
    Client,
    RunningApi,
    fields,
    problem,
    serving,
    until,
)
from cyphera_pipelines_tests.api.raw_requests import connect

LONG = {"wait": 30}


@pytest.fixture
def session_id(client: Client, sandbox: SandboxServer, add_source: Callable[..., Source]) -> str:
    add_source(ACCOUNT.api_key, sandbox.url, workspace=client.workspace)
    started: str = client.post("/stripe/initial").json()["session_id"]
    return started


def at_work(api: RunningApi) -> int:
    """How many requests wait in the server."""
    services: Services = api.app.state.services
    return services.status_waits._at_work.total()


def in_thread(work: Callable[[], httpx.Response]) -> Future[httpx.Response]:
    pool = ThreadPoolExecutor(1)
    future = pool.submit(work)
    pool.shutdown(wait=False)
    return future


def test_a_wait_ends_with_the_next_status_and_not_with_progress(
    api: RunningApi, client: Client, session_id: str, database: Database
) -> None:
    path = f"/sessions/{session_id}/status"
    session = get_session(database, client.workspace.id, UUID(session_id))
    waiting = in_thread(lambda: client.get(path, params=LONG))
    until(lambda: at_work(api) == 1)
    start_session(database, session, None)
    assert waiting.result(60).json()["status"] == "running"
    waiting = in_thread(lambda: client.get(path, params=LONG))
    until(lambda: at_work(api) == 1)
    write_progress(database, session, {"percent": 50.0})
    assert client.get(path, params={"wait": 0.1}).json()["progress"]["percent"] == 50.0, "it was over before the other"
    assert not waiting.done()
    finish_session(database, session, SessionStatus.COMPLETED)
    assert waiting.result(60).json()["status"] == "completed"
    assert client.get(path, params=LONG).json()["status"] == "completed", "at once, since no other status follows"
    assert at_work(api) == 0


def test_a_client_that_goes_away_frees_its_place(api: RunningApi, client: Client, session_id: str) -> None:
    head = f"GET {PREFIX}/sessions/{session_id}/status?wait=30 HTTP/1.1\r\nHost: here\r\n"
    head += f"X-API-Key: {client.key}\r\nX-Workspace-ID: {client.workspace.id}\r\n\r\n"
    with connect(client) as connection:
        connection.sendall(head.encode())
        until(lambda: at_work(api) == 1)
    until(lambda: at_work(api) == 0)
    assert not api.app.state.services.session_waits._waited_for


def test_waits_have_bounds_of_their_own_and_hold_nothing(
    api: RunningApi, client: Client, session_id: str, database: Database
) -> None:
    path = f"/sessions/{session_id}/status"
    assert fields(client.get(path, params={"wait": 31})) == ["wait"]
    assert fields(client.get(path, params={"wait": -1})) == ["wait"]
    assert fields(client.get(path, params={"wait": "nan"})) == ["wait"]
    problem(client.get("/sessions/7c9e6679-7425-40de-944b-e07fc1f90ae7/status", params=LONG), 404)
    with ThreadPoolExecutor(places.WAITS_OF_ONE_WORKSPACE) as pool:
        waiting = [pool.submit(client.get, path, params=LONG) for _number in range(places.WAITS_OF_ONE_WORKSPACE)]
        until(lambda: at_work(api) == places.WAITS_OF_ONE_WORKSPACE)
        beyond = client.get(path, params=LONG)
        assert "Retry-After" in beyond.headers
        assert "Ask without `wait`" in problem(beyond, 429)["detail"]
        # Far more requests wait than there are threads and connections: all of those are free.
        assert client.get(path).json()["status"] == "pending"
        finish_session(database, get_session(database, client.workspace.id, UUID(session_id)), SessionStatus.CANCELLED)
        assert {future.result(60).json()["status"] for future in waiting} == {"cancelled"}


def test_a_server_that_is_told_to_stop_does_not_wait(
    client: Client,
    session_id: str,
    settings: Settings,
    keyring: Keyring,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Without end, so that nothing else ends it.
    monkeypatch.setattr(anyio, "move_on_after", lambda _seconds: anyio.CancelScope())
    with serving(create_app(database, keyring, settings, None)) as api:
        path = f"{PREFIX}/sessions/{session_id}/status"

        url = f"{api.url}{path}"
        waiting = in_thread(lambda: httpx.get(url, params=LONG, headers=client.headers, timeout=DEADLINE_SECONDS))
        until(lambda: at_work(api) == 1)
    assert waiting.result(60).json()["status"] == "pending"
