from base64 import b64encode
from collections.abc import Iterator
from itertools import chain, repeat
from typing import Any

import pytest

from cyphera_pipelines.sandbox import SandboxProcess, SandboxServer, WebhookOptions
from cyphera_pipelines.sandbox.chargebee.webhooks.endpoints import MOST, RETRIES, wait_after
from cyphera_pipelines_tests.receiver import Receiver, receiving, wait_for
from cyphera_pipelines_tests.sandbox.chargebee.conftest import SITE, Ask, small_site


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


def all_done(server: SandboxServer) -> bool:
    return all(each["waiting"] == 0 for each in statistics(server))


def statistics(server: SandboxServer) -> list[dict[str, Any]]:
    return [each["statistics"] for each in server.state.webhook_statistics()["endpoints"]]


def test_an_event_comes_whole_with_basic_auth_and_no_signature(
    server: SandboxServer, ask: Ask, receiver: Receiver
) -> None:
    server.state.add_webhook_endpoint(SITE, receiver.url + "/hook", "cyphera", "s3cret")
    [change] = server.state.apply_changes(SITE, update={"subscriptions": 1})
    wait_for(lambda: all_done(server))
    [got] = receiver.received
    assert (got.path, got.signature) == ("/hook", "")
    assert got.authorization == f"Basic {b64encode(b'cyphera:s3cret').decode()}"
    assert got.event["id"] == change.event_id
    assert {"subscription", "customer"} <= got.event["content"].keys()
    listed = ask(f"/events/{change.event_id}").json()["event"]
    assert listed["webhook_status"] == "succeeded"
    assert listed["content"] == got.event["content"]


def test_an_endpoint_without_a_user_gets_no_credentials(server: SandboxServer, receiver: Receiver) -> None:
    server.state.add_webhook_endpoint(SITE, receiver.url)
    server.state.apply_changes(SITE, create={"customers": 1})
    wait_for(lambda: all_done(server))
    assert receiver.received[0].authorization == ""


def test_what_is_not_taken_comes_again(server: SandboxServer, receiver: Receiver) -> None:
    answers = chain([500, 404], repeat(204))
    receiver.answer = lambda _received: next(answers)
    server.state.change_webhooks(retry_seconds=0.01, longest_retry_seconds=0.02)
    server.state.add_webhook_endpoint(SITE, receiver.url)
    [change] = server.state.apply_changes(SITE, create={"customers": 1})
    wait_for(lambda: all_done(server))
    assert receiver.ids == [change.event_id] * 3


def test_events_come_doubled_and_out_of_order(server: SandboxServer, receiver: Receiver) -> None:
    server.state.change_webhooks(doubled=1.0, reordered=0.5, reordered_by=5, delay_seconds=0.2)
    server.state.add_webhook_endpoint(SITE, receiver.url)
    happened = [str(change.event_id) for change in server.state.apply_changes(SITE, create={"customers": 30})]
    wait_for(lambda: len(receiver.received) == 60 and all_done(server))
    assert sorted(receiver.ids) == sorted([*happened, *happened])
    assert receiver.ids != sorted(receiver.ids, key=happened.index)


def test_waits_between_tries_grow_as_chargebees_do() -> None:
    options = WebhookOptions(retry_seconds=120, longest_retry_seconds=1_000_000)
    waits = [wait_after(options, tries) for tries in range(1, RETRIES + 1)]
    assert waits == [120, 360, 1_800, 3_600, 18_000, 86_400, 172_800]


def test_a_site_has_five_endpoints_at_most_and_only_on_this_machine(server: SandboxServer) -> None:
    for number in range(MOST):
        server.state.add_webhook_endpoint(SITE, f"http://127.0.0.1:9/{number}")
    with pytest.raises(ValueError, match="5 webhook endpoints"):
        server.state.add_webhook_endpoint(SITE, "http://127.0.0.1:9/more")
    with pytest.raises(ValueError, match="this machine only"):
        server.state.add_webhook_endpoint(SITE, "http://example.com/hook")
    with pytest.raises(KeyError):
        server.state.add_webhook_endpoint("nobody-test", "http://127.0.0.1:9/")


def test_a_sandbox_in_a_process_of_its_own_does_the_same(receiver: Receiver) -> None:
    with SandboxProcess([small_site(customers=5, subscriptions=0, invoices=0)]) as sandbox:
        endpoint = sandbox.add_webhook_endpoint(SITE, receiver.url, "cyphera", "s3cret")
        [change] = sandbox.apply_changes(SITE, create={"customers": 1})
        wait_for(lambda: receiver.ids == [change.event_id])
        assert sandbox.object(SITE, change.object_id)["object"] == "customer"
        assert len(list(sandbox.truth(SITE, "customers"))) >= 5
        assert change.event_id is not None
        assert sandbox.resend(SITE, change.event_id) == [endpoint]
        wait_for(lambda: receiver.ids == [change.event_id] * 2)
