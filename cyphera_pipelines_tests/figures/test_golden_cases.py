"""Each hard case by its name, with figures computed by hand: a month of 100.00 unless a case says otherwise."""

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from cyphera_pipelines.figures import build
from cyphera_pipelines.figures.rules import set_rules
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.tables import synced_tables
from cyphera_pipelines_tests.figures.account import NOW, START, SYNCED, Account, amount, item, on, percent, price

JANUARY = date(2026, 1, 10)
NEW = (JANUARY, "new", "new", 10_000)
TEN_THEN_THREE = [(10, 500, None), (None, 300, None)]


@pytest.fixture(params=["stripe", "chargebee"])
def account(database: Database, request: pytest.FixtureRequest) -> Account:
    return Account(database, request.param)


@pytest.fixture
def stripe(database: Database) -> Account:
    """For what only Stripe has."""
    return Account(database)


@pytest.fixture
def by(database: Database) -> Callable[..., None]:
    def choose(account: Account, preset: str, **changed: str) -> None:
        set_rules(database, account.workspace, preset, changed)

    return choose


def test_trialing(account: Account) -> None:
    account.state(status="trialing", trial_end=on(2, 1))
    account.state(at=on(2, 1, 5), trial_end=on(2, 1))
    account.build()
    assert (account.one(on(1, 20)), account.one(on(2, 1))) == (0, 10_000)
    assert account.left_out_by(on(1, 20)) == {"trialing"}
    assert account.movements() == [(date(2026, 2, 1), "new", "trial_converted", 10_000)]


def test_trialing_that_ended_and_of_which_nothing_was_heard(account: Account) -> None:
    account.state(status="trialing", trial_end=on(2, 1))
    account.build()
    assert account.one() == 10_000
    assert [row.is_estimated for row in account.rows()] == [False, True]


def test_trialing_may_count(account: Account, by: Callable[..., None]) -> None:
    by(account, "cyphera", trialing="counts")
    account.state(status="trialing", trial_end=on(2, 1))
    account.build()
    assert account.movements() == [NEW]


@pytest.mark.parametrize("status", ["incomplete", "incomplete_expired"])
def test_incomplete(stripe: Account, status: str) -> None:
    stripe.state(status=status)
    stripe.build()
    assert stripe.one() == 0
    assert stripe.left_out_by() == {status}
    assert stripe.movements() == []


def test_past_due(account: Account) -> None:
    account.state()
    account.state(at=on(3), status="past_due")
    account.build()
    assert account.one() == 10_000
    assert [row.status for row in account.rows()] == ["active", "past_due"]
    assert account.movements() == [NEW]


def test_unpaid(account: Account) -> None:
    account.state()
    account.state(at=on(3), status="unpaid")
    account.state(at=on(4), status="active")
    account.build()
    assert account.movements() == [
        NEW,
        (date(2026, 3, 1), "churn", "unpaid", -10_000),
        (date(2026, 4, 1), "reactivation", "paid", 10_000),
    ]
    assert account.movement_rows()[-1].gap_days == 31


def test_canceled(account: Account) -> None:
    account.state()
    account.state(at=on(5), status="canceled", canceled_at=on(3, 4), ended_at=on(3, 4))
    account.build()
    assert account.movements() == [NEW, (date(2026, 3, 4), "churn", "cancelled", -10_000)]
    assert account.left_out_by() == {"ended"}


def test_cancel_at_period_end(account: Account) -> None:
    account.state()
    account.state(at=on(5), cancel_at_period_end=True, cancel_at=on(8), canceled_at=on(5))
    account.build()
    assert account.one() == 10_000
    assert account.rows()[-1].ends_at == on(8)
    assert account.movements() == [NEW]
    account.build(on(9))
    assert account.movements() == [NEW, (date(2026, 8, 1), "churn", "cancelled", -10_000)]


def test_cancel_at_period_end_by_the_preset_stripe(account: Account, by: Callable[..., None]) -> None:
    by(account, "stripe")
    account.state()
    account.state(at=on(6), cancel_at_period_end=True, cancel_at=on(8), canceled_at=on(5, 7))
    account.build()
    assert account.movements() == [NEW, (date(2026, 5, 7), "churn", "cancelled", -10_000)]


def test_status_paused(account: Account) -> None:
    account.state()
    account.state(at=on(3), status="paused")
    account.state(at=on(4), status="active")
    account.build()
    assert account.movements() == [
        NEW,
        (date(2026, 3, 1), "contraction", "paused", -10_000),
        (date(2026, 4, 1), "expansion", "resumed", 10_000),
    ]


def test_status_paused_by_the_preset_chartmogul(account: Account, by: Callable[..., None]) -> None:
    by(account, "chartmogul")
    account.state()
    account.state(at=on(3), status="paused")
    account.build()
    assert account.movements() == [NEW]


@pytest.mark.parametrize(("behavior", "left"), [("void", 0), ("keep_as_draft", 10_000), ("mark_uncollectible", 10_000)])
def test_pause_collection(stripe: Account, by: Callable[..., None], behavior: str, left: int) -> None:
    stripe.state()
    stripe.state(at=on(3), pause_collection_behavior=behavior, pause_collection_resumes_at=on(5))
    stripe.build(on(4))
    assert stripe.one(on(4)) == left
    stripe.build()
    assert (stripe.one(on(4)), stripe.one(on(5))) == (left, 10_000)
    if not left:
        assert [each[1:3] for each in stripe.movements()[1:]] == [("contraction", "paused"), ("expansion", "resumed")]
    by(stripe, "chartmogul")
    stripe.build()
    assert stripe.movements() == [NEW]


@pytest.mark.parametrize(
    ("unit_amount", "interval", "n", "quantity", "mrr"),
    [
        (120_000, "year", 1, 3, 30_000),
        (1_000, "week", 1, 1, 4_333),
        (100, "day", 1, 1, 3_042),
        (10_000, "month", 3, 1, 3_333),
        (10_000, "month", 6, 1, 1_667),
        (1_000, "week", 2, 1, 2_167),
        ("0.5", "month", 1, 3, 2),
        ("0.5", "month", 1, 1, 0),
        (30, "year", 1, 1, 2),
    ],
)
def test_year_n_months_week_day(
    account: Account, unit_amount: Any, interval: str, n: int, quantity: int, mrr: int
) -> None:
    account.state([item(quantity=quantity, of=price(unit_amount, interval, n))])
    account.build()
    assert account.one() == mrr


def test_yen_have_no_smaller_unit(account: Account) -> None:
    account.state([item(of=price(12_000, "year", currency="jpy"))])
    account.build()
    assert account.mrr() == {("cus_1", "jpy"): 1_000}


@pytest.mark.parametrize(
    ("terms", "quantity", "bill"),
    [
        ({"tiers": TEN_THEN_THREE, "tiers_mode": "graduated"}, 25, 9_500),
        ({"tiers": TEN_THEN_THREE, "tiers_mode": "volume"}, 25, 7_500),
        ({"tiers": TEN_THEN_THREE, "tiers_mode": "volume"}, 10, 5_000),
        ({"tiers": [(10, 500, 2_000), (None, 300, 1_000)], "tiers_mode": "graduated"}, 25, 12_500),
        ({"tiers": [(10, None, 2_000), (None, None, 9_000)], "tiers_mode": "volume"}, 11, 9_000),
        ({"unit_amount": 700, "transform_quantity_divide_by": 10, "transform_quantity_round": "up"}, 25, 2_100),
        ({"unit_amount": 700, "transform_quantity_divide_by": 10, "transform_quantity_round": "down"}, 25, 1_400),
    ],
)
def test_tiers_and_transform_quantity(account: Account, terms: dict[str, Any], quantity: int, bill: int) -> None:
    account.state([item(quantity=quantity, of=price(**terms))])
    account.build()
    assert account.one() == bill
    (row,) = account.rows()
    if "tiers" in row.steps:
        assert sum(int(tier["amount"]) for tier in row.steps["tiers"]) == bill


def test_metered(stripe: Account) -> None:
    stripe.state([item(quantity=None, of=price(recurring_usage_type="metered"))])
    stripe.build()
    assert (stripe.one(), stripe.left_out_by()) == (0, {"metered"})


def test_one_time(account: Account) -> None:
    account.state([item(), item("si_2", of=price(type="one_time", interval=None))])  # type: ignore[arg-type]
    account.build()
    assert (account.one(), account.left_out_by()) == (10_000, {None, "one_time"})


def test_forever_coupon(account: Account) -> None:
    account.state(discounts=[percent(20)])
    account.build()
    assert account.one() == 8_000


def test_repeating_coupon(account: Account) -> None:
    account.state(discounts=[percent(20, duration="repeating", starts_at=START, ends_at=on(4, 10))])
    account.build()
    assert account.movements() == [
        (JANUARY, "new", "new", 8_000),
        (date(2026, 4, 10), "expansion", "discount_ended", 2_000),
    ]


def test_repeating_coupon_whose_end_is_told_in_months(account: Account) -> None:
    account.state(discounts=[percent(20, duration="repeating", starts_at=START, duration_in_months=3)])
    account.build()
    assert account.movements()[1:] == [(date(2026, 4, 10), "expansion", "discount_ended", 2_000)]


def test_once_coupon(account: Account, by: Callable[..., None]) -> None:
    account.state(discounts=[percent(20, duration="once")])
    account.build()
    assert account.one() == 10_000
    assert account.rows()[0].steps["discounts"][0]["left_out_by"] == "once_coupons"
    by(account, "chartmogul")
    account.build()
    assert account.one() == 8_000


@pytest.mark.parametrize(
    ("discounts", "mrr"),
    [
        ([percent(20), amount(500)], 7_500),
        ([amount(500), percent(20)], 7_600),
        ([amount(15_000)], 0),
        ([amount(500, "eur")], 10_000),
        ([percent(50), percent(50)], 2_500),
        ([percent(50, product_ids=["prod_2"])], 10_000),
        ([percent(50, product_ids=["prod_1"])], 5_000),
    ],
)
def test_stacked(account: Account, discounts: list[dict[str, Any]], mrr: int) -> None:
    account.state(discounts=discounts)
    account.build()
    assert account.one() == mrr


def test_item_level(account: Account) -> None:
    """The item's 10 % come first: 100.00 is 90.00, and 50.00 stays; half of 140.00 is 70.00."""
    account.state(
        [item(), item("si_2", of=price(5_000))], discounts=[percent(50), percent(10, subscription_item_id="si_1")]
    )
    account.build()
    assert {row.item_id: row.mrr for row in account.rows()} == {"si_1": 4_500, "si_2": 2_500}


def test_an_amount_is_shared_by_the_largest_remainder(account: Account) -> None:
    """1.00 off three equal items: 34, 33 and 33 cents."""
    account.state([item(f"si_{n}", of=price(1_000)) for n in (1, 2, 3)], discounts=[amount(100)])
    account.build()
    assert sorted(row.mrr for row in account.rows()) == [966, 967, 967]


def test_customer_level(stripe: Account) -> None:
    stripe.customer_state([percent(30)])
    stripe.state()
    stripe.state(sub="sub_2", discounts=[percent(10)])
    stripe.build()
    assert {row.subscription_id: row.mrr for row in stripe.rows()} == {"sub_1": 7_000, "sub_2": 9_000}


def test_customer_level_that_is_taken_away(stripe: Account) -> None:
    stripe.customer_state([percent(30)])
    stripe.customer_state([], on(4))
    stripe.state()
    stripe.build()
    assert stripe.movements() == [
        (JANUARY, "new", "new", 7_000),
        (date(2026, 4, 1), "expansion", "discount_ended", 3_000),
    ]


def test_100_percent_discount(account: Account, by: Callable[..., None]) -> None:
    account.state()
    account.state(at=on(3), discounts=[percent(100)])
    account.build()
    assert account.movements() == [NEW, (date(2026, 3, 1), "contraction", "discount", -10_000)]
    by(account, "stripe")
    account.build()
    assert account.movements() == [NEW, (date(2026, 3, 1), "churn", "discount", -10_000)]


def test_free_plan(account: Account) -> None:
    account.state([item(of=price(0))])
    account.build()
    assert (account.one(), account.left_out_by(), account.movements()) == (0, {None}, [])


def test_tax(account: Account) -> None:
    """119.00 of which 19 % are tax is 100.00; what is added to the price is no part of it."""
    inclusive = {"subscription_item_id": None, "position": 0, "percentage": "19", "inclusive": True}
    account.state([item(of=price(11_900))], tax_rates=[inclusive])
    account.state(sub="sub_2", tax_rates=[inclusive | {"inclusive": False}])
    account.build()
    assert {row.subscription_id: row.mrr for row in account.rows()} == {"sub_1": 10_000, "sub_2": 10_000}
    assert account.rows()[0].taxed == 1_900


def test_tax_that_only_bills_tell(account: Account) -> None:
    account.line(11_900, START, on(2, 10), taxes=[{"amount": 1_900, "tax_behavior": "inclusive"}])
    account.state([item(of=price(11_900))])
    account.build()
    (row,) = account.rows()
    assert (row.mrr, row.is_estimated) == (10_000, True)


def test_odd_amounts_of_a_bill_count_as_not_told(account: Account) -> None:
    """They are kept as the provider sent them, and are not to stand in the way of all other customers' figures."""
    odd: list[Any] = [{"amount": "much", "discount": "di_1"}, {"amount": None}, {"amount": {}}, 7, None, "much"]
    account.line(
        11_900, START, on(2, 10), discount_amounts=odd, taxes=[*odd, {"amount": "1", "tax_behavior": "inclusive"}]
    )
    account.state([item(of=price(11_900))], on(2, 5))
    account.build()
    assert account.mrr() == {("cus_1", "usd"): 11_900}


@pytest.mark.parametrize(
    "odd",
    [
        [7],
        [{"up_to": "many", "unit_amount_decimal": "5"}],
        [{"up_to": None, "unit_amount_decimal": "NaN"}],
        [{"up_to": 10, "unit_amount": 5}, {"up_to": None, "flat_amount": {"usd": 1}}],
        [{"up_to": None, "unit_amount_decimal": "9" * 18}],
    ],
)
def test_odd_tiers_are_not_known(account: Account, odd: list[Any]) -> None:
    of = price(tiers=[(None, 10, None)], tiers_mode="graduated")
    account.state([item(of=of)])
    account.state([item(of=of | {"tiers": odd})], sub="sub_2", customer_id="cus_2")
    account.build()
    (row,) = account.rows(sub="sub_2")
    assert (row.gross, row.mrr, row.is_estimated, row.left_out_by) == (None, 0, True, None)
    assert account.mrr() == {("cus_1", "usd"): 10}


def test_an_interval_that_nobody_knows_of(account: Account) -> None:
    """The lengths of bills tell it then."""
    account.price(interval="fortnight")
    account.line(10_000, START, on(2, 10))
    account.state(at=on(2, 10), start_date=START)
    account.build()
    assert account.one(on(1, 20)) == 10_000


def test_mid_period_change(account: Account) -> None:
    account.state()
    account.state([item(quantity=3)], on(1, 25))
    account.build()
    assert account.movements() == [NEW, (date(2026, 1, 25), "expansion", "quantity", 20_000)]


def test_refund_and_credit_note(account: Account) -> None:
    invoice = account.line(10_000, START, on(2, 10))
    account.state()
    account.insert_credit(invoice)
    account.build()
    assert account.movements() == [NEW]


def test_currency(account: Account) -> None:
    account.state()
    account.state([item(of=price(5_000, currency="eur"))], sub="sub_2")
    account.build()
    assert account.mrr() == {("cus_1", "usd"): 10_000, ("cus_1", "eur"): 5_000}
    assert [(row.currency, row.movement) for row in account.movement_rows()] == [("eur", "new"), ("usd", "new")]


def test_second_subscription_of_a_customer(account: Account) -> None:
    account.state()
    account.state(sub="sub_2", at=on(3))
    account.build()
    assert account.movements() == [NEW, (date(2026, 3, 1), "expansion", "added_subscription", 10_000)]


def test_one_of_several_cancelled(account: Account) -> None:
    account.state()
    account.state(sub="sub_2")
    account.state(sub="sub_2", at=on(3), status="canceled", ended_at=on(3), canceled_at=on(3))
    account.build()
    assert account.movements()[1:] == [(date(2026, 3, 1), "contraction", "one_of_several_cancelled", -10_000)]


def test_price_migration(account: Account) -> None:
    account.state()
    account.state([item(of=price(12_000), price_id="price_other")], on(3))
    account.build()
    assert account.movements() == [NEW, (date(2026, 3, 1), "expansion", "price", 2_000)]


def test_product_migration(account: Account) -> None:
    """One subscription ends and another begins on the same day."""
    account.state()
    account.state(at=on(3, 1, 9), status="canceled", ended_at=on(3, 1, 9), canceled_at=on(3, 1, 9))
    account.state([item("si_2", of=price(12_000))], on(3, 1, 10), sub="sub_2")
    account.build()
    assert account.movements() == [NEW, (date(2026, 3, 1), "expansion", "migration", 2_000)]


def test_reactivation(account: Account) -> None:
    account.state()
    account.state(at=on(2, 10), status="canceled", ended_at=on(2, 10), canceled_at=on(2, 10))
    account.state(sub="sub_2", at=on(6, 10))
    account.build()
    assert account.movements()[2:] == [(date(2026, 6, 10), "reactivation", "new", 10_000)]
    assert account.movement_rows()[-1].gap_days == 120


def test_signs_up_and_churns_in_one_month(account: Account) -> None:
    account.state()
    account.state(at=on(1, 20), status="canceled", ended_at=on(1, 20), canceled_at=on(1, 20))
    account.build()
    assert account.movements() == [NEW, (date(2026, 1, 20), "churn", "cancelled", -10_000)]


def test_future_start(account: Account) -> None:
    account.state(status="scheduled", start_date=on(8))
    account.build()
    assert (account.one(), account.left_out_by()) == (0, {"not_started"})
    account.state(at=on(8, 1, 3), status="active", start_date=on(8))
    account.build(on(9))
    assert account.movements() == [(date(2026, 8, 1), "new", "new", 10_000)]


def test_the_past(account: Account) -> None:
    """The first state is of May; bills tell that it was 80.00 until March, and 100.00 from then on."""
    account.line(8_000, START, on(2, 10))
    account.line(8_000, on(2, 10), on(3, 10))
    account.line(10_000, on(3, 10), on(4, 10))
    account.line(10_000, on(4, 10), on(5, 10))
    account.state(at=on(5), start_date=START)
    account.build()
    assert account.movements() == [
        (JANUARY, "new", "new", 8_000),
        (date(2026, 3, 10), "expansion", "price", 2_000),
    ]
    assert [row.provenance for row in account.rows()] == ["reconstructed"] * 2 + ["observed"]
    assert {row.provenance for row in account.movement_rows()} == {"reconstructed"}


def test_of_a_bill_and_a_correction_beside_it_the_bill_counts(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of many, which the database groups by hashes: in which order two equals come then is a matter of chance."""
    monkeypatch.setattr(build, "_SETTINGS", f"{build._SETTINGS}; SET LOCAL enable_sort = off")
    subscriptions = [f"sub_{number}" for number in range(40)]
    account.is_bulk = True
    for number, sub in enumerate(subscriptions):
        beside = {"sub": sub, "line_index": 1, "amount": 3_000 + number, "proration": True}
        invoice = account.line(8_000, on(3, 10), on(4, 10), sub=sub)
        values = account.lines[-1] | {"id": f"il_beside_{number}"} | beside
        values.pop("sub")
        account.insert(synced_tables["invoice_line_items"], [values | {"invoice_id": invoice} | SYNCED])
        account.state(sub=sub, at=on(5), start_date=START, customer_id=f"cus_{number}")
    account.flush()
    account.build()
    assert {account.mrr(on(3, 20))[(f"cus_{number}", "usd")] for number in range(len(subscriptions))} == {8_000}


def test_the_past_without_bills(account: Account) -> None:
    account.state(at=on(5), start_date=START)
    account.build()
    assert account.movements() == [NEW]
    assert [row.provenance for row in account.rows()] == ["reconstructed", "observed"]


def test_removed_items(account: Account) -> None:
    account.state([item(), item("si_2", of=price(5_000))])
    account.state([item()], on(3))
    account.build()
    assert account.movements()[1:] == [(date(2026, 3, 1), "contraction", "removed_item", -5_000)]
    closed = next(row for row in account.rows() if row.item_id == "si_2")
    assert (closed.mrr, closed.valid_to) == (5_000, on(3))


def test_gone_at_the_provider(account: Account) -> None:
    account.state()
    account.state(at=on(3), is_gone=True)
    account.build()
    assert account.movements()[1:] == [(date(2026, 3, 1), "churn", "gone", -10_000)]
    assert account.left_out_by(NOW) == {"gone"}


def test_a_time_without_bills_is_no_churn_while_the_subscription_goes_on(account: Account) -> None:
    account.line(10_000, START, on(2, 10))
    account.line(10_000, on(4, 10), on(5, 10))
    account.state(at=on(5), start_date=START)
    account.build()
    assert account.movements() == [
        NEW,
        (date(2026, 2, 10), "contraction", "not_billed", -10_000),
        (date(2026, 4, 10), "expansion", "billed_again", 10_000),
    ]


def test_who_ended_while_paused_comes_back_by_reactivation(account: Account) -> None:
    account.state()
    account.state(at=on(2), status="paused")
    account.state(at=on(3), status="canceled", ended_at=on(3), canceled_at=on(3))
    account.state(at=on(5), sub="sub_2")
    account.build()
    assert account.movements()[1:] == [
        (date(2026, 2, 1), "contraction", "paused", -10_000),
        (date(2026, 5, 1), "reactivation", "new", 10_000),
    ]


def test_metered_at_chargebee(database: Database) -> None:
    """There the product tells, in what is kept of it whole."""
    account = Account(database, "chargebee")
    account.price(recurring_usage_type=None)
    account.product("prod_1", {"metered": True})
    account.state([item(quantity=None, of=price(recurring_usage_type=None))])
    account.build()
    assert (account.one(), account.left_out_by()) == (0, {"metered"})
