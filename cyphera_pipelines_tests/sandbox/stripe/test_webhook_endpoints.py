"""Webhook endpoints, made, changed and deleted by the provider's own package."""

from typing import Any

import pytest
import requests
import stripe

from cyphera_pipelines.sandbox import Fault, FaultKind, SandboxServer
from cyphera_pipelines_tests.sandbox.conftest import ACCOUNT, KEY, client_of, small_account

URL = "http://127.0.0.1:9/webhooks"


def make(client: stripe.StripeClient, **given: Any) -> stripe.WebhookEndpoint:
    return client.v1.webhook_endpoints.create({"url": URL, "enabled_events": ["customer.updated"], **given})  # type: ignore[typeddict-item]


def refusal(answer: requests.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    error: dict[str, Any] = answer.json()["error"]
    return error


def send(server: SandboxServer, method: str, path: str = "", key: str = KEY, **given: Any) -> requests.Response:
    headers = {"Authorization": f"Bearer {key}", **given.pop("headers", {})}
    return requests.request(
        method, f"{server.url}/v1/webhook_endpoints{path}", data=given, headers=headers, timeout=120
    )


def test_an_endpoint_s_life(client: stripe.StripeClient) -> None:
    made = make(client, api_version=stripe.api_version, description="Ours", metadata={"a": "1", "b": "2"})
    assert made.secret is not None
    assert made.secret.startswith("whsec_")
    assert (made.status, made.api_version, made.livemode) == ("enabled", stripe.api_version, False)
    shown = client.v1.webhook_endpoints.retrieve(made.id)
    assert "secret" not in shown
    assert (shown.url, list(shown.enabled_events), shown.metadata.to_dict()) == (
        URL,
        ["customer.updated"],
        {"a": "1", "b": "2"},
    )
    changed = client.v1.webhook_endpoints.update(
        made.id, {"enabled_events": ["*"], "disabled": True, "metadata": {"a": ""}, "description": ""}
    )
    assert (changed.status, list(changed.enabled_events), changed.metadata.to_dict(), changed.description) == (
        "disabled",
        ["*"],
        {"b": "2"},
        None,
    )
    assert "secret" not in changed
    gone = client.v1.webhook_endpoints.delete(made.id)
    assert (gone.id, gone.deleted) == (made.id, True)
    with pytest.raises(stripe.InvalidRequestError, match="No such webhook endpoint") as missing:
        client.v1.webhook_endpoints.retrieve(made.id)
    assert (missing.value.http_status, missing.value.code) == (404, "resource_missing")
    with pytest.raises(stripe.InvalidRequestError, match="No such webhook endpoint"):
        client.v1.webhook_endpoints.update(made.id, {"disabled": False})


def test_as_many_as_there_may_be_are_listed_newest_first(client: stripe.StripeClient) -> None:
    made = [make(client).id for _ in range(16)]
    with pytest.raises(stripe.InvalidRequestError, match="maximum of 16 test webhook endpoints"):
        make(client)
    listed = client.v1.webhook_endpoints.list({"limit": 5})
    assert [each.id for each in listed.auto_paging_iter()] == made[::-1]
    assert all("secret" not in each for each in listed.data)
    client.v1.webhook_endpoints.delete(made[3])
    made.append(make(client).id)
    del made[3]
    assert [each.id for each in client.v1.webhook_endpoints.list({"limit": 100}).data] == made[::-1]


@pytest.mark.parametrize(
    ("given", "message", "param"),
    [
        ({"url": ""}, "Missing required param: url.", "url"),
        ({"url": "example.com/x"}, "Invalid URL: An explicit scheme", "url"),
        ({"url": "http://example.com/x"}, "Invalid URL: URL must be https", "url"),
        ({"url": "https://example.com/x"}, "sends to this machine only", "url"),
        ({"url": "https://127.0.0.1.example.com/x"}, "sends to this machine only", "url"),
        ({"url": "http://127.0.0.1:notaport/"}, "Not a valid URL", "url"),
        ({"url": "ftp://127.0.0.1/"}, "Not a valid URL", "url"),
        ({"enabled_events[0]": "customer.exploded"}, "must be one of account.", "enabled_events[0]"),
        ({"api_version": "2099-01-01"}, "Invalid API version: 2099-01-01", "api_version"),
        ({"connect": "perhaps"}, "Invalid boolean: perhaps", "connect"),
        ({"disabled": "true"}, "Received unknown parameter: disabled", "disabled"),
        ({"colour": "red"}, "Received unknown parameter: colour", "colour"),
    ],
)
def test_what_is_refused(given: dict[str, str], message: str, param: str, server: SandboxServer) -> None:
    error = refusal(send(server, "POST", **{"url": URL, "enabled_events[0]": "customer.updated", **given}), 400)
    assert message in error["message"]
    assert error["param"] == param
    assert send(server, "GET").json()["data"] == []


def test_an_endpoint_needs_events_and_its_version_stays(server: SandboxServer, client: stripe.StripeClient) -> None:
    error = refusal(send(server, "POST", url=URL), 400)
    assert (error["code"], error["param"]) == ("parameter_missing", "enabled_events")
    error = refusal(send(server, "POST", f"/{make(client).id}", api_version=stripe.api_version), 400)
    assert error["message"] == "Received unknown parameter: api_version"


def test_a_repeated_request_makes_no_second_one(server: SandboxServer) -> None:
    given = {"url": URL, "enabled_events[]": "*"}
    once = {"Idempotency-Key": "key-1"}
    server.state.faults.set([Fault(kind=FaultKind.DROP, times=1)])
    with pytest.raises(requests.ConnectionError):
        send(server, "POST", headers=once, **given)
    answer = send(server, "POST", headers=once, **given).json()
    assert [each["id"] for each in send(server, "GET").json()["data"]] == [answer["id"]]
    error = refusal(send(server, "POST", headers=once, **{**given, "url": URL + "/other"}), 400)
    assert error["type"] == "idempotency_error"


def test_a_restricted_key_needs_the_permission(server: SandboxServer) -> None:
    account = small_account(
        restricted_keys={"rk_test_no_webhooks": frozenset({"webhook"}), "rk_test_reads": frozenset({"webhook_write"})}
    )
    server.state.put_account(account)
    given = {"url": URL, "enabled_events[]": "*"}
    for key in account.restricted_keys:
        error = refusal(send(server, "POST", key=key, **given), 403)
        assert "'rak_webhook_write' permission" in error["message"]
    assert "'rak_webhook_read' permission" in refusal(send(server, "GET", key="rk_test_no_webhooks"), 403)["message"]
    assert send(server, "GET", key="rk_test_reads").json()["data"] == []


def test_each_account_has_its_own(server: SandboxServer) -> None:
    server.state.put_account(small_account(api_key="sk_test_other", account_id="acct_other"))
    server.state.put_account(small_account(api_key="sk_test_connected", account_id="acct_connected", platform=ACCOUNT))
    client, other = client_of(server), client_of(server, "sk_test_other")
    made = make(client)
    with pytest.raises(stripe.InvalidRequestError, match="No such webhook endpoint"):
        other.v1.webhook_endpoints.retrieve(made.id)
    of_connected = client.v1.webhook_endpoints.create(
        {"url": URL, "enabled_events": ["*"]}, {"stripe_account": "acct_connected"}
    )
    assert [each.id for each in client.v1.webhook_endpoints.list().data] == [made.id]
    assert [each.id for each in client_of(server, "sk_test_connected").v1.webhook_endpoints.list().data] == [
        of_connected.id
    ]
