"""What is kept of revenue is what the invoices' lines say, whatever changed, and only what changed is counted."""

import random
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from cyphera_pipelines.figures import revenue
from cyphera_pipelines.figures.all_figures import build_all
from cyphera_pipelines.figures.revenue import RevenueResult, build_revenue
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.figure_checks import find_unlike_revenue
from cyphera_pipelines.store.tables.figures import revenue_tables
from cyphera_pipelines_tests.figures.account import Account, on
from cyphera_pipelines_tests.store.figure_rows import add_synced

MONTHS = 6


class Billed:
    """A source whose bills are written straight into the tables."""

    def __init__(self, database: Database) -> None:
        self.database, self.source = database, Account(database).source

    def bill(self, name: str, month: int, *amounts: int, status: str = "paid", **values: Any) -> None:
        """An invoice of the month's third day, with a line for that month of each amount."""
        told = {"finalized_at": on(month, 3), "total": sum(amounts), "amount_paid": sum(amounts)}
        given = {"customer_id": "cus_1", "currency": "usd", "status": status}
        with self.database.control() as connection:
            add_synced(connection, "invoices", self.source.workspace_id, id=name, **told | given | values)
            for number, amount in enumerate(amounts):
                line = {"id": f"{name}_{number}", "invoice_id": name, "line_index": number, "amount": amount}
                days = {"period_start": on(month), "period_end": on(month + 1), "price_id": f"price_{number}"}
                add_synced(
                    connection,
                    "invoice_line_items",
                    self.source.workspace_id,
                    **line | days | {"currency": values.get("currency", "usd"), "quantity": 1},
                )

    def change(self, table: str, row: str, **values: Any) -> None:
        """As a sync would write it now."""
        changed = ", ".join(f"{name} = :{name}" for name in values)
        with self.database.control() as connection:
            done = connection.execute(
                text(f"UPDATE payments.{table} SET {changed}, synced_at = now() WHERE workspace_id = :w AND id = :id"),
                values | {"w": self.source.workspace_id, "id": row},
            )
            assert done.rowcount == 1

    def settle(self) -> None:
        """As if everything so far had been written long ago: no transaction of then can be open any more."""
        with self.database.control() as connection:
            connection.execute(
                text("UPDATE figures.revenue_builds SET seen_until = clock_timestamp() WHERE workspace_id = :w"),
                {"w": self.source.workspace_id},
            )

    def build(self, *, full: bool = False) -> RevenueResult:
        return build_revenue(self.database, self.source, livemode=True, full=full)

    def kept(self) -> list[list[tuple[Any, ...]]]:
        """All rows of each table, in order."""
        with self.database.tenant(self.source.workspace_id) as connection:
            return [
                sorted((tuple(row) for row in connection.execute(table.select())), key=str) for table in revenue_tables
            ]

    def billed(self) -> list[tuple[Any, ...]]:
        """(month, currency, invoices, billed) as analysts are told it."""
        asked = "SELECT to_char(month, 'MM'), currency, invoices, billed FROM analytics.revenue_billed ORDER BY 1, 2"
        with self.database.tenant(self.source.workspace_id) as connection:
            return [tuple(row) for row in connection.execute(text(asked))]


@pytest.fixture
def billed(database: Database) -> Billed:
    made = Billed(database)
    for month in range(1, MONTHS + 1):
        made.bill(f"in_{month}", month, 1000, 500)
    return made


def test_a_second_build_writes_nothing_and_a_change_its_month_alone(billed: Billed) -> None:
    first = billed.build()
    assert (first.was_full, first.months, first.removed) == (True, MONTHS, 0)
    again = billed.build(full=True)
    assert (again.written, again.removed) == (0, 0)
    billed.settle()
    assert billed.build() == RevenueResult(0, 0, 0, was_full=False)
    billed.change("invoice_line_items", "in_2_0", amount=1200)
    changed = billed.build()
    # A month of invoices is as it was; of lines there are one product, one of two prices, and one period.
    assert (changed.months, changed.written, changed.removed, changed.was_full) == (1, 3, 0, False)
    assert find_unlike_revenue(billed.database, billed.source, livemode=True).count == 0


@pytest.mark.parametrize(
    ("table", "row", "values"),
    [
        ("invoices", "in_3", {"status": "void", "voided_at": on(3, 20)}),
        ("invoices", "in_3", {"status": "uncollectible", "marked_uncollectible_at": on(3, 20), "amount_remaining": 7}),
        ("invoices", "in_3", {"status": "draft"}),
        ("invoices", "in_3", {"deleted_at": on(6)}),
        ("invoices", "in_3", {"customer_id": "cus_2", "currency": "eur"}),
        ("invoices", "in_3", {"customer_id": "cus_2"}),
        ("invoices", "in_3", {"customer_id": None}),
        ("invoices", "in_3", {"paid_at": on(5, 9)}),
        ("invoices", "in_3", {"currency": None}),
        ("invoices", "in_3", {"finalized_at": on(5, 9)}),
        ("invoices", "in_3", {"finalized_at": on(7, 9)}),
        ("invoice_line_items", "in_3_0", {"deleted_at": on(6)}),
        ("invoice_line_items", "in_3_0", {"currency": "jpy"}),
        ("invoice_line_items", "in_3_0", {"currency": None}),
        ("invoice_line_items", "in_3_0", {"period_start": None, "period_end": None}),
        ("invoice_line_items", "in_3_0", {"product_id": "prod_1", "quantity": 7}),
    ],
)
def test_it_comes_to_what_counting_all_anew_comes_to(
    billed: Billed, table: str, row: str, values: dict[str, Any]
) -> None:
    billed.build()
    billed.settle()
    before = billed.kept()
    billed.change(table, row, **values)
    billed.build()
    kept = billed.kept()
    assert kept != before
    anew = billed.build(full=True)
    assert (anew.written, anew.removed) == (0, 0)
    assert billed.kept() == kept
    assert find_unlike_revenue(billed.database, billed.source, livemode=True).count == 0


def test_a_change_counts_its_customer_alone(billed: Billed) -> None:
    billed.bill("in_other", 1, 700, customer_id="cus_2")
    billed.build()
    billed.settle()
    billed.change("invoices", "in_2", amount_paid=900)
    # The month, when it was paid, and the customer.
    assert billed.build() == RevenueResult(1, 3, 0, was_full=False)
    asked = "SELECT customer_id, invoices, total, paid FROM analytics.customer_revenue ORDER BY 1"
    with billed.database.tenant(billed.source.workspace_id) as connection:
        assert [tuple(row) for row in connection.execute(text(asked))] == [("cus_1", 6, 90, 84), ("cus_2", 1, 7, 7)]


def test_lines_that_are_taken_in_slices_come_to_the_same(billed: Billed, monkeypatch: pytest.MonkeyPatch) -> None:
    billed.bill("in_more", 2, 300, customer_id="cus_2")
    billed.bill("in_old", 2, 300, finalized_at=on(11, year=1969))
    billed.build()
    monkeypatch.setattr(revenue, "_LINES_AT_ONCE", 3)
    assert billed.build(full=True) == RevenueResult(MONTHS + 1, 0, 0, was_full=True)


def test_both_kinds_of_figures_are_built_side_by_side_as_one_after_the_other(billed: Billed) -> None:
    build_all(billed.database, billed.source, livemode=True)
    kept = billed.kept()
    assert any(kept)
    built, anew = build_all(billed.database, billed.source, livemode=True, full=True, side_by_side=False)
    assert (built.written, anew.written, anew.months) == (0, 0, MONTHS)
    assert billed.kept() == kept


def test_an_invoice_that_moves_to_another_month_is_counted_once(billed: Billed) -> None:
    billed.build()
    billed.settle()
    billed.change("invoices", "in_1", finalized_at=on(2, 9))
    assert billed.build().was_full
    assert [row[2] for row in billed.billed()] == [2, 1, 1, 1, 1]


def test_a_price_that_tells_its_product_later(billed: Billed) -> None:
    billed.build()
    billed.settle()
    with billed.database.control() as connection:
        add_synced(
            connection, "prices", billed.source.workspace_id, id="price_1", product_id="prod_9", synced_at=_soon()
        )
    built = billed.build()
    assert (built.was_full, built.months) == (False, MONTHS)
    asked = "SELECT sum(revenue) FROM analytics.product_revenue WHERE product_id = 'prod_9'"
    with billed.database.tenant(billed.source.workspace_id) as connection:
        assert connection.execute(text(asked)).scalar_one() == MONTHS * 5


def test_random_bills_come_to_what_their_lines_say(database: Database) -> None:
    dice, billed = random.Random(7), Billed(database)
    for number in range(60):
        billed.bill(
            f"in_{number}",
            dice.randrange(1, 7),
            *(dice.randrange(-500, 5000) for _ in range(dice.randrange(1, 4))),
            status=dice.choice(["paid", "open", "void", "uncollectible", "draft"]),
            currency=dice.choice(["usd", "jpy", "kwd"]),
            customer_id=dice.choice(["cus_1", "cus_2", None]),
            voided_at=on(7, 4),
            marked_uncollectible_at=dice.choice([None, on(6, 20)]),
        )
    billed.build()
    assert find_unlike_revenue(database, billed.source, livemode=True).count == 0
    with database.tenant(billed.source.workspace_id) as connection:
        products = connection.execute(text("SELECT * FROM analytics.product_revenue")).all()
        lines = connection.execute(text(_BY_PRODUCT)).all()
    assert len(products) == len(lines) > 10
    told = {(row.currency, row.month, row.product_id): row for row in products}
    for row in lines:
        kept = told[row.currency, row.month, row.product_id]
        assert (kept.customers, kept.lines, kept.revenue, kept.uncollectible) == (
            row.customers,
            row.lines,
            row.revenue,
            row.uncollectible,
        )


@pytest.mark.parametrize(("table", "column"), [("revenue_periods", "net"), ("billed_products", "revenue")])
def test_what_was_changed_by_hand_is_found_with_its_month(billed: Billed, table: str, column: str) -> None:
    billed.build()
    with billed.database.control() as connection:
        connection.execute(
            text(f"UPDATE figures.{table} SET {column} = {column} + 1 WHERE workspace_id = :w AND month = :month"),
            {"w": billed.source.workspace_id, "month": on(4).date()},
        )
    assert _found(billed.database, billed.source) == ("usd booked in 2026-04-01",)


def _found(database: Database, source: Source) -> tuple[str, ...]:
    return find_unlike_revenue(database, source, livemode=True).sample_ids


def _soon() -> datetime:
    return on(1, year=2100) + timedelta(days=1)


_BY_PRODUCT = """
    SELECT currency, CAST(date_trunc('month', CAST(booked_on AS timestamp)) AS date) AS month, product_id,
        count(DISTINCT customer_id) AS customers, count(*) AS lines, sum(net) AS revenue,
        coalesce(sum(net) FILTER (WHERE status = 'uncollectible'), 0) AS uncollectible
    FROM analytics.revenue_lines WHERE status <> 'void' GROUP BY 1, 2, 3
"""
