"""A platform, the accounts connected to it and those of an organization: each source gets one account's data."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from sqlalchemy import text

from cyphera_pipelines.model.configuration import Configuration
from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.errors import CypheraError
from cyphera_pipelines.model.sessions import SessionStatus
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.sandbox import SandboxAccount, SandboxOptions, SandboxServer
from cyphera_pipelines.security.encryption import Keyring
from cyphera_pipelines.store.configurations import ConfigurationChange, change_configuration
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.events import RecordedEvent, list_events
from cyphera_pipelines.store.sources import find_source
from cyphera_pipelines.store.webhooks import WebhookTarget, list_unhandled
from cyphera_pipelines.sync.connection import ProblemCode, check_connection
from cyphera_pipelines.sync.outcome import SyncOutcome
from cyphera_pipelines_tests.sync.conftest import RunSync
from cyphera_pipelines_tests.truth import assert_tables_equal_truth
from cyphera_pipelines_tests.webhooks import event_about, keep_webhook

ORGANIZATION_KEY = "sk_org_test_whose_data"
PLATFORM = SandboxAccount(
    api_key="sk_test_whose_platform", account_id="acct_platform", seed=51, organization_keys=(ORGANIZATION_KEY,)
)
FIRST, SECOND = (
    SandboxAccount(
        api_key=f"sk_test_whose_{name}",
        account_id=f"acct_{name}",
        seed=seed,
        platform="acct_platform",
        organization_keys=(ORGANIZATION_KEY,),
    )
    for name, seed in (("first", 52), ("second", 53))
)


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer([PLATFORM, FIRST, SECOND], SandboxOptions()) as server:
        yield server


def events_of(database: Database, outcome: SyncOutcome, kind: str) -> list[RecordedEvent]:
    events = list_events(database, outcome.session.workspace_id, outcome.session.id)
    return [event for event in events if event.event_type == kind]


def tell(database: Database, source: Source, event: dict[str, Any]) -> None:
    target = WebhookTarget(source.workspace_id, source.configuration_id, source.provider, source.is_test_mode)
    keep_webhook(database, target, external_id=event["id"], kind=event["type"], entity=Entity.CUSTOMERS, payload=event)


@pytest.mark.parametrize(
    ("api_key", "connected", "account_id"),
    [
        (PLATFORM.api_key, None, "acct_platform"),
        (PLATFORM.api_key, "acct_first", "acct_first"),
        (PLATFORM.api_key, "acct_second", "acct_second"),
        (ORGANIZATION_KEY, "acct_platform", "acct_platform"),
        (ORGANIZATION_KEY, "acct_platform/acct_second", "acct_second"),
    ],
)
def test_a_source_gets_the_data_of_the_account_that_it_names(
    api_key: str,
    connected: str | None,
    account_id: str,
    sandbox: SandboxServer,
    add_source: Callable[..., Source],
    sync_now: RunSync,
    database: Database,
    keyring: Keyring,
) -> None:
    source = add_source(api_key, sandbox.url, connected_account_id=connected)
    tested = check_connection(database, keyring, source)
    assert tested.success
    assert tested.account is not None
    assert tested.account.id == account_id
    assert sync_now(source).status is SessionStatus.COMPLETED
    assert_tables_equal_truth(database, source, sandbox.state, account_id)
    sandbox.state.apply_changes(account_id, create={"customers": 2}, update={"invoices": 2})
    sandbox.state.apply_changes("acct_first" if account_id == "acct_second" else "acct_second", update={"customers": 2})
    assert sync_now(source, only_changes=True).status is SessionStatus.COMPLETED
    assert_tables_equal_truth(database, source, sandbox.state, account_id)
    assert {seen.account_id for seen in sandbox.state.counters.recent} == {account_id}


def test_another_connected_account_begins_anew(
    sandbox: SandboxServer,
    add_source: Callable[..., Source],
    sync_now: RunSync,
    database: Database,
    keyring: Keyring,
) -> None:
    source = add_source(PLATFORM.api_key, sandbox.url)
    sync_now(source)
    for connected in ("acct_first", "acct_second", None):

        def decide(_present: Configuration, _read: object, to: str | None = connected) -> ConfigurationChange:
            return ConfigurationChange({"connected_account_id": to})

        # What the former account told and nobody applied yet is not the next one's.
        tell(database, source, event_about(next(sandbox.state.truth("acct_first", "customers")), "customer.updated"))
        change_configuration(database, keyring, source.workspace_id, source.configuration_id, decide)
        source = find_source(database, source.key)
        outcome = sync_now(source, only_changes=True)
        assert outcome.status is SessionStatus.COMPLETED
        assert len(events_of(database, outcome, "account_changed")) == 1
        assert_tables_equal_truth(database, source, sandbox.state, connected or "acct_platform")


@pytest.mark.parametrize("connected", [None, "acct_first"], ids=["its own", "connected"])
def test_another_account_s_events_are_refused_and_told(
    connected: str | None,
    sandbox: SandboxServer,
    add_source: Callable[..., Source],
    sync_now: RunSync,
    database: Database,
) -> None:
    own = connected or "acct_platform"
    source = add_source(PLATFORM.api_key, sandbox.url, connected_account_id=connected)
    sync_now(source)
    # Their ids are the same: only the account tells them apart.
    mine = next(sandbox.state.truth(own, "customers"))
    listed = sandbox.state.patch(own, mine["id"], {"name": "Somebody else's, listed"})
    events = sandbox.state.dataset(own).events
    number = events.number_of(listed.event_id or "")
    assert number is not None
    events.whole(number)["account"] = "acct_second"
    sandbox.state.patch(own, mine["id"], {"name": mine["name"]}, with_event=False)
    for sent, account in enumerate(["acct_second", 7, None if connected else "acct_second"]):
        foreign = event_about({**mine, "name": "Somebody else's, sent"}, "customer.updated", event_id=f"evt_{sent}")
        tell(database, source, {**foreign, "account": account})
    outcome = sync_now(source, only_changes=True)
    assert outcome.status is SessionStatus.COMPLETED
    assert_tables_equal_truth(database, source, sandbox.state, own)
    (told,) = events_of(database, outcome, "foreign_events_refused")
    assert "acct_second" in told.event_message
    assert own in told.event_message
    assert list_unhandled(database, source, tuple(Entity), livemode=False) == []


def test_the_own_account_s_events_are_applied_whether_they_name_it_or_not(
    sandbox: SandboxServer, add_source: Callable[..., Source], sync_now: RunSync, database: Database
) -> None:
    source = add_source(PLATFORM.api_key, sandbox.url, connected_account_id="acct_first")
    sync_now(source)
    first, second = list(sandbox.state.truth("acct_first", "customers"))[:2]
    sandbox.state.patch("acct_first", first["id"], {"name": "Listed"})
    sandbox.state.patch("acct_first", second["id"], {"name": "Sent"}, with_event=False)
    sent = event_about({**second, "name": "Sent"}, "customer.updated") | {"account": "acct_first"}
    tell(database, source, sent)
    outcome = sync_now(source, only_changes=True)
    assert outcome.status is SessionStatus.COMPLETED
    assert events_of(database, outcome, "foreign_events_refused") == []
    assert_tables_equal_truth(database, source, sandbox.state, "acct_first")


@pytest.mark.parametrize(
    ("api_key", "connected", "says"),
    [
        (PLATFORM.api_key, "acme, inc.", "is not the id of an account"),
        (ORGANIZATION_KEY, None, "is an organization's"),
        (ORGANIZATION_KEY, "acct_second", "does not let the API key read that account"),
        (PLATFORM.api_key, "acct_unknown", "does not let the API key read that account"),
        (FIRST.api_key, "acct_second", "does not let the API key read that account"),
    ],
)
def test_an_account_that_the_key_does_not_open_is_named(
    api_key: str,
    connected: str | None,
    says: str,
    sandbox: SandboxServer,
    add_source: Callable[..., Source],
    sync_now: RunSync,
    database: Database,
    keyring: Keyring,
) -> None:
    source = add_source(api_key, sandbox.url, connected_account_id=connected)
    (problem,) = check_connection(database, keyring, source).problems
    assert problem.code is ProblemCode.WRONG_ACCOUNT
    assert says in problem.message
    with suppress(CypheraError):  # raised where not even a client can be made
        sync_now(source)
    with database.tenant(source.workspace_id) as connection:
        ended = connection.execute(text("SELECT status, error_summary->>'message' FROM sync.payment_sync_sessions"))
        status, message = ended.one()
        assert status == "failed"
        assert says in message
        assert connection.execute(text("SELECT count(*) FROM payments.customers")).scalar_one() == 0
