"""Objects as rows: the shapes of several API versions, odd characters, and which changes count."""

import copy
import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.rows import ChildRow, MappedObject, Row
from cyphera_pipelines.model.synced_tables import SYNCED_TABLES
from cyphera_pipelines.providers.base import MappedPage
from cyphera_pipelines.providers.stripe.mapping import map_objects
from cyphera_pipelines.sandbox import SandboxState
from cyphera_pipelines_tests.providers.conftest import ACCOUNT, Json

VERSION = 1_790_000_000.0
_STATE = SandboxState([ACCOUNT])
OBJECTS = {entity: list(_STATE.truth(ACCOUNT.account_id, entity.value)) for entity in Entity}


def example(entity: Entity, at: int = 0, /, **changes: Any) -> Json:
    return {**copy.deepcopy(OBJECTS[entity][at]), **changes}


def page_of(entity: Entity, objects: list[Any], *, livemode: bool = False) -> MappedPage:
    return map_objects(entity, objects, version=VERSION, livemode=livemode)


def mapped(entity: Entity, obj: Json) -> MappedObject:
    page = page_of(entity, [obj])
    assert page.unmappable == []
    return page.objects[0]


def reason(entity: Entity, obj: Any) -> str:
    page = page_of(entity, [obj])
    assert page.objects == []
    (unmappable,) = page.unmappable
    assert unmappable.raw is obj
    return unmappable.reason


def columns(name: str, values: Row) -> Json:
    return {column.name: value for column, value in zip(SYNCED_TABLES[name].columns, values, strict=True)}


def row(entity: Entity, obj: Json) -> Json:
    return columns(entity.value, mapped(entity, obj).values)


def first_child(entity: Entity, obj: Json, name: str) -> tuple[ChildRow, Json]:
    child = mapped(entity, obj).children[name][0]
    return child, columns(name, child.values)


@pytest.mark.parametrize("entity", Entity)
def test_every_generated_object_is_mapped(entity: Entity) -> None:
    page = page_of(entity, OBJECTS[entity])
    assert (len(page.objects), page.unmappable, page.cleaned) == (ACCOUNT.size_of(entity.value), [], [])
    # Told by those alone who ask for it, and kept apart.
    beside = {Entity.CUSTOMERS: "tax_ids", Entity.INVOICES: "payments"}.get(entity)
    wanted = [{name: value for name, value in obj.items() if name != beside} for obj in OBJECTS[entity]]
    assert [json.loads(each.raw) for each in page.objects] == wanted
    assert {each.version for each in page.objects} == {VERSION}


def test_an_invoice_of_an_older_version_gives_the_same_columns() -> None:
    """Before 2025 the subscription, price and proration of a line stood at its top, and taxes had another name."""
    line = example(Entity.INVOICES)["lines"]["data"][0]
    old_line = {name: value for name, value in line.items() if name not in ("parent", "pricing", "taxes")}
    old_line |= {
        "subscription": "sub_old",
        "subscription_item": "si_old",
        "invoice_item": "ii_old",
        "proration": True,
        "price": {"id": "price_old", "product": "prod_old", "unit_amount_decimal": "12.5"},
    }
    invoice = example(
        Entity.INVOICES,
        subscription="sub_old",
        total_tax_amounts=[{"amount": 3}, {"amount": 4}],
        lines={"object": "list", "data": [old_line], "has_more": False},
    )
    del invoice["parent"]
    del invoice["total_taxes"]
    values = row(Entity.INVOICES, invoice)
    assert (values["subscription_id"], values["total_taxes"]) == ("sub_old", 7)
    _, found = first_child(Entity.INVOICES, invoice, "invoice_line_items")
    expected = {
        "subscription_id": "sub_old",
        "subscription_item_id": "si_old",
        "invoice_item_id": "ii_old",
        "proration": True,
        "price_id": "price_old",
        "product_id": "prod_old",
        "unit_amount_decimal": "12.5",
    }
    assert {name: found[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("entity", "field", "column"),
    [
        (Entity.CUSTOMERS, "default_source", "default_source_id"),
        (Entity.CUSTOMERS, "test_clock", "test_clock_id"),
        (Entity.PRODUCTS, "default_price", "default_price_id"),
        (Entity.PRODUCTS, "tax_code", "tax_code_id"),
        (Entity.PRICES, "product", "product_id"),
        (Entity.SUBSCRIPTIONS, "customer", "customer_id"),
        (Entity.SUBSCRIPTIONS, "latest_invoice", "latest_invoice_id"),
        (Entity.SUBSCRIPTIONS, "schedule", "schedule_id"),
        (Entity.INVOICES, "customer", "customer_id"),
        (Entity.INVOICES, "default_payment_method", "default_payment_method_id"),
    ],
)
def test_a_reference_may_be_an_id_or_the_object_itself(entity: Entity, field: str, column: str) -> None:
    for value, expected in (("id_1", "id_1"), ({"id": "id_1", "object": field}, "id_1"), (None, None)):
        assert row(entity, {**example(entity), field: value})[column] == expected


@pytest.mark.parametrize(
    ("billed_in", "price", "amounts"),
    [
        ("usd", {"currency": "usd", "unit_amount": 500, "unit_amount_decimal": "500"}, (500, "500")),
        ("USD", {"currency": "Usd", "unit_amount": None, "unit_amount_decimal": "0.5"}, (None, "0.5")),
        ("eur", {"currency": "usd", "unit_amount": 500, "unit_amount_decimal": "500"}, (None, None)),
        ("eur", {"currency": "usd", "unit_amount": 500, "currency_options": {"gbp": {"unit_amount": 4}}}, (None, None)),
        ("eur", {"currency": "usd", "unit_amount": 500, "currency_options": {"eur": {"unit_amount": 4}}}, (4, None)),
    ],
)
def test_an_item_shows_an_amount_in_the_currency_that_it_is_billed_in_or_none(
    billed_in: str, price: dict[str, Any], amounts: tuple[int | None, str | None]
) -> None:
    subscription = example(Entity.SUBSCRIPTIONS, currency=billed_in)
    item = {**subscription["items"]["data"][0], "price": {"id": "price_1", "product": "prod_1", **price}}
    subscription["items"] = {"object": "list", "data": [item], "has_more": False}
    _child, row_of_item = first_child(Entity.SUBSCRIPTIONS, subscription, "subscription_items")
    assert row_of_item["currency"] == billed_in.lower()
    assert (row_of_item["unit_amount"], row_of_item["unit_amount_decimal"]) == amounts


def test_currencies_are_lower_case_in_every_table() -> None:
    assert row(Entity.CUSTOMERS, example(Entity.CUSTOMERS, currency="EUR"))["currency"] == "eur"
    at = next(at for at, price in enumerate(OBJECTS[Entity.PRICES]) if price.get("tiers"))
    price = example(Entity.PRICES, at, currency="EUR")
    assert row(Entity.PRICES, price)["currency"] == "eur"
    child, tier = first_child(Entity.PRICES, price, "price_tiers")
    assert (child.id, tier["price_id"], tier["tier_index"]) == (f"{price['id']}:0", price["id"], 0)
    assert tier["currency"] == "eur"


@pytest.mark.parametrize(
    ("obj", "says"),
    [
        (None, "it is not an object"),
        ([], "it is not an object"),
        (example(Entity.INVOICES, id=None), "`id` is missing"),
        (example(Entity.INVOICES, id=""), "`id` is missing"),
        (example(Entity.INVOICES, id=5), "`id` is missing"),
        (example(Entity.INVOICES, livemode="no"), "`livemode` should be true or false, not 'no'"),
        (example(Entity.INVOICES, created=None), "`created` is missing"),
        (example(Entity.INVOICES, total="1"), "`total` should be a whole number of 64 bits, not '1'"),
        (example(Entity.INVOICES, lines=None), "`lines` is not a list"),
        (example(Entity.INVOICES, lines={"data": None}), "`lines` is not a list"),
        (example(Entity.INVOICES, lines={"data": [None]}), "it has an unknown shape"),
        (example(Entity.INVOICES, lines={"data": [{"amount": 1}]}), "one of its invoice_line_items: `id` is missing"),
        (example(Entity.INVOICES, discounts=[{}]), "one of its invoice_discounts: `id` is missing"),
        (
            example(Entity.INVOICES, total_discount_amounts=[{"discount": "di_1"}]),
            "`total_discount_amounts` holds None as an amount",
        ),
        (
            example(Entity.INVOICES, lines={"data": [{"id": "il_1", "amount": 0.5}]}),
            "invoice_line_items il_1: `amount` should be a whole number of 64 bits, not 0.5",
        ),
        (example(Entity.INVOICES, total_taxes=[{}]), "`total_taxes` holds something without an amount"),
        (example(Entity.INVOICES, metadata={"odd": {1, 2}}), "it has an unknown shape"),
        (
            example(Entity.INVOICES, metadata=orjson.loads(b'{"a":' * 900 + b"1" + b"}" * 900)),
            "it has an unknown shape",
        ),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "object",
)
def test_what_cannot_be_mapped_is_reported_whole_with_its_reason(obj: Any, says: str) -> None:
    assert reason(Entity.INVOICES, obj).startswith(says)


def test_one_bad_object_does_not_keep_the_others() -> None:
    page = page_of(
        Entity.PRODUCTS,
        [example(Entity.PRODUCTS), {"id": "prod_bad"}, example(Entity.PRODUCTS, 1)],
    )
    assert len(page.objects) == 2
    assert [each.id for each in page.unmappable] == ["prod_bad"]


def test_the_mode_of_an_object_without_one_is_the_key_s() -> None:
    product = example(Entity.PRODUCTS)
    del product["livemode"]
    for mode in (True, False):
        assert page_of(Entity.PRODUCTS, [product], livemode=mode).objects[0].livemode is mode


@pytest.mark.parametrize(
    ("name", "stored"), [("a\x00b", "ab"), ("a\ud800b", "a\ufffdb"), ("\x00", ""), ("\\u0000", "\\u0000")]
)
def test_characters_that_postgres_refuses_are_taken_out(name: str, stored: str) -> None:
    page = page_of(Entity.CUSTOMERS, [example(Entity.CUSTOMERS, name=name, metadata={name: name})])
    (customer,) = page.objects
    assert columns("customers", customer.values)["name"] == stored
    assert json.loads(customer.raw)["metadata"] == {stored: stored}
    assert page.cleaned == ([] if name == stored else [customer.id])


VALUES = st.none() | st.booleans() | st.integers(-9, 9) | st.text("ab", max_size=2)
URLS = st.none() | st.text("ab:/", max_size=4) | st.just("https://pay.example/1")


@given(URLS, URLS)
def test_links_that_are_signed_anew_do_not_change_the_hash(one: str | None, other: str | None) -> None:
    before = example(Entity.INVOICES, hosted_invoice_url=one or "x", invoice_pdf=other or "y")
    after = example(Entity.INVOICES, hosted_invoice_url=other or "z", invoice_pdf=one or "w")
    assert mapped(Entity.INVOICES, before).content_hash == mapped(Entity.INVOICES, after).content_hash


@given(
    st.sampled_from(["description", "metadata", "custom_field", "hosted_invoice_urls", "footer"]),
    st.tuples(VALUES, VALUES) | st.tuples(URLS, URLS),
    st.text("ab:/", max_size=4),
)
def test_any_other_change_changes_the_hash(name: str, values: tuple[object, object], url: str) -> None:
    """Even where the other field holds the very text of a link."""
    one, other = ({"key": value} if name == "metadata" else value for value in values)
    if name == "description":
        one, other = (value if isinstance(value, str) else None for value in (one, other))
    before = example(Entity.INVOICES, hosted_invoice_url=url, invoice_pdf=url) | {name: one}
    after = example(Entity.INVOICES, hosted_invoice_url=url, invoice_pdf=url) | {name: other}
    same = mapped(Entity.INVOICES, before).content_hash == mapped(Entity.INVOICES, after).content_hash
    assert same == (json.dumps(one) == json.dumps(other))


def test_a_field_that_changes_together_with_a_link_counts() -> None:
    before = example(Entity.INVOICES, hosted_invoice_url="one", description="one")
    after = example(Entity.INVOICES, hosted_invoice_url="other", description="other")
    assert mapped(Entity.INVOICES, before).content_hash != mapped(Entity.INVOICES, after).content_hash


def test_the_order_of_fields_does_not_matter_and_that_of_lines_does() -> None:
    invoice = max(OBJECTS[Entity.INVOICES], key=lambda each: len(each["lines"]["data"]))
    turned = dict(reversed(copy.deepcopy(invoice).items()))
    assert mapped(Entity.INVOICES, turned).content_hash == mapped(Entity.INVOICES, invoice).content_hash
    turned["lines"]["data"].reverse()
    assert mapped(Entity.INVOICES, turned).content_hash != mapped(Entity.INVOICES, invoice).content_hash
    hashes = [
        {line.id: line.content_hash for line in mapped(Entity.INVOICES, each).children["invoice_line_items"]}
        for each in (invoice, turned)
    ]
    assert hashes[0].keys() == hashes[1].keys()
    assert hashes[0] != hashes[1]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"livemode": True}, "it is of live mode, and the key of test mode"),
        ({"livemode": "false"}, "`livemode` should be true or false, not 'false'"),
        ({"object": "invoice"}, "`object` should be customer, not 'invoice'"),
        ({"object": [1]}, "`object` should be customer, not [1]"),
        ({"id": "cus\x00"}, "`id` holds characters that no id has, or more than 255"),
        ({"id": "cus\ud800"}, "`id` holds characters that no id has, or more than 255"),
        ({"id": "c" * 256}, "`id` holds characters that no id has, or more than 255"),
        ({"id": 5}, "`id` is missing"),
    ],
)
def test_what_is_another_thing_than_was_asked_for_is_not_taken_for_it(changes: Json, why: str) -> None:
    assert reason(Entity.CUSTOMERS, example(Entity.CUSTOMERS, **changes)) == why


def test_a_list_that_does_not_say_whether_it_is_whole_is_none() -> None:
    invoice = example(Entity.INVOICES)
    words: list[object] = ["false", 1, True, {}]
    for word in words:
        odd = {**invoice, "lines": {**invoice["lines"], "has_more": word}}
        assert reason(Entity.INVOICES, odd) == "`lines` is not whole, and does not tell where it goes on"


def test_numbers_of_any_size_are_one_object_s_trouble() -> None:
    for amount in (10**400, "1e999", 1e300):
        page = page_of(Entity.INVOICES, [example(Entity.INVOICES, total_taxes=[{"amount": 1.5}, {"amount": amount}])])
        assert [each.id for each in page.unmappable] == [example(Entity.INVOICES)["id"]]
