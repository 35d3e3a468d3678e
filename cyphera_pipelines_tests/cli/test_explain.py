"""`cyphera explain`: what people and programs are shown, and what is said where there is nothing to explain."""

from decimal import Decimal

import pytest
from sqlalchemy import text

from cyphera_pipelines.figures.build import build_figures
from cyphera_pipelines.figures.rules import LEFT_OUT
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.sources import find_source
from cyphera_pipelines_tests.cli.command import ForkedCyphera
from cyphera_pipelines_tests.cli.conftest import AddSource


@pytest.fixture(scope="module")
def slug(forked: ForkedCyphera, add_source: AddSource, cli_database: Database) -> str:
    made = add_source()
    forked("sync", made, "stripe").done()
    return made


@pytest.fixture(scope="module")
def customer(slug: str, forked: ForkedCyphera, cli_database: Database) -> str:
    """One with MRR, and with an item that is left out. A sync counts figures; an upgraded database has none yet."""
    with cli_database.control() as connection:
        for table in ("figure_builds", "subscription_mrr", "mrr_movements"):
            forget = text(f"DELETE FROM figures.{table} WHERE workspace_id = :id")
            assert connection.execute(forget, {"id": workspace_id(cli_database, slug)}).rowcount > 0
    told = forked("explain", slug, "cus_1", "--test-mode").error()
    assert told == (
        f"Not available: no figures of {slug}:stripe have been made yet; there are none without a subscription. "
        f"Make them: cyphera figures build {slug} stripe"
    )
    build_figures(cli_database, find_source(cli_database, f"{slug}:stripe"), livemode=False)
    statement = text(
        "SELECT customer_id FROM analytics_test.mrr_explained WHERE workspace_id = :id AND valid_to IS NULL AND kind = "
        "'mrr' GROUP BY 1 HAVING sum(result) > 0 ORDER BY bool_or(rule IS NOT NULL) DESC, count(*) DESC LIMIT 1"
    )
    with cli_database.control() as connection:
        return str(connection.execute(statement, {"id": workspace_id(cli_database, slug)}).scalar_one())


def workspace_id(database: Database, slug: str) -> object:
    return find_source(database, f"{slug}:stripe").workspace_id


def test_people_see_each_step_and_the_sum(slug: str, customer: str, forked: ForkedCyphera) -> None:
    shown = forked("explain", slug, customer, "--test-mode").done()
    told = forked("explain", slug, customer, "--test-mode", "--json").json()
    assert shown.startswith(f"Customer {customer} of {slug}:stripe, at ")
    assert told["name"] is None
    for currency, mrr in told["mrr"].items():
        assert f"MRR in {currency.upper()}: {Decimal(mrr):,f}" in shown
        items = [item for item in told["items"] if item["currency"] == currency]
        assert sum(Decimal(item["mrr"]) for item in items) == Decimal(mrr)
    for item in told["items"]:
        assert item["item_id"] in shown
        assert item["steps"][-1]["result"] == item["mrr"]
        for step in item["steps"]:
            assert step["label"] in shown
            if step["kind"] == "left_out":
                assert step["sentence"] == LEFT_OUT[step["rule"]]
                assert step["sentence"] in shown
    assert "stripe: as of " in shown
    assert "by the rules cyphera." in shown
    assert any(f"Last movement in {currency.upper()}: " in shown for currency in told["mrr"])


def test_people_s_names_are_shown_if_that_is_asked_for(slug: str, customer: str, forked: ForkedCyphera) -> None:
    told = forked("explain", slug, customer, "--test-mode", "--personal", "--json").json()
    assert "@" in told["email"]
    assert told["email"] not in forked("explain", slug, customer, "--test-mode").done()


def test_the_past(slug: str, customer: str, forked: ForkedCyphera) -> None:
    shown = forked("explain", slug, customer, "--test-mode", "--on", "1999-12-31").done()
    assert f"Customer {customer} of {slug}:stripe, at the end of 1999-12-31" in shown
    assert "No subscription of the customer is known to have begun by then: there is no MRR." in shown
    assert "is still to come" in forked("explain", slug, customer, "--test-mode", "--on", "2999-01-01").error()


def test_what_is_not_there(slug: str, customer: str, forked: ForkedCyphera) -> None:
    wrong = customer[:-1] + "_"
    assert f"Ids like it: {customer}" in forked("explain", slug, wrong, "--test-mode").error()
    assert "but one with test mode: add --test-mode for it." in forked("explain", slug, customer).error()
    told = forked("explain", slug, customer, "--test-mode", "--provider", "chargebee").error()
    assert f"workspace {slug} has no source at chargebee. Connect one: cyphera source add {slug} chargebee" in told


def test_what_was_never_synced_is_not_available(forked: ForkedCyphera, add_source: AddSource) -> None:
    made = add_source()
    told = forked("explain", made, "cus_1", "--test-mode").error()
    assert told == (
        f"Not available: subscriptions of stripe were never listed to their end. Sync them: cyphera sync {made} stripe"
    )
