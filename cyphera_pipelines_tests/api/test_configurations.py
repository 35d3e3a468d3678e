"""Configurations, from creation to removal, and the connection test."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text, update

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.missing import MissingKind
from cyphera_pipelines.model.rows import UnmappableObject
from cyphera_pipelines.model.sessions import SyncRequest
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.model.workspace import Workspace
from cyphera_pipelines.sandbox import Fault, FaultKind, SandboxServer
from cyphera_pipelines.security.encryption import Binding, Keyring
from cyphera_pipelines.security.secrets import redact
from cyphera_pipelines.store.configurations import read_credentials
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.missing import note_missing
from cyphera_pipelines.store.tables import workspace_payment_configurations as configurations
from cyphera_pipelines.sync.request import open_session
from cyphera_pipelines_tests.api.conftest import ACCOUNT, Client, MakeClient, fields, problem

FIELDS = {
    "id",
    "workspace_id",
    "provider_name",
    "is_active",
    "is_test_mode",
    "label",
    "webhook_endpoint_url",
    "connected_account_id",
    "last_sync_at",
    "last_webhook_at",
    "last_webhook_refused_at",
    "last_webhook_refusal",
    "metadata",
    "missing",
    "pause",
    "schedule",
    "created_at",
    "updated_at",
}
SECRET = "sk_test_api_planted_secret_1"


def new(api_key: str = SECRET, **more: Any) -> dict[str, Any]:
    """The body of a request for a new configuration. `base_url` and the like go into its credentials."""
    credentials = {name: more.pop(name) for name in ("webhook_secret", "base_url", "environment") if name in more}
    return {"provider_name": "stripe", "configuration": {"api_key": api_key, **credentials}, **more}


def create(client: Client, *args: Any, **more: Any) -> dict[str, Any]:
    response = client.post("/config", json=new(*args, **more))
    assert response.status_code == 201, response.text
    made: dict[str, Any] = response.json()
    return made


def stored(database: Database, keyring: Keyring, workspace: Workspace, made: dict[str, Any]) -> dict[str, Any]:
    binding = Binding(workspace.id, made["id"], "stripe")
    found = read_credentials(database, keyring, binding)
    return {
        "api_key": found.api_key.get_secret_value(),
        "webhook_secret": found.webhook_secret and found.webhook_secret.get_secret_value(),
        "environment": found.environment,
    }


def test_a_configuration_is_made_and_found_again_without_its_secrets(client: Client) -> None:
    body = {
        "provider_name": "stripe",
        "is_active": True,
        "is_test_mode": True,
        "configuration": {
            "api_key": SECRET,
            "webhook_secret": "whsec_api_planted_secret_2",
            "publishable_key": "pk_test_public",
            "environment": "staging",
            "base_url": "http://127.0.0.1:9/",
        },
        "webhook_endpoint_url": "https://hooks.example.com:8443/stripe?tenant=1",
        "connected_account_id": "acct_123",
        "metadata": {"plan": "größer", "store_raw": False, "nested": {"list": [1, None, 2.5]}},
    }
    response = client.post("/config", json=body)
    assert response.status_code == 201
    made = response.json()
    assert made.keys() == FIELDS
    shown = {name: value for name, value in body.items() if name != "configuration"}
    assert {name: made[name] for name in shown} == shown
    assert made["workspace_id"] == str(client.workspace.id)
    assert made["created_at"].endswith("Z")
    assert made["last_sync_at"] is None
    assert client.get("/config/stripe").json() == made
    assert client.get(f"/config/id/{made['id']}").json() == made
    assert client.get("/config").json() == {"configurations": [made], "total": 1, "limit": 20, "offset": 0}
    assert "planted" not in response.text


def test_the_mode_is_the_key_s_unless_it_is_told(client: Client) -> None:
    assert create(client, "sk_live_api_live_key", is_active=False)["is_test_mode"] is False
    assert create(client, "sk_test_api_test_key", is_active=False)["is_test_mode"] is True


def test_a_second_active_configuration_is_a_conflict_and_an_inactive_one_is_not(client: Client) -> None:
    first = create(client)
    document = problem(client.post("/config", json=new()), 409)
    assert document["type"] == "urn:cyphera:problem:configuration-active"
    assert "PUT" in str(document["detail"])
    second = create(client, is_active=False)
    problem(client.put(f"/config/{second['id']}", json={"is_active": True}), 409)
    client.put(f"/config/{first['id']}", json={"is_active": False})
    assert client.put(f"/config/{second['id']}", json={"is_active": True}).json()["is_active"] is True
    assert client.get("/config/stripe").json()["id"] == second["id"]


def test_a_list_is_paged_newest_first(client: Client) -> None:
    made = [create(client, is_active=False)["id"] for _ in range(5)]
    page = client.get("/config", params={"limit": 2, "offset": 1}).json()
    assert page["total"] == 5
    assert [each["id"] for each in page["configurations"]] == [made[3], made[2]]
    assert (page["limit"], page["offset"]) == (2, 1)
    assert client.get("/config", params={"offset": 2**63 - 1}).json()["configurations"] == []


def test_a_change_leaves_what_is_not_given(client: Client, database: Database, keyring: Keyring) -> None:
    made = create(client, webhook_secret="whsec_first", environment="eu", metadata={"a": 1})
    workspace = client.workspace
    changed = client.put(f"/config/{made['id']}", json={"webhook_endpoint_url": "https://a.example/"}).json()
    assert changed == {**made, "webhook_endpoint_url": "https://a.example/", "updated_at": changed["updated_at"]}
    assert changed["updated_at"] > made["updated_at"]
    client.put(f"/config/{made['id']}", json={"configuration": {"api_key": "sk_test_api_second_key"}})
    expected = {"api_key": "sk_test_api_second_key", "webhook_secret": "whsec_first", "environment": "eu"}
    assert stored(database, keyring, workspace, made) == expected
    client.put(f"/config/{made['id']}", json={"configuration": {"webhook_secret": ""}, "metadata": {}})
    assert stored(database, keyring, workspace, made) == {**expected, "webhook_secret": None}
    last = client.get(f"/config/id/{made['id']}").json()
    assert (last["metadata"], last["webhook_endpoint_url"]) == ({}, "https://a.example/")


def test_null_leaves_alone_and_empty_forgets(client: Client, database: Database, keyring: Keyring) -> None:
    urls = {"webhook_endpoint_url": "https://a.example/", "connected_account_id": "acct_1"}
    made = client.post("/config", json={**new(webhook_secret="whsec_first"), **urls, "metadata": {"a": 1}}).json()
    before = stored(database, keyring, client.workspace, made)
    credentials = dict.fromkeys(("api_key", "webhook_secret", "publishable_key", "environment", "base_url"))
    nothing = dict.fromkeys((*urls, "is_active", "is_test_mode", "metadata", "configuration"))
    for body in (nothing, {**nothing, "configuration": credentials}):
        changed = client.put(f"/config/{made['id']}", json=body)
        assert changed.status_code == 200, changed.text
        assert changed.json() == {**made, "updated_at": changed.json()["updated_at"]}
    assert stored(database, keyring, client.workspace, made) == before
    forgotten = client.put(f"/config/{made['id']}", json=dict.fromkeys(urls, "")).json()
    assert [forgotten[name] for name in urls] == [None, None]


def test_a_change_keeps_key_and_mode_together(client: Client) -> None:
    made = create(client)
    for body in ({"configuration": {"api_key": "sk_live_api_wrong"}}, {"is_test_mode": False}):
        assert fields(client.put(f"/config/{made['id']}", json=body)) == ["configuration.api_key"]
    both = {"configuration": {"api_key": "sk_live_api_right"}, "is_test_mode": False}
    assert client.put(f"/config/{made['id']}", json=both).json()["is_test_mode"] is False


def test_a_path_may_name_the_active_configuration_by_its_provider(client: Client) -> None:
    made = create(client)
    assert client.get(f"/config/{made['id']}").json() == made
    assert client.put("/config/stripe", json={"metadata": {"b": 2}}).json()["metadata"] == {"b": 2}
    assert client.delete("/config/stripe").status_code == 204
    for response in (
        client.get("/config/stripe"),
        client.put("/config/stripe", json={}),
        client.delete("/config/stripe"),
    ):
        assert "POST /api/v1/sync/config" in problem(response, 404)["detail"]


def test_a_removed_configuration_is_gone_and_blocks_nothing(client: Client) -> None:
    made = create(client)
    assert client.delete(f"/config/{made['id']}").status_code == 204
    for response in (
        client.delete(f"/config/{made['id']}"),
        client.get(f"/config/id/{made['id']}"),
        client.put(f"/config/{made['id']}", json={"is_active": True}),
        client.post(f"/config/{made['id']}/test"),
        client.get("/config/stripe"),
    ):
        problem(response, 404)
    assert client.get("/config").json()["total"] == 0
    create(client)


def test_a_new_key_mends_a_configuration_that_no_longer_opens(
    client: Client, database: Database, keyring: Keyring
) -> None:
    made = create(client)
    with database.control() as connection:
        broken = (
            update(configurations).where(configurations.c.id == made["id"]).values(configuration="v1.00000000.AA==")
        )
        connection.execute(broken)
    for response in (
        client.post(f"/config/{made['id']}/test"),
        client.put(f"/config/{made['id']}", json={"configuration": {"webhook_secret": "whsec_alone"}}),
    ):
        assert problem(response, 409)["type"] == "urn:cyphera:problem:credentials-unreadable"
    assert client.put(f"/config/{made['id']}", json={"configuration": {"api_key": SECRET}}).status_code == 200
    assert stored(database, keyring, client.workspace, made)["api_key"] == SECRET


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"provider_name": "paypal"}, "provider_name"),
        ({"provider_name": None}, "provider_name"),
        ({"provider_name": "stripe\0"}, "provider_name"),
        ({"is_active": "yes"}, "is_active"),
        ({"is_test_mode": 1}, "is_test_mode"),
        ({"is_test_mode": False}, "configuration.api_key"),
        ({"configuration": None}, "configuration"),
        ({"configuration": {}}, "configuration.api_key"),
        ({"configuration": {"api_key": 5}}, "configuration.api_key"),
        ({"configuration": {"api_key": ""}}, "configuration.api_key"),
        ({"configuration": {"api_key": "sk_test_with space"}}, "configuration.api_key"),
        ({"configuration": {"api_key": "sk_test_\0nul"}}, "configuration.api_key"),
        ({"configuration": {"api_key": "pk_test_1"}}, "configuration.api_key"),
        ({"configuration": {"api_key": "sk_test_" + "x" * 600}}, "configuration.api_key"),
        ({"configuration": {"api_key": "sk_test_1", "webhook_secret": "ö"}}, "configuration.webhook_secret"),
        ({"configuration": {"api_key": "sk_test_1", "secret": "x"}}, "configuration.secret"),
        ({"configuration": {"api_key": "sk_test_1", "base_url": "https://evil.example"}}, "configuration.base_url"),
        ({"configuration": {"api_key": "sk_test_1", "base_url": "http://169.254.169.254"}}, "configuration.base_url"),
        ({"configuration": {"api_key": "sk_test_1", "base_url": "https://a@api.stripe.com"}}, "configuration.base_url"),
        ({"configuration": {"api_key": "sk_test_1", "base_url": "file:///etc/passwd"}}, "configuration.base_url"),
        ({"webhook_endpoint_url": "http://example.com/"}, "webhook_endpoint_url"),
        ({"webhook_endpoint_url": "https://exa mple.com/"}, "webhook_endpoint_url"),
        ({"webhook_endpoint_url": "https://example.com/\n"}, "webhook_endpoint_url"),
        ({"connected_account_id": "acct_\ud800"}, "connected_account_id"),
        ({"connected_account_id": "acme"}, "connected_account_id"),
        ({"connected_account_id": "acct_1/acct_2"}, "connected_account_id"),
        ({"configuration": {"api_key": "sk_org_test_1"}}, "connected_account_id"),
        ({"metadata": []}, "metadata"),
        ({"metadata": "text"}, "metadata"),
        ({"metadata": {"a": "\0"}}, "metadata"),
        ({"metadata": {"\ud800": 1}}, "metadata"),
        ({"metadata": {"a": float("nan")}}, "metadata"),
        ({"metadata": {"a": "x" * 17_000}}, "metadata"),
        ({"metadata": {"store_raw": "no"}}, "metadata"),
        ({"metadata": {"rate_limits": {"account": 0, "endpoint": 5}}}, "metadata"),
        ({"metadata": {"rate_limits": 5}}, "metadata"),
        ({"colour": "red"}, "colour"),
        ({"workspace_id": "00000000-0000-4000-8000-000000000000"}, "workspace_id"),
    ],
    ids=str,
)
def test_a_wrong_value_is_named_with_its_remedy(change: dict[str, Any], named: str, client: Client) -> None:
    body = json.dumps({**new(is_test_mode=True), **change})
    response = client.post("/config", content=body, headers={"Content-Type": "application/json"})
    assert fields(response) == [named]
    assert "planted" not in response.text
    assert client.get("/config").json()["total"] == 0
    if "metadata" not in change and "provider_name" not in change and "configuration" not in change:
        return
    made = create(client)
    if "provider_name" not in change and change.get("configuration", {}) not in ({}, None):
        changed = client.put(
            f"/config/{made['id']}", content=json.dumps(change), headers={"Content-Type": "application/json"}
        )
        assert fields(changed) == [named]


def test_an_organization_s_key_needs_an_account_and_may_need_its_mode(client: Client) -> None:
    key = "sk_org_api_planted_key"
    response = client.post("/config", json=new(key, is_test_mode=True))
    (error,) = problem(response, 422)["errors"]
    assert error["field"] == "connected_account_id"
    assert "organization" in error["message"]
    assert "planted" not in response.text
    account = {"connected_account_id": "acct_1/acct_2"}
    response = client.post("/config", json=new(key, **account))
    assert fields(response) == ["is_test_mode"]
    made = client.post("/config", json=new(key, is_test_mode=True, **account)).json()
    assert (made["connected_account_id"], made["is_test_mode"]) == ("acct_1/acct_2", True)
    path = f"/config/{made['id']}"
    assert fields(client.put(path, json={"connected_account_id": ""})) == ["connected_account_id"]
    assert client.get(path).json()["connected_account_id"] == "acct_1/acct_2"
    own = client.put(path, json={"connected_account_id": "", "configuration": {"api_key": "sk_test_own"}}).json()
    assert own["connected_account_id"] is None
    live = client.post("/config", json=new("sk_org_live_api_planted", is_active=False, **account)).json()
    assert live["is_test_mode"] is False


def test_a_key_of_the_wrong_mode_is_explained_and_not_repeated(client: Client) -> None:
    response = client.post("/config", json=new("sk_live_api_planted_live", is_test_mode=True))
    (error,) = problem(response, 422)["errors"]
    assert error["message"] == "This is a live mode key, but is_test_mode is true."
    assert error["remedy"] == "Give a test mode key, or set is_test_mode to false."
    assert "planted" not in response.text


@pytest.mark.parametrize("api_key", ["pk_test_api_planted", "pk_live_api_planted"])
def test_a_publishable_key_is_explained_and_not_repeated(api_key: str, client: Client) -> None:
    response = client.post("/config", json=new(api_key))
    (error,) = problem(response, 422)["errors"]
    assert error == {
        "location": "body",
        "field": "configuration.api_key",
        "message": "This is a publishable key, which may read nothing.",
        "remedy": "Give a secret or restricted key.",
    }
    assert "planted" not in response.text


def test_one_tenant_s_key_garbles_nobody_else_s_answers(make_client: MakeClient) -> None:
    one, other = make_client(), make_client()
    for word in ("session", "workspace"):
        create(one, word, is_active=False)
    detail = problem(other.get(f"/sessions/{other.workspace.id}"), 404)["detail"]
    assert detail == f"There is no session {other.workspace.id} in this workspace."
    assert redact("session") == "session", "what is sent to the server does not stay in its memory"


def test_what_a_client_leaves_empty_is_not_there(client: Client) -> None:
    empty = {"webhook_secret": "", "publishable_key": "", "environment": None, "base_url": ""}
    body = {
        "provider_name": "stripe",
        "configuration": {"api_key": SECRET, **empty},
        "webhook_endpoint_url": "",
        "connected_account_id": "",
        "metadata": None,
    }
    response = client.post("/config", json=body)
    assert response.status_code == 201, response.text
    made = response.json()
    assert (made["webhook_endpoint_url"], made["connected_account_id"], made["metadata"]) == (None, None, {})


@pytest.mark.parametrize("secret", ["rk_live_api_planted_elsewhere", "planted, in no known shape"])
def test_a_secret_in_a_wrong_place_is_not_repeated(secret: str, client: Client) -> None:
    bodies: list[Any] = [
        {"provider_name": secret, "configuration": secret, "is_active": secret, "metadata": secret},
        {"provider_name": "stripe", "configuration": {"api_key": [secret], "base_url": {"a": secret}}},
        {"provider_name": "stripe", "configuration": {"api_key": SECRET}, "webhook_endpoint_url": secret},
        {"provider_name": "stripe", "configuration": {"api_key": SECRET}, "metadata": {"store_raw": secret}},
        [secret],
        secret,
    ]
    for body in bodies:
        assert "planted" not in client.post("/config", json=body).text
    for parameter in ("status", "provider", "limit", "offset"):
        assert "planted" not in client.get("/sessions", params={parameter: secret}).text


def test_a_key_in_a_path_is_not_repeated(client: Client) -> None:
    secret = "rk_live_api_planted_elsewhere"
    for path in (f"/config/{secret}", f"/config/id/{secret}", f"/sessions/{secret}", f"/{secret}/initial"):
        assert "planted" not in client.get(path).text
    assert "planted" not in client.post("/config", json={secret: secret}).text


def test_bodies_that_are_no_json_are_told_apart(client: Client) -> None:
    def post(content: bytes, media_type: str = "application/json") -> int:
        response = client.post("/config", content=content, headers={"Content-Type": media_type})
        problem(response, response.status_code)
        return response.status_code

    assert post(b'{"provider_name": ') == 422
    assert post(b'{"\xff": 1}') == 400
    assert post(b"[" * 100_000) == 400
    assert post(b"") == 422
    assert post(b"provider_name=stripe", "application/x-www-form-urlencoded") == 415
    assert post(b"{}", "text/plain") == 415


def test_a_large_body_is_refused_however_it_comes(client: Client) -> None:
    large = b'{"metadata": {"a": "' + b"x" * 1_100_000 + b'"}}'
    media_type = {"Content-Type": "application/json"}
    problem(client.post("/config", content=large, headers=media_type), 413)
    pieces = (large[start : start + 65_536] for start in range(0, len(large), 65_536))
    problem(client.post("/config", content=pieces, headers=media_type), 413)


def report(client: Client, api_key: str, base_url: str, **more: Any) -> dict[str, Any]:
    made = create(client, api_key, base_url=base_url, **more)
    response = client.post(f"/config/{made['id']}/test")
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


def codes(found: dict[str, Any]) -> list[tuple[str, str | None]]:
    return [(problem["code"], problem["entity"]) for problem in found["problems"]]


def test_a_good_key_reaches_its_account_which_is_recorded(client: Client, sandbox: SandboxServer) -> None:
    found = report(client, ACCOUNT.api_key, sandbox.url)
    assert (found["success"], found["problems"]) == (True, [])
    assert (found["account"]["id"], found["account"]["name"]) == ("acct_api", "API Ltd.")
    assert found["readable"] == ["customers", "products", "prices", "subscriptions", "invoices"]
    accounts = client.get("/accounts").json()
    assert accounts["total"] == 1
    assert accounts["accounts"][0]["account_id"] == "acct_api"
    assert accounts["accounts"][0]["account_name"] == "API Ltd."


def test_a_restricted_key_is_told_which_permission_it_lacks(make_client: MakeClient, sandbox: SandboxServer) -> None:
    found = report(make_client(), "rk_test_api_no_customers", sandbox.url)
    assert (found["success"], codes(found)) == (False, [("missing_permission", "customers")])
    assert found["problems"][0]["permission"] == "rak_customer_read"
    assert found["account"]["id"] == "acct_api"
    found = report(make_client(), "rk_test_api_no_account", sandbox.url)
    assert (found["success"], found["account"], codes(found)) == (True, None, [("account_unreadable", None)])
    assert found["problems"][0]["permission"] == "rak_account_read"


def test_a_key_that_may_not_read_events_is_told_what_that_means(client: Client, sandbox: SandboxServer) -> None:
    found = report(client, "rk_test_api_no_events", sandbox.url)
    assert (found["success"], codes(found)) == (True, [("events_unreadable", None)])
    assert len(found["readable"]) == 5
    (told,) = found["problems"]
    assert told["permission"] == "rak_event_read"
    assert told["message"].endswith("Changes cannot be followed, so every sync lists everything.")


def test_other_problems_are_told_apart(make_client: MakeClient, sandbox: SandboxServer, database: Database) -> None:
    found = report(make_client(), "sk_test_api_unknown_key", sandbox.url)
    assert (found["success"], codes(found)) == (False, [("wrong_key", None)])
    assert "unknown_key" not in str(found)
    found = report(make_client(), ACCOUNT.api_key, "http://127.0.0.1:9")
    assert codes(found) == [("network_failure", None)]
    with database.control() as connection:
        client = make_client()
        made = create(client, ACCOUNT.api_key, base_url=sandbox.url)
        connection.execute(
            text("UPDATE sync.workspace_payment_configurations SET is_test_mode = false WHERE id = :id"),
            {"id": made["id"]},
        )
    assert codes(client.post(f"/config/{made['id']}/test").json()) == [("wrong_mode", None)]


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (FaultKind.ERROR_503, "provider_down"),
        (FaultKind.DROP, "network_failure"),
        (FaultKind.CUT_JSON, "provider_down"),
        (FaultKind.UNAUTHORIZED, "wrong_key"),
    ],
)
def test_faults_of_the_provider_are_told_apart(
    kind: FaultKind, code: str, client: Client, sandbox: SandboxServer
) -> None:
    options = sandbox.state.options
    sandbox.state.set_options(options.model_copy(update={"faults": (Fault(kind=kind),)}))
    try:
        assert codes(report(client, ACCOUNT.api_key, sandbox.url)) == [(code, None)]
    finally:
        sandbox.state.set_options(options)


def test_a_configuration_shows_what_is_missing_from_its_tables(
    make_client: MakeClient, database: Database, add_source: Callable[..., Source]
) -> None:
    client, other = make_client(), make_client()
    sources = [add_source(f"sk_test_missing_{at}", workspace=one.workspace) for at, one in enumerate((client, other))]
    assert client.get("/config/stripe").json()["missing"] == []
    session = open_session(database, sources[0], SyncRequest())
    objects = [UnmappableObject("cus_odd", "`created` should be a moment", b"{}")]
    with database.tenant(client.workspace.id) as connection:
        note_missing(
            connection, session, Entity.CUSTOMERS, objects, MissingKind.NOT_LOADED, livemode=False, listing=None
        )
    (missing,) = client.get("/config/stripe").json()["missing"]
    assert (missing["entity"], missing["objects"], missing["session_id"]) == ("customers", 1, str(session.id))
    assert "cus_odd (`created` should be a moment)" in missing["message"]
    assert client.get(f"/config/id/{sources[0].configuration_id}").json()["missing"] == [missing]
    assert other.get("/config/stripe").json()["missing"] == []
