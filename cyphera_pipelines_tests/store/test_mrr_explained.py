"""How a customer's MRR is explained: every step by hand, and what its sum is."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import insert, text

from cyphera_pipelines.model.errors import InvalidInputError, NotFoundError
from cyphera_pipelines.model.workspace import Workspace
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.explanations import ExplainedCustomer, explain_customer
from cyphera_pipelines.store.tables import mrr_movements, subscription_mrr
from cyphera_pipelines_tests.conftest import new_workspace

TIERS = {
    "price": {"billing_scheme": "tiered", "tiers_mode": "graduated", "units": "25"},
    "tiers": [
        {"from": "1", "up_to": "10", "quantity": "10", "unit_amount": "500", "flat_amount": "0", "amount": "5000"},
        {"from": "11", "quantity": "15", "unit_amount": "300", "flat_amount": "200", "amount": "4700"},
    ],
    "discounts": [
        {"on": "item", "coupon_id": "TEN", "kind": "percent", "percent_off": "10", "amount": "970"},
        {"on": "subscription", "coupon_id": "ONCE", "kind": "amount", "amount_off": "500", "currency": "usd",
         "amount": "0", "left_out_by": "once_coupons"},
        {"on": "subscription", "coupon_id": "LESS", "kind": "amount", "amount_off": "730", "currency": "usd",
         "amount": "730"},
    ],
}  # fmt: skip
PACKAGES = {"price": {"unit_amount": "700", "divided_by": 10, "rounded": "up", "units": "3"}}


@dataclass(frozen=True)
class Item:
    """What a build would have written of an item, and what is to be told of it: (kind, label, amount, result)."""

    values: dict[str, Any]
    told: list[tuple[str, str, str | None, str | None]]


def item(item_id: str, told: list[tuple[str, str, str | None, str | None]], **values: Any) -> Item:
    usual = {"currency": "usd", "recurring_interval": "month", "recurring_interval_count": 1, "quantity": 1}
    usual |= {"discounted": 0, "taxed": 0, "provenance": "observed", "is_estimated": False}
    return Item({**usual, "subscription_id": f"sub_{item_id}", "item_id": item_id, **values}, told)


ITEMS = [
    item(
        "a_month",
        [("price", "3 x 19.99", "59.97", "59.97"), ("mrr", "Monthly recurring revenue", "0.00", "59.97")],
        quantity=3,
        gross=5997,
        mrr=5997,
    ),
    item(
        "a_week",
        [
            ("price", "1 x 10.00", "10.00", "10.00"),
            ("factor", "A bill for a week: x 52/12", "33.33333333333333", "43.33333333333333"),
            ("rounding", "Rounded to the currency's minor unit, half to even", "-0.00333333333333", "43.33"),
            ("mrr", "Monthly recurring revenue", "0.00", "43.33"),
        ],
        gross=1000,
        recurring_interval="week",
        mrr=4333,
    ),
    item(
        "a_year_in_yen",
        [
            ("price", "1 x 12000", "12000", "12000"),
            ("factor", "A bill for a year: x 1/12", "-11000", "1000"),
            ("mrr", "Monthly recurring revenue", "0", "1000"),
        ],
        gross=12000,
        currency="jpy",
        recurring_interval="year",
        mrr=1000,
    ),
    item(
        "dinars_with_tax",
        [
            ("price", "2 x 5.500", "11.000", "11.000"),
            ("tax", "Tax that the price contains", "-1.000", "10.000"),
            ("factor", "A bill for 3 months: x 1/3", "-6.666666666666667", "3.333333333333333"),
            ("rounding", "Rounded to the currency's minor unit, half to even", "-0.000333333333333", "3.333"),
            ("mrr", "Monthly recurring revenue", "0.000", "3.333"),
        ],
        gross=11000,
        taxed=1000,
        quantity=2,
        currency="kwd",
        recurring_interval_count=3,
        mrr=3333,
    ),
    item(
        "tiers_and_discounts",
        [
            ("tier", "graduated tier, 1 to 10: 10 x 5.00", "50.00", "50.00"),
            ("tier", "graduated tier, from 11 on: 15 x 3.00 + 2.00", "47.00", "97.00"),
            ("discount", "Coupon TEN on the item: 10 % off", "-9.70", "87.30"),
            ("discount", "Coupon ONCE on the subscription: 5.00 usd off, which does not count", "0.00", "87.30"),
            ("discount", "Coupon LESS on the subscription: 7.30 usd off", "-7.30", "80.00"),
            ("mrr", "Monthly recurring revenue", "0.00", "80.00"),
        ],
        quantity=25,
        gross=9700,
        discounted=1700,
        steps=TIERS,
        mrr=8000,
    ),
    item(
        "packages",
        [
            ("package", "21 in packages of 10, rounded up: 3 x 7.00", "21.00", "21.00"),
            ("mrr", "Monthly recurring revenue", "0.00", "21.00"),
        ],
        quantity=21,
        gross=2100,
        steps=PACKAGES,
        mrr=2100,
    ),
    item(
        "on_trial",
        [
            ("price", "1 x 5.00", "5.00", "5.00"),
            ("left_out", "Counts nothing: trialing", "-5.00", "0.00"),
            ("mrr", "Monthly recurring revenue", "0.00", "0.00"),
        ],
        gross=500,
        mrr=0,
        left_out_by="trialing",
    ),
    item(
        "metered",
        [("left_out", "Counts nothing: metered", "0.00", "0.00"), ("mrr", "Monthly recurring revenue", "0.00", "0.00")],
        gross=None,
        mrr=0,
        left_out_by="metered",
    ),
    item(
        "without_a_currency",
        [("left_out", "Counts nothing: no currency", None, None), ("mrr", "Monthly recurring revenue", None, None)],
        gross=None,
        currency=None,
        mrr=0,
        left_out_by="no_currency",
    ),
    item(
        "by_the_length_of_its_period",
        [
            ("price", "1 x 100.00", "100.00", "100.00"),
            ("factor", "A month's share, by the length of the period", "-66.67", "33.33"),
            ("mrr", "Monthly recurring revenue", "0.00", "33.33"),
        ],
        gross=10000,
        recurring_interval=None,
        mrr=3333,
        provenance="reconstructed",
        is_estimated=True,
    ),
]


def add_customer(database: Database, workspace: Workspace, customer: str, email: str = "") -> None:
    statement = text(
        "INSERT INTO payments.customers (workspace_id, provider, livemode, id, created, email, name, content_hash, "
        "source_version) VALUES (:id, 'stripe', true, :customer, now(), :email, 'A person', 'x', now())"
    )
    with database.tenant(workspace.id) as connection:
        connection.execute(statement, {"id": workspace.id, "customer": customer, "email": email})


@pytest.fixture(scope="module")
def workspace(database: Database) -> Workspace:
    made = new_workspace(database)
    add_customer(database, made, "cus_MANY", "Someone@example.com")
    add_customer(database, made, "cus_NONE")
    source = {"workspace_id": made.id, "provider": "stripe", "livemode": True}
    # One statement for each, since absent values are defaults.
    with database.tenant(made.id) as connection:
        for each in ITEMS:
            values = {**source, "customer_id": "cus_MANY", "valid_from": "2026-01-10", **each.values}
            connection.execute(insert(subscription_mrr).values(values))
        past = {**ITEMS[0].values, "valid_from": "2025-06-01", "valid_to": "2026-01-10", "gross": 1999, "mrr": 1999}
        past |= {**source, "customer_id": "cus_MANY", "quantity": 1}
        connection.execute(insert(subscription_mrr).values(past))
        for day, opening, closing, movement in (
            ("2025-06-01", 0, 1999, "new"),
            ("2026-01-10", 1999, 20430, "expansion"),
        ):
            moved = {**source, "customer_id": "cus_MANY", "currency": "usd", "day": day, "movement": movement}
            moved |= {"reason": "price", "opening": opening, "closing": closing, "change": closing - opening}
            connection.execute(insert(mrr_movements).values({**moved, "provenance": "observed"}))
    return made


def explain(database: Database, workspace: Workspace, customer: str = "cus_MANY", **how: Any) -> ExplainedCustomer:
    return explain_customer(database, workspace, customer, is_test_mode=False, **how)


@pytest.mark.parametrize("expected", ITEMS, ids=lambda each: each.values["item_id"])
def test_every_step_is_told(database: Database, workspace: Workspace, expected: Item) -> None:
    items = {each.item_id: each for each in explain(database, workspace).items}
    found = items[expected.values["item_id"]]
    told = [(step.kind, step.label, _text(step.amount), _text(step.result)) for step in found.steps]
    assert told == expected.told
    assert found.provenance == expected.values["provenance"]
    left_out = [step.rule for step in found.steps if step.kind == "left_out"]
    assert left_out == [expected.values["left_out_by"]] if expected.values.get("left_out_by") else not left_out


def test_the_sum_is_the_figure_of_each_currency(database: Database, workspace: Workspace) -> None:
    explained = explain(database, workspace)
    assert len(explained.items) == len(ITEMS)
    expected = {"jpy": Decimal(1000), "kwd": Decimal("3.333")}
    expected["usd"] = sum(
        (Decimal(each.values["mrr"]) for each in ITEMS if each.values["currency"] == "usd"), Decimal()
    )
    expected["usd"] /= 100
    assert explained.mrr == expected
    (movement,) = explained.movements
    assert (movement.movement, movement.opening, movement.closing) == (
        "expansion",
        Decimal("19.99"),
        Decimal("204.30"),
    )


def test_a_day_in_the_past(database: Database, workspace: Workspace) -> None:
    before = explain(database, workspace, on=date(2026, 1, 9))
    assert before.mrr == {"usd": Decimal("19.99")}
    assert [each.day for each in before.movements] == [date(2025, 6, 1)]
    # The day's closing, as in its movement.
    assert len(explain(database, workspace, on=date(2026, 1, 10)).items) == len(ITEMS)
    assert explain(database, workspace, on=date(2025, 5, 31)).items == ()
    with pytest.raises(InvalidInputError, match="2999-01-01 is still to come"):
        explain(database, workspace, on=date(2999, 1, 1))


def test_a_customer_without_subscriptions_brings_nothing(database: Database, workspace: Workspace) -> None:
    explained = explain(database, workspace, "cus_NONE")
    assert (explained.items, explained.mrr, explained.movements) == ((), {}, ())


def test_people_are_named_only_if_that_is_asked_for(database: Database, workspace: Workspace) -> None:
    assert (explain(database, workspace).name, explain(database, workspace).email) == (None, None)
    explained = explain(database, workspace, personal=True)
    assert (explained.name, explained.email) == ("A person", "Someone@example.com")


def test_whoever_is_not_there_is_told_what_is_like_it(database: Database, workspace: Workspace) -> None:
    with pytest.raises(NotFoundError, match=r"has no customer 'cus_MANV'\. Ids like it: cus_MANY"):
        explain(database, workspace, "cus_MANV")
    with pytest.raises(NotFoundError, match=r"That address is of: cus_MANY \(stripe\)"):
        explain(database, workspace, "someone@EXAMPLE.com")
    with pytest.raises(NotFoundError, match="has no customer 'cus_MANY' at chargebee"):
        explain(database, workspace, provider="chargebee")
    with pytest.raises(NotFoundError, match="in test mode"):
        explain_customer(database, workspace, "cus_MANY", is_test_mode=True)
    other = new_workspace(database)
    with pytest.raises(NotFoundError, match=r"Ids are in the view analytics\.customers\."):
        explain(database, other)
    with pytest.raises(NotFoundError, match=r"in test mode\. Ids are in the view analytics_test\.customers\."):
        explain_customer(database, other, "cus_MANY", is_test_mode=True)


def _text(amount: Decimal | None) -> str | None:
    return None if amount is None else str(amount)
