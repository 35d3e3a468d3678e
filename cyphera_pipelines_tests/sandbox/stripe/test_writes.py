"""What the provider's own package gets when it writes: objects, provider events, webhooks, and each write once."""

from typing import Any

import pytest
import requests
import stripe

from cyphera_pipelines.sandbox import SandboxServer
from cyphera_pipelines.sandbox.options import Fault, FaultKind
from cyphera_pipelines_tests.receiver import receiving, wait_for
from cyphera_pipelines_tests.sandbox.conftest import ACCOUNT, KEY, client_of


def post(server: SandboxServer, path: str, key: str | None = None, **form: str) -> requests.Response:
    headers = {} if key is None else {"Idempotency-Key": key}
    return requests.post(f"{server.url}/v1/{path}", data=form, auth=(KEY, ""), headers=headers, timeout=120)


def events_of(server: SandboxServer, object_id: str) -> list[dict[str, Any]]:
    """The provider events about an object, oldest first."""
    found = requests.get(f"{server.url}/v1/events", params={"limit": 100}, auth=(KEY, ""), timeout=120).json()["data"]
    return [event for event in reversed(found) if event["data"]["object"].get("id") == object_id]


def test_the_same_key_is_answered_the_same(server: SandboxServer) -> None:
    first, again = (post(server, "customers", "key-1", name="Ada") for _ in range(2))
    assert first.status_code == again.status_code == 200
    assert first.content == again.content
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.headers["Original-Request"] == first.headers["Request-Id"]
    other = post(server, "customers", "key-1", name="Bo")
    assert (other.status_code, other.json()["error"]["type"]) == (400, "idempotency_error")
    elsewhere = post(server, "products", "key-1", name="Ada")
    assert elsewhere.status_code == 400
    assert post(server, "customers", name="Ada").json()["id"] != first.json()["id"]


def test_what_was_not_begun_leaves_its_key_new(server: SandboxServer) -> None:
    assert post(server, "customers", "key-2", email="nobody").status_code == 400
    assert post(server, "customers", "key-2", email="a@example.com").status_code == 200


def test_a_refused_payment_is_kept_under_its_key(server: SandboxServer) -> None:
    form = {"amount": "500", "currency": "usd", "confirm": "true", "payment_method": "pm_card_chargeDeclined"}
    first, again = (post(server, "payment_intents", "key-3", **form) for _ in range(2))
    assert (first.status_code, first.content) == (402, again.content)
    error = first.json()["error"]
    assert (error["type"], error["code"], error["decline_code"]) == ("card_error", "card_declined", "generic_decline")
    assert error["payment_intent"]["status"] == "requires_payment_method"


@pytest.mark.parametrize(("kind", "is_done"), [(FaultKind.ERROR_500, False), (FaultKind.ERROR_500_DONE, True)])
def test_an_error_of_its_own_is_kept_too(server: SandboxServer, kind: FaultKind, is_done: bool) -> None:
    server.state.faults.set([Fault(kind=kind, method="POST", times=1)])
    before = len(list(server.state.truth(ACCOUNT, "customers")))
    first, again = (post(server, "customers", f"key-{kind}", name="Ada") for _ in range(2))
    assert (first.status_code, again.status_code) == (500, 500)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert len(list(server.state.truth(ACCOUNT, "customers"))) == before + is_done


@pytest.mark.parametrize(("kind", "is_done"), [(FaultKind.DROP, True), (FaultKind.DROP_UNDONE, False)])
def test_connections_are_cut_before_and_after(server: SandboxServer, kind: FaultKind, is_done: bool) -> None:
    server.state.faults.set([Fault(kind=kind, method="POST", times=1)])
    before = len(list(server.state.truth(ACCOUNT, "customers")))
    with pytest.raises(requests.ConnectionError):
        post(server, "customers", f"key-{kind}", name="Ada")
    assert len(list(server.state.truth(ACCOUNT, "customers"))) == before + is_done
    # Reading is not hit: the fault is for one method.
    assert requests.get(f"{server.url}/v1/customers", auth=(KEY, ""), timeout=120).status_code == 200


def test_provider_events_name_the_key(server: SandboxServer) -> None:
    made = post(server, "customers", "key-4", name="Ada").json()
    post(server, f"customers/{made['id']}", "key-5", name="Bo")
    created, updated = events_of(server, made["id"])
    assert (created["type"], created["request"]["idempotency_key"]) == ("customer.created", "key-4")
    assert (updated["type"], updated["request"]["idempotency_key"]) == ("customer.updated", "key-5")
    assert updated["data"]["previous_attributes"] == {"name": "Ada"}


def test_webhooks_tell_of_writes(server: SandboxServer) -> None:
    client = client_of(server)
    with receiving() as receiver:
        client.v1.webhook_endpoints.create({"url": receiver.url, "enabled_events": ["customer.created"]})
        made = client.v1.customers.create({"name": "Ada"})
        wait_for(lambda: receiver.received)
    assert receiver.received[0].event["data"]["object"]["id"] == made.id


def test_the_package_writes_as_at_stripe(server: SandboxServer) -> None:
    client = client_of(server)
    customer = client.v1.customers.create({"name": "Ada", "metadata": {"a": "1"}, "expand": ["tax_ids"]})
    assert customer.tax_ids is not None
    changed = client.v1.customers.update(customer.id, {"metadata": {"a": "", "b": "2"}})
    assert changed.to_dict()["metadata"] == {"b": "2"}
    product = client.v1.products.create({"name": "Seats"})
    price = client.v1.prices.create(
        {"product": product.id, "currency": "usd", "unit_amount": 900, "recurring": {"interval": "month"}}
    )
    with pytest.raises(stripe.InvalidRequestError, match="user-created prices"):
        client.v1.products.delete(product.id)
    subscription = client.v1.subscriptions.create(
        {"customer": customer.id, "items": [{"price": price.id, "quantity": 3}], "expand": ["latest_invoice"]}
    )
    assert isinstance(subscription.latest_invoice, stripe.Invoice)
    assert subscription.latest_invoice.total == 2_700
    with pytest.raises(stripe.InvalidRequestError) as refused:
        client.v1.subscriptions.update(subscription.id, {"items": [{"id": "si_none"}]})
    assert (refused.value.code, refused.value.param) == ("resource_missing", "items[0][id]")
    assert client.v1.subscriptions.cancel(subscription.id).status == "canceled"
    with pytest.raises(stripe.InvalidRequestError) as refused:
        client.v1.customers.update(customer.id, {"colour": "red"})  # type: ignore[arg-type]
    assert refused.value.code == "parameter_unknown"
    assert client.v1.customers.delete(customer.id).deleted is True


def test_tiers_are_billed(server: SandboxServer) -> None:
    client = client_of(server)
    product, customer = client.v1.products.create({"name": "Units"}), client.v1.customers.create({"name": "Ada"})
    tiers: Any = [{"up_to": 10, "unit_amount": 100}, {"up_to": "inf", "unit_amount": 50, "flat_amount": 7}]
    billed = {}
    for mode in ("graduated", "volume"):
        price = client.v1.prices.create(
            {
                "product": product.id,
                "currency": "usd",
                "billing_scheme": "tiered",
                "tiers_mode": mode,
                "tiers": tiers,
            }
        )
        invoice = client.v1.invoices.create({"customer": customer.id, "currency": "usd"})
        line: Any = {"pricing": {"price": price.id}, "quantity": 12}
        billed[mode] = client.v1.invoices.add_lines(str(invoice.id), {"lines": [line]}).total
    assert billed == {"graduated": 10 * 100 + 2 * 50 + 7, "volume": 12 * 50 + 7}
