"""What one workspace may have, and what it is told beyond."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text

from cyphera_pipelines.api.app import create_app
from cyphera_pipelines.connection_budget import API_PROCESS
from cyphera_pipelines.security.encryption import Keyring
from cyphera_pipelines.settings import Settings
from cyphera_pipelines.store.database import Database, open_database
from cyphera_pipelines_tests.api.conftest import Client, MakeClient, RunningApi, problem, serving
from cyphera_pipelines_tests.api.test_webhooks import CUSTOMER, configure, send
from cyphera_pipelines_tests.webhooks import event_about

FEW = {
    "most_configurations": 3,
    "most_accounts": 2,
    "most_sessions_per_hour": 3,
    "most_waiting_webhooks": 4,
    "most_waiting_webhook_megabytes": 1,
}


@pytest.fixture(scope="module")
def api(settings: Settings, keyring: Keyring) -> Iterator[RunningApi]:
    """An API that allows little."""
    own = open_database(settings, application_name="cyphera api", pool_size=API_PROCESS)
    with serving(create_app(own, keyring, settings.model_copy(update=FEW), None)) as running:
        yield running
    own.close()


def refused(response: object, status: int) -> str:
    document = problem(response, status)  # type: ignore[arg-type]
    assert document["type"] == "urn:cyphera:problem:quota-reached"
    assert (int(response.headers.get("Retry-After", 0)) > 0) is (status == 429)  # type: ignore[attr-defined]
    return str(document["detail"])


def test_configurations_are_counted_even_when_many_come_at_once(make_client: MakeClient) -> None:
    client, other = make_client(), make_client()
    body = {
        "provider_name": "stripe",
        "is_active": False,
        "configuration": {"api_key": "sk_test_quotas_0001"},
    }
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _number: client.post("/config", json=body), range(12)))
    assert sorted(answer.status_code for answer in answers) == [201] * 3 + [409] * 9
    assert "3 configurations" in refused(client.post("/config", json=body), 409)
    assert other.post("/config", json=body).status_code == 201
    removed = client.get("/config").json()["configurations"][0]["id"]
    assert client.delete(f"/config/{removed}").status_code == 204
    assert client.post("/config", json=body).status_code == 201


def test_accounts_are_counted_and_known_ones_are_none_more(client: Client) -> None:
    accounts = [{"provider_name": "stripe", "account_id": f"acct_quota{n}", "livemode": False} for n in range(3)]
    assert [client.post("/accounts", json=each).status_code for each in accounts[:2]] == [201, 201]
    assert "2 accounts" in refused(client.post("/accounts", json=accounts[2]), 409)
    assert client.post("/accounts", json=accounts[0]).status_code == 201


def test_syncs_that_are_asked_for_and_cancelled_all_day_come_to_an_end(make_client: MakeClient) -> None:
    client, other = make_client(), make_client()
    for each in (client, other):
        configure(each)
    for _ in range(3):
        session = client.post("/stripe/initial").json()
        assert client.post("/stripe/initial").status_code == 409
        assert client.post(f"/sessions/{session['session_id']}/cancel").status_code == 200
    assert "3 syncs within the last hour" in refused(client.post("/stripe/initial"), 429)
    assert other.post("/stripe/initial").status_code == 201


def test_the_inbox_takes_no_more_events_and_no_more_bytes(
    api: RunningApi, make_client: MakeClient, database: Database
) -> None:
    many, large, other = make_client(), make_client(), make_client()
    ids = {client.key: configure(client) for client in (many, large, other)}
    for number in range(4):
        event = event_about(CUSTOMER, "customer.updated", event_id=f"evt_quota{number}")
        assert send(api, ids[many.key], event).status_code == 200
    assert "4 webhooks" in refused(send(api, ids[many.key], event_about(CUSTOMER, "customer.updated")), 429)
    with database.control() as connection:
        # What was given up takes its place as long as it is in no table, and whoever is refused for it is told.
        connection.execute(
            text("UPDATE sync.webhook_events SET dead_at = now() WHERE external_id IN ('evt_quota0', 'evt_quota1')")
        )
    told = refused(send(api, ids[many.key], event_about(CUSTOMER, "customer.updated")), 429)
    assert "2 of them were given up" in told
    big = CUSTOMER | {"description": "x" * 600_000}
    first, second = (event_about(big, "customer.updated", event_id=f"evt_big{number}") for number in range(2))
    assert send(api, ids[large.key], first).status_code == 200
    told = refused(send(api, ids[large.key], second), 429)
    assert "1 webhooks" in told
    assert "given up" not in told
    assert send(api, ids[other.key], second).status_code == 200
