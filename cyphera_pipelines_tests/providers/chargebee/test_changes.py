"""What changed at a site: by events, by lists, and by webhooks that are read back."""

import time

import pytest

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.providers.base import Change, EndlessListError, Notice
from cyphera_pipelines.providers.chargebee.changes import EVENTS_REACH_BACK, LOOKS_BACK
from cyphera_pipelines_tests.hostile import misbehaviour
from cyphera_pipelines_tests.providers.chargebee.conftest import Connect
from cyphera_pipelines_tests.providers.chargebee.site import Json, Site, customer, event, refusal

EVERYTHING = tuple(Entity)
NOW = int(time.time())


def at(milliseconds: int, obj: Json) -> Json:
    """The object as it was then, in milliseconds after a moment not long ago."""
    return {**obj, "resource_version": (NOW - 60) * 1000 + milliseconds}


def invoice(**more: object) -> Json:
    return at(0, {"id": "inv/1", "object": "invoice", "date": NOW - 100, **more})


def changed(connect: Connect, *, since: int = NOW - 600) -> list[Change]:
    return [change for batch in connect().changes(EVERYTHING, since) for change in batch]


def test_one_event_changes_all_that_stand_in_it(site: Site, connect: Connect) -> None:
    told = event(1, "payment_succeeded", customer=at(5, customer(1)), invoice=at(6, invoice()), transaction={"id": "t"})
    site.objects["events"] = [told]
    changes = changed(connect)
    assert {(change.entity, change.object_id) for change in changes} == {
        (Entity.CUSTOMERS, "customer 1/1"),
        (Entity.INVOICES, "inv/1"),
    }
    assert all(change.snapshot is not None for change in changes)
    assert {change.version for change in changes} == {NOW - 60 + 0.005, NOW - 60 + 0.006}


def test_the_highest_version_wins_whatever_the_order(site: Site, connect: Connect) -> None:
    older, newer = at(1, customer(1, email="old@x.de")), at(2, customer(1, email="new@x.de"))
    site.objects["events"] = [
        event(1, "customer_changed", customer=newer),
        event(2, "customer_changed", customer=older),
    ]
    (change,) = changed(connect)
    assert change.snapshot == newer


def test_an_event_that_comes_twice_counts_once(site: Site, connect: Connect) -> None:
    site.objects["events"] = [event(1, "customer_changed", customer=at(1, customer(1)))] * 3
    assert len(changed(connect)) == 1


def test_two_states_of_one_version_have_to_be_fetched(site: Site, connect: Connect) -> None:
    states = [at(1, customer(1, email=f"{name}@x.de")) for name in "ab"]
    site.objects["events"] = [event(number, "customer_changed", customer=obj) for number, obj in enumerate(states)]
    (change,) = changed(connect)
    assert change.snapshot is None
    assert not change.is_deleted


def test_deletions_keep_the_last_state(site: Site, connect: Connect) -> None:
    gone, item = at(3, customer(1, deleted=True)), at(4, {"id": "basic", "status": "deleted", "object": "item"})
    site.objects["events"] = [event(1, "customer_deleted", customer=gone), event(2, "item_deleted", item=item)]
    changes = changed(connect)
    assert [(change.is_deleted, change.snapshot, change.last_known) for change in changes] == [
        (True, None, gone),
        (True, None, item),
    ]


def test_what_has_no_version_or_moved_away_is_fetched(site: Site, connect: Connect) -> None:
    without = customer(1)
    del without["resource_version"]
    from_the_future = {**customer(2), "resource_version": (NOW + 10**6) * 1000}
    moved = at(1, customer(3))
    site.objects["events"] = [
        event(1, "customer_changed", customer=without),
        event(2, "customer_changed", customer=from_the_future),
        event(3, "customer_moved_out", customer=moved),
    ]
    changes = changed(connect)
    assert [(change.snapshot, change.is_deleted) for change in changes] == [(None, False)] * 3
    assert all(change.version <= time.time() for change in changes)


def test_a_credit_note_changes_its_invoice(site: Site, connect: Connect) -> None:
    note = {"id": "cn_1", "reference_invoice_id": "inv/1"}
    site.objects["events"] = [event(1, "credit_note_created", credit_note=note)]
    (change,) = changed(connect)
    assert (change.entity, change.object_id, change.snapshot) == (Entity.INVOICES, "inv/1", None)


def test_events_are_asked_for_from_a_little_before(site: Site, connect: Connect) -> None:
    late = event(1, "customer_changed", occurred_at=NOW - 600 - LOOKS_BACK, customer=at(1, customer(1)))
    site.objects["events"] = [late]
    assert len(changed(connect, since=NOW - 600)) == 1
    assert len(site.asked) == 1


def test_events_that_nobody_can_read_are_named(site: Site, connect: Connect) -> None:
    odd = [event(1, "customer_changed", customer={"id": ""}), event(2, "customer_changed", customer=[7]), "no event"]
    told = [{"event": each} for each in odd] + [{"event": event(3, "customer_changed", customer=at(1, customer(1)))}]
    site.misbehave("*/events", misbehaviour.json_value({"list": told}))
    notices = list[Notice]()
    client = connect(on_notice=notices.append)
    changes = [change for batch in client.changes(EVERYTHING, NOW - 600) for change in batch]
    assert [change.object_id for change in changes] == ["customer 1/1"]
    (notice,) = notices
    assert notice.message.startswith("3 provider events could not be read")


def test_events_without_end_are_given_up(site: Site, connect: Connect) -> None:
    site.misbehave("*/events", misbehaviour.json_value({"list": [{"event": event(1, "x")}], "next_offset": "[1]"}))
    with pytest.raises(EndlessListError):
        changed(connect)


@pytest.mark.parametrize("why", ["forbidden", "too long ago"])
def test_lists_tell_where_events_do_not(why: str, site: Site, connect: Connect) -> None:
    since = NOW - 600
    if why == "forbidden":
        site.misbehave("*/events", misbehaviour.json_value(refusal(403, "api_authorization_failed")[1], 403))
    else:
        since = NOW - EVENTS_REACH_BACK - 600
    site.objects["customers"] = [
        {**customer(1), "updated_at": since - 10_000},
        {**customer(2), "updated_at": since + 5},
        {**customer(3), "updated_at": since + 6, "deleted": True},
    ]
    site.objects["items"] = [{"id": "gone", "status": "deleted", "updated_at": since + 7}]
    found = {change.object_id: change.is_deleted for change in changed(connect, since=since)}
    assert found == {"customer 2/1": False, "customer 3/1": True, "gone": True}
    listed = [each for each in site.asked if each.path.endswith("/subscriptions")]
    assert [each.first("sort_by[asc]") for each in listed] == ["updated_at"]


def test_a_site_that_shows_no_deleted_items_lists_the_others(site: Site, connect: Connect) -> None:
    site.misbehave("*/events", misbehaviour.json_value(refusal(403, "api_authorization_failed")[1], 403))
    site.misbehave(
        "*/items", misbehaviour.json_value(refusal(400, "param_wrong_value", param="status")[1], 400), times=1
    )
    site.objects["items"] = [{"id": "basic", "status": "active", "updated_at": NOW}]
    assert [change.object_id for change in changed(connect)] == ["basic"]


def test_webhooks_are_believed_or_read_back(site: Site, connect: Connect) -> None:
    true, forged = (event(number, "customer_changed", customer=at(number, customer(number))) for number in (1, 2))
    assert len(connect().changes_of([true, forged])) == 2
    assert site.asked == []
    site.objects["events"] = [true]
    notices = list[Notice]()
    tampered = {**true, "content": {"customer": at(9, customer(1, email="thief@x.de"))}}
    client = connect(source={"webhook_read_back": "yes"}, on_notice=notices.append)
    (change,) = client.changes_of([tampered, forged])
    assert change.snapshot == true["content"]["customer"]
    (notice,) = notices
    assert "ev_2 (Chargebee knows no event of this id)" in notice.message
