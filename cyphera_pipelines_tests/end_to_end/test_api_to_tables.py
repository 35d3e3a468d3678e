"""What a product's backend does: connect an account, test it, sync it, watch it; over real processes."""

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import httpx
import pytest
from dagster import DagsterRunStatus

from cyphera_pipelines.cli.running.ports import free_port
from cyphera_pipelines.model.runs import SESSION_TAG
from cyphera_pipelines.model.sessions import SessionStatus
from cyphera_pipelines.model.workspace import Workspace
from cyphera_pipelines.sandbox import SandboxAccount
from cyphera_pipelines.store.api_keys import create_api_key
from cyphera_pipelines.store.sessions import get_session
from cyphera_pipelines.store.sources import find_source
from cyphera_pipelines.store.workspaces import create_workspace
from cyphera_pipelines_tests.cli.command import PROGRAM
from cyphera_pipelines_tests.end_to_end.conftest import (
    NO_LIMITS,
    PATIENCE_SECONDS,
    Installation,
    slowly,
    wait_for,
)
from cyphera_pipelines_tests.truth import assert_tables_equal_truth

pytestmark = pytest.mark.slow

FINAL = {status.value for status in SessionStatus if status.is_final}


@contextmanager
def client_of(installation: Installation, workspace: Workspace, url: str | None = None) -> Iterator[httpx.Client]:
    """The HTTP API as the workspace's backend reaches it."""
    _row, key = create_api_key(installation.database, workspace, "end to end")
    headers = {"X-API-Key": key.as_text(), "X-Workspace-ID": str(workspace.id)}
    with httpx.Client(base_url=f"{url or installation.api_url}/api/v1/sync", headers=headers, timeout=120) as client:
        yield client


def connect(client: httpx.Client, installation: Installation, account: SandboxAccount) -> str:
    """Create the configuration of a sandbox account and return its id."""
    credentials = {"api_key": account.api_key, "base_url": installation.sandbox.url}
    body = {
        "provider_name": "stripe",
        "is_active": True,
        "is_test_mode": True,
        "configuration": credentials,
        "metadata": NO_LIMITS,
    }
    created = client.post("/config", json=body)
    assert created.status_code == 201, created.text
    assert "configuration" not in created.json()
    assert account.api_key not in created.text
    return str(created.json()["id"])


def start(client: httpx.Client, **request: object) -> str:
    """Start a full sync and return the session's id."""
    started = client.post("/stripe/initial", json=request)
    assert started.status_code == 201, started.text
    assert started.json()["status"] == "pending"
    return str(started.json()["session_id"])


def ended(client: httpx.Client, session_id: str) -> dict[str, Any]:
    """The session's status once that is final."""

    def found() -> dict[str, Any] | None:
        answer: dict[str, Any] = client.get(f"/sessions/{session_id}/status").raise_for_status().json()
        return answer if answer["status"] in FINAL else None

    return wait_for(found)


def test_from_a_configuration_to_equal_tables_that_nobody_else_sees(installation: Installation) -> None:
    account = installation.add_account(customers=120, invoices=250, long_invoice_share=0.05)
    mine, others = (create_workspace(installation.database, f"backend-{name}") for name in ("mine", "others"))
    with client_of(installation, mine) as client, client_of(installation, others) as stranger:
        configuration_id = connect(client, installation, account)
        tested = client.post(f"/config/{configuration_id}/test").json()
        assert (tested["success"], tested["account"]["id"]) == (True, account.account_id)

        session_id = start(client, batch_size=50)
        state = ended(client, session_id)
        assert (state["status"], state["error_summary"]) == ("completed", None)
        progress = state["progress"]
        assert progress["percent"] == 100
        assert progress["entities"]["customers"]["created"] == 120
        assert all(counts["done"] for counts in progress["entities"].values())
        source = find_source(installation.database, f"{mine.slug}:stripe")
        assert_tables_equal_truth(installation.database, source, installation.sandbox, account.account_id)

        shown = client.get(f"/sessions/{session_id}").json()
        session = get_session(installation.database, mine.id, shown["id"])
        (run,) = installation.runs_of(session)
        assert (run.run_id, run.status) == (shown["dagster_run_id"], DagsterRunStatus.SUCCESS)
        assert run.tags[SESSION_TAG] == session_id

        for path in (f"/config/id/{configuration_id}", f"/sessions/{session_id}", f"/sessions/{session_id}/status"):
            assert client.get(path).status_code == 200
            assert stranger.get(path).status_code == 404
        assert stranger.post(f"/config/{configuration_id}/test").status_code == 404
        assert stranger.get("/config").json()["configurations"] == []
        assert stranger.get("/sessions").json()["sessions"] == []
        with installation.database.tenant(others.id) as connection:
            seen = connection.exec_driver_sql("SELECT count(*) FROM payments.customers").scalar_one()
        assert seen == 0


def test_cancelling_ends_the_run_and_says_who_asked(installation: Installation) -> None:
    account = installation.add_account(invoices=400)
    workspace = create_workspace(installation.database, "backend-cancels")
    with client_of(installation, workspace) as client, slowly(installation):
        connect(client, installation, account)
        session_id = start(client, batch_size=1)
        session = get_session(installation.database, workspace.id, UUID(session_id))
        installation.under_way(session)
        cancelled = client.post(f"/sessions/{session_id}/cancel").raise_for_status().json()
        assert cancelled["status"] == "cancelled"
        (run,) = installation.runs_of(session)
        assert run.status is DagsterRunStatus.CANCELED
        state = ended(client, session_id)
    assert state["status"] == "cancelled"
    assert "end to end" in state["error_summary"]["message"]
    created = {entity: counts["created"] for entity, counts in state["progress"]["entities"].items()}
    assert {entity: counts["created"] for entity, counts in state["error_summary"]["merged"].items()} == created
    assert 0 < sum(created.values()) < 400


@pytest.fixture
def api_without_dagster(installation: Installation) -> Iterator[str]:
    """A second API that cannot reach Dagster's webserver."""
    port = free_port()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and never listens
        nowhere = f"http://127.0.0.1:{taken.getsockname()[1]}"
        process = subprocess.Popen(
            [str(PROGRAM), "api", "--port", str(port)],
            env={**installation.cyphera.environment, "CYPHERA_DAGSTER_URL": nowhere},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_for(lambda: answers(f"http://127.0.0.1:{port}/healthz"))
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(PATIENCE_SECONDS)


def answers(url: str) -> bool:
    try:
        return httpx.get(url).is_success
    except httpx.TransportError:
        return False


def test_a_session_whose_run_could_not_be_asked_for_is_synced_all_the_same(
    installation: Installation, api_without_dagster: str
) -> None:
    account = installation.add_account()
    workspace = create_workspace(installation.database, "backend-alone")
    with client_of(installation, workspace, api_without_dagster) as client:
        connect(client, installation, account)
        session_id = start(client, entity_types=["customers"])
        session = get_session(installation.database, workspace.id, UUID(session_id))
        # The sensor leaves the API some time: that is over now.
        installation.leave(session)
        assert ended(client, session_id)["status"] == "completed"
    (run,) = installation.runs_of(session)
    assert run.status is DagsterRunStatus.SUCCESS
