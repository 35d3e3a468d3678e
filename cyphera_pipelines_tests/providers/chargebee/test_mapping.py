"""Rows of Chargebee's objects."""

import copy
import hashlib
from typing import Any

import orjson
import pytest
from hypothesis import given, settings

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.rows import MappedObject
from cyphera_pipelines.model.synced_tables import SYNCED_TABLES, child_tables, entity_table
from cyphera_pipelines.providers.chargebee.mapping import MAPPED_SAMPLE, MAPPING_VERSION, RULES, map_objects
from cyphera_pipelines.providers.chargebee.money import decimal_to_minor, from_minor, to_minor
from cyphera_pipelines.providers.mapping.rules import Origin
from cyphera_pipelines_tests.hostile.odd_values import ODD_VALUES, paths_in, replaced
from cyphera_pipelines_tests.providers.chargebee import mapping_page
from cyphera_pipelines_tests.providers.chargebee.sample_objects import (
    COUPONS,
    CUSTOMER,
    INVOICE,
    ITEM,
    PRICES,
    SAMPLE,
    SUBSCRIPTIONS,
)
from cyphera_pipelines_tests.providers.chargebee.site import MARCH, Json

Row = dict[str, Any]


def mapped(entity: Entity, obj: Json, **more: Any) -> MappedObject:
    page = map_objects(entity, [copy.deepcopy(obj) | more], version=5.0, livemode=False, terms=COUPONS)
    assert page.unmappable == []
    return page.objects[0]


def row(entity: Entity, obj: Json, **more: Any) -> Row:
    names = [column.name for column in entity_table(entity).columns]
    return dict(zip(names, mapped(entity, obj, **more).values, strict=True))


def children(entity: Entity, table: str, obj: Json, **more: Any) -> list[Row]:
    names = [column.name for column in SYNCED_TABLES[table].columns]
    found = mapped(entity, obj, **more).children[table]
    return [{"id": child.id, **dict(zip(names, child.values, strict=True))} for child in found]


def test_customers() -> None:
    found = row(Entity.CUSTOMERS, CUSTOMER)
    assert found["name"] == "Ada Lovelace 1"
    assert row(Entity.CUSTOMERS, CUSTOMER, first_name=None, last_name="")["name"] == "Analytical Engines"
    assert (found["currency"], found["tax_exempt"]) == ("eur", "exempt")
    assert row(Entity.CUSTOMERS, CUSTOMER, taxability="taxable")["tax_exempt"] == "none"
    assert found["metadata"] == {"plan": "gold", "cf_region": "north"}
    assert (found["address_state"], found["address_postal_code"]) == ("BE", "10115")
    assert found["preferred_locales"] == ["de-DE"]


def test_items_tell_no_time_of_creation() -> None:
    found = row(Entity.PRODUCTS, {key: value for key, value in ITEM.items() if key != "created_at"})
    assert (found["created"], found["updated"]) == (None, MARCH)
    assert (found["active"], found["type"], found["unit_label"]) == (True, "plan", "seat")
    assert row(Entity.PRODUCTS, ITEM, status="archived")["active"] is False


def test_prices_are_in_our_minor_units() -> None:
    per_unit, stairs, graduated = (row(Entity.PRICES, price) for price in PRICES)
    assert (per_unit["currency"], per_unit["unit_amount"], per_unit["unit_amount_decimal"]) == ("kwd", 12500, "12500")
    assert (per_unit["billing_scheme"], per_unit["tiers_mode"], per_unit["type"]) == ("per_unit", None, "recurring")
    assert (stairs["billing_scheme"], stairs["tiers_mode"], stairs["active"]) == ("tiered", "volume", False)
    assert graduated["tiers_mode"] == "graduated"
    assert row(Entity.PRICES, PRICES[0], period=None, pricing_model="flat_fee")["type"] == "one_time"
    assert row(Entity.PRICES, PRICES[0], trial_period_unit="month")["recurring_trial_period_days"] is None
    fraction = row(Entity.PRICES, PRICES[2], pricing_model="per_unit", tiers=None, price_in_decimal="0.0525")
    assert (fraction["unit_amount"], fraction["unit_amount_decimal"]) == (None, "5.25")
    yen = row(Entity.PRICES, PRICES[1], pricing_model="per_unit", tiers=None, price=500)
    assert yen["unit_amount"] == 500


def test_tiers_cost_per_unit_or_flat() -> None:
    stairs = children(Entity.PRICES, "price_tiers", PRICES[1])
    assert [(tier["id"], tier["up_to"], tier["unit_amount"], tier["flat_amount"]) for tier in stairs] == [
        ("stairs-JPY:0", 10, None, 5000),
        ("stairs-JPY:1", None, None, 9000),
    ]
    graduated = children(Entity.PRICES, "price_tiers", PRICES[2])
    assert [(tier["unit_amount"], tier["unit_amount_decimal"], tier["flat_amount"]) for tier in graduated] == [
        (10, "10", None),
        (None, "5.25", None),
    ]
    package = [{"starting_unit": 1, "price": 500, "pricing_type": "package", "package_size": 10}]
    (tier,) = children(Entity.PRICES, "price_tiers", PRICES[2], tiers=package)
    assert (tier["unit_amount"], tier["flat_amount"]) == (None, None)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("future", "scheduled"),
        ("in_trial", "trialing"),
        ("active", "active"),
        ("non_renewing", "active"),
        ("paused", "paused"),
        ("cancelled", "canceled"),
        ("transferred", "canceled"),
        ("what nobody knows", "what nobody knows"),
    ],
)
def test_the_status_is_kept_in_their_word_too(theirs: str, ours: str) -> None:
    found = row(Entity.SUBSCRIPTIONS, SUBSCRIPTIONS[0], status=theirs)
    assert (found["status"], found["provider_status"]) == (ours, theirs)


def test_subscriptions_that_end() -> None:
    ending, ended = (row(Entity.SUBSCRIPTIONS, each) for each in SUBSCRIPTIONS)
    assert (ending["cancel_at"], ending["cancel_at_period_end"]) == (MARCH + 2_678_400, True)
    assert (ending["canceled_at"], ending["ended_at"]) == (MARCH + 10, None)
    assert (ended["cancel_at"], ended["cancel_at_period_end"]) == (None, False)
    assert (ended["canceled_at"], ended["ended_at"]) == (MARCH + 50, MARCH + 50)
    at_a_date = row(Entity.SUBSCRIPTIONS, SUBSCRIPTIONS[0], cancelled_at=MARCH + 7)
    assert at_a_date["cancel_at"] == MARCH + 7
    assert (ending["collection_method"], ended["collection_method"]) == ("charge_automatically", "send_invoice")


def test_items_of_subscriptions_are_named_by_their_price() -> None:
    first, second = children(Entity.SUBSCRIPTIONS, "subscription_items", SUBSCRIPTIONS[0])
    assert (first["id"], first["quantity"], first["unit_amount"]) == ("s/1:basic-EUR", 2, 1000)
    assert (first["current_period_start"], second["current_period_start"]) == (MARCH, MARCH + 1)
    assert (second["quantity"], second["unit_amount"], second["unit_amount_decimal"]) == (3, None, "12.5")
    assert first["currency"] == "eur"
    without = [{"quantity": 1}]
    (nameless,) = children(Entity.SUBSCRIPTIONS, "subscription_items", SUBSCRIPTIONS[0], subscription_items=without)
    assert nameless["id"] == "s/1:0"


def discounts(obj: Json, terms: dict[str, Json] = COUPONS, **more: Any) -> list[Row]:
    (found,) = map_objects(
        Entity.SUBSCRIPTIONS, [copy.deepcopy(obj) | more], version=5.0, livemode=False, terms=terms
    ).objects
    names = [column.name for column in SYNCED_TABLES["subscription_discounts"].columns]
    return [
        {"id": child.id, **dict(zip(names, child.values, strict=True))}
        for child in found.children["subscription_discounts"]
    ]


def test_discounts_stand_in_the_order_in_which_they_are_taken_off() -> None:
    found = discounts(SUBSCRIPTIONS[0])
    assert [(each["position"], each["id"], each["subscription_item_id"]) for each in found] == [
        (0, "s/1:SEATS:basic-EUR", "s/1:basic-EUR"),
        (1, "s/1:e", "s/1:extra-EUR"),
        (2, "s/1:HALF", None),
        (3, "s/1:d", None),
    ]
    assert [(each["kind"], each["percent_off"], each["amount_off"], each["currency"]) for each in found] == [
        ("amount", None, 200, "eur"),
        ("amount", None, 150, "eur"),
        ("percent", "50.0", None, None),
        ("percent", "5.0", None, None),
    ]
    assert [(each["duration"], each["duration_in_months"], each["ends_at"]) for each in found] == [
        ("repeating", 3, MARCH + 99),
        ("repeating", 12, MARCH + 31_536_000),
        ("forever", None, None),
        ("once", None, None),
    ]
    assert [(each["coupon_id"], each["coupon_name"], each["promotion_code_id"]) for each in found] == [
        ("SEATS", "Seats for less", "SPRING"),
        (None, None, None),
        ("HALF", "Half price", None),
        (None, None, None),
    ]


def test_what_an_unknown_coupon_takes_off_is_not_known() -> None:
    found = discounts(SUBSCRIPTIONS[0], {}, discounts=None)
    assert [(each["coupon_id"], each["kind"], each["duration"], each["subscription_item_id"]) for each in found] == [
        ("HALF", None, None, None),
        ("SEATS", None, None, None),
    ]


def test_the_terms_of_its_coupons_are_part_of_a_subscriptions_state() -> None:
    def state(terms: dict[str, Json]) -> bytes:
        page = map_objects(Entity.SUBSCRIPTIONS, SUBSCRIPTIONS[:1], version=5.0, livemode=False, terms=terms)
        return page.objects[0].content_hash

    assert state(COUPONS) == state({**COUPONS, "NOT ON IT": {}}) != state({})
    assert state(COUPONS) != state({**COUPONS, "HALF": {**COUPONS["HALF"], "discount_percentage": 49.0}})


def test_a_coupon_is_taken_off_the_items_that_its_constraints_name() -> None:
    def on(*constraints: Json) -> list[Any]:
        seats = {**COUPONS["SEATS"], "item_constraints": list(constraints)}
        found = discounts(SUBSCRIPTIONS[0], {"SEATS": seats}, coupons=[{"coupon_id": "SEATS"}], discounts=[])
        return [each["subscription_item_id"] for each in found]

    assert on() == ["s/1:basic-EUR", "s/1:extra-EUR"]
    assert on({"item_type": "addon", "constraint": "all"}) == ["s/1:extra-EUR"]
    assert on({"item_type": "plan", "constraint": "criteria"}) == ["s/1:basic-EUR"]
    assert on({"item_type": "plan", "constraint": "specific", "item_price_ids": ["other"]}) == []


def test_a_discount_that_is_told_with_its_coupon_comes_once() -> None:
    given = [{"id": "d", "type": "percentage", "percentage": 50.0, "coupon_id": "HALF"}]
    found = discounts(SUBSCRIPTIONS[0], coupons=[{"coupon_id": "HALF"}], discounts=given)
    assert [each["id"] for each in found] == ["s/1:HALF"]


def test_units_that_cost_nothing_are_neither_a_share_nor_an_amount() -> None:
    given = [{"id": "d", "type": "offer_quantity", "quantity": 2, "duration_type": "limited_period", "period": 2,
              "period_unit": "week"}]  # fmt: skip
    (found,) = discounts(SUBSCRIPTIONS[0], coupons=[], discounts=given)
    assert (found["kind"], found["percent_off"], found["amount_off"], found["duration_in_months"]) == (None,) * 4
    by_hand = [{"id": "d", "type": "fixed_amount", "amount": 5, "created_at": MARCH}]
    (found,) = discounts(SUBSCRIPTIONS[0], coupons=[], discounts=by_hand, currency_code="KWD")
    assert (found["amount_off"], found["currency"]) == (50, "kwd")


def test_discounts_of_invoices_are_without_credits() -> None:
    (found,) = children(Entity.INVOICES, "invoice_discounts", INVOICE)
    assert (found["id"], found["coupon_id"], found["coupon_name"]) == ("inv 7/2026:0", "HALF", "Half price")
    assert (found["kind"], found["percent_off"]) == ("percent", "50.0")
    assert (found["discounted"], found["currency"]) == (1_000, "kwd")
    assert children(Entity.INVOICES, "invoice_discounts", INVOICE, discounts=None) == []


def test_payments_of_invoices() -> None:
    paid, failed = children(Entity.INVOICES, "invoice_payments", INVOICE)
    assert (paid["id"], paid["transaction_id"], paid["status"], paid["amount_paid"], paid["currency"]) == (
        "txn_1", "txn_1", "paid", 10_000, "kwd",
    )  # fmt: skip
    assert (paid["created"], paid["paid_at"], paid["type"]) == (MARCH + 69, MARCH + 70, "transaction")
    assert (failed["status"], failed["amount_paid"], failed["paid_at"]) == ("failed", None, None)
    (nameless,) = children(Entity.INVOICES, "invoice_payments", INVOICE, linked_payments=[{"txn_status": "voided"}])
    assert (nameless["id"], nameless["status"]) == ("inv 7/2026:0", "canceled")


def test_tax_ids_of_customers() -> None:
    own, other = children(Entity.CUSTOMERS, "customer_tax_ids", CUSTOMER)
    assert (own["type"], own["value"], own["country"], own["verification_status"]) == (
        "vat_number", "DE123456789", "DE", "verified",
    )  # fmt: skip
    assert (other["id"], other["type"], other["value"]) == ("customer 1/1:ei_1", "0088", "9638507")
    (told_apart,) = children(
        Entity.CUSTOMERS, "customer_tax_ids", CUSTOMER, vat_number="123", vat_number_prefix="XI", entity_identifiers=[]
    )
    assert told_apart["value"] == "XI123"


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("pending", "draft"),
        ("posted", "open"),
        ("payment_due", "open"),
        ("not_paid", "open"),
        ("paid", "paid"),
        ("voided", "void"),
    ],
)
def test_statuses_of_invoices(theirs: str, ours: str) -> None:
    found = row(Entity.INVOICES, INVOICE, status=theirs)
    assert (found["status"], found["provider_status"]) == (ours, theirs)
    assert found["number"] == (None if theirs == "pending" else "inv 7/2026")


def test_only_what_was_written_off_whole_is_uncollectible() -> None:
    assert row(Entity.INVOICES, INVOICE, write_off_amount=2280)["status"] == "uncollectible"
    assert row(Entity.INVOICES, INVOICE, write_off_amount=2279)["status"] == "open"
    assert row(Entity.INVOICES, INVOICE, write_off_amount=2280, status="voided")["status"] == "void"
    assert row(Entity.INVOICES, INVOICE, write_off_amount=0, total=0)["status"] == "open"


def test_amounts_of_invoices() -> None:
    found = row(Entity.INVOICES, INVOICE)
    assert (found["created"], found["effective_at"]) == (MARCH - 60, MARCH)
    assert (found["subtotal"], found["subtotal_excluding_tax"], found["total"]) == (20_000, 20_000, 22_800)
    assert (found["total_taxes"], found["total_excluding_tax"]) == (3_800, 19_000)
    assert (found["amount_due"], found["amount_paid"], found["amount_remaining"]) == (22_800, 10_000, 12_800)
    assert (found["total_discounts"], found["post_payment_credit_notes_amount"]) == (1_000, 400)
    assert found["customer_name"] == "Ada Lovelace"
    assert row(Entity.INVOICES, INVOICE, price_type="tax_inclusive")["subtotal_excluding_tax"] is None
    assert row(Entity.INVOICES, INVOICE, subscription_id=None)["subscription_id"] is None


def test_lines_of_invoices() -> None:
    first, second = children(Entity.INVOICES, "invoice_line_items", INVOICE)
    assert (first["price_id"], first["subscription_item_id"]) == ("basic-KWD", "s/1:basic-KWD")
    assert (first["parent_type"], first["period_end"]) == ("subscription_item_details", MARCH + 60)
    assert first["discount_amounts"] == [
        {"amount": 900, "type": "document_level"},
        {"amount": 100, "type": "item_level"},
    ]
    assert first["taxes"] == [
        {"amount": 3800, "taxable_amount": 20_000, "tax_behavior": "exclusive", "name": "VAT", "rate": 19.0}
    ]
    assert (second["id"], second["price_id"], second["subscription_id"]) == ("inv 7/2026:1", None, None)
    assert (second["quantity"], second["quantity_decimal"], second["line_index"]) == (None, "1.5", 1)
    assert second["parent_type"] == "invoice_item_details"


def test_a_line_that_is_missing_makes_the_invoice_unmappable() -> None:
    page = map_objects(Entity.INVOICES, [{**INVOICE, "line_items_next_offset": "[1]"}], version=5.0, livemode=True)
    assert [obj.reason for obj in page.unmappable] == ["`line_items` is not whole"]


def test_the_later_of_both_moments_is_the_version() -> None:
    (read,) = map_objects(Entity.CUSTOMERS, [CUSTOMER], version=MARCH + 10**6, livemode=True).objects
    assert read.version == MARCH + 10**6
    assert mapped(Entity.CUSTOMERS, CUSTOMER).version == CUSTOMER["resource_version"] / 1000
    assert mapped(Entity.CUSTOMERS, CUSTOMER, resource_version=10**18).version == 5.0
    assert mapped(Entity.CUSTOMERS, CUSTOMER, resource_version="7").version == 5.0
    (out_of_date,) = map_objects(Entity.CUSTOMERS, [CUSTOMER], version=0.0, livemode=True).objects
    assert out_of_date.version == 0.0


def test_amounts_in_whole_units() -> None:
    assert [decimal_to_minor(text, "usd") for text in ("1", "0.05", "1e2", "-3.50", "x", "", "NaN", "9" * 61)] == [
        "100", "5", "10000", "-350", None, None, None, None,
    ]  # fmt: skip
    assert (decimal_to_minor("1.5", "JPY"), decimal_to_minor("1.2345", "kwd")) == ("1.5", "1234.5")
    assert (to_minor(125, "KWD"), to_minor(125, None), to_minor("odd", "KWD"), to_minor(3.0, "usd")) == (
        1250, 125, "odd", 3,
    )  # fmt: skip
    assert (from_minor(1250, "kwd"), from_minor(1255, "kwd"), from_minor(7, "usd")) == (125, None, 7)


@settings(max_examples=60)
@given(odd=ODD_VALUES)
def test_odd_values_are_kept_or_reported_and_never_raised(odd: Any) -> None:
    for entity, objects in SAMPLE.items():
        for obj in objects:
            for place in paths_in(obj):
                page = map_objects(entity, [replaced(obj, place, odd)], version=5.0, livemode=False, terms=COUPONS)
                assert len(page.objects) + len(page.unmappable) == 1


def test_every_column_is_accounted_for() -> None:
    for table in SYNCED_TABLES.values():
        assert set(RULES[table.name]) == {column.name for column in table.columns}, table.name
        for name, rule in RULES[table.name].items():
            assert rule.source or rule.note, f"{table.name}.{name}"


def test_the_page_says_what_the_mapping_does() -> None:
    assert mapping_page.PAGE.read_text() == mapping_page.page(), (
        "write it anew with: python -m cyphera_pipelines_tests.providers.chargebee.mapping_page"
    )


def test_rows_change_with_the_mappings_version_only() -> None:
    rows = dict[str, list[Any]]()
    for entity, objects in SAMPLE.items():
        for obj in objects:
            found = mapped(entity, obj)
            rows.setdefault(entity.value, []).append((found.id, *found.values))
            for table in child_tables(entity):
                rows.setdefault(table.name, []).extend((each.id, *each.values) for each in found.children[table.name])
    for name, table in SYNCED_TABLES.items():
        for at, column in enumerate(table.columns):
            is_filled = any(each[at + 1] is not None for each in rows.get(name, []))
            is_absent = RULES[name][column.name].origin is Origin.ABSENT
            assert is_filled is not is_absent, f"{name}.{column.name}"
    columns = {
        name: [(column.name, column.kind, column.required) for column in table.columns]
        for name, table in SYNCED_TABLES.items()
    }
    digest = hashlib.sha256(orjson.dumps([columns, rows])).hexdigest()[:16]
    assert digest == MAPPED_SAMPLE.get(MAPPING_VERSION), (
        f"The sample's rows, or the columns, are not those of version {MAPPING_VERSION} of the mapping: their digest "
        f'is "{digest}". In providers/chargebee/mapping.py, raise MAPPING_VERSION, so that every site is listed anew, '
        "and add the digest to MAPPED_SAMPLE; only if nothing but the sample changed, put it in the old one's place."
    )
