"""Webhooks that are applied as they come: what they leave in the tables, and what they leave to a sync."""

import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import text

from cyphera_pipelines.model.configuration import Credentials
from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.quotas import QuotaReachedError
from cyphera_pipelines.model.sessions import ConflictStrategy, SessionStatus, SyncRequest
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.providers.base import WebhookEvent
from cyphera_pipelines.providers.registry import find_provider
from cyphera_pipelines.sandbox import SandboxAccount, SandboxOptions, SandboxServer
from cyphera_pipelines.security.encryption import Binding, Keyring
from cyphera_pipelines.settings import Settings
from cyphera_pipelines.store.configurations import read_credentials
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.pauses import pause_source, resume_source
from cyphera_pipelines.store.sessions import finish_session, list_sessions
from cyphera_pipelines.store.webhooks import count_waiting, find_webhook_target
from cyphera_pipelines.sync.at_once import ConfigurationChangedError, Taken, take_in_events
from cyphera_pipelines.sync.request import open_session
from cyphera_pipelines_tests.sync.conftest import RunSync
from cyphera_pipelines_tests.truth import assert_tables_equal_truth, live_rows
from cyphera_pipelines_tests.webhooks import SECRET, event_about, signed

ACCOUNT = SandboxAccount(
    api_key="sk_test_at_once",
    account_id="acct_at_once",
    seed=41,
    customers=40,
    subscriptions=30,
    invoices=40,
    foreign_currency_share=0.5,
    long_invoice_share=0.0,
    large_subscription_share=0.0,
)
ID = ACCOUNT.account_id
Take = Callable[..., list[Taken | QuotaReachedError]]
TakeOpened = Callable[..., list[Taken | QuotaReachedError]]


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer([ACCOUNT], SandboxOptions()) as server:
        yield server


@pytest.fixture
def source(sandbox: SandboxServer, add_source: Callable[..., Source], sync_now: RunSync) -> Source:
    added = add_source(ACCOUNT.api_key, sandbox.url)
    sync_now(added)
    return added


@pytest.fixture
def take(database: Database, keyring: Keyring, source: Source) -> Take:
    return taker(database, keyring, source)


@pytest.fixture
def take_opened(database: Database, keyring: Keyring, source: Source) -> TakeOpened:
    """Take in events as a provider might read them."""
    credentials = read_credentials(database, keyring, binding_of(source))

    def take(*events: WebhookEvent) -> list[Taken | QuotaReachedError]:
        target = find_webhook_target(database, source.provider, source.configuration_id)
        assert target is not None
        return take_in_events(database, target, credentials, events)

    return take


def taker(database: Database, keyring: Keyring, source: Source) -> Take:
    """Take events in, as the API does with those that wait together."""
    credentials = read_credentials(database, keyring, binding_of(source))

    def take(*events: dict[str, Any], credentials: Credentials = credentials) -> list[Taken | QuotaReachedError]:
        target = find_webhook_target(database, "stripe", source.configuration_id)
        assert target is not None
        return take_in_events(database, target, credentials, [opened(event) for event in events])

    return take


def binding_of(source: Source) -> Binding:
    return Binding(source.workspace_id, source.configuration_id, source.provider)


def opened(event: dict[str, Any]) -> WebhookEvent:
    body, headers = signed(event)
    return find_provider("stripe").open_webhook(body, headers, SECRET)


def events_since(sandbox: SandboxServer, number: int = 0) -> list[dict[str, Any]]:
    log = sandbox.state.dataset(ID).events
    return [log.whole(at) for at in range(number, log.count)]


def wanted(database: Database, source: Source) -> bool:
    with database.tenant(source.workspace_id) as connection:
        found = connection.execute(text("SELECT wanted_at IS NOT NULL FROM sync.source_schedules")).scalar_one()
    return bool(found)


def next_second(sandbox: SandboxServer) -> int:
    """A second in which nothing has happened yet, nor was read: otherwise nobody could tell the order."""
    events = events_since(sandbox)
    return max([int(time.time()), *(int(event["created"]) for event in events)]) + 1


def change_everything(sandbox: SandboxServer) -> None:
    """Each object once a second at most."""
    created = {"customers": 3, "products": 2, "subscriptions": 4, "invoices": 4}
    updated = {"customers": 5, "products": 2, "subscriptions": 12, "invoices": 8}
    sandbox.state.apply_changes(ID, create=created, at=next_second(sandbox))
    sandbox.state.apply_changes(ID, update=updated, at=next_second(sandbox))
    sandbox.state.apply_changes(ID, delete={"customers": 2, "invoices": 1}, at=next_second(sandbox))


def a_customer(sandbox: SandboxServer) -> dict[str, Any]:
    return dict(next(iter(sandbox.state.truth(ID, "customers"))))


def test_what_is_told_whole_is_in_the_tables_without_a_sync(
    sandbox: SandboxServer, source: Source, take: Take, sync_now: RunSync, database: Database
) -> None:
    change_everything(sandbox)
    events = events_since(sandbox)
    outcomes = take(*events)
    left = [event["type"] for event, outcome in zip(events, outcomes, strict=True) if outcome is not Taken.APPLIED]
    assert not left
    assert_tables_equal_truth(database, source, sandbox.state, ID)
    assert take(*events) == [Taken.KNOWN] * len(events)
    assert (count_waiting(database, source), wanted(database, source)) == (0, False)
    assert len(list_sessions(database, source.workspace_id)) == 1
    again = sync_now(source, only_changes=True)
    assert {(counts.created, counts.updated, counts.deleted) for counts in again.entities.values()} == {(0, 0, 0)}


def test_any_order_and_any_loss_ends_in_the_same_tables_beside_a_listing(
    sandbox: SandboxServer, source: Source, take: Take, sync_now: RunSync, database: Database
) -> None:
    """What is lost, a sync of changes finds; what came doubled, or late, does no harm."""
    dice = random.Random(7)
    with ThreadPoolExecutor(3) as threads:
        for round_number in range(4):
            count = sandbox.state.dataset(ID).events.count
            change_everything(sandbox)
            sandbox.state.apply_changes(
                ID, update={"prices": 2, "customers": 10, "invoices": 5}, at=next_second(sandbox)
            )
            events = [event for event in events_since(sandbox, count) for _ in range(2) if dice.random() > 0.1]
            dice.shuffle(events)
            parts = [events[at : at + 7] for at in range(0, len(events), 7)]
            listing = threads.submit(sync_now, source, full_sync=True) if round_number % 2 else None
            list(threads.map(lambda part: take(*part), parts))
            if listing is not None:
                assert listing.result().status is SessionStatus.COMPLETED
            sync_now(source, only_changes=True)
            assert_tables_equal_truth(database, source, sandbox.state, ID)
            assert count_waiting(database, source) == 0


def test_the_first_listing_and_what_is_told_meanwhile_go_together(
    sandbox: SandboxServer, add_source: Callable[..., Source], sync_now: RunSync, database: Database, keyring: Keyring
) -> None:
    fresh = add_source(ACCOUNT.api_key, sandbox.url)
    take = taker(database, keyring, fresh)
    with ThreadPoolExecutor(1) as thread:
        listing = thread.submit(sync_now, fresh)
        told = 0
        while not listing.done() or not told:
            sandbox.state.apply_changes(ID, create={"customers": 1})
            sandbox.state.apply_changes(ID, update={"customers": 3, "subscriptions": 2})
            events = events_since(sandbox, told)
            told += len(events)
            take(*events)
        assert listing.result().status is SessionStatus.COMPLETED
    sync_now(fresh, only_changes=True)
    assert_tables_equal_truth(database, fresh, sandbox.state, ID)


Prepare = Callable[[SandboxServer, Source, Database], dict[str, Any]]


def _renamed(sandbox: SandboxServer, **more: Any) -> dict[str, Any]:
    sandbox.state.patch(ID, a_customer(sandbox)["id"], {"name": "Renamed"}, at=next_second(sandbox))
    return {**events_since(sandbox)[-1], **more}


def _of_another_version(sandbox: SandboxServer, _source: Source, _database: Database) -> dict[str, Any]:
    return _renamed(sandbox, api_version="2024-06-20")


def _of_a_price(sandbox: SandboxServer, _source: Source, _database: Database) -> dict[str, Any]:
    sandbox.state.apply_changes(ID, update={"prices": 1}, at=next_second(sandbox))
    return events_since(sandbox)[-1]


def _with_lines_missing(sandbox: SandboxServer, _source: Source, _database: Database) -> dict[str, Any]:
    sandbox.state.apply_changes(ID, update={"invoices": 1}, at=next_second(sandbox))
    event = events_since(sandbox)[-1]
    obj = event["data"]["object"]
    return {**event, "data": {"object": {**obj, "lines": {**obj["lines"], "has_more": True}}}}


def _from_ahead_of_all_clocks(sandbox: SandboxServer, _source: Source, _database: Database) -> dict[str, Any]:
    return _renamed(sandbox, created=int(time.time()) + 3_600)


def _older_than_the_last_sync(sandbox: SandboxServer, _source: Source, _database: Database) -> dict[str, Any]:
    """Perhaps the object was changed back since: what the tables hold is known to be newer."""
    customer = a_customer(sandbox)
    _forget_versions(_database, _source)
    return event_about({**customer, "name": "For a while"}, "customer.updated", created=int(time.time()) - 3_600)


def _forget_versions(database: Database, source: Source) -> None:
    """A row that nothing has changed for long keeps the version of the listing that brought it."""
    with database.tenant(source.workspace_id) as connection:
        connection.execute(text("UPDATE payments.customers SET source_version = source_version - interval '2 hours'"))


def _of_a_missing_object(sandbox: SandboxServer, source: Source, database: Database) -> dict[str, Any]:
    noted = text(
        "INSERT INTO sync.missing_objects (workspace_id, provider_name, livemode, entity_type, object_id, kind, "
        "reason, objects, first_session_id, last_session_id) VALUES (:workspace_id, 'stripe', false, 'customers', "
        ":id, 'not_loaded', 'odd', 1, gen_random_uuid(), gen_random_uuid())"
    )
    with database.tenant(source.workspace_id) as connection:
        connection.execute(noted, {"workspace_id": source.workspace_id, "id": a_customer(sandbox)["id"]})
    return _renamed(sandbox)


def _of_an_owed_object(sandbox: SandboxServer, source: Source, database: Database) -> dict[str, Any]:
    owed = text("UPDATE sync.sync_cursors SET owed = jsonb_build_array(CAST(:id AS text))")
    with database.tenant(source.workspace_id) as connection:
        connection.execute(owed, {"id": a_customer(sandbox)["id"]})
    return _renamed(sandbox)


@pytest.mark.parametrize(
    "prepare",
    [
        _of_another_version,
        _of_a_price,
        _with_lines_missing,
        _from_ahead_of_all_clocks,
        _older_than_the_last_sync,
        _of_a_missing_object,
        _of_an_owed_object,
    ],
)
def test_what_cannot_be_decided_waits_for_one_sync_of_changes(
    prepare: Prepare, sandbox: SandboxServer, source: Source, take: Take, sync_now: RunSync, database: Database
) -> None:
    event = prepare(sandbox, source, database)
    name = event["data"]["object"]["id"]
    entity = next(each.value for each in Entity if each.value.startswith(event["data"]["object"]["object"]))
    before = live_rows(database, source, entity)[name]
    assert take(event) == [Taken.KEPT]
    assert live_rows(database, source, entity)[name] == before
    assert (count_waiting(database, source), wanted(database, source)) == (1, True)
    assert sync_now(source, only_changes=True).status is SessionStatus.COMPLETED
    assert count_waiting(database, source) == 0
    assert_tables_equal_truth(database, source, sandbox.state, ID)


@pytest.mark.parametrize("is_together", [True, False], ids=["together", "one after the other"])
def test_two_states_of_one_second_are_asked_for(
    is_together: bool, sandbox: SandboxServer, source: Source, take: Take, sync_now: RunSync, database: Database
) -> None:
    customer, second = a_customer(sandbox)["id"], next_second(sandbox)
    for name in ("First", "Second"):
        sandbox.state.patch(ID, customer, {"name": name}, at=second)
    first, last = events_since(sandbox)
    outcomes = take(last, first) if is_together else [*take(last), *take(first)]
    assert outcomes == ([Taken.KEPT] * 2 if is_together else [Taken.APPLIED, Taken.KEPT])
    # The provider's list of events knows nothing of them yet: what was told is all there is to go by.
    sandbox.state.dataset(ID).events._visible_at.update(dict.fromkeys((0, 1), time.time() + 3_600))
    sync_now(source, only_changes=True)
    assert_tables_equal_truth(database, source, sandbox.state, ID)


def test_an_event_of_several_objects_is_applied_as_a_whole_or_waits_as_a_whole(
    sandbox: SandboxServer, source: Source, take_opened: TakeOpened, database: Database
) -> None:
    sandbox.state.apply_changes(ID, update={"customers": 2, "invoices": 2}, at=next_second(sandbox))
    events = {event.entity: event for event in map(opened, events_since(sandbox))}
    customer, invoice = events[Entity.CUSTOMERS], events[Entity.INVOICES]
    whole = replace(customer, id="evt_whole", changes=customer.changes + invoice.changes)
    (change,) = invoice.changes
    uncertain = replace(customer, id="evt_uncertain", changes=(*customer.changes, replace(change, snapshot=None)))
    before = live_rows(database, source, Entity.CUSTOMERS)
    assert take_opened(uncertain) == [Taken.KEPT]
    assert live_rows(database, source, Entity.CUSTOMERS) == before
    assert take_opened(whole) == [Taken.APPLIED]
    for each in (customer, invoice):
        (told,) = each.changes
        assert told.snapshot is not None
        row = live_rows(database, source, told.entity)[told.object_id]
        assert row["metadata"] == told.snapshot["metadata"]
    assert (count_waiting(database, source), wanted(database, source)) == (1, True)


def test_a_part_that_the_tables_cannot_decide_keeps_the_whole_event(
    sandbox: SandboxServer, source: Source, take_opened: TakeOpened, database: Database
) -> None:
    """Its invoice is of a second of which the tables hold another state: it keeps its customer waiting too."""
    sandbox.state.apply_changes(ID, update={"customers": 1, "invoices": 1}, at=next_second(sandbox))
    events = {event.entity: event for event in map(opened, events_since(sandbox))}
    customer, invoice = events[Entity.CUSTOMERS], events[Entity.INVOICES]
    (change,) = invoice.changes
    assert take_opened(invoice) == [Taken.APPLIED]
    assert change.snapshot is not None
    other = replace(change, snapshot={**change.snapshot, "description": "another state of the same second"})
    before = live_rows(database, source, Entity.CUSTOMERS)
    assert take_opened(replace(customer, changes=(*customer.changes, other))) == [Taken.KEPT]
    assert live_rows(database, source, Entity.CUSTOMERS) == before


def test_a_deletion_and_what_happened_before_it_may_come_in_any_order(
    sandbox: SandboxServer, source: Source, take: Take, database: Database
) -> None:
    customer, now = a_customer(sandbox), next_second(sandbox) + 10
    sandbox.state.patch(ID, customer["id"], {"name": "Once more"}, at=now - 2)
    sandbox.state.delete(ID, customer["id"], at=now - 1)
    created = event_about({**customer, "id": "cus_never_seen"}, "customer.created", event_id="evt_a", created=now - 9)
    deleted = event_about({**customer, "id": "cus_never_seen"}, "customer.deleted", event_id="evt_b", created=now - 5)
    updated, gone = events_since(sandbox)
    for event in (gone, updated, deleted, created):
        assert take(event) == [Taken.APPLIED]
    assert_tables_equal_truth(database, source, sandbox.state, ID)


def test_rows_that_are_to_be_left_are(
    sandbox: SandboxServer, source: Source, take: Take, sync_now: RunSync, database: Database
) -> None:
    session = open_session(database, source, SyncRequest(conflict_strategy=ConflictStrategy.SKIP))
    assert take(_renamed(sandbox)) == [Taken.KEPT]
    finish_session(database, session, SessionStatus.CANCELLED)
    pause_source(database, source)
    sandbox.state.patch(ID, a_customer(sandbox)["id"], {"phone": "1"}, at=next_second(sandbox))
    assert take(events_since(sandbox)[-1]) == [Taken.KEPT]
    resume_source(database, source)
    assert (count_waiting(database, source), wanted(database, source)) == (2, True)
    sync_now(source, only_changes=True)
    assert_tables_equal_truth(database, source, sandbox.state, ID)
    sandbox.state.patch(ID, a_customer(sandbox)["id"], {"phone": "2"}, at=next_second(sandbox))
    assert take(events_since(sandbox)[-1]) == [Taken.APPLIED]


def test_before_the_first_listing_nothing_is_applied_or_wanted(
    sandbox: SandboxServer, add_source: Callable[..., Source], database: Database, keyring: Keyring
) -> None:
    fresh = add_source(ACCOUNT.api_key, sandbox.url)
    assert taker(database, keyring, fresh)(_renamed(sandbox)) == [Taken.KEPT]
    assert (count_waiting(database, fresh), wanted(database, fresh)) == (1, False)


def test_another_key_may_open_another_account(sandbox: SandboxServer, source: Source, take: Take) -> None:
    other = Credentials(api_key=SecretStr("sk_test_another_one"), base_url=sandbox.url)
    assert take(_renamed(sandbox), credentials=other) == [Taken.KEPT]


def test_one_that_postgres_refuses_holds_up_no_other(
    sandbox: SandboxServer, source: Source, take: Take, sync_now: RunSync, database: Database
) -> None:
    sandbox.state.apply_changes(ID, update={"customers": 5}, at=next_second(sandbox))
    events = [event for event in events_since(sandbox) if event["type"] == "customer.updated"][-5:]
    # No bigint holds it, and nobody knows before Postgres does.
    events[3]["data"]["object"]["balance"] = 10**30
    outcomes = take(*events)
    assert outcomes == [Taken.APPLIED, Taken.APPLIED, Taken.APPLIED, Taken.KEPT, Taken.APPLIED]
    assert (count_waiting(database, source), wanted(database, source)) == (1, True)


def test_who_holds_a_row_is_not_waited_for(
    sandbox: SandboxServer, source: Source, take: Take, sync_now: RunSync, database: Database
) -> None:
    with database.tenant(source.workspace_id) as connection:
        connection.execute(text("SELECT id FROM payments.customers FOR UPDATE"))
        assert take(_renamed(sandbox)) == [Taken.KEPT]
        assert wanted(database, source)
    sync_now(source, only_changes=True)
    assert_tables_equal_truth(database, source, sandbox.state, ID)


def test_who_writes_the_same_new_row_first_is_not_overwritten_unseen(
    sandbox: SandboxServer, source: Source, take: Take, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look at the rows and the merge a sync brings another state of the same second."""
    second = int(time.time())
    new = {**a_customer(sandbox), "id": "cus_new", "created": second}
    first = event_about(new, "customer.created", event_id="evt_first", created=second)
    last = event_about({**new, "name": "Later"}, "customer.updated", event_id="evt_last", created=second)
    nobody: dict[Any, Any] = {}
    assert take(first) == [Taken.APPLIED]
    monkeypatch.setattr("cyphera_pipelines.sync.at_once.find_known_rows", lambda *_about, **_how: nobody)
    assert take(last) == [Taken.KEPT]
    assert live_rows(database, source, "customers")["cus_new"]["name"] == new["name"]


def test_of_a_configuration_that_was_changed_or_removed_nothing_is_taken(
    sandbox: SandboxServer, source: Source, database: Database, keyring: Keyring
) -> None:
    target = find_webhook_target(database, "stripe", source.configuration_id)
    credentials, event = read_credentials(database, keyring, binding_of(source)), opened(_renamed(sandbox))
    assert target is not None
    with database.control() as connection:
        connection.execute(
            text("UPDATE sync.workspace_payment_configurations SET updated_at = now() WHERE id = :id"),
            {"id": source.configuration_id},
        )
    with pytest.raises(ConfigurationChangedError):
        take_in_events(database, target, credentials, [event])
    assert count_waiting(database, source) == 0


def test_what_is_in_the_tables_takes_no_place_in_the_inbox(
    sandbox: SandboxServer, source: Source, database: Database, keyring: Keyring
) -> None:
    target = find_webhook_target(database, "stripe", source.configuration_id)
    credentials = read_credentials(database, keyring, binding_of(source))
    assert target is not None
    quotas = replace(Settings().quotas(), waiting_webhooks=0)
    whole, price = _renamed(sandbox), _of_a_price(sandbox, source, database)
    outcomes = take_in_events(database, target, credentials, [opened(whole), opened(price)], quotas)
    assert outcomes[0] is Taken.APPLIED
    assert isinstance(outcomes[1], QuotaReachedError)
    with database.tenant(source.workspace_id) as connection:
        kept = connection.execute(text("SELECT handled_by, payload_bytes FROM sync.webhook_events")).all()
    assert [tuple(row) for row in kept] == [("at_once", 0)]
