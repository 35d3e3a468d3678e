import itertools
import json
from urllib.parse import quote

import pytest

from cyphera_pipelines.sandbox import SandboxServer
from cyphera_pipelines_tests.sandbox.chargebee.conftest import SITE, Ask, all_pages, small_site

LISTS = ("customers", "item_families", "items", "item_prices", "subscriptions", "invoices", "coupons", "transactions")


@pytest.mark.parametrize("name", LISTS)
def test_pages_of_any_size_show_every_object_once(ask: Ask, server: SandboxServer, name: str) -> None:
    truth = [whole["id"] for whole in server.state.truth(SITE, name)]
    assert truth
    for limit in (7, 100):
        listed = [each["id"] for each in all_pages(ask, f"/{name}", limit=limit)]
        assert sorted(listed) == sorted(truth)


def test_a_list_holds_ten_unless_asked_and_a_hundred_at_most(ask: Ask) -> None:
    assert len(ask("/customers").json()["list"]) == 10
    refused = ask("/customers", limit=101)
    assert (refused.status_code, refused.json()["api_error_code"], refused.json()["param"]) == (
        400,
        "param_wrong_value",
        "limit",
    )


@pytest.mark.parametrize("direction", ["asc", "desc"])
@pytest.mark.parametrize(
    ("name", "order"),
    [
        ("customers", "created_at"),
        ("customers", "updated_at"),
        ("invoices", "date"),
        ("items", "id"),
        ("items", "name"),
    ],
)
def test_lists_come_in_the_order_that_is_asked_for(ask: Ask, name: str, order: str, direction: str) -> None:
    listed = all_pages(ask, f"/{name}", limit=13, **{f"sort_by[{direction}]": order})
    values = [each.get(order, 0) for each in listed]
    assert values == sorted(values, reverse=direction == "desc")


def test_without_an_order_the_newest_come_first(ask: Ask) -> None:
    assert (created := [each["created_at"] for each in all_pages(ask, "/subscriptions")]) == sorted(
        created, reverse=True
    )


def test_an_order_that_a_list_does_not_have_is_refused(ask: Ask) -> None:
    assert ask("/invoices", **{"sort_by[asc]": "created_at"}).json()["api_error_code"] == "param_wrong_value"
    assert ask("/item_families", **{"sort_by[asc]": "updated_at"}).status_code == 400


def test_a_forged_offset_and_one_of_another_list_are_refused(ask: Ask) -> None:
    offset = ask("/customers", limit=5).json()["next_offset"]
    moved = json.loads(offset)
    moved[1] = str(int(moved[1]) - 3)
    for path, forged in (
        ("/customers", json.dumps(moved)),
        ("/customers", "abc"),
        ("/customers", '["1"]'),
        ("/subscriptions", offset),
    ):
        refused = ask(path, offset=forged)
        assert (refused.status_code, refused.json()["param"]) == (400, "offset"), forged
    assert ask("/customers", offset=offset, **{"sort_by[asc]": "created_at"}).status_code == 400
    assert ask("/customers", limit=100, offset=offset).status_code == 200


def test_offsets_may_be_a_thousand_characters_long(ask: Ask, server: SandboxServer) -> None:
    server.state.put_account(small_site(offset_length=1_000))
    assert len(ask("/invoices", limit=50).json()["next_offset"]) == 1_000
    assert len({each["id"] for each in all_pages(ask, "/invoices", limit=50)}) == 260


def test_a_time_filter_hides_what_has_no_such_time(ask: Ask, server: SandboxServer) -> None:
    server.state.put_account(small_site(without_updated_share=0.3))
    everything = all_pages(ask, "/customers")
    without = {each["id"] for each in everything if "updated_at" not in each}
    assert without
    assert all("resource_version" not in each for each in everything if each["id"] in without)
    changed = {each["id"] for each in all_pages(ask, "/customers", **{"updated_at[after]": 0})}
    assert changed == {each["id"] for each in everything} - without


def test_after_and_before_leave_out_the_second_itself(ask: Ask) -> None:
    dates = sorted(each["date"] for each in all_pages(ask, "/invoices"))
    middle, later = dates[100], dates[200]
    after = all_pages(ask, "/invoices", **{"date[after]": middle, "date[before]": later})
    assert sorted(each["date"] for each in after) == [date for date in dates if middle < date < later]
    between = all_pages(ask, "/invoices", **{"date[between]": f"[{middle},{later}]"})
    assert sorted(each["date"] for each in between) == [date for date in dates if middle <= date <= later]


@pytest.mark.parametrize("given", ['["paid","voided"]', "['paid', 'voided']", "[paid,voided]"])
def test_lists_of_values_may_be_quoted_in_any_way(ask: Ask, given: str) -> None:
    assert {each["status"] for each in all_pages(ask, "/invoices", **{"status[in]": given})} == {"paid", "voided"}


def test_a_filter_that_a_list_does_not_have_is_refused(ask: Ask) -> None:
    for name in ("created_at[after]", "colour[is]", "status[after]", "customer"):
        assert ask("/invoices", **{name: "1"}).status_code == 400, name
    assert ask("/items", **{"created_at[after]": "1"}).status_code == 400


def test_deleted_objects_come_only_where_they_are_asked_for(ask: Ask, server: SandboxServer) -> None:
    server.state.put_account(small_site(deleted_share=0.2))
    there = all_pages(ask, "/customers")
    everything = all_pages(ask, "/customers", include_deleted="true")
    gone = {each["id"] for each in everything} - {each["id"] for each in there}
    assert gone == set(server.state.deleted_ids(SITE, "customers"))
    assert gone
    assert {each["deleted"] for each in everything if each["id"] in gone} == {True}
    items = all_pages(ask, "/items", **{"status[in]": '["active","archived","deleted"]'})
    assert {each["status"] for each in items} == {"active", "archived", "deleted"}
    assert {each["status"] for each in all_pages(ask, "/items")} == {"active", "archived"}


def test_items_have_neither_a_time_of_creation_nor_a_price(ask: Ask) -> None:
    items = all_pages(ask, "/items")
    assert all("created_at" not in each and "price" not in each for each in items)
    assert {each["type"] for each in items} == {"plan", "addon", "charge"}


def test_what_changes_while_it_is_listed_comes_once_more_at_the_end_and_nothing_is_lost(
    ask: Ask, server: SandboxServer
) -> None:
    first = ask("/customers", limit=20, **{"sort_by[asc]": "updated_at"}).json()
    shown = [entry["customer"]["id"] for entry in first["list"]]
    unseen = {whole["id"] for whole in server.state.truth(SITE, "customers")} - set(shown)
    still_to_come = sorted(unseen)[3]
    for moved in (shown[4], still_to_come):
        server.state.patch(SITE, moved, {"company": "Moved Ltd"})
    rest: list[str] = []
    offset = first["next_offset"]
    while offset:
        body = ask("/customers", limit=20, offset=offset, **{"sort_by[asc]": "updated_at"}).json()
        rest += [entry["customer"]["id"] for entry in body["list"]]
        offset = body.get("next_offset")
    assert rest[-2:] == [shown[4], still_to_come]
    assert set(rest) == unseen | {shown[4]}


def test_ids_with_spaces_and_slashes_are_found_by_their_encoded_path(ask: Ask, server: SandboxServer) -> None:
    for name, singular in (("customers", "customer"), ("subscriptions", "subscription"), ("items", "item")):
        odd = [each["id"] for each in server.state.truth(SITE, name) if " " in each["id"] and "/" in each["id"]]
        assert odd, name
        assert ask(f"/{name}/{quote(odd[0], safe='')}").json()[singular]["id"] == odd[0]


def test_a_subscription_comes_with_its_customer_and_that_ones_card(ask: Ask) -> None:
    entries = ask("/subscriptions", limit=100).json()["list"]
    assert all(entry["customer"]["id"] == entry["subscription"]["customer_id"] for entry in entries)
    carded = [entry for entry in entries if "card" in entry]
    assert carded
    assert all(entry["card"]["payment_source_id"].startswith("pm_") for entry in carded)


def test_lines_of_long_invoices_have_pages_of_their_own(ask: Ask, server: SandboxServer) -> None:
    server.state.put_account(small_site(line_items_at_once=10))
    long = next(each for each in server.state.truth(SITE, "invoices") if len(each["line_items"]) > 25)
    lines: list[str] = []
    parameters: dict[str, str] = {}
    while True:
        shown = ask(f"/invoices/{long['id']}", **parameters).json()["invoice"]
        lines += [line["id"] for line in shown["line_items"]]
        if "line_items_next_offset" not in shown:
            break
        parameters = {"line_items_offset": shown["line_items_next_offset"]}
    assert lines == [line["id"] for line in long["line_items"]]
    listed = {each["id"]: each for each in all_pages(ask, "/invoices")}[long["id"]]
    assert len(listed["line_items"]) == 10
    assert "line_items_next_offset" in listed


def test_the_same_seed_gives_the_same_site(server: SandboxServer) -> None:
    before = {name: list(server.state.truth(SITE, name)) for name in LISTS}
    server.state.put_account(small_site())
    for name in LISTS:
        assert list(server.state.truth(SITE, name)) == before[name]


def test_versions_follow_the_moments_of_change(server: SandboxServer) -> None:
    for name in ("customers", "subscriptions", "invoices", "items", "item_prices"):
        for whole in server.state.truth(SITE, name):
            if "updated_at" in whole:
                assert whole["resource_version"] // 1_000 == whole["updated_at"]


def test_every_reference_leads_somewhere(server: SandboxServer) -> None:
    state = server.state
    ids = {
        name: {each["id"] for each in state.site(SITE).objects.shelf(name).all()}
        for name in ("customers", "items", "item_families", "item_prices", "subscriptions", "invoices")
    }
    for price in state.truth(SITE, "item_prices"):
        assert price["item_id"] in ids["items"]
        assert price["item_family_id"] in ids["item_families"]
    for subscription in state.truth(SITE, "subscriptions"):
        assert subscription["customer_id"] in ids["customers"]
        of_items = [item["item_price_id"] for item in subscription["subscription_items"]]
        assert set(of_items) <= ids["item_prices"]
        assert len(set(of_items)) == len(of_items)
    for invoice in state.truth(SITE, "invoices"):
        for line in invoice["line_items"]:
            assert line.get("subscription_id") in ids["subscriptions"] | {None}
            assert line["entity_type"] == "adhoc" or line["entity_id"] in ids["item_prices"]
    assert len(list(itertools.chain(*ids.values()))) > 600
