"""Questions to the figures that are kept that show whether they add up: each a count and some of the rows' ids."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import text

from cyphera_pipelines.model.source import Source
from cyphera_pipelines.store.checks import SAMPLE_SIZE, Finding
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.views.apply import has_views
from cyphera_pipelines.store.views.definitions import LIVE_SCHEMA, TEST_SCHEMA


def find_broken_chains(database: Database, source: Source, *, livemode: bool) -> Finding:
    """Days on which a customer's movement is not closing less opening, or does not open as the last one closed.

    So the movements of any time add up to what its end differs from its beginning by. The ids are the customers'.
    """
    return _find(database, source, _BROKEN_CHAINS, livemode)


def find_unlike_sums(database: Database, source: Source, *, livemode: bool) -> Finding:
    """Customers whose last movement does not close at what their subscriptions' items come to.

    Both as of the last build: items may have ended by themselves since. The ids are the customers'.
    """
    return _find(database, source, _UNLIKE_SUMS, livemode)


def find_unlike_months(database: Database, source: Source, *, livemode: bool) -> Finding:
    """Months of a currency in which the movements by month do not add up to those by day."""
    return _find(database, source, _UNLIKE_MONTHS, livemode)


def find_unlike_aging(database: Database, source: Source, *, livemode: bool) -> Finding:
    """Currencies of which the buckets of `invoice_aging` do not add up to what remains of open invoices."""
    return _find(database, source, _UNLIKE_AGING, livemode)


def find_unlike_revenue(database: Database, source: Source, *, livemode: bool) -> Finding:
    """Months of a currency in which recognized, written off and deferred revenue do not add up to the invoices' lines.

    Or in which what was billed for products does not; without months of which something was written since the last
    build.
    """
    return _find(database, source, _UNLIKE_REVENUE, livemode)


def _find(database: Database, source: Source, found: str, livemode: bool) -> Finding:
    found = found.replace(":schema", LIVE_SCHEMA if livemode else TEST_SCHEMA)
    statement = f"SELECT id, count(*) OVER () FROM ({found}) AS found ORDER BY id LIMIT {SAMPLE_SIZE}"
    parameters: Mapping[str, Any] = {
        "workspace_id": source.workspace_id,
        "provider": source.provider,
        "livemode": livemode,
    }
    with database.tenant(source.workspace_id) as connection:
        if LIVE_SCHEMA in statement and not has_views(connection):
            return Finding(0, ())
        rows = connection.execute(text(statement), parameters).all()
    return Finding(rows[0][1] if rows else 0, tuple(row[0] for row in rows))


_OF_SOURCE = "workspace_id = :workspace_id AND provider = :provider AND livemode = :livemode"
_BROKEN_CHAINS = f"""
    SELECT customer_id AS id FROM (
        SELECT customer_id, opening, closing, change,
            lag(closing, 1, CAST(0 AS bigint)) OVER (PARTITION BY customer_id, currency ORDER BY day) AS before
        FROM figures.mrr_movements WHERE {_OF_SOURCE}
    ) AS movement
    WHERE change <> closing - opening OR change = 0 OR opening <> before
"""
_UNLIKE_SUMS = f"""
    SELECT coalesce(item.customer_id, movement.customer_id) AS id
    FROM (
        SELECT coalesce(customer_id, '') AS customer_id, currency, sum(mrr) AS mrr
        FROM figures.subscription_mrr, (SELECT built_at FROM figures.figure_builds WHERE {_OF_SOURCE}) AS build
        WHERE {_OF_SOURCE} AND currency IS NOT NULL AND valid_from <= built_at
        AND (valid_to IS NULL OR valid_to > built_at)
        GROUP BY 1, 2
    ) AS item
    FULL JOIN (
        SELECT DISTINCT ON (customer_id, currency) customer_id, currency, closing AS mrr
        FROM figures.mrr_movements WHERE {_OF_SOURCE} ORDER BY customer_id, currency, day DESC
    ) AS movement ON movement.customer_id = item.customer_id AND movement.currency = item.currency
    WHERE coalesce(item.mrr, 0) <> coalesce(movement.mrr, 0)
"""
_REVENUE_BUILT_AT = f"SELECT coalesce(max(built_at), '-infinity') FROM figures.revenue_builds WHERE {_OF_SOURCE}"
_IN_VIEW = "workspace_id = :workspace_id AND provider = :provider"
_UNLIKE_MONTHS = f"""
    SELECT currency || ' in ' || month AS id
    FROM (
        SELECT currency, month, sum(change_mrr) AS amount FROM :schema.mrr_movements_monthly
        WHERE {_IN_VIEW} GROUP BY 1, 2
    ) AS by_month
    FULL JOIN (
        SELECT currency, CAST(date_trunc('month', CAST(day AS timestamp)) AS date) AS month,
            sum(change) * analytics.unit(:provider, currency) AS amount
        FROM figures.mrr_movements WHERE {_OF_SOURCE} GROUP BY 1, 2
    ) AS by_day USING (currency, month)
    WHERE coalesce(by_month.amount, 0) <> coalesce(by_day.amount, 0)
"""
_UNLIKE_AGING = f"""
    SELECT coalesce(aged.currency, owed.currency) AS id
    FROM (
        SELECT currency, sum(remaining) AS amount FROM :schema.invoice_aging WHERE {_IN_VIEW} GROUP BY 1
    ) AS aged
    FULL JOIN (
        SELECT currency, sum(amount_remaining) * analytics.unit(:provider, currency) AS amount FROM payments.invoices
        WHERE {_OF_SOURCE} AND deleted_at IS NULL AND status = 'open' GROUP BY 1
    ) AS owed ON owed.currency = aged.currency
    WHERE coalesce(aged.amount, 0) <> coalesce(owed.amount, 0)
"""
_MONTH = "CAST(date_trunc('month', coalesce(finalized_at, effective_at, created) AT TIME ZONE 'UTC') AS date)"
_UNLIKE_REVENUE = f"""
    SELECT currency || ' booked in ' || month AS id
    FROM (
        SELECT currency, booked_month AS month, sum(recognized + written_off) AS amount,
            max(booked) AS booked, (array_agg(deferred ORDER BY recognized_month DESC))[1] AS deferred
        FROM :schema.revenue_recognized WHERE {_IN_VIEW} GROUP BY 1, 2
    ) AS earned
    FULL JOIN (
        SELECT currency, CAST(date_trunc('month', CAST(booked_on AS timestamp)) AS date) AS month, sum(net) AS amount,
            coalesce(sum(net) FILTER (WHERE status <> 'void'), 0) AS not_void
        FROM :schema.revenue_lines WHERE {_IN_VIEW} GROUP BY 1, 2
    ) AS invoiced USING (currency, month)
    LEFT JOIN (
        SELECT currency, month, sum(revenue) AS amount FROM :schema.product_revenue WHERE {_IN_VIEW} GROUP BY 1, 2
    ) AS billed USING (currency, month)
    WHERE (coalesce(earned.amount, 0) <> coalesce(invoiced.amount, 0) OR earned.booked <> invoiced.amount
        OR earned.deferred <> 0 OR coalesce(billed.amount, 0) <> invoiced.not_void)
    AND month NOT IN (
        SELECT {_MONTH} FROM payments.invoices WHERE {_OF_SOURCE} AND synced_at > ({_REVENUE_BUILT_AT})
        UNION ALL
        SELECT {_MONTH} FROM payments.invoices WHERE {_OF_SOURCE} AND id IN (
            SELECT invoice_id FROM payments.invoice_line_items
            WHERE {_OF_SOURCE} AND synced_at > ({_REVENUE_BUILT_AT})
        )
    )
"""
