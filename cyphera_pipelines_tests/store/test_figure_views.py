"""The views of figures, on rows whose figures were worked out by hand."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.pool import NullPool

from cyphera_pipelines.figures.revenue import build_revenue
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.model.workspace import Workspace
from cyphera_pipelines.store.analysts import create_analyst, remove_analyst
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.views.definitions import functions, views
from cyphera_pipelines_tests.conftest import new_workspace
from cyphera_pipelines_tests.store.figure_rows import add_build, add_movements, add_mrr, add_rate, add_synced

D = Decimal
FILLED = {
    "customer_revenue",
    "customer_summary",
    "invoice_aging",
    "mrr_movements",
    "mrr_movements_monthly",
    "mrr_summary",
    "mrr_summary_converted",
    "product_revenue",
    "revenue_billed",
    "revenue_collected",
    "revenue_lines",
    "revenue_recognized",
    "scheduled_churn",
    "subscriber_cohorts",
    "subscription_mrr",
    "trial_conversion",
    "usage_revenue",
}
"""Views of which the story has rows, of live mode alone."""


@pytest.fixture(scope="module")
def story(database: Database) -> Iterator[tuple[Workspace, Engine]]:
    """A workspace of four customers, another one with the same, and an analyst of the first."""
    own, other = new_workspace(database), new_workspace(database)
    for workspace in (own, other):
        with database.control() as connection:
            tell_subscriptions(connection, workspace)
            tell_bills(connection, workspace)
        source = Source(workspace.id, workspace.slug, "stripe", uuid4(), is_test_mode=False)
        assert build_revenue(database, source, livemode=True).was_full
    login = create_analyst(database, f"figures_{own.id.hex[:12]}", [own])
    url = database.engine.url.set(username=login.role_name, password=login.password)
    yield own, create_engine(url, poolclass=NullPool)
    remove_analyst(database, login.role_name)


def tell_subscriptions(connection: Connection, workspace: Workspace) -> None:
    """Anna grows, leaves and comes back; Ben stays five days; Carla pauses; Daiki pays in yen."""
    own = workspace.id
    add_build(connection, own)
    add_mrr(connection, own, "anna", "2024-01-10", "2024-02-05", 10000)
    add_mrr(connection, own, "anna", "2024-02-05", "2024-03-20", 12000)
    add_mrr(connection, own, "anna", "2024-02-05", "2024-03-20", 3000, item_id="second")
    add_mrr(connection, own, "anna", "2024-05-02", None, 8000, status="past_due", is_estimated=True)
    add_movements(
        connection,
        own,
        "anna",
        ("2024-01-10", "new", "new", 10000),
        ("2024-02-05", "expansion", "price", 15000),
        ("2024-03-20", "churn", "cancelled", 0),
        ("2024-05-02", "reactivation", "new", 8000),
    )
    add_mrr(connection, own, "ben", "2024-01-15", "2024-01-20", 5000)
    add_movements(connection, own, "ben", ("2024-01-15", "new", "new", 5000), ("2024-01-20", "churn", "cancelled", 0))
    add_mrr(connection, own, "carla", "2024-02-01", "2024-02-10", 3000)
    add_mrr(connection, own, "carla", "2024-02-10", "2024-02-20", 9000)
    add_mrr(connection, own, "carla", "2024-02-20", "2024-03-01", 4000)
    add_mrr(connection, own, "carla", "2024-03-01", "2024-04-03", 0, left_out_by="paused", status="paused")
    add_mrr(connection, own, "carla", "2024-04-03", None, 4000, ends_at="2199-12-31")
    add_movements(
        connection,
        own,
        "carla",
        ("2024-02-01", "new", "new", 3000),
        ("2024-02-10", "expansion", "quantity", 9000),
        ("2024-02-20", "contraction", "quantity", 4000),
        ("2024-03-01", "contraction", "paused", 0),
        ("2024-04-03", "expansion", "resumed", 4000),
    )
    add_mrr(connection, own, "daiki", "2024-02-11", None, 1000, currency="jpy", provenance="reconstructed")
    add_movements(connection, own, "daiki", ("2024-02-11", "new", "new", 1000), currency="jpy")
    add_rate(connection, own, "eur", "usd", "2024-01-01", "1.10")
    add_rate(connection, own, "eur", "usd", "2024-02-15", "1.20")
    add_rate(connection, own, "usd", "usd", "2024-01-01", "7")
    add_synced(connection, "customers", own, id="anna", name="Anna", currency="eur")
    add_synced(connection, "customers", own, id="never_billed", currency="eur")
    for name, trial_end, ended_at in (
        ("anna", "2024-01-10", None),
        ("ben", "2024-01-15", None),
        ("left_in_trial", "2024-02-01", "2024-01-25"),
        ("trying", "2199-01-01", None),
    ):
        add_synced(connection, "subscriptions", own, id=name, currency="eur", trial_end=trial_end, ended_at=ended_at)


def tell_bills(connection: Connection, workspace: Workspace) -> None:
    own = workspace.id
    add_synced(connection, "products", own, id="storage", name="Storage")
    add_synced(connection, "prices", own, id="per_gb", product_id="storage", recurring_usage_type="metered")

    def bill(name: str, booked: str | None, status: str = "paid", **values: Any) -> None:
        given = {"customer_id": "anna", "currency": "eur", "finalized_at": booked, "status": status}
        add_synced(connection, "invoices", own, id=name, **given | values)

    def line(invoice: str, amount: int, since: str | None = None, until: str | None = None, **values: Any) -> None:
        given = {"invoice_id": invoice, "id": f"{invoice}-{amount}", "currency": "eur", "amount": amount}
        period = {"period_start": since, "period_end": until}
        add_synced(connection, "invoice_line_items", own, **given | period | values)

    bill("yearly", "2024-01-16 12:00", paid_at="2024-01-16", total=104000, total_taxes=14000, amount_paid=104000)
    line(
        "yearly",
        120000,
        "2024-01-16",
        "2025-01-16",
        discount_amounts=[{"amount": 20000}],
        taxes=[{"amount": 10000, "tax_behavior": "inclusive"}, {"amount": 900, "tax_behavior": "exclusive"}],
    )
    line("yearly", 5000, "2024-01-16", "2024-01-16", discount_amounts=[], taxes=[], product_id="setup")
    bill("late", "2024-02-01", "void", voided_at="2024-03-11", total=6000, amount_due=6000)
    line("late", 6000, "2024-02-01", "2024-04-01")
    bill("lost", "2024-02-01", "uncollectible", marked_uncollectible_at="2024-03-11", total=6000, amount_remaining=6000)
    line("lost", 6000, "2024-02-01", "2024-04-01")
    bill("usage", "2024-03-02", paid_at="2024-05-10", due_date="2024-03-31", total=700, amount_paid=700, amount_due=700)
    line("usage", 700, "2024-02-01", "2024-03-01", price_id="per_gb", quantity=70)
    bill("draft", None, "draft", total=100000, amount_remaining=100000)
    line("draft", 100000, "2024-02-01", "2024-04-01")
    bill("gone", "2024-02-01", "open", amount_remaining=77, deleted_at="2024-02-02")
    line("gone", 77)


def rows(story: tuple[Workspace, Engine], query: str) -> list[Any]:
    """What the analyst of the first workspace is told."""
    with story[1].connect() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


def test_a_month_s_movements_are_the_net_of_its_days(story: tuple[Workspace, Engine]) -> None:
    found = rows(
        story,
        "SELECT customer_id, to_char(month, 'MM'), movement, reason, opening_mrr, change_mrr, closing_mrr, gap_days "
        "FROM analytics.mrr_movements_monthly WHERE currency = 'eur' ORDER BY customer_id, month",
    )
    assert found == [
        ("anna", "01", "new", "new", D(0), D(100), D(100), None),
        ("anna", "02", "expansion", "price", D(100), D(50), D(150), None),
        ("anna", "03", "churn", "cancelled", D(150), D(-150), D(0), None),
        ("anna", "05", "reactivation", "new", D(0), D(80), D(80), 43),
        ("carla", "02", "new", "new", D(0), D(40), D(40), None),
        ("carla", "03", "contraction", "paused", D(40), D(-40), D(0), None),
        ("carla", "04", "expansion", "resumed", D(0), D(40), D(40), None),
    ]


def test_a_summary_of_months(story: tuple[Workspace, Engine]) -> None:
    columns = (
        "opening_mrr, new_mrr, reactivation_mrr, expansion_mrr, contraction_mrr, churned_mrr, closing_mrr, "
        "active_subscriptions, active_customers, opening_customers, new_customers, churned_customers"
    )
    found = rows(
        story,
        f"SELECT {columns} FROM analytics.mrr_summary WHERE currency = 'eur' ORDER BY month LIMIT 6",
    )
    assert found == [
        (0, 100, 0, 0, 0, 0, 100, 1, 1, 0, 1, 0),
        (100, 40, 0, 50, 0, 0, 190, 2, 2, 1, 1, 0),
        (190, 0, 0, 0, -40, -150, 0, 0, 0, 2, 0, 1),
        (0, 0, 0, 40, 0, 0, 40, 1, 1, 0, 0, 0),
        (40, 0, 80, 0, 0, 0, 120, 2, 2, 1, 0, 0),
        (120, 0, 0, 0, 0, 0, 120, 2, 2, 2, 0, 0),
    ]
    (last,) = rows(
        story,
        "SELECT month = date_trunc('month', now() AT TIME ZONE 'UTC'), closing_mrr, arr, at_risk_mrr, estimated_mrr, "
        "reconstructed_mrr, to_char(figures_built_at, 'YYYY-MM') "
        "FROM analytics.mrr_summary WHERE currency = 'eur' ORDER BY month DESC LIMIT 1",
    )
    assert last == (True, D(120), D(1440), D(80), D(80), D(0), "2024-06")
    (yen,) = rows(
        story,
        "SELECT closing_mrr, reconstructed_mrr, arpu FROM analytics.mrr_summary WHERE currency = 'jpy' LIMIT 1",
    )
    assert yen == (D(1000), D(1000), D(1000))


def test_ratios_of_a_month(story: tuple[Workspace, Engine]) -> None:
    found = rows(
        story,
        "SELECT growth_rate, subscriber_churn_rate, revenue_churn_rate, net_revenue_retention, "
        "gross_revenue_retention, arpu, ltv, quick_ratio FROM analytics.mrr_summary WHERE currency = 'eur' "
        "AND month BETWEEN '2024-01-01' AND '2024-05-01' ORDER BY month",
    )
    assert found == [
        (None, D(0), None, None, None, D(100), None, None),
        (D("0.9"), D(0), D(0), D("1.5"), D(1), D(95), None, None),
        (D(-1), D("0.5"), D(1), D(0), D(0), None, None, D(0)),
        (None, None, None, None, None, D(40), None, None),
        (D(2), D(0), D(0), D(1), D(1), D(60), None, None),
    ]


def test_lifetime_value_and_quick_ratio_where_some_leave(database: Database) -> None:
    workspace = new_workspace(database)
    with database.tenant(workspace.id) as connection:
        left = ("2024-02-09", "churn", "cancelled", 0)
        add_movements(connection, workspace.id, "one", ("2024-01-10", "new", "new", 1000), left)
        for name, closing in (("two", 1000), ("three", 999), ("four", 1000)):
            add_movements(connection, workspace.id, name, ("2024-01-10", "new", "new", closing))
        add_movements(connection, workspace.id, "five", ("2024-02-01", "new", "new", 500))
        found = connection.execute(
            text(
                "SELECT closing_mrr, arpu, subscriber_churn_rate, ltv, quick_ratio FROM analytics.mrr_summary "
                "WHERE month = '2024-02-01'"
            )
        ).one()
    # 34.99 of four; one of the four before and the new one left: 8.7475 / (1 / 5); 5.00 came for 10.00 that went.
    assert tuple(found) == (D("34.99"), D("8.75"), D("0.2"), D("43.74"), D("0.5"))


def test_every_month_closes_with_the_sum_of_its_subscriptions(story: tuple[Workspace, Engine]) -> None:
    found = rows(
        story,
        "SELECT currency, month, closing_mrr, coalesce((SELECT sum(mrr) FROM analytics.subscription_mrr AS s "
        "WHERE s.currency = m.currency AND valid_from < month + interval '1 month' "
        "AND (valid_to IS NULL OR valid_to >= month + interval '1 month')), 0) FROM analytics.mrr_summary AS m",
    )
    assert len(found) > 12
    assert [row for row in found if row[2] != row[3]] == []


def test_other_currencies_by_the_rate_of_each_month(story: tuple[Workspace, Engine]) -> None:
    found = rows(
        story,
        "SELECT currency, rate, rate_day, opening_mrr, new_mrr, expansion_mrr, churned_mrr, contraction_mrr, fx_mrr, "
        "closing_mrr FROM analytics.mrr_summary_converted WHERE month < '2024-04-01' ORDER BY currency, month",
    )
    first, second = date(2024, 1, 1), date(2024, 2, 15)
    assert found == [
        ("eur", D("1.10"), first, 0, 110, 0, 0, 0, 0, 110),
        ("eur", D("1.20"), second, 110, 48, 60, 0, 0, 10, 228),
        ("eur", D("1.20"), second, 228, 0, 0, -180, -48, 0, 0),
        ("jpy", None, None, 0, None, None, None, None, None, None),
        ("jpy", None, None, None, None, None, None, None, None, None),
    ]


def test_what_is_known_to_end(story: tuple[Workspace, Engine]) -> None:
    found = rows(story, "SELECT subscription_id, month, scheduled_churn_mrr FROM analytics.scheduled_churn")
    assert found == [("carla", date(2199, 12, 1), D(40))]


def test_trials_by_the_month_in_which_they_ended(story: tuple[Workspace, Engine]) -> None:
    found = rows(story, "SELECT month, trials_ended, trials_converted, conversion_rate FROM analytics.trial_conversion")
    assert found == [(date(2024, 1, 1), 3, 2, D("0.666667"))]


def test_cohorts(story: tuple[Workspace, Engine]) -> None:
    found = rows(
        story,
        "SELECT to_char(cohort_month, 'MM'), months_since, cohort_customers, active_customers, cohort_mrr, mrr, "
        "customer_retention, mrr_retention FROM analytics.subscriber_cohorts "
        "WHERE currency = 'eur' AND month < '2024-06-01' ORDER BY cohort_month, months_since",
    )
    assert found == [
        ("01", 0, 2, 1, 100, 100, D("0.5"), D(1)),
        ("01", 1, 2, 1, 100, 150, D("0.5"), D("1.5")),
        ("01", 2, 2, 0, 100, 0, D(0), D(0)),
        ("01", 3, 2, 0, 100, 0, D(0), D(0)),
        ("01", 4, 2, 1, 100, 80, D("0.5"), D("0.8")),
        ("02", 0, 1, 1, 40, 40, D(1), D(1)),
        ("02", 1, 1, 0, 40, 0, D(0), D(0)),
        ("02", 2, 1, 1, 40, 40, D(1), D(1)),
        ("02", 3, 1, 1, 40, 40, D(1), D(1)),
    ]


def test_cohorts_of_a_month_are_all_who_have_mrr(story: tuple[Workspace, Engine]) -> None:
    found = rows(
        story,
        "SELECT month, currency, active_customers, closing_mrr, sum(c.active), sum(c.mrr) FROM analytics.mrr_summary "
        "JOIN (SELECT month, currency, active_customers AS active, mrr FROM analytics.subscriber_cohorts) AS c "
        "USING (month, currency) GROUP BY 1, 2, 3, 4",
    )
    assert len(found) > 12
    assert [row for row in found if row[2:4] != row[4:6]] == []


def test_what_was_billed(story: tuple[Workspace, Engine]) -> None:
    found = rows(
        story,
        "SELECT to_char(month, 'MM'), invoices, billed, taxes, total, paid, outstanding, uncollectible, voided "
        "FROM analytics.revenue_billed ORDER BY month",
    )
    assert found == [
        ("01", 1, 900, 140, 1040, 1040, 0, 0, 0),
        ("02", 1, 60, 0, 60, 0, 0, 60, 60),
        ("03", 1, 7, 0, 7, 7, 0, 0, 0),
    ]


def test_when_revenue_is_earned(story: tuple[Workspace, Engine]) -> None:
    found = rows(
        story,
        "SELECT to_char(booked_month, 'MM'), to_char(recognized_month, 'YY-MM'), recognized, written_off, deferred "
        "FROM analytics.revenue_recognized ORDER BY booked_month, recognized_month",
    )
    # 900.00 of 366 days, of which January has 16, and 50.00 at once; then 60 days of 1.00 each, twice: one is voided
    # and one given up on the 40th day, when 39 had passed.
    assert found[:2] == [
        ("01", "24-01", D("89.34"), 0, D("860.66")),
        ("01", "24-02", D("71.32"), 0, D("789.34")),
    ]
    assert [row[1] for row in found if row[0] == "01"][-1] == "25-01"
    assert [row[4] for row in found if row[0] == "01"][-1] == 0
    assert sum(row[2] for row in found if row[0] == "01") == 950
    assert [row for row in found if row[0] == "02"] == [
        ("02", "24-02", D(58), 0, D(62)),
        ("02", "24-03", D(-19), D(81), D(0)),
    ]
    # The use of February was billed in March.
    assert [row for row in found if row[0] == "03"] == [("03", "24-03", D(7), 0, D(0))]


def test_recognized_and_deferred_are_all_that_was_invoiced(story: tuple[Workspace, Engine]) -> None:
    found = rows(
        story,
        "SELECT booked_month, sum(recognized + written_off), max(booked), "
        "(SELECT sum(net) FROM analytics.revenue_lines WHERE date_trunc('month', booked_on) = booked_month) "
        "FROM analytics.revenue_recognized GROUP BY booked_month",
    )
    assert len(found) == 3
    assert [row for row in found if not row[1] == row[2] == row[3]] == []


def test_usage_and_products(story: tuple[Workspace, Engine]) -> None:
    usage = rows(
        story, "SELECT month, price_id, product_id, customers, quantity, usage_revenue FROM analytics.usage_revenue"
    )
    assert usage == [(date(2024, 3, 1), "per_gb", "storage", 1, D(70), D(7))]
    products = rows(
        story,
        "SELECT to_char(month, 'MM'), product_id, product_name, lines, revenue, uncollectible "
        "FROM analytics.product_revenue ORDER BY month, product_id",
    )
    assert products == [
        ("01", "setup", None, 1, D(50), D(0)),
        ("01", None, None, 1, D(900), D(0)),
        ("02", None, None, 1, D(60), D(60)),
        ("03", "storage", "Storage", 1, D(7), D(0)),
    ]


def test_customers(story: tuple[Workspace, Engine]) -> None:
    found = rows(
        story,
        "SELECT customer_id, currency, name, mrr, at_risk_mrr, scheduled_churn_mrr, subscriptions, first_mrr_on, "
        "last_movement, invoices, total, paid, outstanding, uncollectible FROM analytics.customer_summary ORDER BY 1",
    )
    january, february = date(2024, 1, 10), date(2024, 2, 1)
    nothing = (0, None, None, None, None)
    assert found == [
        ("anna", "eur", "Anna", 80, 80, 0, 1, january, "reactivation", 3, D("1107"), D("1047"), 0, 60),
        ("ben", "eur", None, 0, 0, 0, 0, date(2024, 1, 15), "churn", *nothing),
        ("carla", "eur", None, 40, 0, 40, 1, february, "expansion", *nothing),
        ("daiki", "jpy", None, 1000, 0, 0, 1, date(2024, 2, 11), "new", *nothing),
        ("never_billed", "eur", None, 0, 0, 0, 0, None, None, *nothing),
    ]


AGES = {
    "ahead": ("due_date", "-5", "not yet due"),
    "a_day": ("due_date", "0.5", "1-30 days"),
    "a_month": ("due_date", "29.5", "1-30 days"),
    "more": ("due_date", "30.5", "31-60 days"),
    "without_a_due_date": ("finalized_at", "45.5", "31-60 days"),
    "third": ("due_date", "89.5", "61-90 days"),
    "fourth": ("due_date", "90.5", "91-120 days"),
    "old": ("due_date", "120.5", "more than 120 days"),
}


def test_what_is_owed_by_age(database: Database) -> None:
    workspace = new_workspace(database)
    with database.tenant(workspace.id) as connection:
        for place, (name, (column, days, _bucket)) in enumerate(AGES.items()):
            at = connection.execute(text(f"SELECT now() - {days} * interval '1 day'")).scalar_one()
            given = {"id": name, "currency": "eur", "status": "open", "amount_remaining": 2**place, column: at}
            add_synced(connection, "invoices", workspace.id, **given)
        for status in ("draft", "paid", "void", "uncollectible"):
            given = {"id": status, "currency": "eur", "status": status, "amount_remaining": 99900}
            add_synced(connection, "invoices", workspace.id, **given, due_date="2024-01-01")
        add_synced(connection, "invoices", workspace.id, id="yen", currency="jpy", status="paid", amount_remaining=0)
    # Of a currency in which nothing is owed, what is kept tells.
    build_revenue(database, Source(workspace.id, workspace.slug, "stripe", uuid4(), is_test_mode=False), livemode=True)
    with database.tenant(workspace.id) as connection:
        query = "SELECT currency, bucket, invoices, remaining, uncollectible FROM {} ORDER BY currency, bucket_number"
        found = connection.execute(text(query.format("analytics.invoice_aging"))).all()
        as_of = connection.execute(
            text(query.format("analytics.invoice_aging_as_of(CAST(now() AT TIME ZONE 'UTC' AS date))"))
        ).all()
    euros = [row for row in found if row.currency == "eur"]
    expected = {row.bucket: D(0) for row in euros}
    for place, (_column, _days, bucket) in enumerate(AGES.values()):
        expected[bucket] += D(2**place) / 100
    assert {row.bucket: row.remaining for row in euros} == expected
    assert sum(row.invoices for row in euros) == len(AGES)
    assert [row.uncollectible for row in euros] == [0, 0, 0, 0, 0, 999]
    yen = [row for row in found if row.currency == "jpy"]
    assert [(row.invoices, row.remaining) for row in yen] == [(0, 0)] * 6
    # Nothing tells since when the uncollectible one is; the rest is the same.
    assert [row[:4] for row in as_of] == [row[:4] for row in found]


@pytest.mark.parametrize(
    ("day", "bucket", "remaining", "uncertain", "given_up", "undated"),
    [
        ("2024-03-01", None, 0, 0, 0, 0),
        ("2024-03-15", "not yet due", 170, 0, 0, 1),
        ("2024-04-10", "1-30 days", 170, 0, 0, 1),
        ("2024-05-09", "31-60 days", 170, 50, 0, 1),
        ("2024-05-10", "31-60 days", 70, 50, 0, 1),
        ("2024-05-20", "31-60 days", 50, 50, 20, 1),
        ("2024-12-31", "more than 120 days", 0, 0, 20, 1),
    ],
)
def test_what_was_owed_when_a_day_had_ended(
    database: Database, day: str, bucket: str | None, remaining: int, uncertain: int, given_up: int, undated: int
) -> None:
    workspace = new_workspace(database)
    with database.tenant(workspace.id) as connection:

        def add(name: str, status: str, booked: str = "2024-03-02", **values: Any) -> None:
            given = {"id": name, "currency": "eur", "status": status, "finalized_at": booked, "due_date": "2024-03-31"}
            add_synced(connection, "invoices", workspace.id, **given | values)

        add("paid", "paid", amount_paid=10000, amount_due=10000, paid_at="2024-05-10 09:00")
        add("given_up", "uncollectible", amount_remaining=2000, marked_uncollectible_at="2024-05-20")
        add("undated", "paid", amount_paid=100, amount_due=100)
        add("voided", "void", amount_due=5000, voided_at="2024-06-01")
        if day > "2024-05":
            connection.execute(
                text("UPDATE payments.invoices SET pre_payment_credit_notes_amount = 1 WHERE id = 'voided'")
            )
        found = connection.execute(
            text("SELECT * FROM analytics.invoice_aging_as_of(CAST(:day AS date))"), {"day": day}
        ).all()
    told = {row.bucket: row for row in found}
    assert len(told) == (0 if bucket is None else 6)
    assert sum(row.remaining for row in found) == remaining
    assert sum(row.uncertain for row in found) == uncertain
    assert sum(row.uncollectible for row in found) == given_up
    assert sum(row.undated_invoices for row in found) == undated
    if bucket is not None:
        assert told[bucket].remaining == remaining


@pytest.mark.parametrize(
    ("day", "remaining", "uncertain"),
    [
        # All that was invoiced; of `untold` a part of what was paid has no date.
        ("2024-03-10", 100 + 80 + 50 + 30 + 40, 40),
        # 60 of `paid_in_parts`, 30 of `open`, 20 of `voided` and 7 of `untold` were paid in April.
        ("2024-04-30", 40 + 50 + 30 + 30 + 33, 33),
        # The rest of `paid_in_parts` and `without_a_date` in May, 10 of `open` in June, when `voided` was.
        ("2024-05-31", 0 + 50 + 30 + 0 + 33, 33),
        ("2024-06-30", 0 + 40 + 0 + 0 + 33, 33),
    ],
)
def test_what_was_paid_in_parts(database: Database, day: str, remaining: int, uncertain: int) -> None:
    """An invoice is owed as far as it was not paid then, whatever has become of it since."""
    workspace = new_workspace(database)
    with database.tenant(workspace.id) as connection:

        def add(name: str, status: str, paid: int, *payments: tuple[str, int, str | None], **values: Any) -> None:
            given = {"id": name, "currency": "eur", "status": status, "finalized_at": "2024-03-02"}
            add_synced(connection, "invoices", workspace.id, **given, amount_paid=100 * paid, **values)
            for at, amount, paid_status in payments:
                of_payment = {"id": f"{name}_{at}", "invoice_id": name, "status": paid_status or "paid", "paid_at": at}
                add_synced(connection, "invoice_payments", workspace.id, **of_payment, amount_paid=100 * amount)

        in_parts = (("2024-04-15", 60, None), ("2024-05-10", 40, None))
        add("paid_in_parts", "paid", 100, *in_parts, amount_due=10000, paid_at="2024-05-10")
        of_open = (("2024-04-20", 30, None), ("2024-06-01", 10, None), ("2024-03-05", 5, "failed"))
        add("open", "open", 40, *of_open, amount_due=8000, amount_remaining=4000)
        add("voided", "void", 20, ("2024-04-02", 20, None), amount_due=5000, voided_at="2024-06-01")
        add("without_a_date", "paid", 30, ("2024-05-20", 30, None), amount_due=3000)
        add("untold", "open", 10, ("2024-04-02", 7, None), amount_due=4700, amount_remaining=3300)
        found = connection.execute(
            text("SELECT * FROM analytics.invoice_aging_as_of(CAST(:day AS date))"), {"day": day}
        ).all()
    assert sum(row.remaining for row in found) == remaining
    assert sum(row.uncertain for row in found) == uncertain
    assert sum(row.undated_invoices for row in found) == 0


@pytest.mark.parametrize("view", [view.full_name for view in views() if view.name != "currencies"])
def test_an_analyst_sees_its_own_workspace_s_rows_only(story: tuple[Workspace, Engine], view: str) -> None:
    found = rows(story, f"SELECT DISTINCT workspace_id FROM {view}")
    assert found in ([], [(story[0].id,)])
    schema, _, name = view.partition(".")
    if name in FILLED:
        assert bool(found) is (schema == "analytics")


@pytest.mark.parametrize("function", [function.signature for function in functions()])
def test_an_analyst_asks_functions_of_its_own_workspace_only(story: tuple[Workspace, Engine], function: str) -> None:
    call = function.replace("(date)", "('2024-04-01')")
    found = rows(story, f"SELECT DISTINCT workspace_id FROM {call}")
    assert found == ([] if function.startswith("analytics_test.") else [(story[0].id,)])


def test_what_was_never_synced_has_no_rows(database: Database) -> None:
    workspace = new_workspace(database)
    with database.tenant(workspace.id) as connection:
        for view in views():
            if view.name not in ("currencies", "workspaces", "completeness"):
                count = connection.execute(text(f"SELECT count(*) FROM {view.full_name}")).scalar_one()
                assert count == 0, view.full_name
