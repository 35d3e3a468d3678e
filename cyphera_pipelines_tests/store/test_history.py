"""What is kept of what subscriptions were: which states, from when, and that they are those of the rows."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Connection, text

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.rows import MappedObject
from cyphera_pipelines.model.sessions import ConflictStrategy
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.store import loader
from cyphera_pipelines.store.billed_amounts import settle_billed_amounts, settle_billed_amounts_of
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.loader import load
from cyphera_pipelines.store.purges import delete_rows_of, request_purge
from cyphera_pipelines.store.tombstones import TimeSpan, tombstone_missing, tombstone_object
from cyphera_pipelines.store.workspaces import find_workspace
from cyphera_pipelines_tests.store.subscription_rows import customer, price, subscription

ITEM: dict[str, Any] = {
    "id": "si_1",
    "price_id": "price_1",
    "currency": "eur",
    "unit_amount": 1000,
    "quantity": 2,
}
SEATS: dict[str, Any] = {
    "currency": "eur",
    "recurring_interval": "month",
    "recurring_interval_count": 1,
    "type": "recurring",
}
OFF: dict[str, Any] = {
    "id": "di_1",
    "position": 0,
    "coupon_id": "TEN",
    "kind": "percent",
    "percent_off": 10,
    "duration": "forever",
}


@pytest.fixture
def source(add_source: Callable[..., Source]) -> Source:
    return add_source("sk_test_history")


@pytest.fixture(params=["given", "staged"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways in which rows come to a merge."""
    if request.param == "staged":
        monkeypatch.setattr(loader, "FEW_ROWS", 0)


def put(database: Database, source: Source, at: float, *objects: MappedObject, **how: Any) -> None:
    entity = Entity(_TABLES[objects[0].id.split("_")[0]])
    with database.tenant(source.workspace_id) as connection:
        result = load(connection, source, entity, [replace(obj, version=at) for obj in objects], **how)
        assert not result.refused


_TABLES = {"sub": "subscriptions", "cus": "customers", "price": "prices"}


def states(database: Database, source: Source, *columns: str, of: str = "sub_1") -> list[tuple[Any, ...]]:
    """The columns of each state, oldest first, behind the moment from which on it was held."""
    listed = ", ".join(("CAST(extract(epoch FROM held_at) AS float8)", *columns))
    statement = f"SELECT {listed} FROM payments.subscription_history WHERE subscription_id = :id ORDER BY held_at"
    with database.tenant(source.workspace_id) as connection:
        return [tuple(row) for row in connection.execute(text(statement), {"id": of})]


def item_of(database: Database, source: Source) -> Any:
    """The only item of the newest state."""
    ((*_, [item]),) = states(database, source, "items")[-1:]
    return item


def written(database: Database, source: Source) -> list[Any]:
    """Which transaction wrote each state."""
    with database.tenant(source.workspace_id) as connection:
        return list(
            connection.execute(text("SELECT xmin::text FROM payments.subscription_history ORDER BY 1")).scalars()
        )


@pytest.mark.usefixtures("way")
def test_a_state_holds_children_that_the_same_statement_has_written(database: Database, source: Source) -> None:
    rate = {"id": "txr_1", "position": 0, "percentage": 19, "inclusive": True}
    put(database, source, 100, subscription("sub_1", [ITEM], [OFF], [rate]))
    put(database, source, 200, subscription("sub_1", [{**ITEM, "quantity": 3}, {**ITEM, "id": "si_0"}]))
    first, second = states(database, source, "status", "items", "discounts", "tax_rates")
    assert (first[0], first[1], second[0]) == (100, "active", 200)
    assert [(item["id"], item["quantity"], item["unit_amount_decimal"]) for item in first[2]] == [("si_1", 2, "1000")]
    assert [(item["id"], item["quantity"]) for item in second[2]] == [("si_0", 2), ("si_1", 3)]
    (discount,) = first[3]
    assert discount["percent_off"] == "10"
    assert discount["subscription_item_id"] is None
    assert first[4] == [{"subscription_item_id": None, "position": 0, "percentage": "19", "inclusive": True}]
    assert (second[3], second[4]) == ([], [])


@pytest.mark.usefixtures("way")
def test_what_is_not_recorded_makes_no_state(database: Database, source: Source) -> None:
    put(database, source, 100, subscription("sub_1", [ITEM]))
    before = written(database, source)
    put(database, source, 200, subscription("sub_1", [ITEM]), confirms=True)
    put(database, source, 300, subscription("sub_1", [ITEM]), rewrites=True)
    put(database, source, 400, subscription("sub_1", [{**ITEM, "metadata": {"a": "b"}}], description="told"))
    assert written(database, source) == before
    put(database, source, 500, subscription("sub_1", [ITEM], status="past_due"))
    assert states(database, source, "status") == [(100, "active"), (500, "past_due")]


def test_of_two_states_of_one_moment_the_later_applied_stays(database: Database, source: Source) -> None:
    put(database, source, 100, subscription("sub_1", status="trialing"))
    put(database, source, 200, subscription("sub_1", status="active"))
    put(database, source, 200, subscription("sub_1", status="paused"))
    assert states(database, source, "status") == [(100, "trialing"), (200, "paused")]


def test_an_older_state_that_is_not_applied_is_none(database: Database, source: Source) -> None:
    put(database, source, 200, subscription("sub_1", status="active"))
    put(database, source, 100, subscription("sub_1", status="trialing"))
    assert states(database, source, "status") == [(200, "active")]


def test_an_older_state_that_a_repair_applies_takes_the_newest_one_s_place(database: Database, source: Source) -> None:
    """Whatever happens, the newest state is what the row tells."""
    put(database, source, 100, subscription("sub_1", status="trialing"))
    put(database, source, 200, subscription("sub_1", status="unpaid"))
    put(database, source, 150, subscription("sub_1", status="active"), rewrites=True)
    assert states(database, source, "status") == [(100, "trialing"), (200, "active")]


def test_a_clock_that_is_wrong_puts_no_state_into_the_future(database: Database, source: Source) -> None:
    before = time.time()
    put(database, source, before + 86_400, subscription("sub_1", status="trialing"))
    put(database, source, before - 60, subscription("sub_1", status="active"))
    ((held_at, status),) = states(database, source, "status")
    assert status == "active"
    assert before - 1 <= held_at <= time.time() + 1


@pytest.mark.parametrize("strategy", [ConflictStrategy.SKIP, ConflictStrategy.FLAG])
def test_rows_that_are_left_as_they_are_have_no_new_state(
    database: Database, source: Source, strategy: ConflictStrategy
) -> None:
    put(database, source, 100, subscription("sub_1", status="trialing"))
    put(database, source, 200, subscription("sub_1", status="active"), subscription("sub_2"), strategy=strategy)
    assert states(database, source, "status") == [(100, "trialing")]
    assert states(database, source, "status", of="sub_2") == [(200, "active")]


def test_a_subscription_goes_and_comes_back(database: Database, source: Source) -> None:
    put(database, source, 100, subscription("sub_1", [ITEM]), subscription("sub_2", [ITEM]))
    with database.tenant(source.workspace_id) as connection:
        tombstone_object(connection, source, Entity.SUBSCRIPTIONS, "sub_1", livemode=False, version=200)
        span = TimeSpan(None, None, None)
        tombstone_missing(
            connection, source, Entity.SUBSCRIPTIONS, span, [], livemode=False, version=250, unlisted_with=None
        )
    with database.tenant(source.workspace_id) as connection:
        tombstone_object(connection, source, Entity.SUBSCRIPTIONS, "sub_1", livemode=False, version=300)
    put(database, source, 400, subscription("sub_1", [ITEM]))
    gone = [(held_at, is_gone, len(items)) for held_at, is_gone, items in states(database, source, "is_gone", "items")]
    assert gone == [(100, False, 1), (200, True, 0), (400, False, 1)]
    assert [state[:2] for state in states(database, source, "is_gone", of="sub_2")] == [(100, False), (250, True)]


def test_what_only_bears_a_tombstone_was_never_held(database: Database, source: Source) -> None:
    """A webhook may tell first of all that something is gone."""
    put(database, source, 0, subscription("sub_1", [ITEM]), strategy=ConflictStrategy.SKIP)
    assert states(database, source) == []
    with database.tenant(source.workspace_id) as connection:
        tombstone_object(connection, source, Entity.SUBSCRIPTIONS, "sub_1", livemode=False, version=200)
    assert states(database, source, "is_gone") == [(200, True)]


def test_a_price_is_kept_as_it_was(database: Database, source: Source) -> None:
    tiers: list[dict[str, Any]] = [
        {"up_to": 10, "unit_amount": 500},
        {"unit_amount_decimal": "300.50", "flat_amount": 0},
    ]
    put(database, source, 100, price("price_1", tiers, tiers_mode="graduated", billing_scheme="tiered", **SEATS))
    put(database, source, 100, subscription("sub_1", [{**ITEM, "unit_amount": None}]))
    put(database, source, 200, price("price_1", tiers[:1], tiers_mode="volume", billing_scheme="tiered", **SEATS))
    put(database, source, 300, subscription("sub_1", [{**ITEM, "unit_amount": None, "quantity": 3}]))
    (_, [then]), (_, [now]) = states(database, source, "items")
    assert then["unit_amount_decimal"] is None
    assert then["price"] == {
        "currency": "eur",
        "unit_amount_decimal": None,
        "billing_scheme": "tiered",
        "tiers_mode": "graduated",
        "type": "recurring",
        "recurring_interval": "month",
        "recurring_interval_count": 1,
        "recurring_usage_type": None,
        "transform_quantity_divide_by": None,
        "transform_quantity_round": None,
        "tax_behavior": None,
        "tiers": [
            {"up_to": 10, "unit_amount_decimal": "500", "flat_amount_decimal": None},
            {"up_to": None, "unit_amount_decimal": "300.5", "flat_amount_decimal": "0"},
        ],
    }
    assert (now["price"]["tiers_mode"], len(now["price"]["tiers"])) == ("volume", 1)


def test_a_price_that_is_gone_is_kept_and_one_that_is_not_known_is_null(database: Database, source: Source) -> None:
    put(database, source, 100, subscription("sub_1", [ITEM]))
    assert item_of(database, source)["price"] is None
    put(database, source, 100, price("price_1", [{"unit_amount": 7}], tiers_mode="volume", **SEATS))
    with database.tenant(source.workspace_id) as connection:
        tombstone_object(connection, source, Entity.PRICES, "price_1", livemode=False, version=150)
    put(database, source, 200, subscription("sub_1", [{**ITEM, "quantity": 9}]))
    assert [tier["unit_amount_decimal"] for tier in item_of(database, source)["price"]["tiers"]] == ["7"]


DOLLARS: dict[str, Any] = {
    "currency": "usd",
    "unit_amount": 1200,
    "tax_behavior": "exclusive",
    "tiers": [
        {"up_to": 5, "unit_amount": 4, "unit_amount_decimal": None, "flat_amount_decimal": "9.5"},
        {"up_to": None},
    ],
}
FOREIGN = {**ITEM, "currency": "usd", "unit_amount": None}


def settle_all(connection: Connection, source: Source) -> None:
    settle_billed_amounts(connection, source, datetime.now(UTC), livemode=False)


def settle_some(connection: Connection, source: Source) -> None:
    settle_billed_amounts_of(connection, source, ["sub_1"], livemode=False)


@pytest.mark.parametrize("settle", [settle_all, settle_some])
def test_an_amount_that_is_settled_later_was_so_all_the_time(
    database: Database, source: Source, settle: Callable[[Connection, Source], None]
) -> None:
    put(database, source, 100, subscription("sub_1", [FOREIGN], currency="usd"))
    put(database, source, 100, price("price_1", (), [DOLLARS], tiers_mode="graduated", **SEATS))
    with database.tenant(source.workspace_id) as connection:
        settle(connection, source)
    ((held_at, [item]),) = states(database, source, "items")
    assert (held_at, item["unit_amount_decimal"], item["price"]["currency"]) == (100, "1200", "usd")
    assert item["price"]["tax_behavior"] == "exclusive"
    assert item["price"]["tiers"] == [
        {"up_to": 5, "unit_amount_decimal": "4", "flat_amount_decimal": "9.5"},
        {"up_to": None, "unit_amount_decimal": None, "flat_amount_decimal": None},
    ]
    before = written(database, source)
    put(database, source, 200, subscription("sub_1", [FOREIGN], currency="usd", description="nothing that counts"))
    with database.tenant(source.workspace_id) as connection:
        settle(connection, source)
    assert written(database, source) == before, "an amount that is looked up anew is no new state"


def test_an_amount_that_an_option_changes_is_a_new_state(database: Database, source: Source) -> None:
    put(database, source, 100, price("price_1", (), [DOLLARS], **SEATS))
    put(database, source, 100, subscription("sub_1", [FOREIGN], currency="usd"))
    with database.tenant(source.workspace_id) as connection:
        settle_all(connection, source)
    put(database, source, 200, price("price_1", (), [{**DOLLARS, "unit_amount": 1300}], **SEATS))
    before = time.time()
    with database.tenant(source.workspace_id) as connection:
        settle_all(connection, source)
    (first, [then]), (second, [now]) = states(database, source, "items")
    assert (first, then["unit_amount_decimal"], now["unit_amount_decimal"]) == (100, "1200", "1300")
    assert second >= before - 1


def test_discounts_of_customers_are_kept_from_the_first_on(database: Database, source: Source) -> None:
    def kept() -> list[tuple[float, int]]:
        statement = (
            "SELECT CAST(extract(epoch FROM held_at) AS float8), jsonb_array_length(discounts) "
            "FROM payments.customer_discount_history ORDER BY customer_id, held_at"
        )
        with database.tenant(source.workspace_id) as connection:
            return [tuple(row) for row in connection.execute(text(statement))]

    put(database, source, 100, customer("cus_1"), customer("cus_2"))
    put(database, source, 150, customer("cus_1", name="Ada"))
    assert kept() == []
    put(database, source, 200, customer("cus_1", [OFF]))
    put(database, source, 250, customer("cus_1", [OFF], name="Eve"))
    put(database, source, 300, customer("cus_1", [OFF, {**OFF, "id": "di_2", "position": 1}]))
    with database.tenant(source.workspace_id) as connection:
        tombstone_object(connection, source, Entity.CUSTOMERS, "cus_1", livemode=False, version=400)
    assert kept() == [(200, 1), (300, 2), (400, 0)]


def test_states_are_the_workspace_s_own_and_of_one_mode(
    database: Database, source: Source, add_source: Callable[..., Source]
) -> None:
    other = add_source("sk_test_history_other")
    put(database, source, 100, subscription("sub_1", status="active"))
    put(database, source, 100, replace(subscription("sub_1", status="paused"), livemode=True))
    put(database, other, 100, subscription("sub_1", status="unpaid"))
    assert states(database, other, "status") == [(100, "unpaid")]
    assert sorted(states(database, source, "livemode", "status")) == [(100, False, "active"), (100, True, "paused")]


def test_two_who_write_the_same_subscriptions_at_once_leave_the_newest_state_as_the_row_is(
    database: Database, source: Source
) -> None:
    names = [f"sub_{number}" for number in range(20)]

    def write(at: int) -> None:
        for step in range(10):
            moment = 100 + 10 * step + at
            put(database, source, moment, *(subscription(name, status=f"{moment}") for name in names))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    newest = (
        "SELECT count(*) FROM payments.subscriptions AS subscription WHERE status = ("
        "SELECT status FROM payments.subscription_history AS state WHERE state.subscription_id = subscription.id "
        "ORDER BY held_at DESC LIMIT 1) AND NOT EXISTS ("
        "SELECT FROM payments.subscription_history AS state WHERE state.subscription_id = subscription.id "
        "AND state.status <> CAST(CAST(extract(epoch FROM held_at) AS bigint) AS text))"
    )
    with database.tenant(source.workspace_id) as connection:
        assert connection.execute(text(newest)).scalar_one() == len(names)


def test_a_purge_takes_the_history_along(database: Database, source: Source) -> None:
    put(database, source, 100, subscription("sub_1", [ITEM]))
    put(database, source, 100, customer("cus_1", [OFF]))
    purge = request_purge(database, find_workspace(database, source.workspace_slug), source.provider)
    assert delete_rows_of(database, purge, until=time.monotonic() + 60, on_piece=lambda: None)
    assert states(database, source) == []


def test_the_view_tells_until_when_a_state_was_held(database: Database, source: Source) -> None:
    put(database, source, 100, subscription("sub_1", status="trialing"))
    put(database, source, 200, subscription("sub_1", status="active"))
    statement = "SELECT status, held_at, held_until FROM analytics_test.subscription_history ORDER BY held_at"
    with database.tenant(source.workspace_id) as connection:
        first, second = connection.execute(text(statement))
    assert tuple(first) == ("trialing", datetime.fromtimestamp(100, UTC), datetime.fromtimestamp(200, UTC))
    assert tuple(second) == ("active", datetime.fromtimestamp(200, UTC), None)


def test_rows_are_found_one_by_one_whatever_the_planner_knows(database: Database, source: Source) -> None:
    """Of tables that have just been filled it would expect so little that it would read all of them."""
    put(database, source, 100, *(subscription(f"sub_{number}", [ITEM]) for number in range(500)))
    with database.tenant(source.workspace_id) as connection:
        reads = text("SELECT sum(seq_scan) FROM pg_stat_xact_user_tables WHERE schemaname = 'payments'")
        objects: Sequence[MappedObject] = [
            replace(subscription(f"sub_{number}", [ITEM], status="paused"), version=200) for number in range(500)
        ]
        load(connection, source, Entity.SUBSCRIPTIONS, objects)
        before = connection.execute(reads).scalar_one()
        # What the triggers do, without what loading itself reads.
        connection.execute(
            text(
                "SELECT payments.record_subscriptions("
                "array_agg(CAST(:workspace_id AS uuid)), array_agg(CAST(:provider AS text)), array_agg(false), "
                "array_agg(id), 'written') FROM unnest(CAST(:ids AS text[])) AS id"
            ),
            {
                "ids": [f"sub_{number}" for number in range(500)],
                "workspace_id": source.workspace_id,
                "provider": source.provider,
            },
        )
        assert connection.execute(reads).scalar_one() == before
    assert len(states(database, source, of="sub_7")) == 2


def test_no_row_is_read_but_those_that_were_written_and_theirs(database: Database, source: Source) -> None:
    """Whoever sees one workspace only is not made to read all of it, which nobody knows yet to be large."""
    many = 400
    batches: dict[Entity, list[MappedObject]] = {
        Entity.CUSTOMERS: [customer(f"cus_{number}", [OFF]) for number in range(many)],
        Entity.PRICES: [price(f"price_{number}", **SEATS) for number in range(many)],
        Entity.SUBSCRIPTIONS: [
            subscription(f"sub_{number}", [{**ITEM, "price_id": f"price_{number}"}]) for number in range(many)
        ],
    }
    with database.tenant(source.workspace_id) as connection:
        for entity, objects in batches.items():
            load(connection, source, entity, [replace(obj, version=100) for obj in objects])
        read = connection.execute(
            text(
                "SELECT relname, coalesce(idx_tup_fetch, 0) + coalesce(seq_tup_read, 0) AS rows "
                "FROM pg_stat_xact_user_tables WHERE schemaname = 'payments'"
            )
        ).all()
    assert len(states(database, source, of="sub_7")) == 1
    assert [tuple(row) for row in read if row.rows > 5 * many] == []
