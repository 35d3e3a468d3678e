"""What becomes of a sync whose configuration is removed or deactivated while it waits or runs."""

import socket
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from cyphera_pipelines.api.app import create_app
from cyphera_pipelines.api.dagster_runs import DagsterRuns
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.sandbox import SandboxServer
from cyphera_pipelines.security.encryption import Keyring
from cyphera_pipelines.settings import Settings
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.sessions import get_session, start_session
from cyphera_pipelines_tests.api.conftest import ACCOUNT, DEADLINE_SECONDS, PREFIX, Client, serving

RUN_ID = "0f9b6e4e-5f1c-4a4e-9a55-3f2f0a2f7d11"


@pytest.fixture
def source(client: Client, sandbox: SandboxServer, add_source: Callable[..., Source]) -> Source:
    """A source of the client's workspace."""
    return add_source(ACCOUNT.api_key, sandbox.url, workspace=client.workspace)


@pytest.fixture
def session_id(client: Client, source: Source) -> str:
    """The id of a session of the source that waits."""
    started: str = client.post("/stripe/initial").json()["session_id"]
    return started


def status(client: Client, session_id: str) -> str:
    found: str = client.get(f"/sessions/{session_id}/status").json()["status"]
    return found


@pytest.mark.parametrize(
    ("method", "body", "done"), [("DELETE", None, "removed"), ("PUT", {"is_active": False}, "deactivated")]
)
def test_a_waiting_sync_ends(
    method: str, body: dict[str, Any] | None, done: str, client: Client, source: Source, session_id: str
) -> None:
    assert client.request(method, f"/config/{source.configuration_id}", json=body).is_success
    ended = client.get(f"/sessions/{session_id}").json()
    assert ended["status"] == "cancelled"
    message = ended["error_summary"]["message"]
    assert message.startswith(f"The configuration was {done} through the API with key 'tests' (")
    assert ended["error_summary"]["cancelled_by"]["name"] == "tests"
    events = client.get(f"/sessions/{session_id}/events").json()["events"]
    assert [event["event_message"] for event in events] == [message]


def test_a_change_that_leaves_it_active_ends_nothing(client: Client, source: Source, session_id: str) -> None:
    for body in ({"metadata": {"a": 1}}, {"is_active": True}):
        assert client.put(f"/config/{source.configuration_id}", json=body).is_success
    assert status(client, session_id) == "pending"


def test_an_inactive_configuration_has_no_sync_to_end(client: Client, source: Source, session_id: str) -> None:
    spare = {"provider_name": "stripe", "is_active": False, "configuration": {"api_key": "sk_test_api_spare"}}
    made = client.post("/config", json=spare).json()
    assert client.put(f"/config/{made['id']}", json={"is_active": False}).is_success
    assert client.delete(f"/config/{made['id']}").is_success
    assert status(client, session_id) == "pending"


def test_the_run_of_a_running_sync_is_ended_too(
    client: Client, source: Source, session_id: str, settings: Settings, keyring: Keyring, database: Database
) -> None:
    start_session(database, get_session(database, source.workspace_id, UUID(session_id)), RUN_ID)
    with socket.socket() as dagster:
        dagster.bind(("127.0.0.1", 0))
        dagster.listen()
        dagster.settimeout(DEADLINE_SECONDS)
        runs = DagsterRuns(f"http://127.0.0.1:{dagster.getsockname()[1]}")
        with serving(create_app(database, keyring, settings, runs)) as api:
            response = api.ask("DELETE", f"{PREFIX}/config/{source.configuration_id}", headers=client.headers)
            assert response.status_code == 204
            asked, _address = dagster.accept()
            with asked:
                asked.settimeout(DEADLINE_SECONDS)
                said = b""
                while RUN_ID.encode() not in said:
                    piece = asked.recv(65_536)
                    assert piece, said
                    said += piece
            assert b"terminateRun" in said
    assert status(client, session_id) == "cancelled"
