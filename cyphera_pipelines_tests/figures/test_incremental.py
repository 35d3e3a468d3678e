"""A build of what changed comes to what a full one comes to, whatever changed and whatever time has passed."""

import random
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from cyphera_pipelines.figures.build import _take_turn, build_figures
from cyphera_pipelines.figures.rules import set_rules
from cyphera_pipelines.model.errors import InvalidInputError
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.tables.history import customer_discount_history, subscription_history
from cyphera_pipelines_tests.figures.account import NOW, START, Account, item, on, percent, price
from cyphera_pipelines_tests.figures.generated import add_customers

AGO = on(1)


def settle(account: Account) -> None:
    """As if everything so far had been written long ago: no transaction of then can be open any more."""
    with account.database.tenant(account.source.workspace_id) as connection:
        connection.execute(text("UPDATE figures.figure_builds SET seen_until = clock_timestamp()"))


@settings(max_examples=4, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(seed=st.integers(0, 10**6))
def test_it_comes_to_what_a_full_build_comes_to(database: Database, seed: int) -> None:
    dice = random.Random(seed)
    account = Account(database, is_bulk=True)
    add_customers(account, dice, range(40))
    # What is known then, without a part of it that comes late.
    later = [state for state in account.states if state["held_at"] > AGO or dice.random() < 0.2]
    later_lists = [state for state in account.customer_states if state["held_at"] > AGO or dice.random() < 0.2]
    account.states = [state for state in account.states if state not in later]
    for table in (subscription_history, customer_discount_history):
        account.forget_waiting(table)
    account.insert(customer_discount_history, [state for state in account.customer_states if state not in later_lists])
    account.insert_current()
    account.build(AGO)
    settle(account)
    account.insert(subscription_history, later)
    account.insert(customer_discount_history, later_lists)
    account.flush()
    changed = account.build(NOW)
    assert not changed.was_full
    again = account.build(NOW, full=True)
    assert again.was_full
    assert (again.written, again.removed) == (0, 0)


def test_only_customers_of_whom_something_changed_are_counted(database: Database) -> None:
    account = Account(database)
    for number in (1, 2, 3):
        account.state(sub=f"sub_{number}", customer_id=f"cus_{number}")
    account.build()
    settle(account)
    assert account.build().customers == 0
    account.state([item(quantity=2)], on(3), sub="sub_2", customer_id="cus_2")
    built = account.build()
    assert (built.customers, built.was_full) == (1, False)
    assert account.mrr() == {("cus_1", "usd"): 10_000, ("cus_2", "usd"): 20_000, ("cus_3", "usd"): 10_000}


@pytest.mark.parametrize(
    ("told", "before", "after"),
    [
        ({"status": "trialing", "trial_end": on(6)}, 0, 10_000),
        ({"cancel_at": on(6), "canceled_at": START}, 10_000, 0),
        ({"pause_collection_behavior": "void", "pause_collection_resumes_at": on(6)}, 0, 10_000),
        ({"discounts": [percent(50, ends_at=on(6))]}, 5_000, 10_000),
        ({"discounts": [percent(50, starts_at=on(6))]}, 10_000, 5_000),
    ],
)
def test_what_begins_or_ends_by_itself(database: Database, told: dict[str, Any], before: int, after: int) -> None:
    account = Account(database)
    account.state(**told)
    account.insert_current()
    account.build(on(5))
    settle(account)
    assert account.one(on(5)) == before
    built = account.build(on(7))
    assert not built.was_full
    assert account.one(on(7)) == after
    assert account.build(on(7), full=True).written == 0


def test_a_customer_s_discount_that_ends_by_itself(database: Database) -> None:
    account = Account(database)
    account.customer_state([percent(50, ends_at=on(6))])
    account.state()
    account.insert_current()
    account.build(on(5))
    settle(account)
    account.build(on(7))
    assert account.movements()[1:] == [(on(6).date(), "expansion", "discount_ended", 5_000)]


def test_a_price_that_came_after_its_subscription(database: Database) -> None:
    account = Account(database)
    account.state([item(price=None)])
    account.insert_current()
    account.build()
    settle(account)
    assert account.one() == 0
    account.price(unit_amount=7_000)
    account.build()
    assert account.one() == 7_000


def test_bills_that_came_after_their_subscription(database: Database) -> None:
    account = Account(database)
    account.price()
    account.state(at=on(5), start_date=START)
    account.build()
    settle(account)
    account.line(6_000, START, on(5))
    account.build()
    assert [change for *_, change in account.movements()] == [6_000, 4_000]


def test_late_data_lands_on_its_day(database: Database) -> None:
    account = Account(database)
    account.state()
    account.build()
    settle(account)
    account.state(at=NOW - timedelta(hours=1), status="canceled", ended_at=on(2, 3), canceled_at=on(2, 3))
    account.build()
    assert account.movements()[1:] == [(on(2, 3).date(), "churn", "cancelled", -10_000)]


def test_other_rules_make_everything_anew(database: Database) -> None:
    account = Account(database)
    account.state(status="paused")
    account.build()
    settle(account)
    set_rules(database, account.workspace, "chartmogul", {})
    assert account.build().was_full
    assert account.one() == 10_000


@pytest.mark.parametrize(
    ("preset", "changed", "told"),
    [
        ("baremetrics", {}, "'baremetrics' is not a preset: there are cyphera, stripe, chartmogul."),
        ("stripe", {"coupons": "ignore"}, "'coupons' is not a rule: there are trialing, "),
        ("stripe", {"once_coupons": "yes"}, "once_coupons can be ignore or subtract, not 'yes'."),
    ],
)
def test_rules_that_do_not_exist(database: Database, preset: str, changed: dict[str, str], told: str) -> None:
    account = Account(database)
    with pytest.raises(InvalidInputError) as refused:
        set_rules(database, account.workspace, preset, changed)
    assert told in str(refused.value)


def test_a_source_without_subscriptions_has_no_figures(database: Database) -> None:
    account = Account(database)
    account.build()
    with database.tenant(account.source.workspace_id) as connection:
        assert connection.execute(text("SELECT count(*) FROM figures.figure_builds")).scalar_one() == 0


def test_another_mode_s_and_provider_s_rows_are_left_alone(database: Database) -> None:
    account = Account(database)
    account.state([item(of=price(5_000))])
    account.build()
    other = Account(database, "chargebee", workspace=account.workspace)
    other.state()
    other.build()
    assert (len(account.rows()), account.build(full=True).removed) == (2, 0)


def test_builds_at_once_take_turns_and_nobody_else_waits(database: Database) -> None:
    account = Account(database)
    account.state(sub="sub_1", customer_id="cus_1")
    account.flush()
    source = account.source
    with ThreadPoolExecutor(3) as pool:
        builds = [pool.submit(build_figures, database, source, livemode=True) for _ in range(3)]
    assert sorted((build.result().written > 0, build.result().was_full) for build in builds) == [
        (False, False),
        (False, False),
        (True, True),
    ]
    key = {"workspace_id": source.workspace_id, "provider": source.provider, "livemode": True}
    with database.tenant(source.workspace_id) as building:
        _take_turn(building, key)
        # As opening a session does.
        with database.tenant(source.workspace_id, alone=True) as other:
            other.execute(text("SET LOCAL statement_timeout = '5s'"))
            assert other.execute(text("SELECT count(*) FROM figures.figure_builds")).scalar_one() == 1
