"""What building figures takes, MRR and revenue: of 100,000 subscriptions, bills of 36 months and states of 24 of them.

The rows are made in the database. Each renewal is a state of its own, as with a provider; a fifth of the subscriptions
change their quantity, a tenth have a discount that ends, and a fifth have ended.
"""

import secrets
from datetime import UTC, datetime
from uuid import uuid4

from sqlalchemy import text

from cyphera_pipelines.figures.all_figures import build_all
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.workspaces import create_workspace
from cyphera_pipelines_tests.benchmarks.consumption import measured
from cyphera_pipelines_tests.benchmarks.figures import Result
from cyphera_pipelines_tests.benchmarks.workbench import Workbench

SUBSCRIPTIONS = 100_000
MONTHS, OBSERVED = 36, 24
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def run(bench: Workbench) -> Result:
    """Build everything, build it again, and build after a hundredth of the subscriptions changed."""
    result, subscriptions = Result("figures"), max(200, round(SUBSCRIPTIONS * bench.scale))
    workspace = create_workspace(bench.database, f"figures-{secrets.token_hex(4)}")
    source = Source(workspace.id, workspace.slug, "stripe", uuid4(), is_test_mode=False)
    with bench.console.status(f"Making {subscriptions:,} subscriptions of {MONTHS} months"):
        make_rows(bench.database, source, subscriptions)
    result.add("subscriptions", subscriptions)
    with bench.console.status("Building"):
        _build(bench, source, result, "everything", target=30.0)
        _build(bench, source, result, "unchanged, in full", full=True)
        _settle(bench.database, source)
        _build(bench, source, result, "unchanged")
        _change(bench.database, source)
        _build(bench, source, result, "1 % changed", target=result.value("everything") * 0.05)
    return result


def make_rows(database: Database, source: Source, subscriptions: int) -> None:
    """Fill the source's tables and history."""
    values = {"id": source.workspace_id, "count": subscriptions, "months": MONTHS, "observed": OBSERVED, "now": NOW}
    with database.control() as connection:
        connection.execute(text("SET LOCAL synchronous_commit = off"))
        for statement in _MAKE:
            used = {name: value for name, value in values.items() if f":{name}" in statement}
            connection.execute(text(statement), used)
    # As the server does by itself some minutes after a first load.
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for table in ("subscription_history", "subscriptions", "invoices", "invoice_line_items", "prices"):
            connection.execute(text(f"VACUUM ANALYZE payments.{table}"))


def _build(
    bench: Workbench, source: Source, result: Result, name: str, *, full: bool = False, target: float | None = None
) -> None:
    """What it took by the clock, what of it was Postgres' processor time, and how many rows were written."""
    with measured(bench.home) as consumption:
        built, revenue = build_all(bench.database, source, livemode=True, as_of=NOW, full=full)
    result.add(name, consumption.wall, "s", target=target)
    result.add(f"{name}: Postgres' CPU", consumption.server_cpu, "s")
    result.add(f"{name}: rows", built.written + revenue.written)


def _settle(database: Database, source: Source) -> None:
    """As if all of it had been written long ago."""
    with database.control() as connection:
        for table in ("figure_builds", "revenue_builds"):
            connection.execute(
                text(f"UPDATE figures.{table} SET seen_until = now() + interval '1 second' WHERE workspace_id = :id"),
                {"id": source.workspace_id},
            )


def _change(database: Database, source: Source) -> None:
    """A hundredth of the subscriptions have another quantity, and another of their newest invoices."""
    with database.control() as connection:
        for statement in (_CHANGE_STATES, _CHANGE_INVOICES):
            connection.execute(text(statement), {"id": source.workspace_id, "now": NOW})


_KEY = ":id, 'stripe', true"
_TAIL = "CAST('' AS bytea), timestamptz '2025-12-31'"
_START = "CAST(:now AS timestamptz) - :months * interval '1 month' + (at % 28) * interval '1 day'"
_ITEM = """
    jsonb_build_array(jsonb_build_object(
        'id', 'si_' || at, 'occurrence', 0, 'price_id', 'price_' || at % 200, 'product_id', 'prod_' || at % 50,
        'currency', 'usd', 'unit_amount_decimal', CAST(1000 + at % 200 AS text),
        'quantity', at % 9 + 1 + CASE WHEN at % 5 = 0 AND month > :observed / 2 THEN 1 ELSE 0 END,
        'created', extract(epoch FROM begins), 'current_period_start', extract(epoch FROM starts),
        'current_period_end', extract(epoch FROM starts + interval '1 month'),
        'price', jsonb_build_object(
            'currency', 'usd', 'unit_amount_decimal', CAST(1000 + at % 200 AS text), 'billing_scheme', 'per_unit',
            'tiers_mode', NULL, 'type', 'recurring', 'recurring_interval', 'month', 'recurring_interval_count', 1,
            'recurring_usage_type', 'licensed', 'transform_quantity_divide_by', NULL,
            'transform_quantity_round', NULL, 'tax_behavior', 'exclusive', 'tiers', NULL)))
"""
_MAKE = (
    f"""
    INSERT INTO payments.prices (workspace_id, provider, livemode, id, created, product_id, type, currency,
        unit_amount_decimal, billing_scheme, recurring_interval, recurring_interval_count, recurring_usage_type,
        content_hash, source_version)
    SELECT {_KEY}, 'price_' || at, now(), 'prod_' || at % 50, 'recurring', 'usd', 1000 + at, 'per_unit', 'month', 1,
        'licensed', {_TAIL} FROM generate_series(0, 199) AS at
    """,
    f"""
    INSERT INTO payments.invoices (workspace_id, provider, livemode, id, created, customer_id, subscription_id, status,
        currency, total, content_hash, source_version)
    SELECT {_KEY}, 'in_' || at || '_' || month, {_START} + month * interval '1 month', 'cus_' || at * 4 / 5,
        'sub_' || at, CASE WHEN (at + month) % 50 = 0 THEN 'void' ELSE 'paid' END, 'usd', 5000, {_TAIL}
    FROM generate_series(1, :count) AS at, generate_series(0, :months - 1) AS month
    """,
    f"""
    INSERT INTO payments.invoice_line_items (workspace_id, provider, livemode, id, invoice_id, line_index, amount,
        currency, quantity, price_id, product_id, parent_type, subscription_id, subscription_item_id, proration,
        period_start, period_end, content_hash, source_version)
    SELECT {_KEY}, 'il_' || at || '_' || month, 'in_' || at || '_' || month, 0, (1000 + at % 200) * (at % 9 + 1), 'usd',
        at % 9 + 1, 'price_' || at % 200, 'prod_' || at % 50, 'subscription_item_details', 'sub_' || at, 'si_' || at,
        false, {_START} + month * interval '1 month', {_START} + (month + 1) * interval '1 month', {_TAIL}
    FROM generate_series(1, :count) AS at, generate_series(0, :months - 1) AS month
    """,
    f"""
    INSERT INTO payments.subscription_history (workspace_id, provider, livemode, subscription_id, held_at, customer_id,
        status, currency, created, start_date, ended_at, cancel_at_period_end, items, discounts, tax_rates)
    SELECT {_KEY}, 'sub_' || at, starts, 'cus_' || at * 4 / 5,
        CASE WHEN at % 5 = 1 AND month = :observed - 1 THEN 'canceled' ELSE 'active' END, 'usd', begins, begins,
        CASE WHEN at % 5 = 1 AND month = :observed - 1 THEN starts END, false, {_ITEM},
        CASE WHEN at % 10 = 0 THEN jsonb_build_array(jsonb_build_object(
            'id', 'di_' || at, 'subscription_item_id', NULL, 'position', 0, 'coupon_id', 'coupon', 'kind', 'percent',
            'percent_off', '20', 'duration', 'repeating', 'duration_in_months', 30,
            'starts_at', extract(epoch FROM begins),
            'ends_at', extract(epoch FROM begins + interval '30 months'), 'product_ids', NULL)) ELSE '[]' END, '[]'
    FROM generate_series(1, :count) AS at
    CROSS JOIN LATERAL (SELECT {_START} AS begins) AS beginning
    CROSS JOIN LATERAL (
        SELECT month, begins + (:months - :observed + month) * interval '1 month' AS starts
        FROM generate_series(0, :observed - 1) AS month
    ) AS renewal
    """,
)
_CHANGE_STATES = """
    INSERT INTO payments.subscription_history (workspace_id, provider, livemode, subscription_id, held_at, customer_id,
        status, currency, created, start_date, ended_at, cancel_at_period_end, items, discounts, tax_rates, recorded_at)
    SELECT workspace_id, provider, livemode, subscription_id, CAST(:now AS timestamptz) - interval '1 minute',
        customer_id, status, currency, created, start_date, ended_at, cancel_at_period_end,
        jsonb_set(items, '{0,quantity}', '100'), discounts, tax_rates, now() + interval '2 seconds'
    FROM (
        SELECT DISTINCT ON (subscription_id) * FROM payments.subscription_history
        WHERE workspace_id = :id AND right(subscription_id, 2) = '07' ORDER BY subscription_id, held_at DESC
    ) AS latest
"""
_CHANGE_INVOICES = """
    UPDATE payments.invoices SET amount_paid = 5000, synced_at = now() + interval '2 seconds'
    WHERE workspace_id = :id AND right(subscription_id, 2) = '07'
    AND created > CAST(:now AS timestamptz) - interval '1 month'
"""
