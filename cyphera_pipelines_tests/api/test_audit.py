"""The audit trail over HTTP."""

from cyphera_pipelines.sandbox import SandboxServer
from cyphera_pipelines_tests.api.conftest import ACCOUNT, Client, MakeClient


def test_a_workspace_reads_who_did_what_to_it(client: Client, make_client: MakeClient, sandbox: SandboxServer) -> None:
    body = {"provider_name": "stripe", "configuration": {"api_key": ACCOUNT.api_key, "base_url": sandbox.url}}
    config_id = client.post("/config", json=body).json()["id"]
    assert client.put(f"/config/{config_id}", json={"configuration": {"webhook_secret": "whsec_audited"}}).is_success
    wrong_mode = {"configuration": {"api_key": "sk_live_audited_of_another_mode"}}
    assert client.put(f"/config/{config_id}", json=wrong_mode).status_code == 422
    assert client.delete(f"/config/{config_id}").is_success
    url = str(client.base_url).replace("/sync/", "/audit")
    answer = client.get(url)
    assert answer.status_code == 200, answer.text
    page = answer.json()
    told = [(entry["action"], entry["outcome"]) for entry in page["entries"]]
    assert told == [
        ("configuration.removed", "done"),
        ("configuration.changed", "refused"),
        ("configuration.changed", "done"),
        ("configuration.created", "done"),
        ("key.created", "done"),
        ("workspace.created", "done"),
    ]
    assert page["total"] == 6
    for entry in page["entries"][:4]:
        assert entry["actor"].startswith("api_key:")
        assert entry["actor_name"] == "tests"
        assert entry["subject_id"] == config_id
    assert page["entries"][2]["details"]["changed"] == ["configuration.webhook_secret"]
    assert "another_mode" not in answer.text
    (oldest,) = client.get(url, params={"limit": 1, "offset": 5}).json()["entries"]
    assert oldest["action"] == "workspace.created"
    assert {entry["action"] for entry in make_client().get(url).json()["entries"]} == {
        "workspace.created",
        "key.created",
    }, "another workspace's are another's"
