"""Syncs that flag name where an object differs, in whichever table that is, and write nothing."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.sessions import ConflictStrategy, SessionStatus
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.sandbox import SandboxAccount, SandboxOptions, SandboxServer
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.events import RecordedEvent, list_events
from cyphera_pipelines.sync.outcome import SyncOutcome
from cyphera_pipelines_tests.sync.conftest import RunSync
from cyphera_pipelines_tests.sync.test_full_sync import row_versions
from cyphera_pipelines_tests.truth import Json, assert_tables_equal_truth, read_live_rows

ID = "acct_flagged"
ACCOUNT = SandboxAccount(
    api_key="sk_test_flagged",
    account_id=ID,
    seed=35,
    customers=60,
    products=6,
    prices=36,
    subscriptions=150,
    invoices=60,
    foreign_currency_share=0.5,
    coupon_share=0.5,
    customer_discount_share=0.3,
    tax_id_share=0.5,
)
FLAG = ConflictStrategy.FLAG


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer([ACCOUNT], SandboxOptions()) as server:
        yield server


@pytest.fixture
def source(sandbox: SandboxServer, add_source: Callable[..., Source], sync_now: RunSync) -> Source:
    added = add_source(ACCOUNT.api_key, sandbox.url)
    assert sync_now(added).status is SessionStatus.COMPLETED
    return added


@pytest.fixture
def flagged(database: Database, source: Source) -> Callable[[SyncOutcome], dict[str, str]]:
    """Where the events of a sync say that objects differ, by the objects' ids; each is named once."""

    def read(outcome: SyncOutcome) -> dict[str, str]:
        events = differences(database, source, outcome)
        assert len({event.external_id for event in events}) == len(events)
        return {str(event.external_id): event.event_message.partition("it differs in ")[2][:-1] for event in events}

    return read


Flagged = Callable[[SyncOutcome], dict[str, str]]


def differences(database: Database, source: Source, outcome: SyncOutcome) -> list[RecordedEvent]:
    events = list_events(database, source.workspace_id, outcome.session.id)
    return [event for event in events if event.event_type == "row_differs"]


def objects(sandbox: SandboxServer, collection: str, is_fit: Callable[[Json], Any] = bool) -> Iterator[Json]:
    return (each for each in sandbox.state.truth(ID, collection) if is_fit(each))


def data_of(obj: Json, name: str) -> list[Json]:
    """The items of an embedded list, which need not be there."""
    items: list[Json] = (obj.get(name) or {}).get("data", [])
    return items


def put(sandbox: SandboxServer, obj: Json, embedded: str, items: list[Json], **fields: Any) -> str:
    """Give an object another embedded list, and tell nobody; its id."""
    sandbox.state.patch(ID, obj["id"], {embedded: {**obj[embedded], "data": items}, **fields}, with_event=False)
    return str(obj["id"])


def foreign_subscriptions(sandbox: SandboxServer) -> Iterator[Json]:
    """Those with an item that costs something and is billed in another currency than its price's own."""
    prices = {price["id"]: price for price in sandbox.state.truth(ID, "prices")}

    def is_foreign(subscription: Json) -> bool:
        currency, of_items = subscription["currency"], [prices[each["price"]["id"]] for each in items_of(subscription)]
        options = [price["currency_options"][currency] for price in of_items if price["currency"] != currency]
        return any(option["unit_amount"] for option in options)

    return objects(sandbox, "subscriptions", is_foreign)


def items_of(subscription: Json) -> list[Json]:
    return data_of(subscription, "items")


def test_lines_that_differ_are_named_and_counted(
    sandbox: SandboxServer, source: Source, sync_now: RunSync, database: Database, flagged: Flagged
) -> None:
    invoices = objects(sandbox, "invoices", lambda each: len(data_of(each, "lines")) > 1)
    changed, new, gone, swapped, both = (next(invoices) for _ in range(5))
    lines = data_of(changed, "lines")
    expected = {
        put(sandbox, changed, "lines", [*lines[:-1], {**lines[-1], "amount": 1}]): "invoice_line_items.amount",
        put(sandbox, gone, "lines", data_of(gone, "lines")[:-1]): "invoice_line_items (1 gone)",
    }
    lines = data_of(new, "lines")
    expected[put(sandbox, new, "lines", [*lines, {**lines[0], "id": "il_new"}])] = "invoice_line_items (1 new)"
    lines = data_of(swapped, "lines")
    others = [{**line, "id": f"il_{at}"} for at, line in enumerate(lines)]
    expected[put(sandbox, swapped, "lines", others)] = f"invoice_line_items ({len(lines)} new, {len(lines)} gone)"
    lines = data_of(both, "lines")
    altered = [{**lines[0], "amount": 1, "description": "Other"}, *lines[1:-1], {**lines[-1], "id": "il_other"}]
    expected[put(sandbox, both, "lines", altered, receipt_number="7")] = (
        "receipt_number, invoice_line_items.amount, invoice_line_items.description, invoice_line_items (1 new, 1 gone)"
    )
    before = row_versions(database, source)
    outcome = sync_now(source, conflict_strategy=FLAG)
    assert flagged(outcome) == expected
    assert outcome.entities[Entity.INVOICES].flagged == 5
    details = {event.external_id: event.event_details for event in differences(database, source, outcome)}
    assert details[both["id"]]["columns"] == expected[both["id"]].split(", ")[:3]
    assert details[both["id"]]["children"] == {"invoice_line_items": {"new": 1, "gone": 1}}
    assert "children" not in details[changed["id"]]
    assert row_versions(database, source) == before
    assert sync_now(source).status is SessionStatus.COMPLETED
    assert_tables_equal_truth(database, source, sandbox.state, ID)


def test_what_only_raw_tells_has_no_column_of_its_own(
    sandbox: SandboxServer, source: Source, sync_now: RunSync, flagged: Flagged
) -> None:
    customer = next(objects(sandbox, "customers", lambda each: not data_of(each, "tax_ids")))
    customer_with = next(objects(sandbox, "customers", lambda each: data_of(each, "tax_ids")))
    subscription = next(objects(sandbox, "subscriptions"))
    sandbox.state.patch(ID, customer["id"], {"sources": {"object": "list"}}, with_event=False)
    tax_ids = [{**each, "told_by_nobody": 1} for each in data_of(customer_with, "tax_ids")]
    items = [{**item, "told_by_nobody": 1} for item in data_of(subscription, "items")]
    ids = [customer["id"], put(sandbox, customer_with, "tax_ids", tax_ids), put(sandbox, subscription, "items", items)]
    outcome = sync_now(source, conflict_strategy=FLAG)
    assert flagged(outcome) == dict.fromkeys(ids, "something without a column of its own")


def test_amounts_that_are_settled_afterwards_are_no_difference(
    sandbox: SandboxServer, source: Source, sync_now: RunSync, database: Database, flagged: Flagged
) -> None:
    """The provider tells an item without them where it is billed in another currency than its price's own."""
    foreign = foreign_subscriptions(sandbox)
    changed, without_column, _unchanged = next(foreign), next(foreign), next(foreign)
    rows = read_live_rows(database, source, "subscription_items")
    assert any(row["unit_amount"] for row in rows if row["subscription_id"] == changed["id"])
    own = next(objects(sandbox, "subscriptions", is_in_the_currency_of_its_price))
    item, *others = items_of(own)
    unpriced = {**item, "price": {**item["price"], "unit_amount": None, "unit_amount_decimal": None}}
    more = [{**each, "quantity": 4_321} for each in items_of(changed)]
    unlike = [{**each, "told_by_nobody": 1} for each in items_of(without_column)]
    amounts = "subscription_items.unit_amount, subscription_items.unit_amount_decimal"
    expected = {
        put(sandbox, changed, "items", more): "subscription_items.quantity",
        put(sandbox, without_column, "items", unlike): "something without a column of its own",
        put(sandbox, own, "items", [unpriced, *others]): amounts,
    }
    outcome = sync_now(source, conflict_strategy=FLAG)
    assert flagged(outcome) == expected
    assert outcome.entities[Entity.SUBSCRIPTIONS].flagged == 3


def is_in_the_currency_of_its_price(subscription: Json) -> bool:
    price = items_of(subscription)[0]["price"]
    return subscription["currency"] == price["currency"] and price["unit_amount"] is not None


def test_discounts_that_differ_are_named(
    sandbox: SandboxServer, source: Source, sync_now: RunSync, flagged: Flagged
) -> None:
    customers = objects(sandbox, "customers", lambda each: each["discount"])
    moved, ended = next(customers), next(customers)
    begun = next(objects(sandbox, "customers", lambda each: not each["discount"]))
    starts = {**moved["discount"], "start": moved["discount"]["start"] - 1}
    for customer, discount in ((moved, starts), (ended, None), (begun, {**ended["discount"], "id": "di_begun"})):
        sandbox.state.patch(ID, customer["id"], {"discount": discount}, with_event=False)
    assert flagged(sync_now(source, conflict_strategy=FLAG)) == {
        moved["id"]: "discount, customer_discounts.starts_at",
        ended["id"]: "discount, customer_discounts (1 gone)",
        begun["id"]: "discount, customer_discounts (1 new)",
    }


def test_children_that_are_merged_by_themselves_are_compared_by_themselves(
    sandbox: SandboxServer, source: Source, sync_now: RunSync, database: Database, flagged: Flagged
) -> None:
    """An object whose own row is unchanged is flagged for them, and one that differs too is counted once."""
    customers = objects(sandbox, "customers", lambda each: data_of(each, "tax_ids"))
    changed, gone, both = next(customers), next(customers), next(customers)
    invoices = objects(sandbox, "invoices", lambda each: data_of(each, "payments"))
    unpaid, repaid = next(invoices), next(invoices)
    tax_ids = data_of(changed, "tax_ids")
    altered = [{**tax_ids[0], "value": "DE811"}, *tax_ids[1:]]
    payments = data_of(repaid, "payments")
    again = [{**payments[0], "amount_paid": 1}, *payments[1:], {**payments[0], "id": "inpay_new"}]
    more = [*data_of(both, "tax_ids"), {**data_of(both, "tax_ids")[0], "id": "txi_new"}]
    expected = {
        put(sandbox, changed, "tax_ids", altered): "customer_tax_ids.value",
        put(sandbox, gone, "tax_ids", []): f"customer_tax_ids ({len(data_of(gone, 'tax_ids'))} gone)",
        put(sandbox, both, "tax_ids", more, name="Renamed"): "name, customer_tax_ids (1 new)",
        put(sandbox, unpaid, "payments", []): f"invoice_payments ({len(data_of(unpaid, 'payments'))} gone)",
        put(sandbox, repaid, "payments", again): "invoice_payments.amount_paid, invoice_payments (1 new)",
    }
    before = row_versions(database, source)
    outcome = sync_now(source, conflict_strategy=FLAG)
    assert flagged(outcome) == expected
    assert (outcome.entities[Entity.CUSTOMERS].flagged, outcome.entities[Entity.INVOICES].flagged) == (3, 2)
    assert row_versions(database, source) == before
    skipping = sync_now(source, conflict_strategy=ConflictStrategy.SKIP)
    assert (flagged(skipping), row_versions(database, source)) == ({}, before)
    assert sync_now(source).status is SessionStatus.COMPLETED
    assert_tables_equal_truth(database, source, sandbox.state, ID)
    assert flagged(sync_now(source, conflict_strategy=FLAG)) == {}


def test_what_is_met_twice_is_named_and_counted_once(
    sandbox: SandboxServer, source: Source, sync_now: RunSync, database: Database, flagged: Flagged
) -> None:
    """The listing meets it, and then what changed while it went on."""
    dataset = sandbox.state.dataset(ID)
    customer = next(objects(sandbox, "customers", lambda each: data_of(each, "tax_ids")))["id"]
    dataset.add_tax_id(customer, "eu_vat", "DE811111111")
    to_do = [lambda: dataset.add_tax_id(customer, "eu_vat", "DE822222222")]

    def change(endpoint: str, _query: str) -> None:
        if endpoint == "GET /v1/products" and to_do:
            to_do.pop()()

    sandbox.state.watchers.append(change)
    outcome = sync_now(source, conflict_strategy=FLAG, full_sync=True)
    assert not to_do
    assert flagged(outcome).keys() == {customer}
    assert outcome.entities[Entity.CUSTOMERS].flagged == 1


def test_a_sync_of_changes_names_what_they_tell(
    sandbox: SandboxServer, source: Source, sync_now: RunSync, database: Database, flagged: Flagged
) -> None:
    customer = next(objects(sandbox, "customers", lambda each: data_of(each, "tax_ids")))
    named_too = next(objects(sandbox, "customers", lambda each: not data_of(each, "tax_ids")))["id"]
    sandbox.state.dataset(ID).remove_tax_id(customer["id"], data_of(customer, "tax_ids")[0]["id"])
    sandbox.state.patch(ID, named_too, {"name": "Renamed"})
    sandbox.state.dataset(ID).add_tax_id(named_too, "eu_vat", "DE811111111")
    before = row_versions(database, source)
    outcome = sync_now(source, conflict_strategy=FLAG, only_changes=True)
    assert flagged(outcome) == {
        customer["id"]: "customer_tax_ids (1 gone)",
        named_too: "name, customer_tax_ids (1 new)",
    }
    assert outcome.entities[Entity.CUSTOMERS].flagged == 2
    assert row_versions(database, source) == before
