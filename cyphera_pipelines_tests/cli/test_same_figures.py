"""A generated account's MRR: the same in SQL as an analyst, in pandas, in an export, explained, and in the report."""

import csv
import io
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from cyphera_pipelines.analytics import Workspace
from cyphera_pipelines.sandbox import ChargebeeSite, SandboxAccount, SandboxServer
from cyphera_pipelines.store.analysts import create_analyst, remove_analyst
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.explanations import explain_customer
from cyphera_pipelines.store.workspaces import find_workspace
from cyphera_pipelines_tests.cli.command import Cyphera, ForkedCyphera
from cyphera_pipelines_tests.cli.conftest import AddSource

pytestmark = pytest.mark.slow

_BUSINESS: dict[str, Any] = {
    "seed": 11,
    "customers": 90,
    "products": 8,
    "prices": 40,
    "subscriptions": 120,
    "invoices": 400,
    "discount_share": 0.2,
    "coupon_share": 0.4,
    "customer_discount_share": 0.1,
    "tax_rate_share": 0.3,
}
ACCOUNTS: dict[str, SandboxAccount | ChargebeeSite] = {
    "stripe": SandboxAccount(api_key="sk_live_samefigures", account_id="acct_samefigures", **_BUSINESS),
    "chargebee": ChargebeeSite(site="samefigures", api_key="live_samefigures", **_BUSINESS),
}
ByCurrency = dict[str, Decimal]
ByCustomer = dict[tuple[str, str], Decimal]


@dataclass(frozen=True)
class Counted:
    """What an analyst's login is told of the account that was synced and counted."""

    slug: str
    provider: str
    by_currency: ByCurrency
    by_customer: ByCustomer


@pytest.fixture(scope="module", params=ACCOUNTS)
def counted(
    request: pytest.FixtureRequest,
    forked: ForkedCyphera,
    add_source: AddSource,
    sandbox: SandboxServer,
    cli_database: Database,
) -> Iterator[Counted]:
    provider, account = request.param, ACCOUNTS[request.param]
    sandbox.state.put_account(account)
    slug = add_source(account.api_key, site=account.site if isinstance(account, ChargebeeSite) else None)
    forked("sync", slug, provider).done()
    forked("figures", "build", slug, provider).done()
    login = create_analyst(cli_database, f"same_{slug.replace('-', '_')}", [find_workspace(cli_database, slug)])
    url = cli_database.engine.url.set(username=login.role_name, password=login.password)
    with create_engine(url, poolclass=NullPool).connect() as connection:
        rows = connection.execute(
            text(
                "SELECT customer_id, currency, sum(mrr) AS mrr FROM analytics.subscription_mrr "
                "WHERE is_present GROUP BY 1, 2 HAVING sum(mrr) > 0"
            )
        ).all()
    by_currency: ByCurrency = defaultdict(Decimal)
    for row in rows:
        by_currency[row.currency] += row.mrr
    yield Counted(slug, provider, dict(by_currency), {(row.customer_id, row.currency): row.mrr for row in rows})
    remove_analyst(cli_database, login.role_name)


@pytest.fixture
def opened(counted: Counted, cyphera: Cyphera, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    monkeypatch.setenv("CYPHERA_HOME", str(cyphera.home))
    with Workspace(counted.slug) as workspace:
        yield workspace


def test_there_is_something_to_compare(counted: Counted) -> None:
    assert {"usd", "eur", "jpy"} <= set(counted.by_currency)
    assert len(counted.by_customer) > 20


def test_pandas(counted: Counted, opened: Workspace) -> None:
    months = opened.mrr("month").groupby("currency", observed=True)["mrr"].last().to_dict()
    days = opened.mrr("day").groupby("currency", observed=True)["mrr"].last().to_dict()
    assert _positive(months) == _positive(days) == counted.by_currency
    customers = opened.mrr("customer")
    told = {(row.customer_id, row.currency): row.mrr for row in customers.itertuples()}
    assert told == counted.by_customer


def test_an_export(counted: Counted, forked: ForkedCyphera) -> None:
    rows = list(csv.DictReader(io.StringIO(forked("export", counted.slug, "analytics.mrr_summary").done())))
    last = {row["currency"]: Decimal(row["closing_mrr"]) for row in sorted(rows, key=lambda row: row["month"])}
    assert _positive(last) == counted.by_currency


def test_every_customer_explained(counted: Counted, cli_database: Database) -> None:
    workspace = find_workspace(cli_database, counted.slug)
    told: ByCustomer = {}
    for customer in {customer for customer, _currency in counted.by_customer}:
        explained = explain_customer(cli_database, workspace, customer, is_test_mode=False)
        told |= {(customer, currency): mrr for currency, mrr in explained.mrr.items() if mrr}
        for item in explained.items:
            adding = [step for step in item.steps if step.kind != "mrr" and step.amount is not None]
            # Each step leads from the result of the one before it to its own, to the last digit that is told.
            for before, step in zip([None, *adding], adding, strict=False):
                assert abs((before.result or 0 if before else 0) + step.amount - step.result) < Decimal("1e-10")  # type: ignore[operator]
            rounded = [step for step in item.steps if step.kind == "rounding"]
            for step in rounded:
                exponent = (item.mrr or Decimal()).as_tuple().exponent
                assert isinstance(exponent, int)
                assert abs(step.amount or Decimal()) <= Decimal(1).scaleb(exponent) / 2
    assert told == counted.by_customer


def test_explain_shows_it(counted: Counted, forked: ForkedCyphera) -> None:
    (customer, currency), mrr = max(counted.by_customer.items(), key=lambda each: each[1])
    assert f"MRR in {currency.upper()}: {mrr:,f}" in forked("explain", counted.slug, customer).done()


def test_the_report(counted: Counted, forked: ForkedCyphera, tmp_path: Path) -> None:
    target = tmp_path / "report.html"
    forked("report", counted.slug, "--out", str(target)).done()
    page = target.read_text(encoding="utf-8")
    assert len(page.encode()) < 1_000_000
    for currency, mrr in counted.by_currency.items():
        section = page.split(f"<h2>{counted.provider}, {currency.upper()}</h2>")[1].split("<h2>")[0]
        assert f'<dt>MRR</dt><dd class="value">{mrr:,f}</dd>' in section


def _positive(sums: dict[str, Decimal]) -> ByCurrency:
    """Of a currency in which nothing is left there is a 0 in what tells of months."""
    return {currency: mrr for currency, mrr in sums.items() if mrr}
