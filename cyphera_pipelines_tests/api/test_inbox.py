"""Operating webhooks: what came in is shown, what failed is tried again, and nobody sees another workspace's."""

from typing import Any

import pytest
from sqlalchemy import text

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.error_codes import ErrorCode
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.store.audit import list_audit_entries
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.inbox import note_failed
from cyphera_pipelines.store.pauses import pause_source
from cyphera_pipelines.store.sources import find_source
from cyphera_pipelines.store.webhooks import WebhookTarget, count_waiting, list_unhandled, mark_handled
from cyphera_pipelines_tests.api.conftest import Client, MakeClient, RunningApi, problem
from cyphera_pipelines_tests.api.test_operations import metrics_of
from cyphera_pipelines_tests.api.test_webhooks import configure, send
from cyphera_pipelines_tests.webhooks import event_about, keep_webhook

WHY, CODE = "The API key does not permit listing customers.", ErrorCode.PERMISSION_MISSING


def source_of(database: Database, client: Client) -> Source:
    return find_source(database, f"{client.workspace.slug}:stripe")


def receive(database: Database, client: Client, count: int = 1, *, first: int = 1) -> Source:
    """Events about customers that wait for a sync."""
    source = source_of(database, client)
    target = WebhookTarget(source.workspace_id, source.configuration_id, "stripe", source.is_test_mode)
    for number in range(first, first + count):
        event = event_about({"id": "cus_1", "object": "customer"}, "customer.updated", event_id=f"evt_{number}")
        kept = {"external_id": event["id"], "kind": event["type"], "entity": Entity.CUSTOMERS, "payload": event}
        assert keep_webhook(database, target, **kept)
    return source


def fail(database: Database, source: Source, times: int, *, most: int = 3) -> None:
    for _attempt in range(times):
        note_failed(database, source, [Entity.CUSTOMERS], WHY, CODE, livemode=False, most=most)


def wanted_at(database: Database, source: Source) -> Any:
    statement = text("SELECT wanted_at FROM sync.source_schedules WHERE workspace_id = :id")
    with database.control() as connection:
        return connection.execute(statement, {"id": source.workspace_id}).scalar_one_or_none()


def states(client: Client, **filters: str) -> list[tuple[str, str]]:
    shown = client.get("/webhook-events", params=filters).json()["webhooks"]
    return [(each["id"], each["state"]) for each in shown]


def test_what_came_in_is_listed_page_by_page(client: Client, database: Database) -> None:
    configure(client)
    source = receive(database, client, 5)
    mark_handled(database, source, ["evt_2"], livemode=False)
    seen, position = [], None
    while True:
        page = client.get("/webhook-events", params={"limit": 2} | ({"before": position} if position else {})).json()
        seen += [each["id"] for each in page["webhooks"]]
        position = page["next"]
        if position is None:
            break
    assert seen == ["evt_5", "evt_4", "evt_3", "evt_2", "evt_1"]
    assert states(client, state="applied") == [("evt_2", "applied")]
    assert len(states(client, state="waiting", entity="customers", type="customer.updated")) == 4
    assert states(client, entity="invoices") == states(client, type="customer.created") == []
    for wrong in ({"before": "nonsense"}, {"before": "9" * 17 + "~evt"}, {"state": "lost"}, {"limit": "0"}):
        problem(client.get("/webhook-events", params=wrong), 422)


def test_what_fails_is_put_off_and_given_up_until_it_is_replayed(client: Client, database: Database) -> None:
    configure(client)
    source = receive(database, client)
    fail(database, source, 1)
    failed = client.get("/webhook-events/evt_1").json()
    assert (failed["state"], failed["attempts"], failed["last_error"]) == ("failed", 1, WHY)
    assert failed["error_code"] == CODE
    assert failed["retry_at"] > failed["received_at"]
    # A sync that goes on anyway tries it, but none is started for it.
    assert len(list_unhandled(database, source, tuple(Entity), livemode=False)) == 1
    assert count_waiting(database, source) == 0
    fail(database, source, 2)
    dead = client.get("/webhook-events/evt_1").json()
    assert (dead["state"], dead["attempts"], dead["retry_at"]) == ("dead", 3, None)
    assert "replay" in dead["waits_for"]
    assert list_unhandled(database, source, tuple(Entity), livemode=False) == []
    fail(database, source, 1)
    assert client.get("/webhook-events/evt_1").json()["attempts"] == 3

    again = client.post("/webhook-events/evt_1/replay")
    assert (again.status_code, again.json()["state"], again.json()["attempts"]) == (200, "waiting", 0)
    assert (again.json()["last_error"], again.json()["error_code"]) == (None, None)
    assert wanted_at(database, source) is not None
    assert count_waiting(database, source) == 1
    assert "webhook.replayed" in [entry.action for entry in list_audit_entries(database, client.workspace.id)]


def test_all_that_failed_are_replayed_at_once(client: Client, database: Database) -> None:
    configure(client)
    source = receive(database, client, 3)
    fail(database, source, 3)
    receive(database, client, 2, first=4)
    fail(database, source, 1)
    receive(database, client, 1, first=6)
    assert client.post("/webhook-replays", params={"state": "dead"}).json() == {
        "replayed": 3,
        "providers": ["stripe"],
    }
    assert client.post("/webhook-replays").json()["replayed"] == 2
    assert client.post("/webhook-replays").json() == {"replayed": 0, "providers": []}
    assert {state for _id, state in states(client)} == {"waiting"}


def test_what_is_applied_or_unreadable_is_not_replayed(api: RunningApi, client: Client, database: Database) -> None:
    config_id = configure(client)
    source = receive(database, client)
    mark_handled(database, source, ["evt_1"], livemode=False)
    shown = client.get("/webhook-events/evt_1").json()
    assert (shown["state"], shown["payload"], shown["handled_by"]) == ("applied", {}, "sync")
    assert "needs no replay" in problem(client.post("/webhook-events/evt_1/replay"), 409)["detail"]
    assert send(api, config_id, b"[]").json()["status"] == "unreadable"
    (unreadable,) = client.get("/webhook-events", params={"state": "unreadable"}).json()["webhooks"]
    assert (unreadable["last_error"], unreadable["error_code"]) == ("it is no object", ErrorCode.WEBHOOK_UNREADABLE)
    assert "nobody can tell" in problem(client.post(f"/webhook-events/{unreadable['id']}/replay"), 409)["detail"]


def test_what_waits_says_what_for(client: Client, database: Database) -> None:
    """Also where nothing will come of it: nothing waits in silence."""
    config_id = configure(client)
    source = receive(database, client)
    assert "never listed" in client.get("/webhook-events/evt_1").json()["waits_for"]
    pause_source(database, source, "moving")
    assert "paused" in client.get("/webhook-events/evt_1").json()["waits_for"]
    assert client.delete(f"/config/{config_id}").status_code == 204
    assert "no active configuration" in client.get("/webhook-events/evt_1").json()["waits_for"]
    assert "Connect the account again" in problem(client.post("/webhook-events/evt_1/replay"), 409)["detail"]
    assert client.post("/webhook-replays").json()["replayed"] == 0


def test_another_workspace_s_webhooks_are_nobody_else_s(
    client: Client, make_client: MakeClient, database: Database
) -> None:
    configure(client)
    source, other = receive(database, client), make_client()
    fail(database, source, 3)
    before = client.get("/webhook-events/evt_1").json()
    assert other.get("/webhook-events").json() == {"webhooks": [], "next": None}
    assert other.post("/webhook-replays").json()["replayed"] == 0
    unknown = problem(other.get("/webhook-events/evt_unknown"), 404)["detail"]
    for answer in (other.get("/webhook-events/evt_1"), other.post("/webhook-events/evt_1/replay")):
        assert problem(answer, 404)["detail"] == unknown
    assert client.get("/webhook-events/evt_1").json() == before


def test_a_secret_that_is_replaced_is_valid_for_a_day_unless_it_is_ended(
    api: RunningApi, client: Client, database: Database
) -> None:
    config_id = configure(client, webhook_secret="whsec_the_first_of_them")
    changed = client.put(f"/config/{config_id}", json={"configuration": {"webhook_secret": "whsec_the_second_one"}})
    assert changed.status_code == 200
    assert "whsec" not in changed.text

    def statuses() -> list[int]:
        secrets = ("whsec_the_first_of_them", "whsec_the_second_one", "whsec_of_nobody_at_all")
        event = event_about({"id": "cus_1", "object": "customer"}, "customer.updated")
        return [send(api, config_id, event, secret=secret).status_code for secret in secrets]

    assert statuses() == [200, 200, 403]
    assert client.delete(f"/config/{config_id}/former-webhook-secret").status_code == 204
    assert statuses() == [403, 200, 403]
    assert client.delete(f"/config/{config_id}/former-webhook-secret").status_code == 204
    client.put(f"/config/{config_id}", json={"configuration": {"webhook_secret": ""}})
    assert statuses() == [404, 404, 404]


@pytest.mark.parametrize("path", ["/webhook-events/evt_%00", "/webhook-events/evt_%0A", "/webhook-events/%20"])
def test_odd_ids_are_unknown(path: str, client: Client) -> None:
    assert client.get(path).status_code in (404, 422)


def test_metrics_tell_of_webhooks_and_name_nobody(api: RunningApi, client: Client) -> None:
    config_id = configure(client)
    event = event_about({"id": "ch_1", "object": "charge"}, "charge.succeeded")

    def counted(outcome: str) -> float:
        return metrics_of(api).get("cyphera_webhooks_received_total", {}).get((outcome, "stripe"), 0.0)

    before = {outcome: counted(outcome) for outcome in ("ignored", "rejected")}
    assert send(api, config_id, event).json()["status"] == "ignored"
    assert send(api, config_id, event, secret="whsec_of_nobody_at_all").status_code == 403
    assert {outcome: counted(outcome) - before[outcome] for outcome in before} == {"ignored": 1, "rejected": 1}
    shown = metrics_of(api)
    assert set(shown["cyphera_webhooks_unapplied"]) == {("waiting",), ("failed",), ("dead",)}
    assert set(shown["cyphera_webhooks_applied_last_hour"]) == {("at_once",), ("sync",)}
    for name in ("cyphera_oldest_unapplied_webhook_seconds", "cyphera_webhooks_unrouted_last_hour"):
        assert name in shown
