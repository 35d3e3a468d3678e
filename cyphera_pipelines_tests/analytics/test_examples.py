"""The example questions of docs/examples, asked as an analyst would: each has an answer, of one workspace alone."""

import re
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.pool import NullPool

from cyphera_pipelines.store.analysts import create_analyst, remove_analyst
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.workspaces import find_workspace
from cyphera_pipelines_tests.analytics.conftest import Synced

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
FILES = sorted(str(file.relative_to(EXAMPLES)) for file in EXAMPLES.rglob("*.sql"))
FILTERS = {
    "currency": "'usd'",
    "since": "timestamptz '2000-01-01'",
    "workspace": "(SELECT min(slug) FROM analytics.workspaces)",
}


@pytest.fixture(scope="module")
def analyst(database: Database, synced: Synced) -> Iterator[Connection]:
    workspace = find_workspace(database, synced.own.workspace_slug)
    login = create_analyst(database, f"examples_{workspace.id.hex[:12]}", [workspace])
    url = database.engine.url.set(username=login.role_name, password=login.password)
    with create_engine(url, poolclass=NullPool).connect() as connection:
        yield connection
    remove_analyst(database, login.role_name)


def question(file: str, *, filtered: bool) -> str:
    """The file's SQL, of the test mode in which the sandbox's data is, and as Metabase and Grafana send it."""
    sql = (EXAMPLES / file).read_text(encoding="utf-8")
    sql = re.sub(r"\[\[(.*?)\]\]", r"\1" if filtered else "", sql)
    sql = re.sub(r"\{\{(\w+)\}\}", lambda found: FILTERS[found[1]], sql)
    sql = re.sub(r"\$__timeFilter\((\w+)\)", r"\1 BETWEEN '2000-01-01' AND '2100-01-01'", sql)
    sql = re.sub(r"\$__timeGroup\((\w+), '1d'\)", r"date_bin('1 day', \1, '2000-01-01')", sql)
    return re.sub(r"\banalytics\.(?!unit|currencies|workspaces)", "analytics_test.", sql)


@pytest.mark.parametrize("filtered", [False, True], ids=["", "filtered"])
@pytest.mark.parametrize("file", FILES)
def test_every_example_has_an_answer(analyst: Connection, file: str, filtered: bool) -> None:
    assert analyst.exec_driver_sql(question(file, filtered=filtered).replace("%", "%%")).all()


@pytest.mark.parametrize("file", FILES)
def test_no_example_sums_across_currencies(file: str) -> None:
    sql = (EXAMPLES / file).read_text(encoding="utf-8")
    if re.search(r"sum\((\w+\.)?(amount|total)", sql):
        assert re.search(r"GROUP BY .*(currency|\b1, 2\b)", sql, re.DOTALL), file


def test_revenue_by_month_is_what_the_rows_say(database: Database, synced: Synced, analyst: Connection) -> None:
    rows = text(
        "SELECT paid_at, currency, amount_paid FROM payments.invoices "
        "WHERE workspace_id = :id AND status = 'paid' AND deleted_at IS NULL AND paid_at IS NOT NULL"
    )
    expected: dict[tuple[datetime, str], Decimal] = defaultdict(Decimal)
    with database.control() as connection:
        for row in connection.execute(rows, {"id": synced.own.workspace_id}):
            at = row.paid_at.astimezone(UTC)
            unit = Decimal(1) if row.currency == "jpy" else Decimal("0.01")
            expected[at.date().replace(day=1), row.currency] += row.amount_paid * unit
    answered = analyst.exec_driver_sql(question("revenue_by_month.sql", filtered=False)).all()
    assert {(row.month, row.currency): row.paid for row in answered if row.month is not None} == expected
