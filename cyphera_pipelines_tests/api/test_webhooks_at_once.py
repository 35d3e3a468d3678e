"""Webhooks that are in the tables before they are answered, over real HTTP."""

import json
import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.sessions import SessionStatus, SyncRequest
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.sandbox import SandboxAccount, SandboxServer
from cyphera_pipelines.security.encryption import Keyring
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.sources import find_source
from cyphera_pipelines.store.webhooks import count_waiting
from cyphera_pipelines.sync.engine import SyncJob, run_sync
from cyphera_pipelines.sync.outcome import SyncOutcome
from cyphera_pipelines.sync.request import open_session
from cyphera_pipelines_tests.api.conftest import Client, MakeClient, RunningApi, problem
from cyphera_pipelines_tests.truth import assert_tables_equal_truth, live_rows
from cyphera_pipelines_tests.webhook_load import change_account, deliver, load_accounts, of_each, path_of
from cyphera_pipelines_tests.webhooks import SECRET, signed

ACCOUNT = SandboxAccount(api_key="sk_test_api_at_once", account_id="acct_api_at_once", seed=43, long_invoice_share=0.0)


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer([ACCOUNT]) as server:
        yield server


@pytest.fixture
def sync(database: Database, keyring: Keyring) -> Callable[..., SyncOutcome]:
    def run(source: Source, **about: Any) -> SyncOutcome:
        request = SyncRequest(**about)
        return run_sync(SyncJob(database, keyring, source, open_session(database, source, request), request))

    return run


def connect(client: Client, database: Database, api_key: str, url: str) -> Source:
    configuration = {"api_key": api_key, "base_url": url, "webhook_secret": SECRET}
    made = client.post("/config", json={"provider_name": "stripe", "configuration": configuration})
    assert made.status_code == 201, made.text
    return find_source(database, f"{client.workspace.slug}:stripe")


def send(api: RunningApi, source: Source, event: Any, *, secret: str = SECRET) -> Any:
    body, headers = signed(event, secret=secret)
    return api.ask("POST", path_of(source.configuration_id), content=body, headers=headers)


def renamed(sandbox: SandboxServer, name: str) -> dict[str, Any]:
    """What the provider tells of a customer that it has just renamed."""
    customer = next(iter(sandbox.state.truth(ACCOUNT.account_id, "customers")))
    events = sandbox.state.dataset(ACCOUNT.account_id).events
    second = max([events.whole(at)["created"] for at in range(events.count)], default=0)
    sandbox.state.patch(ACCOUNT.account_id, customer["id"], {"name": name}, at=max(second, int(time.time())) + 1)
    return dict(events.whole(events.count - 1))


def test_the_row_is_there_when_the_answer_is(
    api: RunningApi, client: Client, sandbox: SandboxServer, database: Database, sync: Callable[..., SyncOutcome]
) -> None:
    source = connect(client, database, ACCOUNT.api_key, sandbox.url)
    sync(source)
    event = renamed(sandbox, "At once")
    assert send(api, source, event).json() == {"status": "applied", "reason": None}
    assert live_rows(database, source, "customers")[event["data"]["object"]["id"]]["name"] == "At once"
    assert send(api, source, event).json()["status"] == "known"
    assert client.get("/config/stripe").json()["last_webhook_at"] is not None
    told = api.ask("GET", "/metrics").text
    assert 'cyphera_webhooks_received_total{outcome="applied",provider="stripe"}' in told


def test_a_new_secret_and_a_removal_count_at_once(
    api: RunningApi, client: Client, sandbox: SandboxServer, database: Database, sync: Callable[..., SyncOutcome]
) -> None:
    """The configuration is remembered between webhooks, but never beyond what it is."""
    source = connect(client, database, ACCOUNT.api_key, sandbox.url)
    sync(source)
    assert send(api, source, renamed(sandbox, "One")).json()["status"] == "applied"
    changed = client.put(f"/config/{source.configuration_id}", json={"configuration": {"webhook_secret": "whsec_new1"}})
    assert changed.status_code == 200, changed.text
    assert send(api, source, renamed(sandbox, "Two"), secret="whsec_new1").json()["status"] == "applied"
    ended = client.delete(f"/config/{source.configuration_id}/former-webhook-secret")
    assert ended.is_success, ended.text
    problem(send(api, source, renamed(sandbox, "Three")), 403)
    client.delete(f"/config/{source.configuration_id}")
    problem(send(api, source, renamed(sandbox, "Four"), secret="whsec_new1"), 404)
    assert count_waiting(database, source) == 0


def test_what_waits_together_is_answered_each_for_itself(
    api: RunningApi, client: Client, sandbox: SandboxServer, database: Database, sync: Callable[..., SyncOutcome]
) -> None:
    source = connect(client, database, ACCOUNT.api_key, sandbox.url)
    sync(source)
    good = [renamed(sandbox, f"Name {number}") for number in range(20)]
    odd: list[Any] = [
        {**good[0], "id": "evt_version", "api_version": "2020-08-27"},
        {**good[0], "id": "evt_list", "data": {"object": []}},
        {**good[0], "id": "evt_other", "type": "charge.succeeded"},
        {**good[0], "id": "evt_huge", "data": {"object": {**good[0]["data"]["object"], "balance": 10**30}}},
        {**good[0], "id": "evt_nul", "data": {"object": {**good[0]["data"]["object"], "name": "a\x00b"}}},
    ]
    with ThreadPoolExecutor(12) as threads:
        answers = list(threads.map(lambda event: send(api, source, event), [*good, *odd, *good]))
        rejected = list(threads.map(lambda event: send(api, source, event, secret="whsec_wrong"), good[:3]))
    assert {answer.status_code for answer in answers} == {200}
    assert {answer.status_code for answer in rejected} == {403}
    statuses = [answer.json()["status"] for answer in answers]
    assert statuses[20:25] == ["kept", "unreadable", "ignored", "kept", "kept"]
    assert set(statuses[:20] + statuses[25:]) == {"applied", "known"}
    assert sync(source, entities=tuple(Entity), only_changes=True).status is SessionStatus.COMPLETED
    assert_tables_equal_truth(database, source, sandbox.state, ACCOUNT.account_id)


@pytest.mark.slow
def test_ten_thousand_events_of_twenty_sources_end_in_the_provider_s_tables(
    api: RunningApi, make_client: MakeClient, database: Database, sync: Callable[..., SyncOutcome]
) -> None:
    """Doubled, reordered, a tenth lost, and one of the sources is listed anew meanwhile."""
    accounts, dice = load_accounts(20), random.Random(11)
    with SandboxServer(accounts) as sandbox:
        sources = [connect(make_client(), database, account.api_key, sandbox.url) for account in accounts]
        for source in sources:
            sync(source)
        events = [change_account(sandbox, account, 500) for account in accounts]
        sent = [
            delivery
            for delivery in of_each([path_of(source.configuration_id) for source in sources], events)
            for _time in range(2)
            if dice.random() > 0.05
        ]
        lost = {json.loads(event)["id"] for of_source in events for event in of_source if dice.random() < 0.1}
        sent = [each for each in sent if json.loads(each.event)["id"] not in lost]
        dice.shuffle(sent)
        with ThreadPoolExecutor(1) as thread:
            listing = thread.submit(sync, sources[0], full_sync=True)
            answers = deliver(int(api.url.rpartition(":")[2]), sent, connections=16).outcomes
            assert listing.result().status is SessionStatus.COMPLETED
        assert set(answers) <= {"applied", "kept", "known"}
        assert answers["applied"] > len(sent) / 4
        for source, account in zip(sources, accounts, strict=True):
            sync(source, only_changes=True)
            assert_tables_equal_truth(database, source, sandbox.state, account.account_id)
            assert count_waiting(database, source) == 0
