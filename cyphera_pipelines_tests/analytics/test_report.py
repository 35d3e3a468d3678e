"""The report as a page: its numbers, what it says of what is not known, and that it is harmless and alone."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree

import pytest
from sqlalchemy import Connection, insert, text

from cyphera_pipelines.analytics import Workspace
from cyphera_pipelines.analytics.report.contents import Report, read_report
from cyphera_pipelines.analytics.report.rendering import render
from cyphera_pipelines.figures.revenue import build_revenue
from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.store.completeness import NotAvailableError, find_figures
from cyphera_pipelines.store.cursors import complete_listing
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.tables import figure_builds, mrr_movements, subscription_mrr
from cyphera_pipelines.store.workspaces import find_workspace

HOSTILE = '</table><script>alert("1")</script><img src=https://evil.example/x onerror=alert(2)> & Söhne'
VOID = {"meta", "br", "img", "input", "hr", "link"}
BEGAN = datetime.now(UTC).replace(day=1) - timedelta(days=70)


@pytest.fixture(scope="module")
def source(database: Database, add_source: Callable[..., Source]) -> Source:
    """Live data in three currencies, and test data of the same workspace; invoices of the live mode only."""
    made = add_source("sk_live_report")
    with database.tenant(made.workspace_id) as connection:
        for livemode, figures in ((True, {"usd": 123456, "jpy": 98765, "kwd": 1234567}), (False, {"usd": 777})):
            complete_listing(connection, made, Entity.SUBSCRIPTIONS, BEGAN, livemode=livemode, mapping_version=1)
            if livemode:
                complete_listing(connection, made, Entity.INVOICES, BEGAN, livemode=True, mapping_version=1)
            add_figures(connection, made, figures, livemode=livemode)
    build_revenue(database, made, livemode=True)
    return made


def add_figures(connection: Connection, source: Source, figures: dict[str, int], *, livemode: bool) -> None:
    """A customer with MRR of that much in each currency, whose name and whose product's are hostile."""
    of_source = {"workspace_id": source.workspace_id, "provider": "stripe", "livemode": livemode}
    built = {"built_at": datetime.now(UTC), "seen_until": datetime.now(UTC), "rules": {}, "rules_digest": "x"}
    connection.execute(insert(figure_builds).values({**of_source, **built}))
    known = {"id": source.workspace_id, "livemode": livemode, "name": HOSTILE}
    connection.execute(_CUSTOMER, known)
    for currency, mrr in figures.items():
        values: dict[str, Any] = {"customer_id": "cus_<b>", "currency": currency, "provenance": "observed"}
        moved = {"day": BEGAN.date(), "movement": "new", "reason": "new", "opening": 0, "closing": mrr, "change": mrr}
        connection.execute(insert(mrr_movements).values({**of_source, **values, **moved}))
        item = {"subscription_id": f"sub_{currency}", "item_id": f"si_{currency}", "valid_from": BEGAN, "mrr": mrr}
        connection.execute(insert(subscription_mrr).values({**of_source, **values, **item, "is_estimated": False}))
        if livemode:
            bill = {**known, "invoice": f"in_{currency}", "currency": currency, "amount": mrr}
            connection.execute(_INVOICE, bill)


def report_of(database: Database, source: Source, *, is_test_mode: bool = False, **how: Any) -> Report:
    workspace = find_workspace(database, source.workspace_slug)
    completeness = find_figures(database, workspace, is_test_mode=is_test_mode)
    with Workspace(workspace.slug) as opened:
        return read_report(opened, completeness, **how)


@pytest.fixture(scope="module")
def report(database: Database, source: Source) -> Report:
    return report_of(database, source)


@pytest.fixture(scope="module")
def page(report: Report) -> str:
    return render(report)


def test_each_currency_has_a_section_with_its_own_decimals(report: Report, page: str) -> None:
    assert {(each.provider, each.currency) for each in report.sections} == {
        ("stripe", "usd"),
        ("stripe", "jpy"),
        ("stripe", "kwd"),
    }
    told = {each.currency: each.figures[0].value for each in report.sections}
    assert told == {"usd": "1,234.56", "jpy": "98,765", "kwd": "1,234.567"}
    for value in told.values():
        assert value in page


def test_every_chart_has_the_table_that_it_was_drawn_from(report: Report, page: str) -> None:
    for section in report.sections:
        parts = {part.title: part for part in section.parts}
        assert list(parts) == [
            "MRR",
            "MRR by movement",
            "Active subscriptions and customers",
            "Churn",
            "Cohorts",
            "Open invoices by age",
            "Largest customers",
            "Largest products",
        ]
        drawn = [title for title, part in parts.items() if part.svg is not None]
        assert drawn == list(parts)[:6]
        assert all(parts[title].table.rows for title in parts)
        mrr = [row[1] for row in parts["MRR"].table.rows]
        assert set(mrr) == {section.figures[0].value}
        opening, *moved, closing = parts["MRR by movement"].table.rows[0][1:]
        assert (opening.strip("0."), moved[0], closing) == ("", mrr[0], mrr[0])
        (aged,) = [row for row in parts["Open invoices by age"].table.rows if row[1] != "0"]
        assert aged[2] == mrr[0]
    assert page.count("<svg") == page.count("The numbers") == 6 * len(report.sections)


def test_the_page_is_alone_and_harmless(page: str) -> None:
    assert len(page.encode()) < 300_000
    assert "Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'" in page
    assert "<script" not in page
    assert "<img" not in page
    assert HOSTILE not in page
    assert "&lt;script&gt;alert(" in page
    assert "cus_&lt;b&gt;" in page
    assert not re.search(
        r"(?:src|href|url\()", page.replace("src 'none'", "").replace("-src", "").replace("img src", "")
    )
    assert set(re.findall(r"https?://[^\s\"'<&]+", page)) <= {"http://www.w3.org/2000/svg", "https://evil.example/x"}


def test_the_page_is_well_formed(page: str) -> None:
    open_tags: list[str] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, _attrs: Any) -> None:
            if tag not in VOID:
                open_tags.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert open_tags.pop() == tag

        def handle_startendtag(self, tag: str, _attrs: Any) -> None:
            pass

    Reader().feed(page)
    assert open_tags == []
    for drawing in re.findall(r"<svg.*?</svg>", page, re.DOTALL):
        assert ElementTree.fromstring(drawing).get("viewBox")  # noqa: S314 (it is our own)


def test_live_and_test_mode_are_never_mixed(database: Database, source: Source, page: str) -> None:
    of_test = report_of(database, source, is_test_mode=True)
    other = render(of_test)
    assert [each.figures[0].value for each in of_test.sections] == ["7.77"]
    assert "test mode: no real money" in other
    assert "test mode: no real money" not in page
    assert ">1,234.56<" in page
    assert ">1,234.56<" not in other
    assert ">7.77<" in other
    assert ">7.77<" not in page


def test_what_was_never_synced_is_not_shown_as_nothing(database: Database, source: Source) -> None:
    (section,) = report_of(database, source, is_test_mode=True).sections
    parts = {part.title: part for part in section.parts}
    for title in ("Open invoices by age", "Largest products"):
        assert parts[title].note == "Not available: the invoices were never synced to their end."
        assert (parts[title].svg, parts[title].table.rows) == (None, ())


def test_it_begins_with_how_complete_it_is(report: Report, page: str) -> None:
    (state,) = report.sources
    assert state.missing is None
    assert page.index("How complete this is") < page.index("<svg")
    for sentence in state.sentences:
        assert sentence in page
    assert any("customers of stripe were never listed to their end" in sentence for sentence in state.sentences)


def test_names_and_currencies_are_chosen(database: Database, source: Source) -> None:
    chosen = report_of(database, source, currency="JPY", names=False)
    assert [each.currency for each in chosen.sections] == ["jpy"]
    assert "Söhne" not in str([part for each in chosen.sections for part in each.parts if "customers" in part.title])


def test_a_workspace_with_nothing_has_no_report(database: Database, add_source: Callable[..., Source]) -> None:
    never = add_source("sk_live_never_reported")
    with pytest.raises(NotAvailableError, match="were never listed to their end"):
        report_of(database, never)


_CUSTOMER = text(
    "INSERT INTO payments.customers (workspace_id, provider, livemode, id, created, name, content_hash, "
    "source_version) VALUES (:id, 'stripe', :livemode, 'cus_<b>', now(), :name, 'x', now())"
)
_INVOICE = text(
    """
    WITH product AS (
        INSERT INTO payments.products (workspace_id, provider, livemode, id, created, name, content_hash,
            source_version)
        VALUES (:id, 'stripe', :livemode, 'prod_1', now(), :name, 'x', now()) ON CONFLICT DO NOTHING
    ), line AS (
        INSERT INTO payments.invoice_line_items (workspace_id, provider, livemode, id, invoice_id, amount, currency,
            product_id, quantity, line_index, content_hash, source_version)
        VALUES (:id, 'stripe', :livemode, 'il_1', :invoice, :amount, :currency, 'prod_1', 1, 0, 'x', now())
    )
    INSERT INTO payments.invoices (workspace_id, provider, livemode, id, created, customer_id, status, currency, total,
        amount_due, amount_remaining, finalized_at, due_date, content_hash, source_version)
    VALUES (:id, 'stripe', :livemode, :invoice, now() - interval '40 days', 'cus_<b>', 'open', :currency, :amount,
        :amount, :amount, now() - interval '40 days', now() - interval '35 days', 'x', now())
    """
)
