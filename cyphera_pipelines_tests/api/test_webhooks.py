"""Webhooks: whoever can sign one is heard, and nobody else."""

import time
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.sources import find_source
from cyphera_pipelines.store.synced_accounts import SyncedAccount, save_synced_account
from cyphera_pipelines_tests.api.conftest import PREFIX, Client, MakeClient, RunningApi, problem
from cyphera_pipelines_tests.webhooks import SECRET, event_about, signed

CUSTOMER = {"id": "cus_1", "object": "customer", "created": 1_700_000_000, "livemode": False}
EVENT = event_about(CUSTOMER, "customer.updated")


def configure(client: Client, *, webhook_secret: str | None = SECRET, **more: Any) -> str:
    credentials = {"api_key": "sk_test_webhooks_0001"} | ({"webhook_secret": webhook_secret} if webhook_secret else {})
    made = client.post("/config", json={"provider_name": "stripe", "configuration": credentials, **more})
    assert made.status_code == 201, made.text
    return str(made.json()["id"])


def send(api: RunningApi, config_id: str, event: Any, **signature: Any) -> Any:
    body, headers = signed(event, **signature)
    return api.ask("POST", f"{PREFIX}/webhooks/stripe/{config_id}", content=body, headers=headers)


def kept(database: Database, client: Client) -> list[str]:
    with database.tenant(client.workspace.id) as connection:
        return list(connection.execute(text("SELECT external_id FROM sync.webhook_events")).scalars())


def test_a_signed_event_is_kept_once(api: RunningApi, client: Client, database: Database) -> None:
    config_id = configure(client)
    assert client.get("/config/stripe").json()["last_webhook_at"] is None
    answers = [send(api, config_id, EVENT) for _ in range(2)]
    assert [(answer.status_code, answer.json()["status"]) for answer in answers] == [(200, "kept"), (200, "known")]
    assert kept(database, client) == ["evt_1"]
    assert client.get("/config/stripe").json()["last_webhook_at"] is not None


@pytest.mark.parametrize(
    "event",
    [
        event_about(CUSTOMER, "customer.updated", livemode=True),
        event_about({"id": "ch_1", "object": "charge"}, "charge.succeeded"),
        event_about({"id": "ch_1", "object": "charge"}, "charge.succeeded", event_id="x" * 3_000),
    ],
    ids=["of the other mode", "of no interest", "of no interest and odd"],
)
def test_what_nobody_syncs_is_acknowledged_and_forgotten(
    event: dict[str, Any], api: RunningApi, client: Client, database: Database
) -> None:
    answer = send(api, configure(client), event)
    assert (answer.status_code, answer.json()["status"]) == (200, "ignored")
    assert kept(database, client) == []


@pytest.mark.parametrize(
    "signature",
    [{"secret": "whsec_of_somebody_else"}, {"at": int(time.time()) - 3_600}, {"at": 0}],
    ids=["another secret", "an hour old", "ages old"],
)
def test_a_signature_that_proves_nothing_is_refused(
    signature: dict[str, Any], api: RunningApi, client: Client, database: Database
) -> None:
    answer = send(api, configure(client), EVENT, **signature)
    assert problem(answer, 403)["type"].endswith("webhook-rejected")
    assert SECRET not in answer.text
    assert kept(database, client) == []


@pytest.mark.parametrize(
    ("event", "why"),
    [
        (b"[]", "it is no object"),
        (b"null", "it is no object"),
        (b"{}", "`type` is no text"),
        (b"not JSON", "it is not JSON"),
        (b'{"type": "customer.updated", "data": %b}' % (b"[" * 5_000 + b"]" * 5_000), "it nests too deeply"),
        (b'{"type": "customer.updated", "data": %b}' % (b"[" * 500 + b"]" * 500), "it nests too deeply"),
        ({**EVENT, "id": "evt\x00"}, "`id` is no usable id"),
        ({**EVENT, "id": "e" * 3_000}, "`id` is no usable id"),
        ({**EVENT, "id": ["evt_1"]}, "`id` is no usable id"),
        ({**EVENT, "livemode": "no"}, "`livemode` is neither true nor false"),
        ({**EVENT, "data": []}, "`data.object` is no object"),
        ({**EVENT, "data": {"object": {"id": {}}}}, "`data.object.id` is no usable id"),
    ],
)
def test_what_is_signed_and_unreadable_is_acknowledged_and_kept_once_for_people(
    event: Any, why: str, api: RunningApi, client: Client, database: Database
) -> None:
    configuration = configure(client)
    for _each in range(2):
        answer = send(api, configuration, event)
        assert (answer.status_code, answer.json()) == (200, {"status": "unreadable", "reason": why})
    assert len(kept(database, client)) == 1


@pytest.mark.parametrize("created", [10**30, -5, "soon", None, 1.5, 4_102_444_800, True])
def test_an_event_with_an_odd_time_is_kept_like_others(created: Any, api: RunningApi, client: Client) -> None:
    """Only its order is not known, so that its object will be fetched."""
    answer = send(api, configure(client), {**EVENT, "created": created})
    assert (answer.status_code, answer.json()["status"]) == (200, "kept")


def test_what_is_not_signed_is_refused(api: RunningApi, client: Client) -> None:
    path = f"{PREFIX}/webhooks/stripe/{configure(client)}"
    body, headers = signed(EVENT)
    for sent, given in [
        (body, {}),
        (body, {"Stripe-Signature": "nonsense"}),
        (body + b" ", headers),
        (b"\xff", headers),
        (body, headers | {"Stripe-Signature": f"{headers['Stripe-Signature']}é".encode("latin-1")}),
    ]:
        problem(api.ask("POST", path, content=sent, headers=given), 403)


def test_only_an_active_configuration_with_a_secret_takes_webhooks(
    api: RunningApi, client: Client, make_client: MakeClient, database: Database
) -> None:
    active = configure(client)
    inactive = configure(client, is_active=False)
    other = make_client()
    without_secret = configure(other, webhook_secret=None)
    answers = [send(api, config_id, EVENT) for config_id in (inactive, without_secret, str(uuid4()))]
    details = {problem(answer, 404)["detail"] for answer in answers}
    assert len(details) == 1
    client.delete(f"/config/{active}")
    problem(send(api, active, EVENT), 404)
    assert kept(database, client) == kept(database, other) == []


def test_the_same_event_of_two_workspaces_is_kept_for_each(
    api: RunningApi, client: Client, make_client: MakeClient, database: Database
) -> None:
    other = make_client()
    for each in (client, other):
        assert send(api, configure(each), EVENT).json()["status"] == "kept"
    assert kept(database, client) == kept(database, other) == ["evt_1"]


def test_an_event_of_another_account_is_refused_without_being_asked_for_again(
    api: RunningApi, client: Client, database: Database
) -> None:
    config_id = configure(client, connected_account_id="acct_own")
    for foreign in ({"account": "acct_other"}, {}, {"account": None}, {"context": "acct_other"}, {"account": [1]}):
        answer = send(api, config_id, EVENT | foreign)
        assert (answer.status_code, answer.json()["status"]) == (200, "refused")
        assert "acct_own" in answer.json()["reason"]
    assert kept(database, client) == []
    shown = client.get("/config/stripe").json()
    assert shown["last_webhook_refused_at"] is not None
    assert "acct_other" in shown["last_webhook_refusal"]
    assert send(api, config_id, EVENT | {"account": "acct_own"}).json() == {"status": "kept", "reason": None}


def test_before_the_first_sync_nobody_knows_whose_the_key_is(
    api: RunningApi, client: Client, database: Database
) -> None:
    assert send(api, configure(client), EVENT | {"account": "acct_other"}).json()["status"] == "kept"
    assert client.get("/config/stripe").json()["last_webhook_refused_at"] is None


def test_after_a_sync_another_account_s_events_are_refused(api: RunningApi, client: Client, database: Database) -> None:
    config_id = configure(client)
    source = find_source(database, f"{client.workspace.slug}:stripe")
    for account_id in ("acct_own", None):
        synced = SyncedAccount(account_id, b"digest")
        save_synced_account(database, source, synced, livemode=False, forgets_positions=False)
        answer = send(api, config_id, EVENT | {"account": "acct_other"})
        assert (answer.status_code, answer.json()["status"]) == (200, "refused")
        assert send(api, config_id, EVENT).json()["status"] in ("kept", "known")
    assert kept(database, client) == ["evt_1"]


def test_a_body_without_bounds_is_refused(api: RunningApi, client: Client) -> None:
    problem(send(api, configure(client), {**EVENT, "more": "x" * 1_100_000}), 413)
