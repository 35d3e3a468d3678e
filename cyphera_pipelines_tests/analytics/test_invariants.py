"""What has to hold of the views' figures whatever the account: asked of a generated one of each provider."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, text

from cyphera_pipelines.figures.build import build_figures
from cyphera_pipelines.figures.revenue import build_revenue
from cyphera_pipelines.model.sessions import SyncRequest
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.sandbox import ChargebeeSite, SandboxAccount, SandboxServer
from cyphera_pipelines.security.encryption import Keyring
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.sync.engine import SyncJob, run_sync
from cyphera_pipelines.sync.request import open_session

HAVE_ROWS = (
    "subscription_mrr",
    "mrr_movements",
    "mrr_movements_monthly",
    "mrr_summary",
    "subscriber_cohorts",
    "invoice_aging",
    "revenue_lines",
    "revenue_billed",
    "revenue_collected",
    "revenue_recognized",
    "product_revenue",
    "customer_summary",
    "customer_revenue",
)

VIOLATIONS = {
    "what customers were billed and paid is what was billed and paid": """
        SELECT * FROM (
            SELECT currency, sum(invoices) AS invoices, sum(total) AS total, sum(paid) AS paid
            FROM customer_revenue GROUP BY 1
        ) AS customers FULL JOIN (
            SELECT currency, sum(invoices) AS invoices, sum(total) AS total, sum(paid) AS paid
            FROM revenue_billed GROUP BY 1
        ) AS months USING (currency)
        WHERE (customers.invoices, customers.total, customers.paid)
            IS DISTINCT FROM (months.invoices, months.total, months.paid)
    """,
    "what was paid in each month is what its paid invoices say": """
        SELECT * FROM (
            SELECT currency, coalesce(month, 'infinity') AS month, invoices, paid FROM revenue_collected
        ) AS collected FULL JOIN (
            SELECT currency, count(*) AS count, sum(amount_paid) AS amount,
                coalesce(CAST(date_trunc('month', paid_at AT TIME ZONE 'UTC') AS date), 'infinity') AS month
            FROM invoices WHERE status = 'paid' GROUP BY 1, 4
        ) AS told USING (currency, month)
        WHERE (count, amount) IS DISTINCT FROM (invoices, paid)
    """,
    "each day opens with what the one before it closed with": """
        SELECT * FROM (
            SELECT opening_mrr, coalesce(lag(closing_mrr) OVER days, 0) AS before
            FROM mrr_movements WINDOW days AS (PARTITION BY customer_id, currency ORDER BY day)
        ) AS days WHERE opening_mrr <> before
    """,
    "opening and change are closing, and nothing is negative": """
        SELECT * FROM mrr_movements WHERE opening_mrr + change_mrr <> closing_mrr OR opening_mrr < 0 OR closing_mrr < 0
    """,
    "the days of a month are the month": """
        SELECT * FROM (
            SELECT customer_id, currency, date_trunc('month', day)::date AS month, sum(change_mrr) AS change
            FROM mrr_movements GROUP BY 1, 2, 3
        ) AS days FULL JOIN mrr_movements_monthly USING (customer_id, currency, month)
        WHERE coalesce(change, 0) <> coalesce(change_mrr, 0)
    """,
    "a month is one movement of a customer": """
        SELECT 1 FROM mrr_movements_monthly GROUP BY customer_id, currency, month HAVING count(*) > 1
    """,
    "what comes and goes is what a month closes with": """
        SELECT * FROM mrr_summary WHERE closing_mrr <>
            opening_mrr + new_mrr + reactivation_mrr + expansion_mrr + contraction_mrr + churned_mrr
    """,
    "a month opens with what the one before it closed with": """
        SELECT * FROM (
            SELECT opening_mrr, coalesce(lag(closing_mrr) OVER months, 0) AS before,
                opening_customers, coalesce(lag(active_customers) OVER months, 0) AS customers
            FROM mrr_summary WINDOW months AS (PARTITION BY currency ORDER BY month)
        ) AS months WHERE opening_mrr <> before OR opening_customers <> customers
    """,
    "a month closes with the sum of its subscriptions": """
        SELECT * FROM mrr_summary AS m WHERE (closing_mrr, active_subscriptions) <> (
            SELECT coalesce(sum(mrr), 0), count(DISTINCT subscription_id) FILTER (WHERE mrr > 0)
            FROM subscription_mrr AS s
            WHERE s.currency = m.currency
                AND valid_from < least((month + interval '1 month') AT TIME ZONE 'UTC', now())
                AND (valid_to IS NULL OR valid_to >= least((month + interval '1 month') AT TIME ZONE 'UTC', now()))
        )
    """,
    "cohorts of a month are all who have MRR": """
        SELECT * FROM mrr_summary AS m WHERE (closing_mrr, active_customers) <> (
            SELECT sum(mrr), sum(active_customers) FROM subscriber_cohorts AS c
            WHERE (c.currency, c.month) = (m.currency, m.month)
        )
    """,
    "cohorts are as large as customers began": """
        SELECT * FROM subscriber_cohorts AS c WHERE cohort_customers <> (
            SELECT count(*) FROM mrr_movements AS m WHERE movement = 'new' AND m.currency = c.currency
                AND date_trunc('month', day) = cohort_month
        )
    """,
    "customers are all that is present": """
        SELECT * FROM (
            SELECT currency, sum(mrr) AS mrr FROM customer_summary GROUP BY currency
        ) AS customers FULL JOIN (
            SELECT currency, sum(mrr) AS present FROM subscription_mrr
            WHERE is_present AND left_out_by IS NULL GROUP BY currency
        ) AS subscriptions USING (currency) WHERE coalesce(mrr, 0) <> coalesce(present, 0)
    """,
    "buckets are what is open": """
        SELECT * FROM (
            SELECT currency, sum(remaining) AS aged, sum(invoices) AS counted, sum(uncollectible) AS given_up
            FROM invoice_aging GROUP BY currency
        ) AS buckets FULL JOIN (
            SELECT currency, coalesce(sum(amount_remaining) FILTER (WHERE status = 'open'), 0) AS remaining,
                count(*) FILTER (WHERE status = 'open') AS invoices,
                coalesce(sum(amount_remaining) FILTER (WHERE status = 'uncollectible'), 0) AS uncollectible
            FROM invoices GROUP BY currency
        ) AS told USING (currency)
        WHERE (aged, counted, given_up) IS DISTINCT FROM (remaining, invoices, uncollectible)
    """,
    "as of today is as of now": """
        SELECT * FROM invoice_aging FULL JOIN (
            SELECT currency, bucket, invoices AS counted, remaining AS aged
            FROM analytics_test.invoice_aging_as_of(CAST(now() AT TIME ZONE 'UTC' AS date))
        ) AS as_of USING (currency, bucket)
        WHERE (remaining, invoices) IS DISTINCT FROM (aged, counted) AND (remaining > 0 OR aged > 0)
    """,
    "recognized, written off and deferred are what was invoiced": """
        SELECT * FROM (
            SELECT currency, booked_month, sum(recognized + written_off) AS told, max(booked) AS booked,
                min(booked) AS least
            FROM revenue_recognized GROUP BY 1, 2
        ) AS waterfall FULL JOIN (
            SELECT currency, date_trunc('month', booked_on)::date AS booked_month, sum(net) AS net
            FROM revenue_lines GROUP BY 1, 2
        ) AS lines USING (currency, booked_month)
        WHERE (told, booked, least) IS DISTINCT FROM (net, net, net)
    """,
    "lines are their invoice's total without tax": """
        SELECT * FROM (
            SELECT invoice_id, sum(net) AS net FROM revenue_lines GROUP BY invoice_id
        ) AS lines JOIN invoices ON id = invoice_id WHERE net <> total_excluding_tax
    """,
    "products are what was billed": """
        SELECT * FROM (
            SELECT currency, month, sum(revenue) AS revenue FROM product_revenue GROUP BY 1, 2
        ) AS products FULL JOIN revenue_billed USING (currency, month) WHERE coalesce(revenue, 0) <> coalesce(billed, 0)
    """,
}


_SHARES: dict[str, Any] = {
    "discount_share": 0.3,
    "coupon_share": 0.3,
    "customer_discount_share": 0.2,
    "proration_share": 0.2,
}
ACCOUNTS: dict[str, SandboxAccount | ChargebeeSite] = {
    "stripe": SandboxAccount(
        api_key="sk_test_invariants",
        account_id="acct_invariants",
        customers=60,
        subscriptions=80,
        invoices=400,
        tax_rate_share=0.4,
        credit_share=0.2,
        **_SHARES,
    ),
    "chargebee": ChargebeeSite(
        site="invariants-test", api_key="test_invariants", customers=60, subscriptions=110, invoices=240, **_SHARES
    ),
}


@pytest.fixture(scope="module", params=ACCOUNTS)
def connection(
    request: pytest.FixtureRequest, database: Database, keyring: Keyring, add_source: Callable[..., Source]
) -> Iterator[Connection]:
    """The workspace's transaction, in which names are those of the test mode's views: that is the sandbox's data."""
    account = ACCOUNTS[request.param]
    with SandboxServer([account]) as sandbox:
        site = account.site if isinstance(account, ChargebeeSite) else None
        source = add_source(account.api_key, sandbox.url, site=site)
        session = open_session(database, source, SyncRequest())
        run_sync(SyncJob(database, keyring, source, session, SyncRequest()))
    build_figures(database, source, livemode=False)
    build_revenue(database, source, livemode=False)
    with database.tenant(source.workspace_id) as opened:
        opened.execute(text("SET LOCAL search_path = analytics_test"))
        yield opened


@pytest.mark.parametrize("view", HAVE_ROWS)
def test_there_is_something_to_hold(connection: Connection, view: str) -> None:
    assert connection.execute(text(f"SELECT count(*) FROM {view}")).scalar_one() > 0


@pytest.mark.parametrize("rule", VIOLATIONS)
def test_what_always_holds(connection: Connection, rule: str) -> None:
    found: list[Any] = [dict(row._mapping) for row in connection.execute(text(VIOLATIONS[rule]))]
    assert found == []
