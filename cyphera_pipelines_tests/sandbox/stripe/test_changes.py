"""What happens over time: objects change, provider events tell of it, and both agree."""

import time
from typing import Any

import pytest
import stripe
from hypothesis import given, settings
from hypothesis import strategies as st

from cyphera_pipelines.sandbox import SandboxServer, SandboxState
from cyphera_pipelines.sandbox.business.business import BASE_COLLECTIONS
from cyphera_pipelines.sandbox.stripe.events import RETENTION_SECONDS, previous_attributes
from cyphera_pipelines_tests.sandbox.conftest import ACCOUNT, KEY, Get, all_pages, client_of, small_account

counts = st.dictionaries(st.sampled_from(BASE_COLLECTIONS), st.integers(0, 3))


def content(state: SandboxState) -> dict[str, dict[str, Any]]:
    return {whole["id"]: whole for name in BASE_COLLECTIONS for whole in state.truth(ACCOUNT, name)}


@given(st.lists(st.tuples(counts, counts, counts), max_size=3))
@settings(max_examples=15)
def test_events_tell_all_that_changed(rounds: list[tuple[dict[str, int], dict[str, int], dict[str, int]]]) -> None:
    account = small_account(customers=12, products=4, prices=13, subscriptions=10, invoices=15)
    state = SandboxState([account])
    before = content(state)
    told: set[str] = set()
    deleted: set[str] = set()
    for create, update, delete in rounds:
        changes = state.apply_changes(ACCOUNT, create=create, update=update, delete=delete)
        for change in changes:
            told.add(change.object_id)
            if change.event_type and change.event_type.endswith(".deleted") and change.collection != "subscriptions":
                deleted.add(change.object_id)
    after = content(state)
    touched = {i for i in before.keys() | after.keys() if before.get(i) != after.get(i)}
    assert touched == told - (deleted - before.keys())
    assert deleted.isdisjoint(after)
    assert deleted == {i for name in BASE_COLLECTIONS for i in state.deleted_ids(ACCOUNT, name)}


def test_lists_show_what_was_created_changed_and_deleted(server: SandboxServer, get: Get) -> None:
    state = server.state
    state.apply_changes(
        ACCOUNT,
        create={"customers": 3, "products": 2, "prices": 14, "subscriptions": 4, "invoices": 5},
        update=dict.fromkeys(BASE_COLLECTIONS, 4),
        delete=dict.fromkeys(BASE_COLLECTIONS, 2),
    )
    for name in BASE_COLLECTIONS:
        every = {"status": "all"} if name == "subscriptions" else {}
        listed = all_pages(get, f"/v1/{name}", limit=23, **every)
        whole = list(state.truth(ACCOUNT, name))
        assert [built["id"] for built in listed] == [built["id"] for built in whole]
        assert [built["metadata"] for built in listed] == [built["metadata"] for built in whole]
        hour_ago = int(time.time()) - 3_600
        recent = all_pages(get, f"/v1/{name}", limit=2, **{"created[gte]": hour_ago}, **every)
        assert [built["id"] for built in recent] == [built["id"] for built in whole if built["created"] >= hour_ago]
        assert recent
        for built in recent:
            assert get(f"/v1/{name}/{built['id']}").json()["id"] == built["id"]


def test_deleted_objects(server: SandboxServer, client: stripe.StripeClient) -> None:
    customer, product, price = (
        next(server.state.truth(ACCOUNT, name))["id"] for name in ("customers", "products", "prices")
    )
    for object_id in (customer, product, price):
        server.state.delete(ACCOUNT, object_id)
        with pytest.raises(KeyError):
            server.state.delete(ACCOUNT, object_id)
    gone = client.v1.customers.retrieve(customer)
    assert gone.to_dict() == {"id": customer, "object": "customer", "deleted": True}
    for retrieve in (lambda: client.v1.products.retrieve(product), lambda: client.v1.prices.retrieve(price)):
        with pytest.raises(stripe.InvalidRequestError) as missing:
            retrieve()
        assert (missing.value.http_status, missing.value.code) == (404, "resource_missing")
    assert client.v1.customers.list({"starting_after": customer, "limit": 1}).data
    server.state.put_account(small_account(rejects_deleted_cursors=True))
    server.state.delete(ACCOUNT, customer)
    with pytest.raises(stripe.InvalidRequestError, match="No such customer"):
        client.v1.customers.list({"starting_after": customer})


def test_a_canceled_subscription_stays_and_its_event_says_deleted(server: SandboxServer, get: Get) -> None:
    subscription = get("/v1/subscriptions", status="active", limit=1).json()["data"][0]["id"]
    change = server.state.delete(ACCOUNT, subscription)
    assert change.event_type == "customer.subscription.deleted"
    assert get(f"/v1/subscriptions/{subscription}").json()["status"] == "canceled"
    event = get(f"/v1/events/{change.event_id}").json()
    assert event["data"]["object"]["status"] == "canceled"
    assert event["data"]["object"]["ended_at"] == event["created"]


def test_events_through_the_real_client(server: SandboxServer, client: stripe.StripeClient) -> None:
    changes = server.state.apply_changes(ACCOUNT, create={"customers": 2}, update={"customers": 3, "prices": 1})
    events = list(client.v1.events.list({"limit": 2}).auto_paging_iter())
    assert [event.id for event in events] == [change.event_id for change in reversed(changes)]
    created = client.v1.events.list({"types": ["customer.created", "price.updated"], "limit": 100}).data
    assert {event.type for event in created} == {"customer.created", "price.updated"}
    only = client.v1.events.list({"type": "customer.*"}).data
    assert len(only) == 5
    updated = next(event for event in events if event.type == "customer.updated")
    assert updated.data.previous_attributes
    assert updated.api_version == stripe.api_version
    assert updated.data.object["id"] == changes[2].object_id or updated.data.object["object"] == "customer"
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.events.list({"starting_after": "evt_none"})


def test_events_are_kept_for_thirty_days_and_may_come_late(server: SandboxServer, get: Get) -> None:
    now = int(time.time())
    server.state.apply_changes(ACCOUNT, update={"customers": 1}, at=now - RETENTION_SECONDS - 60)
    server.state.apply_changes(ACCOUNT, update={"customers": 1}, at=now - 10)
    server.state.apply_changes(ACCOUNT, update={"customers": 1}, at=now - 600)
    created = [event["created"] for event in get("/v1/events").json()["data"]]
    assert created == [now - 10, now - 600]
    assert len(get("/v1/events", **{"created[gte]": now - 20}).json()["data"]) == 1
    server.state.put_account(small_account(event_delay_seconds=3_600))
    server.state.apply_changes(ACCOUNT, update={"customers": 1})
    assert get("/v1/events").json()["data"] == []


def test_events_of_another_api_version_have_its_shape() -> None:
    with SandboxServer([small_account(event_api_version="2024-06-20")]) as server:
        state = server.state
        invoice = next(whole for whole in state.truth(ACCOUNT, "invoices") if whole["parent"])
        subscription = next(state.truth(ACCOUNT, "subscriptions"))
        state.patch(ACCOUNT, invoice["id"], {"description": "x"})
        state.patch(ACCOUNT, subscription["id"], {"description": "x"})
        of_subscription, of_invoice = client_of(server).v1.events.list().data
        snapshot = of_invoice.data.object
        assert of_invoice.api_version == "2024-06-20"
        assert snapshot["subscription"] == invoice["parent"]["subscription_details"]["subscription"]
        assert "parent" not in snapshot
        snapshot = of_subscription.data.object
        first_item = subscription["items"]["data"][0]
        assert snapshot["current_period_end"] == first_item["current_period_end"]
        assert "current_period_end" not in snapshot["items"]["data"][0]


def test_patch_overwrites_anything(server: SandboxServer, get: Get) -> None:
    invoice = max(server.state.truth(ACCOUNT, "invoices"), key=lambda whole: len(whole["lines"]["data"]))
    server.state.patch(ACCOUNT, invoice["id"], {"total": "a lot", "created": None}, remove=["currency"])
    served = get(f"/v1/invoices/{invoice['id']}").json()
    assert served["total"] == "a lot"
    assert served["created"] is None
    assert "currency" not in served
    assert served["lines"]["has_more"]
    assert len(get(f"/v1/invoices/{invoice['id']}/lines", limit=100).json()["data"]) > 10
    event = get("/v1/events").json()["data"][0]
    assert event["data"]["previous_attributes"]["total"] == invoice["total"]
    assert event["data"]["object"]["lines"]["has_more"]
    assert len(event["data"]["object"]["lines"]["data"]) == 10
    with pytest.raises(KeyError):
        server.state.patch(ACCOUNT, "in_none", {})


def test_unknown_names_are_refused() -> None:
    state = SandboxState([small_account()])
    with pytest.raises(ValueError, match="'refunds' is not one of"):
        state.apply_changes(ACCOUNT, create={"refunds": 1})
    with pytest.raises(ValueError, match="cannot change -1"):
        state.apply_changes(ACCOUNT, delete={"customers": -1})
    with pytest.raises(KeyError):
        state.apply_changes("acct_none")
    assert KEY in state.accounts[0].keys


def test_previous_attributes_name_only_what_changed() -> None:
    before = {"a": 1, "b": {"c": 1, "d": 2}, "e": {"object": "list", "data": [1]}, "gone": 1}
    after = {"a": 1, "b": {"c": 1, "d": 3}, "e": {"object": "list", "data": [2]}, "new": 2}
    assert previous_attributes(before, after) == {
        "b": {"d": 2},
        "e": {"object": "list", "data": [1]},
        "gone": 1,
        "new": None,
    }


def test_changes_are_repeatable() -> None:
    def run() -> list[tuple[str, str | None]]:
        state = SandboxState([small_account()])
        made = state.apply_changes(ACCOUNT, update=dict.fromkeys(BASE_COLLECTIONS, 3), delete={"customers": 2})
        return [(change.object_id, change.event_type) for change in made]

    assert run() == run()
