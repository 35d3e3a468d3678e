"""Asking for purges over HTTP; what they do is tested where they are carried out."""

from collections.abc import Callable
from uuid import uuid4

from cyphera_pipelines.model.source import Source
from cyphera_pipelines.sandbox import SandboxServer
from cyphera_pipelines_tests.api.conftest import ACCOUNT, Client, RunningApi, fields, problem


def test_a_source_is_purged_only_if_that_is_confirmed(
    client: Client, api: RunningApi, sandbox: SandboxServer, add_source: Callable[..., Source]
) -> None:
    source = add_source(ACCOUNT.api_key, sandbox.url, workspace=client.workspace)
    session = client.post("/stripe/initial").json()["session_id"]
    for question in ("purge=true", "purge=true&confirm=another"):
        assert fields(client.delete(f"/config/stripe?{question}")) == ["confirm"]
    assert client.get("/config/stripe").json()["id"] == str(source.configuration_id)
    spare = {"provider_name": "stripe", "is_active": False, "configuration": {"api_key": "sk_test_api_spare_purge"}}
    inactive = client.post("/config", json=spare).json()["id"]
    confirmed = f"?purge=true&confirm={client.workspace.slug}"
    assert "is the active one" in problem(client.delete(f"/config/{inactive}{confirmed}"), 409)["detail"]

    answer = client.delete(f"/config/stripe{confirmed}")
    assert answer.status_code == 202, answer.text
    purge = answer.json()
    assert (purge["status"], purge["provider_name"], purge["deleted"]) == ("requested", "stripe", {})
    assert api.ask("GET", purge["status_url"]).json() == purge, "without a key"
    assert client.delete(f"/config/stripe{confirmed}").json()["id"] == purge["id"], "it is under way"
    assert client.get(f"/sessions/{session}").json()["status"] == "cancelled"
    assert client.get("/config").json()["total"] == 0
    again = {"provider_name": "stripe", "configuration": {"api_key": ACCOUNT.api_key, "base_url": sandbox.url}}
    assert problem(client.post("/config", json=again), 409)["type"] == "urn:cyphera:problem:purge-under-way"
    problem(api.ask("POST", f"/api/v1/sync/webhooks/stripe/{source.configuration_id}", content=b"{}"), 404)
    problem(api.ask("GET", f"/api/v1/purges/{uuid4()}"), 404)


def test_a_purged_workspace_s_keys_open_nothing(client: Client, api: RunningApi) -> None:
    url = str(client.base_url).replace("/sync/", "/workspace")
    assert fields(client.delete(url)) == fields(client.delete(url, params={"purge": False})) == ["purge"]
    assert fields(client.delete(url, params={"purge": True})) == ["confirm"]
    answer = client.delete(url, params={"purge": True, "confirm": client.workspace.slug})
    assert answer.status_code == 202, answer.text
    problem(client.get("/config"), 401)
    told = api.ask("GET", answer.json()["status_url"]).json()
    assert told["provider_name"] is None
    assert client.workspace.slug not in str(told)
