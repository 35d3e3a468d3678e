"""Figures as frames: the same as in SQL, in the unit that was asked for, and never a 0 for what is not known."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pandas as pd
import pytest
from sqlalchemy import insert

from cyphera_pipelines.analytics import Workspace
from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.errors import InvalidInputError
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.store.completeness import NotAvailableError
from cyphera_pipelines.store.cursors import complete_listing
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.tables import figure_builds, mrr_movements, subscription_mrr
from cyphera_pipelines_tests.conftest import new_workspace

MOVEMENTS = [
    ("cus_1", "usd", "2026-01-10", "new", 0, 5000),
    ("cus_2", "usd", "2026-01-12", "new", 0, 999),
    ("cus_1", "usd", "2026-03-31", "churn", 5000, 0),
    ("cus_1", "jpy", "2026-02-01", "new", 0, 1200),
    ("cus_3", "kwd", "2026-02-01", "new", 0, 1500),
]


@pytest.fixture(scope="module")
def source(database: Database, add_source: Callable[..., Source]) -> Source:
    """Figures by hand, in three currencies, of the test mode; one customer has left."""
    made = add_source("sk_test_frames_of_figures")
    of_source = {"workspace_id": made.workspace_id, "provider": "stripe", "livemode": False}
    with database.tenant(made.workspace_id) as connection:
        complete_listing(connection, made, Entity.SUBSCRIPTIONS, datetime.now(UTC), livemode=False, mapping_version=1)
        built = {"built_at": datetime.now(UTC), "seen_until": datetime.now(UTC), "rules": {}, "rules_digest": "x"}
        connection.execute(insert(figure_builds).values({**of_source, **built}))
        for customer, currency, day, movement, opening, closing in MOVEMENTS:
            moved: dict[str, object] = {
                "customer_id": customer,
                "currency": currency,
                "day": day,
                "movement": movement,
                "reason": "new",
            }
            moved |= {"opening": opening, "closing": closing, "change": closing - opening, "provenance": "observed"}
            connection.execute(insert(mrr_movements).values({**of_source, **moved}))
        for customer, currency, since, until, mrr in (
            ("cus_1", "usd", "2026-01-10", "2026-03-31", 5000),
            ("cus_2", "usd", "2026-01-12", None, 999),
            ("cus_1", "jpy", "2026-02-01", None, 1200),
            ("cus_3", "kwd", "2026-02-01", None, 1500),
        ):
            item: dict[str, object] = {
                "subscription_id": f"sub_{customer}_{currency}",
                "item_id": f"si_{customer}_{currency}",
            }
            item |= {"valid_from": since, "valid_to": until, "customer_id": customer, "currency": currency, "mrr": mrr}
            item |= {"provenance": "observed", "is_estimated": False}
            connection.execute(insert(subscription_mrr).values({**of_source, **item}))
    return made


@pytest.fixture
def acme(source: Source) -> Iterator[Workspace]:
    with Workspace(source.workspace_slug) as opened:
        yield opened


def today() -> date:
    """Asked for before the figures are: they may be read after midnight."""
    return datetime.now(UTC).date()


def test_by_month(acme: Workspace) -> None:
    began = today()
    frame = acme.mrr(test_mode=True)
    assert list(frame.columns) == ["provider", "currency", "month", "mrr"]
    assert isinstance(frame.dtypes["currency"], pd.CategoricalDtype)
    assert frame.dtypes["month"].kind == "M"
    by = {(row.currency, row.month.date()): row.mrr for row in frame.itertuples()}
    assert [str(by["usd", date(2026, month, 1)]) for month in (1, 2, 3, 4)] == ["59.99", "59.99", "9.99", "9.99"]
    assert str(by["jpy", date(2026, 2, 1)]) == "1200"
    assert str(by["kwd", began.replace(day=1)]) == "1.500"
    until = acme.mrr(test_mode=True, until=date(2026, 3, 15))
    assert until["month"].max().date() == date(2026, 3, 1)


def test_by_day(acme: Workspace) -> None:
    began = today()
    frame = acme.mrr("day", currency="USD", test_mode=True)
    assert list(frame.columns) == ["provider", "currency", "day", "mrr"]
    assert frame["day"].min().date() == date(2026, 1, 10)
    assert began <= frame["day"].max().date() <= today()
    assert len(frame) == (frame["day"].max() - frame["day"].min()).days + 1
    by = {row.day.date(): str(row.mrr) for row in frame.itertuples()}
    assert [by[date(2026, 1, day)] for day in (10, 11, 12, 13)] == ["50.00", "50.00", "59.99", "59.99"]
    assert (by[date(2026, 3, 30)], by[date(2026, 3, 31)], by[began]) == ("59.99", "9.99", "9.99")


def test_by_customer(acme: Workspace) -> None:
    frame = acme.mrr("customer", test_mode=True)
    told = [(row.currency, row.customer_id, str(row.mrr)) for row in frame.itertuples()]
    assert told == [("jpy", "cus_1", "1200"), ("kwd", "cus_3", "1.500"), ("usd", "cus_2", "9.99")]
    then = acme.mrr("customer", test_mode=True, currency="usd", until=date(2026, 3, 30))
    assert dict(zip(then["customer_id"], then["mrr"], strict=True)) == {
        "cus_1": Decimal("50.00"),
        "cus_2": Decimal("9.99"),
    }


def test_minor_units_are_whole_numbers_of_each_currency_s_own(acme: Workspace) -> None:
    frame = acme.mrr("customer", minor_units=True, test_mode=True)
    assert frame.dtypes["mrr"] == pd.Int64Dtype()
    assert dict(zip(frame["currency"], frame["mrr"], strict=True)) == {"jpy": 1200, "kwd": 1500, "usd": 999}
    movements = acme.movements("day", minor_units=True, test_mode=True)
    told = {
        (row.customer_id, row.currency, str(row.day.date()), row.movement, row.opening_mrr, row.closing_mrr)
        for row in movements.itertuples()
    }
    assert told == set(MOVEMENTS)
    assert movements.dtypes["change_mrr"] == pd.Int64Dtype()
    assert isinstance(movements.dtypes["movement"], pd.CategoricalDtype)


def test_movements_of_months(acme: Workspace) -> None:
    frame = acme.movements(currency="usd", test_mode=True)
    told = [(str(row.month.date()), row.customer_id, row.movement, str(row.change_mrr)) for row in frame.itertuples()]
    assert told == [
        ("2026-01-01", "cus_1", "new", "50.00"),
        ("2026-01-01", "cus_2", "new", "9.99"),
        ("2026-03-01", "cus_1", "churn", "-50.00"),
    ]


def test_an_answer_without_rows_has_its_columns_and_dtypes(acme: Workspace) -> None:
    for by in ("month", "day", "customer"):
        empty = acme.mrr(by, currency="chf", test_mode=True)
        assert empty.empty
        assert list(empty.columns) == list(acme.mrr(by, test_mode=True).columns)
        assert empty.dtypes["mrr"].kind == "O"
    assert acme.mrr("customer", currency="usd", until=date(2025, 1, 1), test_mode=True).empty
    assert acme.movements(currency="chf", test_mode=True).empty


def test_what_was_never_synced_or_counted_is_not_available(
    database: Database, acme: Workspace, source: Source, add_source: Callable[..., Source]
) -> None:
    with pytest.raises(NotAvailableError, match="but one with test mode"):
        acme.mrr()
    with pytest.raises(NotAvailableError, match="has no source at chargebee"):
        acme.mrr(provider="chargebee", test_mode=True)
    with pytest.raises(InvalidInputError, match="by month, day or customer, not by 'year'"):
        acme.mrr("year", test_mode=True)  # type: ignore[arg-type]
    never = add_source("sk_test_frames_of_nothing")
    with Workspace(never.workspace_slug) as nothing:
        for ask in (nothing.mrr, nothing.movements):
            with pytest.raises(NotAvailableError, match="were never listed to their end"):
                ask(test_mode=True)
        with pytest.raises(NotAvailableError, match="never listed to their end"):
            nothing.view("mrr_summary", test_mode=True)
        assert set(nothing.completeness(test_mode=True)["state"]) == {"never_synced"}
        assert nothing.view("invoices", test_mode=True).empty
    with Workspace(new_workspace(database).slug) as empty, pytest.raises(NotAvailableError, match="has no source"):
        empty.mrr()


def test_completeness(acme: Workspace) -> None:
    frame = acme.completeness(test_mode=True)
    states = dict(zip(frame["entity"], frame["state"], strict=True))
    assert states["subscriptions"] == "complete"
    assert states["invoices"] == "never_synced"
    assert frame.dtypes["as_of"] == pd.DatetimeTZDtype("us", "UTC")
    row = frame[frame["entity"] == "subscriptions"].iloc[0]
    assert datetime.now(UTC) - row["as_of"].to_pydatetime() < timedelta(hours=1)
