"""Clients that were written for the program that this one follows: its three curl examples, and its types."""

import json
import subprocess
from typing import Any, TypeVar
from uuid import uuid4

import pytest
from pydantic import BaseModel, ConfigDict, JsonValue

from cyphera_pipelines.sandbox import SandboxServer
from cyphera_pipelines.store.accounts import record_account
from cyphera_pipelines.store.database import Database
from cyphera_pipelines_tests.api.conftest import ACCOUNT, PREFIX, Client, MakeClient, RunningApi, fields, problem

CREATE = """curl -X POST $API/api/v1/sync/config \\
  -H "X-Workspace-ID: $WORKSPACE" \\
  -H "X-API-Key: $KEY" \\
  -H "Content-Type: application/json" \\
  -d '{
    "provider_name": "stripe",
    "is_active": true,
    "is_test_mode": true,
    "configuration": {
      "api_key": "sk_test_...",
      "webhook_secret": "whsec_...",
      "environment": "test"
    },
    "webhook_endpoint_url": "https://your-app.com/webhooks/stripe"
  }'"""
START = """curl -X POST $API/api/v1/sync/stripe/initial \\
  -H "X-Workspace-ID: $WORKSPACE" \\
  -H "X-API-Key: $KEY" \\
  -H "Content-Type: application/json" \\
  -d '{
    "entity_types": ["customers", "products", "prices", "subscriptions"],
    "batch_size": 100,
    "full_sync": true
  }'"""
WATCH = """curl -X GET $API/api/v1/sync/sessions/$SESSION/status \\
  -H "X-Workspace-ID: $WORKSPACE" \\
  -H "X-API-Key: $KEY" """


class Answer(BaseModel):
    """A struct of that client: these names have to be there, with values of these JSON types; others do not count."""

    model_config = ConfigDict(strict=True, extra="ignore")


class InitialSyncResponse(Answer):
    session_id: str
    status: str
    provider: str
    entity_types: list[str]
    config: dict[str, JsonValue]
    created_at: str


class SyncSessionResponse(Answer):
    id: str
    workspace_id: str
    provider: str
    session_type: str
    status: str
    entity_types: list[str]
    config: dict[str, JsonValue]
    progress: dict[str, JsonValue]
    error_summary: dict[str, JsonValue] | None
    started_at: str | None
    completed_at: str | None
    created_at: str
    updated_at: str


class SyncSessionsResponse(Answer):
    sessions: list[SyncSessionResponse]
    total: int
    limit: int
    offset: int


class SessionStatusResponse(Answer):
    status: str
    progress: dict[str, JsonValue]
    error_summary: dict[str, JsonValue] | None
    started_at: str | None
    completed_at: str | None


class ProviderAccountResponse(Answer):
    id: str
    workspace_id: str
    provider_name: str
    provider_account_id: str
    account_type: str
    is_active: bool
    environment: str
    display_name: str
    metadata: dict[str, JsonValue]
    created_at: str
    updated_at: str


class ProviderAccountsResponse(Answer):
    provider_accounts: list[ProviderAccountResponse]
    total: int
    limit: int
    offset: int


class ConfigurationsResponse(Answer):
    configurations: list[dict[str, JsonValue]]
    total: int
    limit: int
    offset: int


class TestResponse(Answer):
    __test__ = False
    status: str
    message: str


class ErrorResponse(Answer):
    error: str


A = TypeVar("A", bound=Answer)
ACCOUNT_REQUEST: dict[str, Any] = {
    "provider_name": "stripe",
    "provider_account_id": "acct_1",
    "account_type": "standard",
    "is_active": True,
    "environment": "live",
    "display_name": "Acme",
    "metadata": {"plan": "growth"},
}


def call(client: Client, kind: type[A], method: str, path: str, **request: Any) -> A:
    response = client.request(method, path, **request)
    assert response.is_success, response.text
    return kind.model_validate_json(response.content)


def test_the_three_examples_of_the_original_work_as_they_stand(api: RunningApi, client: Client) -> None:
    def run(command: str, **more: str) -> Any:
        environment = {"PATH": "/usr/bin:/bin", "API": api.url, "KEY": client.key, **more}
        environment["WORKSPACE"] = str(client.workspace.id)
        ran = subprocess.run(["sh", "-euc", command], capture_output=True, text=True, env=environment, check=True)
        return json.loads(ran.stdout)

    assert run(CREATE)["provider_name"] == "stripe"
    started = InitialSyncResponse.model_validate(run(START))
    assert started.entity_types == ["customers", "products", "prices", "subscriptions"]
    status = SessionStatusResponse.model_validate(run(WATCH, SESSION=started.session_id))
    assert (status.status, status.started_at, status.completed_at) == ("pending", None, None)
    session = call(client, SyncSessionResponse, "GET", f"/sessions/{started.session_id}")
    assert session.session_type == "initial_sync", "whatever entities are named"


def connect(client: Client, sandbox: SandboxServer, api_key: str = ACCOUNT.api_key) -> dict[str, Any]:
    # As a language writes it whose fields always have a value, be it null or empty.
    body = {
        "provider_name": "stripe",
        "is_active": None,
        "is_test_mode": True,
        "configuration": {
            "api_key": api_key,
            "webhook_secret": "whsec_api_original",
            "publishable_key": "",
            "environment": "test",
            "base_url": sandbox.url,
        },
        "webhook_endpoint_url": "",
        "connected_account_id": "",
        "metadata": None,
    }
    response = client.post("/config", json=body)
    assert response.status_code == 201, response.text
    made: dict[str, Any] = response.json()
    return made


@pytest.mark.parametrize(
    "body",
    [
        {"entity_types": [], "batch_size": 0, "full_sync": False, "starting_after": "", "ending_before": ""},
        dict.fromkeys(("entity_types", "batch_size", "full_sync", "starting_after", "ending_before")),
        {"full_sync": True, "starting_after": "cus_1", "ending_before": "cus_2"},
    ],
    ids=["empty", "null", "cursors"],
)
def test_a_sync_starts_whatever_is_left_empty(body: dict[str, Any], client: Client, sandbox: SandboxServer) -> None:
    connect(client, sandbox)
    started = call(client, InitialSyncResponse, "POST", "/stripe/initial", json=body)
    assert started.config["batch_size"] == 100
    assert started.config["full_sync"] is bool(body["full_sync"])
    listed = call(client, SyncSessionsResponse, "GET", "/sessions", params={"limit": 7, "offset": 0})
    assert (listed.total, listed.limit, listed.offset) == (1, 7, 0)
    assert listed.sessions[0].session_type == "initial_sync"


def test_lists_and_tests_are_told_in_the_original_s_words(client: Client, sandbox: SandboxServer) -> None:
    made = connect(client, sandbox)
    listed = call(client, ConfigurationsResponse, "GET", "/config", params={"limit": 5, "offset": 1})
    assert (listed.configurations, listed.total, listed.limit, listed.offset) == ([], 1, 5, 1)
    tested = call(client, TestResponse, "POST", f"/config/{made['id']}/test")
    assert (tested.status, tested.message) == ("success", "The connection works.")
    unchanged = client.put(f"/config/{made['id']}", json={"is_active": None, "configuration": None, "metadata": None})
    assert unchanged.json()["is_active"] is True
    client.put(f"/config/{made['id']}", json={"configuration": {"api_key": "sk_test_api_unknown_key"}})
    tested = call(client, TestResponse, "POST", f"/config/{made['id']}/test")
    assert tested.status == "failed"
    assert "rejects the API key" in tested.message


def test_an_account_is_told_by_the_original_s_names(client: Client) -> None:
    body = ACCOUNT_REQUEST | {"provider_account_id": f"acct_{uuid4().hex}"}
    made = call(client, ProviderAccountResponse, "POST", "/accounts", json=body)
    assert {name: getattr(made, name) for name in body} == body
    assert made.workspace_id == str(client.workspace.id)
    again = call(client, ProviderAccountResponse, "POST", "/accounts", json=body)
    assert again == made
    renamed = call(client, ProviderAccountResponse, "POST", "/accounts", json=body | {"display_name": "Acme Ltd."})
    assert (renamed.id, renamed.display_name) == (made.id, "Acme Ltd.")
    assert renamed.updated_at > made.updated_at
    noted = body | {"provider_account_id": "acct_api_noted_only", "environment": "sandbox", "is_active": False}
    call(client, ProviderAccountResponse, "POST", "/accounts", json=noted)
    listed = call(client, ProviderAccountsResponse, "GET", "/accounts")
    assert (listed.provider_accounts, listed.total, listed.limit, listed.offset) == ([renamed], 2, 20, 0)
    (_active, inactive) = client.get("/accounts").json()["accounts"]
    assert (inactive["environment"], inactive["livemode"], inactive["is_active"]) == ("sandbox", False, False)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"provider_account_id": None}, "account_id"),
        ({"provider_account_id": ""}, "account_id"),
        ({"account_id": "acct_another"}, "account_id"),
        ({"environment": ""}, "livemode"),
        ({"livemode": False}, "livemode"),
        ({"environment": "production"}, "environment"),
        ({"display_name": "\0"}, "display_name"),
        ({"metadata": {"a": "x" * 17_000}}, "metadata"),
    ],
    ids=str,
)
def test_what_is_wrong_with_an_account_is_named(change: dict[str, Any], named: str, client: Client) -> None:
    assert fields(client.post("/accounts", json=ACCOUNT_REQUEST | change)) == [named]
    assert client.get("/accounts").json()["total"] == 0


def test_an_account_belongs_to_one_workspace(make_client: MakeClient, database: Database) -> None:
    first, second, third = (make_client() for _ in range(3))
    account_id = f"acct_{uuid4().hex}"
    body = ACCOUNT_REQUEST | {"provider_account_id": account_id}
    assert first.post("/accounts", json=body).status_code == 201
    refused = second.post("/accounts", json=body)
    assert problem(refused, 409)["detail"].startswith(f"Account {account_id} is another workspace's")
    assert str(first.workspace.id) not in refused.text
    assert first.workspace.slug not in refused.text
    assert second.post("/accounts", json=body | {"environment": "test"}).status_code == 201, "another mode"

    def is_active(client: Client) -> list[bool]:
        accounts = client.get("/accounts").json()["accounts"]
        return [each["is_active"] for each in accounts if each["livemode"]]

    # Whose key reaches it has more than his word; of two of those, the first.
    for client in (second, third):
        record_account(database, client.workspace.id, "stripe", account_id, "Acme", livemode=True)
        assert [is_active(each) for each in (first, second)] == [[False], [True]]
    assert is_active(third) == [False]
    for client in (first, third):
        problem(client.post("/accounts", json=body), 409)


def test_every_error_has_a_text_in_error(api: RunningApi, client: Client) -> None:
    answers = {
        400: client.post("/config", content=b'{"\xff": 1}', headers={"Content-Type": "application/json"}),
        401: api.ask("GET", f"{PREFIX}/config"),
        404: client.get(f"/sessions/{uuid4()}"),
        405: client.delete("/providers"),
        413: client.post("/config", content=b" " * 1_100_000, headers={"Content-Type": "application/json"}),
        415: client.post("/config", content=b"x", headers={"Content-Type": "text/plain"}),
        422: client.post("/stripe/initial", json={"batch_size": 101}),
    }
    for status, response in answers.items():
        document = problem(response, status)
        error = ErrorResponse.model_validate(document).error
        assert error.startswith(document["detail"])
    assert "batch_size: Input should be less than or equal to 100." in error
    twice = api.plain.build_request("GET", "/healthz", headers=[("X-API-Key", "a"), ("X-API-Key", "b")])
    assert ErrorResponse.model_validate(problem(api.plain.send(twice), 400)).error


def test_the_document_says_what_partial_means_to_them(api: RunningApi) -> None:
    document = api.app.openapi()
    described = document["components"]["schemas"]["SessionStateNow"]["properties"]["status"]["description"]
    assert "should take it for `failed`" in described
    assert "treat `partial` as it does `failed`" in " ".join(document["info"]["description"].split())
