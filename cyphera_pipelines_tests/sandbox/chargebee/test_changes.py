import time
from collections import Counter

import pytest

from cyphera_pipelines.sandbox import SandboxServer
from cyphera_pipelines.sandbox.business.business import BASE_COLLECTIONS
from cyphera_pipelines_tests.sandbox.chargebee.conftest import SITE, Ask, all_pages, small_site


def test_everything_can_happen_and_is_told(ask: Ask, server: SandboxServer) -> None:
    each = dict.fromkeys(BASE_COLLECTIONS, 2)
    changes = server.state.apply_changes(SITE, create=each, update=each, delete=each)
    assert len(changes) >= 30
    events = {event["id"]: event for event in all_pages(ask, "/events", **{"sort_by[asc]": "occurred_at"})}
    for change in changes:
        assert change.event_id is not None
        event = events[change.event_id]
        told = event["content"][event_key(change.collection)]
        assert (event["event_type"], told["id"]) == (change.event_type, change.object_id)
    types = Counter(change.event_type for change in changes)
    assert types["customer_created"] == types["customer_changed"] == types["customer_deleted"] == 2
    assert types["subscription_cancelled"] == types["item_deleted"] == 2


def event_key(resource: str) -> str:
    return {"customers": "customer", "items": "item", "item_prices": "item_price"}.get(resource, resource[:-1])


def test_an_event_tells_of_several_objects_as_they_then_were(ask: Ask, server: SandboxServer) -> None:
    change = server.state.apply_changes(SITE, update={"subscriptions": 1})[0]
    content = ask(f"/events/{change.event_id}").json()["event"]["content"]
    assert content["customer"]["id"] == content["subscription"]["customer_id"]
    listed = ask(f"/subscriptions/{change.object_id.replace('/', '%2F')}").json()["subscription"]
    assert content["subscription"] == listed


def test_versions_grow_with_every_change(server: SandboxServer) -> None:
    customer = next(iter(server.state.truth(SITE, "customers")))["id"]
    versions = []
    for number in range(5):
        server.state.patch(SITE, customer, {"company": f"Number {number}"})
        versions.append(server.state.object(SITE, customer)["resource_version"])
    assert versions == sorted(set(versions))


def test_invoices_go_their_way_and_leave_payments(ask: Ask, server: SandboxServer) -> None:
    before = {each["id"]: each["status"] for each in server.state.truth(SITE, "invoices")}
    changes = server.state.apply_changes(SITE, update={"invoices": 25})
    after = {each["id"]: each for each in server.state.truth(SITE, "invoices")}
    moves = {(before[change.object_id], after[change.object_id]["status"]) for change in changes}
    assert ("pending", "payment_due") in moves
    assert ("payment_due", "paid") in moves
    for change in changes:
        whole = after[change.object_id]
        paid = whole["amount_paid"] + whole["credits_applied"] + whole["amount_adjusted"]
        assert whole["amount_due"] == whole["total"] - paid
    payments = {each["id"] for each in server.state.truth(SITE, "transactions")}
    assert all(link["txn_id"] in payments for each in after.values() for link in each.get("linked_payments", ()))


def test_a_deleted_object_can_still_be_seen_by_whoever_asks_for_deleted_ones(ask: Ask, server: SandboxServer) -> None:
    change = server.state.apply_changes(SITE, delete={"customers": 1})[0]
    assert change.object_id not in {each["id"] for each in all_pages(ask, "/customers")}
    gone = {each["id"]: each for each in all_pages(ask, "/customers", include_deleted="true")}[change.object_id]
    assert gone["deleted"] is True
    assert ask(f"/events/{change.event_id}").json()["event"]["content"]["customer"]["deleted"] is True


def test_events_may_come_late_doubled_and_out_of_order(ask: Ask, server: SandboxServer) -> None:
    server.state.put_account(small_site(events_doubled=1.0, event_jitter_seconds=600))
    customer = next(iter(server.state.truth(SITE, "customers")))["id"]
    now = int(time.time())
    for second in range(20):
        server.state.patch(SITE, customer, {"company": f"At {second}"}, at=now - 3_600 + second)
    events = all_pages(ask, "/events", **{"sort_by[asc]": "occurred_at"})
    versions = [event["content"]["customer"]["resource_version"] for event in events]
    assert len(events) == 40
    assert len({event["id"] for event in events}) == 40
    assert set(Counter(versions).values()) == {2}
    assert versions != sorted(versions)


def test_a_late_event_cannot_be_seen_before(ask: Ask, server: SandboxServer) -> None:
    server.state.put_account(small_site(event_delay_seconds=3_600))
    change = server.state.apply_changes(SITE, create={"customers": 1})[0]
    assert all_pages(ask, "/events") == []
    assert ask(f"/events/{change.event_id}").status_code == 404
    assert ask(f"/customers/{change.object_id}").status_code == 200


@pytest.mark.parametrize(("kept", "seen"), [(90, False), (None, True)])
def test_events_are_kept_as_long_as_the_site_says(
    ask: Ask, server: SandboxServer, kept: int | None, seen: bool
) -> None:
    server.state.put_account(small_site(events_kept_days=kept))
    server.state.apply_changes(SITE, create={"customers": 1}, at=int(time.time()) - 100 * 86_400)
    assert bool(all_pages(ask, "/events")) is seen


def test_objects_can_be_made_awkward(server: SandboxServer) -> None:
    subscription = next(iter(server.state.truth(SITE, "subscriptions")))["id"]
    server.state.poison(SITE, subscription, "nul_character")
    assert "\u0000" in server.state.object(SITE, subscription)["po_number"]
    with pytest.raises(KeyError):
        server.state.poison(SITE, subscription, "unheard_of")
    with pytest.raises(ValueError, match="colours"):
        server.state.apply_changes(SITE, create={"colours": 1})
