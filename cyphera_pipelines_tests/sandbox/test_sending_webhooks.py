"""What happens in an account reaches the endpoints that want it: signed, and retried, or wrong where that is asked."""

import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import stripe

from cyphera_pipelines.sandbox import API_VERSION, SandboxProcess, SandboxServer, WebhookOptions
from cyphera_pipelines_tests.receiver import Receiver, receiving, wait_for
from cyphera_pipelines_tests.sandbox.conftest import ACCOUNT, Get, client_of, small_account


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


def connect(server: SandboxServer, url: str, key: str = "sk_test_small", **given: Any) -> stripe.WebhookEndpoint:
    return client_of(server, key).v1.webhook_endpoints.create({"url": url, "enabled_events": ["*"], **given})  # type: ignore[typeddict-item]


def statistics(server: SandboxServer, endpoint: stripe.WebhookEndpoint) -> dict[str, Any]:
    shown = server.state.webhook_statistics()["endpoints"]
    found: dict[str, Any] = next(each["statistics"] for each in shown if each["id"] == endpoint.id)
    return found


def all_done(server: SandboxServer, endpoint: stripe.WebhookEndpoint) -> bool:
    return statistics(server, endpoint).get("waiting") == 0


def test_an_event_comes_signed_and_as_the_endpoint_wants_it(
    server: SandboxServer, get: Get, receiver: Receiver
) -> None:
    endpoint = connect(server, receiver.url + "/hook", enabled_events=["customer.created"], api_version="2024-06-20")
    change, _unwanted = server.state.apply_changes(ACCOUNT, create={"customers": 1, "products": 1})
    wait_for(lambda: all_done(server, endpoint))
    [got] = receiver.received
    event = stripe.Webhook.construct_event(got.body, got.signature, endpoint.secret)
    assert (got.path, event.id, event.type, event.api_version) == (
        "/hook",
        change.event_id,
        "customer.created",
        "2024-06-20",
    )
    assert (event.data.object["id"], event.pending_webhooks) == (change.object_id, 1)
    assert "account" not in got.event
    listed = get(f"/v1/events/{change.event_id}").json()
    assert (listed["api_version"], listed["pending_webhooks"]) == (API_VERSION, 0)


def test_a_version_has_its_shape_whatever_the_account_s_is(server: SandboxServer, receiver: Receiver) -> None:
    server.state.put_account(small_account(event_api_version="2024-06-20"))
    endpoints = [connect(server, receiver.url, api_version=version) for version in (API_VERSION, "2024-06-20")]
    endpoints.append(connect(server, receiver.url))
    server.state.apply_changes(ACCOUNT, update={"subscriptions": 1})
    wait_for(lambda: all(all_done(server, each) for each in endpoints))
    has_period = Counter(
        (got.event["api_version"], "current_period_end" in got.event["data"]["object"]) for got in receiver.received
    )
    assert has_period == {(API_VERSION, False): 1, ("2024-06-20", True): 2}


def test_what_is_not_taken_comes_again_signed_anew(server: SandboxServer, get: Get, receiver: Receiver) -> None:
    answers = iter([500, 302, 404, 204])
    receiver.answer = lambda _received: next(answers)
    server.state.change_webhooks(retry_seconds=0.01, longest_retry_seconds=0.02)
    endpoint = connect(server, receiver.url)
    [change] = server.state.apply_changes(ACCOUNT, create={"customers": 1})
    wait_for(lambda: all_done(server, endpoint))
    assert receiver.ids == [change.event_id] * 4
    for got in receiver.received:
        stripe.WebhookSignature.verify_header(got.body, got.signature, endpoint.secret, 300)
    found = statistics(server, endpoint)
    assert (found["sent"], found["arrived"], found["answered"]) == (4, 1, {"500": 1, "302": 1, "404": 1, "204": 1})
    assert get(f"/v1/events/{change.event_id}").json()["pending_webhooks"] == 0


def test_after_the_last_try_it_is_given_up_until_somebody_asks(
    server: SandboxServer, get: Get, receiver: Receiver
) -> None:
    receiver.answer = lambda _received: 503
    server.state.change_webhooks(retry_seconds=0.0, tries=3)
    endpoint = connect(server, receiver.url)
    [change] = server.state.apply_changes(ACCOUNT, create={"customers": 1})
    wait_for(lambda: all_done(server, endpoint))
    found = statistics(server, endpoint)
    assert (found["sent"], found["arrived"], found["given_up"]) == (3, 0, 1)
    assert found["last_failure"] == "The endpoint answered with status 503."
    assert get(f"/v1/events/{change.event_id}").json()["pending_webhooks"] == 1
    receiver.answer = lambda _received: 200
    assert server.state.resend(ACCOUNT, str(change.event_id)) == [endpoint.id]
    wait_for(lambda: all_done(server, endpoint))
    assert statistics(server, endpoint)["arrived"] == 1
    assert get(f"/v1/events/{change.event_id}").json()["pending_webhooks"] == 0
    with pytest.raises(KeyError):
        server.state.resend(ACCOUNT, "evt_none")


def test_with_all_that_can_go_wrong_what_was_not_lost_arrives(server: SandboxServer, receiver: Receiver) -> None:
    refused: set[str] = set()
    lock = threading.Lock()

    def refuse_once(got: Any) -> int:
        event_id = got.event["id"]
        with lock:
            is_first = event_id not in refused
            refused.add(event_id)
        return 500 if is_first and int(event_id[-1], 16) % 3 == 0 else 200

    receiver.answer = refuse_once
    options = {"lost": 0.1, "doubled": 0.3, "delayed": 0.2, "delay_seconds": 0.2, "reordered": 0.8, "reordered_by": 20}
    server.state.change_webhooks(**options, retry_seconds=0.01)
    endpoint = connect(server, receiver.url)
    changes = server.state.apply_changes(ACCOUNT, create={"customers": 300}, update={"invoices": 100})
    told = [str(change.event_id) for change in changes]
    wait_for(lambda: all_done(server, endpoint))
    found = statistics(server, endpoint)
    lost = server.state.webhooks_not_arrived()[endpoint.id]["lost"]
    assert set(receiver.ids) == set(told) - set(lost)
    assert len(lost) == found["lost"] > 0
    assert found["arrived"] == len(told) - len(lost) + found["doubled"]
    assert found["doubled"] > 0
    first = list(dict.fromkeys(receiver.ids))
    # Without being reordered, no more than a few of those that are on their way at once pass each other.
    moved = [abs(place - first.index(event_id)) for place, event_id in enumerate(x for x in told if x not in lost)]
    assert max(moved) > 4


def test_an_endpoint_gets_nothing_of_another_account_s(server: SandboxServer, receiver: Receiver) -> None:
    server.state.put_account(small_account(api_key="sk_test_other", account_id="acct_other"))
    server.state.put_account(small_account(api_key="sk_test_connected", account_id="acct_connected", platform=ACCOUNT))
    server.state.put_account(small_account(api_key="sk_live_small"))
    own = connect(server, receiver.url + "/own")
    of_connected = connect(server, receiver.url + "/connect", connect="true")
    other = connect(server, receiver.url + "/other", "sk_test_other")
    live = connect(server, receiver.url + "/live", "sk_live_small")
    told = {
        account: str(server.state.apply_changes(account, create={"customers": 1})[0].event_id)
        for account in (ACCOUNT, f"{ACCOUNT}/live", "acct_other", "acct_connected")
    }
    wait_for(lambda: all(all_done(server, each) for each in (own, of_connected, other, live)))
    got = {(each.path, each.event["id"], each.event.get("account")) for each in receiver.received}
    assert got == {
        ("/own", told[ACCOUNT], None),
        ("/live", told[f"{ACCOUNT}/live"], None),
        ("/other", told["acct_other"], None),
        ("/connect", told["acct_connected"], "acct_connected"),
    }


def test_an_endpoint_that_hangs_keeps_no_other_waiting(server: SandboxServer, receiver: Receiver) -> None:
    lets_go = threading.Event()
    receiver.answer = lambda got: 200 if got.path == "/quick" or lets_go.wait(300) else 500
    hanging, quick = connect(server, receiver.url + "/hangs"), connect(server, receiver.url + "/quick")
    server.state.apply_changes(ACCOUNT, create={"customers": 20})
    wait_for(lambda: all_done(server, quick))
    assert statistics(server, hanging)["waiting"] == 20
    lets_go.set()
    wait_for(lambda: all_done(server, hanging))


def test_what_is_disabled_or_deleted_gets_nothing(server: SandboxServer, receiver: Receiver) -> None:
    endpoints = client_of(server).v1.webhook_endpoints
    disabled, deleted, kept = (connect(server, f"{receiver.url}/{name}") for name in ("disabled", "deleted", "kept"))
    endpoints.update(disabled.id, {"disabled": True})
    endpoints.delete(deleted.id)
    server.state.apply_changes(ACCOUNT, create={"customers": 1})
    wait_for(lambda: all_done(server, kept))
    assert [got.path for got in receiver.received] == ["/kept"]


def test_more_than_may_wait_is_lost_and_said(server: SandboxServer, receiver: Receiver) -> None:
    lets_go = threading.Event()
    receiver.answer = lambda _received: 200 if lets_go.wait(300) else 500
    server.state.change_webhooks(most_waiting=5)
    endpoint = connect(server, receiver.url)
    told = [str(change.event_id) for change in server.state.apply_changes(ACCOUNT, create={"customers": 8})]
    lets_go.set()
    wait_for(lambda: all_done(server, endpoint))
    assert sorted(receiver.ids) == sorted(told[:5])
    assert server.state.webhooks_not_arrived()[endpoint.id]["lost"] == told[5:]


def test_a_process_is_told_how_and_ends_while_webhooks_wait() -> None:
    options = {"retry_seconds": 60.0, "longest_retry_seconds": 60.0}
    with SandboxProcess([small_account()]) as process:
        client = stripe.StripeClient("sk_test_small", base_addresses={"api": process.url})
        # Nobody listens there.
        made = client.v1.webhook_endpoints.create({"url": "http://127.0.0.1:9/", "enabled_events": ["*"]})
        process.change_webhooks(**options)
        with pytest.raises(ValueError, match="lost"):
            process.change_webhooks(lost=2)
        [change] = process.apply_changes(ACCOUNT, create={"customers": 1})
        wait_for(lambda: process.webhook_statistics()["endpoints"][0]["statistics"]["sent"] == 1)
        shown = process.webhook_statistics()
        assert WebhookOptions(**shown["options"]) == WebhookOptions.model_validate(options)
        assert shown["endpoints"][0]["statistics"]["answered"] == {"no answer": 1}
        assert "secret" not in shown["endpoints"][0]
        assert process.webhooks_not_arrived() == {made.id: {"lost": [], "given_up": []}}
        assert process.resend(ACCOUNT, str(change.event_id)) == [made.id]
        assert requests.patch(f"{process.url}/_sandbox/webhooks", data=b"[]", timeout=120).status_code == 400


def test_nothing_is_sent_after_the_end(receiver: Receiver) -> None:
    with SandboxServer([small_account()]) as server:
        server.state.change_webhooks(rate=0.001)
        endpoint = connect(server, receiver.url)
        server.state.apply_changes(ACCOUNT, create={"customers": 5})
        wait_for(lambda: statistics(server, endpoint)["arrived"] == 1)
        threads = [thread for thread in threading.enumerate() if endpoint.id in thread.name]
        assert threads
    assert not any(thread.is_alive() for thread in threads)
    assert len(receiver.received) == 1


def test_what_a_rate_keeps_waiting_goes_when_it_is_lifted(server: SandboxServer, receiver: Receiver) -> None:
    server.state.change_webhooks(rate=0.001)
    endpoint = connect(server, receiver.url)
    server.state.apply_changes(ACCOUNT, create={"customers": 5})
    wait_for(lambda: statistics(server, endpoint)["arrived"] == 1)
    assert statistics(server, endpoint)["waiting"] == 4
    server.state.change_webhooks(rate=20)
    wait_for(lambda: statistics(server, endpoint)["arrived"] > 2)
    server.state.change_webhooks(rate=None)
    wait_for(lambda: all_done(server, endpoint))
    assert len(receiver.received) == 5
