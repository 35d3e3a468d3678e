"""What is billed in another currency than its price's own shows the amount that is really billed, or none."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import text

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.sessions import SessionStatus
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.providers.stripe.provider import StripeProvider
from cyphera_pipelines.sandbox import Fault, FaultKind, SandboxAccount, SandboxOptions, SandboxServer
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.events import list_events
from cyphera_pipelines_tests.sync.conftest import RunSync
from cyphera_pipelines_tests.truth import assert_tables_equal_truth, read_live_rows

ACCOUNT = SandboxAccount(
    api_key="sk_test_currencies",
    account_id="acct_currencies",
    seed=81,
    prices=36,
    customers=60,
    subscriptions=150,
    invoices=200,
    foreign_currency_share=0.6,
    tiered_options=True,
    large_subscription_share=0.05,
    restricted_keys={
        "rk_test_currencies_no_prices": frozenset({"plan"}),
        "rk_test_currencies_no_events": frozenset({"event"}),
    },
)
Sums = dict[str, Decimal]


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer([ACCOUNT], SandboxOptions()) as server:
        yield server


def true_sums(sandbox: SandboxServer) -> tuple[Sums, Sums]:
    """What one unit of every item costs, and what the invoices' lines come to, by currency: as the sandbox has it."""
    prices = {price["id"]: price for price in sandbox.state.truth("acct_currencies", "prices")}
    items, lines = defaultdict[str, Decimal](Decimal), defaultdict[str, Decimal](Decimal)
    for subscription in sandbox.state.truth("acct_currencies", "subscriptions"):
        for item in subscription["items"]["data"]:
            option = prices[item["price"]["id"]]["currency_options"][subscription["currency"]]
            items[subscription["currency"]] += Decimal(option["unit_amount_decimal"] or 0)
    for invoice in sandbox.state.truth("acct_currencies", "invoices"):
        for line in invoice["lines"]["data"]:
            lines[line["currency"]] += line["amount"]
    return dict(items), dict(lines)


def sums(database: Database, source: Source) -> tuple[Sums, Sums]:
    """The same from the tables."""
    statements = (
        "SELECT currency, coalesce(sum(unit_amount_decimal), 0) FROM payments.subscription_items "
        "WHERE deleted_at IS NULL GROUP BY 1",
        "SELECT currency, sum(amount) FROM payments.invoice_line_items WHERE deleted_at IS NULL GROUP BY 1",
    )
    with database.tenant(source.workspace_id) as connection:
        items, lines = (
            {currency: Decimal(total) for currency, total in connection.execute(text(statement))}
            for statement in statements
        )
    return items, lines


def foreign_items(database: Database, source: Source, sandbox: SandboxServer) -> list[dict[str, Any]]:
    """Rows of items that are billed in another currency than their price's own."""
    own = {price["id"]: price["currency"] for price in sandbox.state.truth("acct_currencies", "prices")}
    rows = read_live_rows(database, source, "subscription_items")
    return [row for row in rows if row["currency"] != own[row["price_id"]]]


def written_at(database: Database, source: Source) -> list[Any]:
    with database.tenant(source.workspace_id) as connection:
        statement = "SELECT id, synced_at, xmin::text FROM payments.subscription_items ORDER BY id, occurrence"
        return list(connection.execute(text(statement)))


@pytest.mark.parametrize("raw", [True, False])
def test_sums_per_currency_are_the_provider_s(
    raw: bool, sandbox: SandboxServer, add_source: Callable[..., Source], sync_now: RunSync, database: Database
) -> None:
    source = add_source(ACCOUNT.api_key, sandbox.url, raw=raw)
    assert sync_now(source, batch_size=10).status is SessionStatus.COMPLETED
    assert_tables_equal_truth(database, source, sandbox.state, "acct_currencies")
    assert sums(database, source) == true_sums(sandbox)
    foreign = foreign_items(database, source, sandbox)
    assert len(foreign) > 20
    assert any(row["unit_amount"] is None and row["unit_amount_decimal"] == Decimal("11.1105") for row in foreign)
    options = read_live_rows(database, source, "price_currency_options")
    assert any(row["tiers"] is not None and row["currency"] == "eur" for row in options)
    before = written_at(database, source)
    for request in ({"only_changes": True}, {"full_sync": True}):
        assert sync_now(source, **request).status is SessionStatus.COMPLETED
        assert written_at(database, source) == before, "nothing changed: no row is written"


def test_an_option_that_changes_reaches_the_items(
    sandbox: SandboxServer, add_source: Callable[..., Source], sync_now: RunSync, database: Database
) -> None:
    source = add_source(ACCOUNT.api_key, sandbox.url)
    sync_now(source)
    price_id = foreign_items(database, source, sandbox)[0]["price_id"]
    options = sandbox.state.object("acct_currencies", price_id)["currency_options"]
    dearer = {**options, "eur": {**options["eur"], "unit_amount": 77_77, "unit_amount_decimal": "7777"}}
    sandbox.state.patch("acct_currencies", price_id, {"currency_options": dearer})
    sandbox.state.apply_changes("acct_currencies", create={"subscriptions": 30}, update={"subscriptions": 30})
    assert sync_now(source, only_changes=True).status is SessionStatus.COMPLETED
    assert_tables_equal_truth(database, source, sandbox.state, "acct_currencies")
    assert sums(database, source)[0] == true_sums(sandbox)[0]


@pytest.mark.parametrize("request_", [{"only_changes": True}, {"full_sync": True}])
def test_items_that_are_written_for_their_price_alone_are_counted(
    request_: dict[str, bool],
    sandbox: SandboxServer,
    add_source: Callable[..., Source],
    sync_now: RunSync,
    database: Database,
) -> None:
    source = add_source(ACCOUNT.api_key, sandbox.url)
    first = sync_now(source).entities[Entity.SUBSCRIPTIONS].children["subscription_items"]
    assert (first["updated"], first["unchanged"]) == (0, 0), "they were created, whatever was settled afterwards"
    foreign = foreign_items(database, source, sandbox)
    affected = sum(row["price_id"] == foreign[0]["price_id"] for row in foreign)
    options = sandbox.state.object("acct_currencies", foreign[0]["price_id"])["currency_options"]
    dearer = {**options, "eur": {**options["eur"], "unit_amount": 88_88, "unit_amount_decimal": "8888"}}
    sandbox.state.patch("acct_currencies", foreign[0]["price_id"], {"currency_options": dearer})
    counts = sync_now(source, **request_).entities[Entity.SUBSCRIPTIONS].children["subscription_items"]
    listed = first["created"] - affected if "full_sync" in request_ else 0
    assert counts == {"created": 0, "updated": affected, "unchanged": listed, "deleted": 0}


@pytest.mark.parametrize("is_last", [False, True])
def test_an_option_that_is_gone_leaves_the_items_without_an_amount(
    is_last: bool, sandbox: SandboxServer, add_source: Callable[..., Source], sync_now: RunSync, database: Database
) -> None:
    """As if they were synced today for the first time; also where no price has a second currency any more."""
    source = add_source(ACCOUNT.api_key, sandbox.url)
    sync_now(source)
    chosen = foreign_items(database, source, sandbox)[0]["price_id"]
    gone = {price["id"] for price in sandbox.state.truth("acct_currencies", "prices")} if is_last else {chosen}
    for price_id in gone:
        price = sandbox.state.object("acct_currencies", price_id)
        left = {name: option for name, option in price["currency_options"].items() if name == price["currency"]}
        sandbox.state.patch("acct_currencies", price_id, {"currency_options": left})
    assert sync_now(source, only_changes=True).status is SessionStatus.COMPLETED
    assert_tables_equal_truth(database, source, sandbox.state, "acct_currencies")
    amounts = {
        (row["unit_amount"], row["unit_amount_decimal"])
        for row in foreign_items(database, source, sandbox)
        if row["price_id"] in gone
    }
    assert amounts == {(None, None)}
    before = written_at(database, source)
    assert sync_now(source, full_sync=True).status is SessionStatus.COMPLETED
    assert written_at(database, source) == before, "once is enough"


@pytest.mark.parametrize("order", [("prices", "subscriptions"), ("subscriptions", "prices")])
def test_items_and_prices_may_come_in_any_order(
    order: tuple[str, str],
    sandbox: SandboxServer,
    add_source: Callable[..., Source],
    sync_now: RunSync,
    database: Database,
) -> None:
    source = add_source(ACCOUNT.api_key, sandbox.url)
    for entity in order:
        assert sync_now(source, entities=(Entity(entity),)).status is SessionStatus.COMPLETED
        assert_tables_equal_truth(
            database, source, sandbox.state, "acct_currencies", entities=order[: order.index(entity) + 1]
        )
    assert sums(database, source)[0] == true_sums(sandbox)[0]


def test_what_is_not_known_is_not_there(
    sandbox: SandboxServer, add_source: Callable[..., Source], sync_now: RunSync, database: Database
) -> None:
    source = add_source("rk_test_currencies_no_prices", sandbox.url)
    assert sync_now(source).status is SessionStatus.PARTIAL
    foreign = foreign_items(database, source, sandbox)
    assert {row["currency"] for row in foreign} == {"eur"}
    assert {(row["unit_amount"], row["unit_amount_decimal"]) for row in foreign} == {(None, None)}


def test_a_key_that_may_not_read_events_settles_the_amounts_too(
    sandbox: SandboxServer, add_source: Callable[..., Source], sync_now: RunSync, database: Database
) -> None:
    source = add_source("rk_test_currencies_no_events", sandbox.url)
    assert sync_now(source).status is SessionStatus.COMPLETED
    assert sums(database, source) == true_sums(sandbox)


def test_a_sync_that_did_not_come_to_it_leaves_it_to_the_next_one(
    sandbox: SandboxServer, add_source: Callable[..., Source], sync_now: RunSync, database: Database
) -> None:
    source = add_source(ACCOUNT.api_key, sandbox.url)
    sandbox.state.faults.set([Fault(kind=FaultKind.UNAUTHORIZED, path="/v1/events")])
    assert sync_now(source).status is SessionStatus.FAILED
    assert {row["unit_amount_decimal"] for row in foreign_items(database, source, sandbox)} == {None}
    sandbox.state.faults.clear()
    assert sync_now(source, only_changes=True).status is SessionStatus.COMPLETED
    assert sums(database, source) == true_sums(sandbox)


def test_another_way_to_make_rows_lists_everything_once(
    sandbox: SandboxServer,
    add_source: Callable[..., Source],
    sync_now: RunSync,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = add_source(ACCOUNT.api_key, sandbox.url)
    sync_now(source)
    monkeypatch.setattr(StripeProvider, "mapping_version", StripeProvider.mapping_version + 1)
    for is_first in (True, False):
        outcome = sync_now(source, only_changes=True)
        assert outcome.status is SessionStatus.COMPLETED
        told = list_events(database, source.workspace_id, outcome.session.id)
        reasons = [event.event_message for event in told if event.event_type == "delta_not_possible"]
        assert len(reasons) == int(is_first)
        assert all("are made in another way since this program was upgraded" in reason for reason in reasons)
    with database.tenant(source.workspace_id) as connection:
        connection.execute(text("UPDATE sync.sync_cursors SET mapping_version = NULL"))
    outcome = sync_now(source, only_changes=True)
    assert "delta_not_possible" in {
        event.event_type for event in list_events(database, source.workspace_id, outcome.session.id)
    }
