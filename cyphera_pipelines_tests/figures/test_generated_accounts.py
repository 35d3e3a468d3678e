"""Random accounts come to what a reference in plain Python comes to, to the cent, and their figures add up."""

import random
from collections import defaultdict
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy import text

from cyphera_pipelines.store.database import Database
from cyphera_pipelines_tests.figures.account import NOW, Account
from cyphera_pipelines_tests.figures.generated import add_customers
from cyphera_pipelines_tests.figures.reference import Reference

CUSTOMERS = 300
MANY = 10_000


def generate(database: Database, customers: int, seed: int = 1) -> Account:
    account = Account(database, is_bulk=True)
    add_customers(account, random.Random(seed), range(customers))
    account.flush()
    return account


def reference_of(account: Account) -> Reference:
    return Reference(account.states, account.customer_states, account.lines, NOW)


@pytest.fixture(scope="module")
def account(database: Database) -> Account:
    account = generate(database, CUSTOMERS)
    assert account.build().was_full
    return account


@pytest.mark.parametrize("seed", [2])
@pytest.mark.slow
def test_many_customers(database: Database, seed: int) -> None:
    account = generate(database, MANY, seed)
    account.build()
    assert_as_the_reference(account)
    assert_movements_as_the_reference(account)
    assert_adding_up(account)
    assert account.build(full=True).written == 0


def test_each_item_at_each_moment(account: Account) -> None:
    assert_as_the_reference(account)


def test_movements(account: Account) -> None:
    assert_movements_as_the_reference(account)


def test_everything_adds_up(account: Account) -> None:
    assert_adding_up(account)


def test_building_again_writes_nothing(account: Account) -> None:
    before = written_bytes(account)
    for full in (True, False):
        again = account.build(full=full)
        assert (again.written, again.removed) == (0, 0)
    assert written_bytes(account) == before


def written_bytes(account: Account) -> list[Any]:
    """Where the rows of both tables stand, and which transaction wrote them."""
    with account.database.tenant(account.source.workspace_id) as connection:
        standing = "SELECT md5(string_agg(ctid || ':' || xmin, ',' ORDER BY ctid)) FROM figures."
        names = ("subscription_mrr", "mrr_movements", "figure_builds")
        return [connection.execute(text(standing + name)).scalar_one() for name in names]


def assert_as_the_reference(account: Account) -> None:
    """At every moment at which a row of either begins or ends, and just before it."""
    reference, kept, states = reference_of(account), defaultdict(list), states_by_subscription(account)
    for row in account.rows():
        kept[row.subscription_id].append(row)
    differing = []
    for name in reference.subscriptions:
        for moment in moments_of(states[name], kept[name]):
            wanted = {
                item: (each.mrr, each.left_out_by, each.currency, each.customer)
                for item, each in reference.brought(name, moment).items()
            }
            found = {
                row.item_id: (row.mrr, row.left_out_by, row.currency, row.customer_id)
                for row in kept[name]
                if row.valid_from <= moment and (row.valid_to is None or moment < row.valid_to)
            }
            if found != wanted:
                differing.append((name, moment, found, wanted))
    assert differing == []


def moments_of(states: Iterable[dict[str, Any]], rows: Iterable[Any]) -> list[datetime]:
    moments = {row.valid_from for row in rows} | {row.valid_to for row in rows if row.valid_to is not None}
    moments |= {NOW, NOW - timedelta(days=100)}
    for state in states:
        moments |= {state[moment] for moment in _MOMENTS if state.get(moment) is not None}
    moments |= {moment - timedelta(microseconds=1) for moment in moments}
    return sorted(moment for moment in moments if moment <= NOW)


def states_by_subscription(account: Account) -> dict[str, list[dict[str, Any]]]:
    by_subscription = defaultdict(list)
    for state in account.states:
        by_subscription[state["subscription_id"]].append(state)
    return by_subscription


_MOMENTS = ("held_at", "start_date", "trial_end", "ended_at", "cancel_at", "pause_collection_resumes_at")


def assert_movements_as_the_reference(account: Account) -> None:
    days: dict[str, set[date]] = defaultdict(set)
    for row in account.rows():
        days[row.customer_id] |= {moment.date() for moment in (row.valid_from, row.valid_to) if moment is not None}
    found = defaultdict(list)
    for row in account.movement_rows():
        found[row.customer_id, row.currency].append((row.day, row.movement, row.opening, row.closing))
    assert dict(found) == reference_of(account).movements(days)


def assert_adding_up(account: Account) -> None:
    last: dict[tuple[str, str], int] = {}
    months: dict[tuple[str, str, date], list[Any]] = defaultdict(list)
    for row in account.movement_rows():
        key = (row.customer_id, row.currency)
        assert row.opening == last.get(key, 0)
        assert row.closing == row.opening + row.change
        assert row.change != 0
        assert row.closing >= 0
        assert (row.movement == "reactivation") == (row.gap_days is not None)
        last[key] = row.closing
        months[*key, row.day.replace(day=1)].append(row)
    assert {key: closing for key, closing in last.items() if closing} == account.mrr(NOW)
    rows = account.rows()
    assert all(row.mrr >= 0 for row in rows)
    assert all(row.mrr == 0 for row in rows if row.left_out_by)
    assert any(row.provenance == "reconstructed" for row in rows)
    for row, following in pairwise(rows):
        same = [(each.subscription_id, each.item_id, each.occurrence) for each in (row, following)]
        if same[0] == same[1]:
            assert row.valid_to is not None
            assert row.valid_to <= following.valid_from
