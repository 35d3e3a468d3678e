"""Schedules and pauses through the API."""

from typing import Any

import pytest

from cyphera_pipelines.model.source import Source
from cyphera_pipelines.store.audit import list_audit_entries
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.pauses import pause_source
from cyphera_pipelines.store.schedules import SyncResult
from cyphera_pipelines_tests.api.conftest import Client, MakeClient, fields, problem
from cyphera_pipelines_tests.api.test_configurations import create, new
from cyphera_pipelines_tests.store.test_schedules import note

SET = ("changes_every_seconds", "daily_at", "time_zone", "listing_every_seconds")
DEFAULT = {"changes_every_seconds": 3600, "daily_at": None, "time_zone": None, "listing_every_seconds": 604_800}


def what_is_set(made: dict[str, Any]) -> dict[str, Any]:
    return {name: made["schedule"][name] for name in SET}


def test_a_configuration_has_the_default_schedule_unless_another_is_given(
    client: Client, make_client: MakeClient
) -> None:
    made = create(client)
    assert what_is_set(made) == DEFAULT
    shown = made["schedule"]
    assert (shown["state"], shown["fresh_at"], shown["failures"]) == ("never_synced", None, 0)
    assert client.get("/config/stripe").json()["schedule"] == shown
    assert client.get("/config").json()["configurations"][0]["schedule"] == shown
    given = {"daily_at": "02:30", "time_zone": "Europe/Berlin", "listing_every_seconds": 86_400}
    other = create(make_client(), schedule=given)
    assert what_is_set(other) == {"changes_every_seconds": None, **given}


def test_what_is_given_is_changed_and_the_rest_stays(client: Client, database: Database) -> None:
    made = create(client, schedule={"listing_every_seconds": 86_400})

    def change(schedule: Any) -> dict[str, Any]:
        response = client.put(f"/config/{made['id']}", json={"schedule": schedule})
        assert response.status_code == 200, response.text
        return what_is_set(response.json())

    daily = {"changes_every_seconds": None, "listing_every_seconds": 86_400, "daily_at": "23:59", "time_zone": "UTC"}
    assert change({"daily_at": "23:59"}) == daily
    assert change({"time_zone": "America/New_York"}) == daily | {"time_zone": "America/New_York"}
    assert change(None) == daily | {"time_zone": "America/New_York"}
    assert change({"changes_every_seconds": 300}) == DEFAULT | {
        "changes_every_seconds": 300,
        "listing_every_seconds": 86_400,
    }
    entries = [each for each in list_audit_entries(database, client.workspace.id) if "changed" in each.details]
    assert [each.details["changed"] for each in entries] == [["schedule"], [], ["schedule"], ["schedule"]]


@pytest.mark.parametrize(
    ("schedule", "field"),
    [
        ({"changes_every_seconds": 299}, "schedule.changes_every_seconds"),
        ({"changes_every_seconds": 604_801}, "schedule.changes_every_seconds"),
        ({"changes_every_seconds": "900"}, "schedule.changes_every_seconds"),
        ({"changes_every_seconds": True}, "schedule.changes_every_seconds"),
        ({"listing_every_seconds": 60}, "schedule.listing_every_seconds"),
        ({"changes_every_seconds": 604_800, "listing_every_seconds": 3_600}, "schedule.listing_every_seconds"),
        ({"daily_at": "02:30", "listing_every_seconds": 3_600}, "schedule.listing_every_seconds"),
        ({"daily_at": "2:30"}, "schedule.daily_at"),
        ({"daily_at": "24:00"}, "schedule.daily_at"),
        ({"daily_at": "02:30\n"}, "schedule.daily_at"),
        ({"daily_at": "02:30", "time_zone": "Mars/Olympus"}, "schedule.time_zone"),
        ({"daily_at": "02:30", "time_zone": "../../etc/passwd"}, "schedule.time_zone"),
        ({"daily_at": "02:30", "time_zone": "localtime"}, "schedule.time_zone"),
        ({"time_zone": "UTC"}, "schedule.time_zone"),
        ({"daily_at": "02:30", "changes_every_seconds": 900}, "schedule.daily_at"),
        ({"cron": "* * * * *"}, "schedule.cron"),
    ],
)
def test_what_is_no_schedule_is_refused_by_its_field(client: Client, schedule: dict[str, Any], field: str) -> None:
    assert fields(client.post("/config", json=new(schedule=schedule))) == [field]
    made = create(client)
    assert fields(client.put(f"/config/{made['id']}", json={"schedule": schedule})) == [field]
    assert what_is_set(client.get("/config/stripe").json()) == DEFAULT


def test_only_an_active_configuration_has_a_schedule(client: Client) -> None:
    assert fields(client.post("/config", json=new(is_active=False, schedule={}))) == ["schedule"]
    made = create(client, is_active=False)
    assert made["schedule"] is None
    change = {"schedule": {"changes_every_seconds": 900}}
    assert fields(client.put(f"/config/{made['id']}", json=change)) == ["schedule"]
    active = client.put(f"/config/{made['id']}", json=change | {"is_active": True}).json()
    assert what_is_set(active)["changes_every_seconds"] == 900


def test_a_source_is_paused_and_resumed_by_its_workspace_alone(
    client: Client, make_client: MakeClient, database: Database
) -> None:
    made = create(client)
    paused = client.post(f"/config/{made['id']}/pause", json={"reason": "moving"}).json()
    assert (paused["pause"]["paused_reason"], paused["pause"]["paused_kind"]) == ("moving", "person")
    assert paused["schedule"]["state"] == "paused"
    document = problem(client.post("/stripe/initial"), 409)
    assert document["type"] == "urn:cyphera:problem:source-paused"
    assert "paused through the API" in document["detail"]
    for path in ("pause", "resume"):
        problem(make_client().post(f"/config/{made['id']}/{path}"), 404)
    assert client.get("/config/stripe").json()["pause"] is not None
    resumed = client.post(f"/config/{made['id']}/resume").json()
    assert (resumed["pause"], client.post(f"/config/{made['id']}/resume").status_code) == (None, 200)
    assert client.post(f"/config/{made['id']}/pause").json()["pause"]["paused_reason"] is None
    actions = [each.action for each in list_audit_entries(database, client.workspace.id)]
    assert actions[:3] == ["source.paused", "source.resumed", "source.paused"]


def test_what_an_operator_paused_an_operator_resumes(client: Client, database: Database) -> None:
    made = create(client)
    source = Source(client.workspace.id, client.workspace.slug, "stripe", made["id"], is_test_mode=True)
    pause_source(database, source, "a migration")
    document = problem(client.post(f"/config/{made['id']}/resume"), 409)
    assert document["type"] == "urn:cyphera:problem:source-paused"
    assert client.get("/config/stripe").json()["pause"]["paused_reason"] == "a migration"


def test_rejected_credentials_are_shown_and_another_key_ends_that(client: Client, database: Database) -> None:
    made = create(client)
    source = Source(client.workspace.id, client.workspace.slug, "stripe", made["id"], is_test_mode=True)
    note(database, source, SyncResult.REJECTED, "Stripe rejects the API key.")
    shown = client.get("/config/stripe").json()
    assert shown["pause"]["paused_kind"] == "credentials"
    assert shown["schedule"]["last_failure"] == "Stripe rejects the API key."
    assert client.post("/stripe/initial").status_code == 201, "whoever asks for a sync may have mended it"
    changed = client.put("/config/stripe", json={"configuration": {"api_key": "sk_test_api_another_key"}}).json()
    assert (changed["pause"], changed["schedule"]["failures"]) == (None, 0)
