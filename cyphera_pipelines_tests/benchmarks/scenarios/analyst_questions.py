"""What the example questions of docs/examples take on a million invoices with their lines, asked as an analyst.

The rows are made in the database: a workspace has nine tenths of them, another one the rest.
"""

import secrets
import time
from pathlib import Path
from uuid import uuid4

from sqlalchemy import Connection, create_engine, text
from sqlalchemy.pool import NullPool

from cyphera_pipelines.figures.revenue import build_revenue
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.model.workspace import Workspace
from cyphera_pipelines.store.analysts import create_analyst, remove_analyst
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.tables import synced_tables
from cyphera_pipelines.store.workspaces import create_workspace
from cyphera_pipelines_tests.benchmarks.figures import Result
from cyphera_pipelines_tests.benchmarks.workbench import Workbench

INVOICES = 1_000_000
LINES = 2
"""Of each invoice."""
CUSTOMERS_PER_THOUSAND = 50
"""Customers, and as many subscriptions, to a thousand invoices."""
LONGEST_LINE = 160
"""Of a plan: what an amount's unit is takes a thousand characters."""

EXAMPLES = Path(__file__).parents[3] / "docs" / "examples"
LOOK_UPS = {
    "invoices of one customer": "SELECT * FROM analytics.invoices WHERE customer_id = 'cus_7'",
    "invoices of one subscription": "SELECT * FROM analytics.invoices WHERE subscription_id = 'sub_7'",
    "one invoice with its lines": (
        "SELECT * FROM analytics.invoices i JOIN analytics.invoice_line_items l "
        "ON (l.workspace_id, l.provider, l.invoice_id) = (i.workspace_id, i.provider, i.id) WHERE i.id = 'in_7'"
    ),
}


def run(bench: Workbench) -> Result:
    """Make the rows, ask each question twice, and show the second time and its plan."""
    result, invoices = Result("analyst_questions"), max(1_000, round(INVOICES * bench.scale))
    most, rest = (create_workspace(bench.database, f"questions-{secrets.token_hex(4)}") for _ in range(2))
    for workspace, share in ((most, 0.9), (rest, 0.1)):
        with bench.console.status(f"Making {round(invoices * share):,} invoices with their lines"):
            make_rows(bench.database, workspace, round(invoices * share))
    with bench.database.control() as connection:
        for table in synced_tables.values():
            connection.execute(text(f"ANALYZE {table.fullname}"))
    result.add("invoices", round(invoices * 0.9))
    for workspace in (most, rest):
        source = Source(workspace.id, workspace.slug, "stripe", uuid4(), is_test_mode=False)
        with bench.console.status("Counting what was billed"):
            began = time.monotonic()
            build_revenue(bench.database, source, livemode=True)
        if workspace is most:
            result.add("counting what was billed, once", time.monotonic() - began, "s")
    questions = {file.stem: file.read_text(encoding="utf-8") for file in sorted(EXAMPLES.glob("*.sql"))}
    login = create_analyst(bench.database, f"asking_{most.id.hex[:12]}", [most])
    url = bench.database.engine.url.set(username=login.role_name, password=login.password)
    try:
        with create_engine(url, poolclass=NullPool).connect() as connection:
            for name, question in (questions | LOOK_UPS).items():
                with bench.console.status(f"Asking: {name}"):
                    _ask(connection, question)
                    result.add(name, _ask(connection, question), "s", target=1.0)
                    result.notes.append(f"{name}\n{_plan(connection, question)}")
    finally:
        remove_analyst(bench.database, login.role_name)
    return result


def make_rows(database: Database, workspace: Workspace, invoices: int) -> None:
    """Fill the workspace's tables: invoices of three years, in two currencies, each of a customer and subscription."""
    others = max(1, invoices * CUSTOMERS_PER_THOUSAND // 1_000)
    values = {"id": workspace.id, "invoices": invoices, "others": others, "lines": LINES}
    with database.control() as connection:
        for statement in _MAKE:
            connection.execute(
                text(statement), {name: value for name, value in values.items() if f":{name}" in statement}
            )


def _ask(connection: Connection, question: str) -> float:
    began = time.monotonic()
    connection.exec_driver_sql(question.replace("%", "%%")).all()
    return time.monotonic() - began


def _plan(connection: Connection, question: str) -> str:
    explain = f"EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, BUFFERS OFF, SUMMARY OFF) {question}"
    lines = connection.exec_driver_sql(explain.replace("%", "%%")).scalars().all()
    return "\n".join(f"  {line[:LONGEST_LINE]}" for line in lines)


_KEY = ":id, 'stripe', true"
_TAIL = "CAST('' AS bytea), now()"
_SINCE = "timestamptz '2026-01-01' - at * interval '3 years' / :others"
_CURRENCY = "CASE WHEN at % 4 = 0 THEN 'eur' ELSE 'usd' END"
_MAKE = (
    f"""
    INSERT INTO payments.customers (workspace_id, provider, livemode, id, created, name, email, content_hash,
        source_version)
    SELECT {_KEY}, 'cus_' || at, {_SINCE}, 'Customer ' || at, at || '@customers.example', {_TAIL}
    FROM generate_series(1, :others) AS at
    """,
    f"""
    INSERT INTO payments.products (workspace_id, provider, livemode, id, created, name, content_hash, source_version)
    SELECT {_KEY}, 'prod_' || at, now(), 'Product ' || at, {_TAIL} FROM generate_series(1, 50) AS at
    """,
    f"""
    INSERT INTO payments.prices (workspace_id, provider, livemode, id, created, product_id, currency, unit_amount,
        recurring_interval, recurring_interval_count, content_hash, source_version)
    SELECT {_KEY}, 'price_' || at, now(), 'prod_' || at % 50 + 1, 'usd', 1000 + at, 'month', 1, {_TAIL}
    FROM generate_series(1, 200) AS at
    """,
    f"""
    INSERT INTO payments.subscriptions (workspace_id, provider, livemode, id, created, start_date, customer_id, status,
        currency, ended_at, cancel_at_period_end, content_hash, source_version)
    SELECT {_KEY}, 'sub_' || at, {_SINCE}, {_SINCE}, 'cus_' || at,
        CASE WHEN at % 5 = 0 THEN 'canceled' ELSE 'active' END, {_CURRENCY},
        CASE WHEN at % 5 = 0 THEN timestamptz '2026-01-01' END, at % 50 = 0, {_TAIL}
    FROM generate_series(1, :others) AS at
    """,
    f"""
    INSERT INTO payments.subscription_items (workspace_id, provider, livemode, id, subscription_id, price_id,
        product_id, currency, quantity, content_hash, source_version)
    SELECT {_KEY}, 'si_' || at, 'sub_' || at, 'price_' || at % 200 + 1, 'prod_' || at % 50 + 1, {_CURRENCY},
        at % 9 + 1, {_TAIL}
    FROM generate_series(1, :others) AS at
    """,
    f"""
    INSERT INTO payments.invoices (workspace_id, provider, livemode, id, created, customer_id, subscription_id, status,
        currency, total, amount_due, amount_paid, amount_remaining, due_date, finalized_at, paid_at, content_hash,
        source_version)
    SELECT {_KEY}, 'in_' || at, moment, 'cus_' || at % :others + 1, 'sub_' || at % :others + 1,
        CASE WHEN at % 20 = 0 THEN 'open' ELSE 'paid' END, {_CURRENCY}, 5000, 5000,
        CASE WHEN at % 20 = 0 THEN 0 ELSE 5000 END, CASE WHEN at % 20 = 0 THEN 5000 ELSE 0 END,
        moment + interval '14 days', moment, CASE WHEN at % 20 > 0 THEN moment + interval '1 day' END, {_TAIL}
    FROM (
        SELECT at, timestamptz '2026-01-01' - at * interval '3 years' / :invoices AS moment
        FROM generate_series(1, :invoices) AS at
    ) AS invoice
    """,
    f"""
    INSERT INTO payments.invoice_line_items (workspace_id, provider, livemode, id, invoice_id, line_index, amount,
        currency, quantity, price_id, product_id, subscription_id, period_start, period_end, content_hash,
        source_version)
    SELECT {_KEY}, 'il_' || at || '_' || line, 'in_' || at, line, 2500, {_CURRENCY}, 1,
        'price_' || (at + line) % 200 + 1, 'prod_' || (at + line) % 50 + 1, 'sub_' || at % :others + 1, moment,
        moment + CASE WHEN at % 10 = 0 THEN interval '1 year' ELSE interval '1 month' END, {_TAIL}
    FROM (
        SELECT at, timestamptz '2026-01-01' - at * interval '3 years' / :invoices AS moment
        FROM generate_series(1, :invoices) AS at
    ) AS invoice, generate_series(0, :lines - 1) AS line
    """,
)
