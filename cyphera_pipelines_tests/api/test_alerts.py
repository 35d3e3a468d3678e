"""Alerts over HTTP: a workspace's own, and nobody else's."""

from collections.abc import Callable

from cyphera_pipelines.model.alerts import AlertCause
from cyphera_pipelines.model.key_levels import KeyLevel
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.store.alert_rules import read_rules
from cyphera_pipelines.store.api_keys import create_api_key
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.workspaces import find_workspace
from cyphera_pipelines_tests.alerts.conftest import Watch, be_fresh, fail
from cyphera_pipelines_tests.alerts.conftest import watch as watch
from cyphera_pipelines_tests.api.conftest import RunningApi, problem

BASE = "/api/v1"


def headers(database: Database, source: Source, level: KeyLevel = KeyLevel.SYNC) -> dict[str, str]:
    workspace = find_workspace(database, source.workspace_slug)
    _made, key = create_api_key(database, workspace, level.value, level)
    return {"X-API-Key": key.as_text(), "X-Workspace-ID": str(workspace.id)}


def test_a_workspace_sees_its_alerts_and_sets_its_rules(
    api: RunningApi, database: Database, watch: Watch, add_source: Callable[..., Source]
) -> None:
    source, other = add_source("sk_test_alerts_api"), add_source("sk_test_alerts_api_other")
    be_fresh(database, source, other)
    own = headers(database, source)
    rule = {"cause": "failed", "times": 2}
    assert api.ask("PUT", f"{BASE}/alert-rules", headers=own, json=rule).json()["is_own"]
    fail(database, source, other)
    watch.evaluate()
    assert api.ask("GET", f"{BASE}/alerts", headers=own).json() == {"alerts": []}, "by its own rule, one is not enough"
    (waiting,) = api.ask("GET", f"{BASE}/alerts?state=waiting", headers=own).json()["alerts"]
    assert (waiting["cause"], waiting["state"], waiting["times"]) == ("failed", "waiting", 1)
    fail(database, source)
    watch.evaluate()
    (alert,) = api.ask("GET", f"{BASE}/alerts", headers=own).json()["alerts"]
    assert alert["id"] == waiting["id"]
    assert alert["sentence"].startswith("2 syncs in a row failed since ")
    assert alert["remedy"] == "Test the connection of its configuration.", "a workspace has no command line"
    refused = api.ask("PUT", f"{BASE}/alert-rules", headers=own, json={"cause": "late", "times": 2})
    assert refused.status_code == 422
    (error,) = problem(refused, 422)["errors"]
    assert (error["field"], "there is nothing to count" in error["message"]) == ("times", True)
    forgotten = api.ask("DELETE", f"{BASE}/alert-rules?cause=failed", headers=own).json()
    assert (forgotten["is_own"], forgotten["times"]) == (False, None)
    assert AlertCause.FAILED in read_rules(database, source.workspace_id)


def test_a_channel_s_address_and_secret_are_shown_once_at_most(
    api: RunningApi, database: Database, add_source: Callable[..., Source]
) -> None:
    source = add_source("sk_test_alerts_api_channels")
    own = headers(database, source)
    wanted = {"name": "on call", "kind": "webhook", "address": "https://alerts.example.com/planted-path"}
    added = api.ask("POST", f"{BASE}/alert-channels", headers=own, json=wanted)
    assert added.status_code == 201
    secret = added.json()["secret"]
    assert secret.startswith("whsec_")
    listed = api.ask("GET", f"{BASE}/alert-channels", headers=own).text
    audited = api.ask("GET", f"{BASE}/audit", headers=own).text
    assert "alert_channel.added" in audited
    for text in (added.text.replace(secret, ""), listed, audited):
        assert secret not in text
        assert "planted-path" not in text
    channel_id = added.json()["id"]
    removed = api.ask("DELETE", f"{BASE}/alert-channels/{channel_id}", headers=own)
    assert removed.status_code == 204
    assert api.ask("POST", f"{BASE}/alert-channels/{channel_id}/test", headers=own).status_code == 404


def test_what_is_wrong_with_a_channel_is_named(
    api: RunningApi, database: Database, add_source: Callable[..., Source]
) -> None:
    own = headers(database, add_source("sk_test_alerts_api_wrong"))
    wanted = {"name": "on call", "kind": "webhook", "address": "https://alerts.example.com/x"}
    for wrong, remedy in (
        ({"address": "not an address"}, "It must be printable, without spaces, of 2000 characters at most."),
        ({"address": "ftp://example.com"}, "The address must read https://host/path, without a user name"),
        ({"address": "http://example.com/x"}, "The address must begin with https://"),
        ({"address": "https://10.0.0.1/x"}, "The address must be one of the public internet."),
        ({"kind": "slack"}, "Copy it from the app's page"),
        ({"name": "on\ncall"}, "It must be printable text of 1 to 80 characters."),
    ):
        answer = api.ask("POST", f"{BASE}/alert-channels", headers=own, json=wanted | wrong)
        (error,) = problem(answer, 422)["errors"]
        assert error["field"] == ("name" if "name" in wrong else "address")
        assert error["remedy"].startswith(remedy)


def test_a_key_that_may_only_read_changes_nothing(
    api: RunningApi, database: Database, add_source: Callable[..., Source]
) -> None:
    reading = headers(database, add_source("sk_test_alerts_api_read"), KeyLevel.READ)
    wanted = {"name": "on call", "kind": "webhook", "address": "https://alerts.example.com/x"}
    assert api.ask("POST", f"{BASE}/alert-channels", headers=reading, json=wanted).status_code == 403
    assert api.ask("PUT", f"{BASE}/alert-rules", headers=reading, json={"cause": "late"}).status_code == 403
    for path in ("alerts", "alert-channels", "alert-rules", "alert-deliveries"):
        assert api.ask("GET", f"{BASE}/{path}", headers=reading).status_code == 200


def test_an_address_inside_is_refused_and_a_test_reaches_nothing_there(
    api: RunningApi, database: Database, add_source: Callable[..., Source]
) -> None:
    own = headers(database, add_source("sk_test_alerts_api_inside"))
    wanted = {"name": "inside", "kind": "webhook", "address": "https://10.0.0.1/x"}
    refused = api.ask("POST", f"{BASE}/alert-channels", headers=own, json=wanted)
    assert refused.status_code == 422
    assert "public internet" in refused.text
