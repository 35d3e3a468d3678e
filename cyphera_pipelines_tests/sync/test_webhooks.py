"""What webhooks told is applied by the next sync, whatever the provider's list of events knows of it."""

from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.error_codes import ErrorCode
from cyphera_pipelines.model.sessions import ConflictStrategy, SessionStatus
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.model.webhooks import WebhookState
from cyphera_pipelines.providers.http import exchange
from cyphera_pipelines.sandbox import Fault, FaultKind, SandboxAccount, SandboxOptions, SandboxServer
from cyphera_pipelines.settings import Settings
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.events import list_events
from cyphera_pipelines.store.inbox import find_inbox_event, note_failed
from cyphera_pipelines.store.retention import forget_old
from cyphera_pipelines.store.webhooks import WebhookTarget, list_unhandled
from cyphera_pipelines_tests.sync.conftest import RunSync
from cyphera_pipelines_tests.truth import assert_tables_equal_truth
from cyphera_pipelines_tests.webhooks import event_about, keep_webhook

# Its events are found long after they happened.
NO_EVENTS_KEY = "rk_test_webhooks_no_events"
ACCOUNT = SandboxAccount(
    api_key="sk_test_webhooks_sync",
    account_id="acct_webhooks",
    seed=36,
    customers=40,
    event_delay_seconds=3_600,
    restricted_keys={NO_EVENTS_KEY: frozenset({"event"})},
)


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer([ACCOUNT], SandboxOptions()) as server:
        yield server


@pytest.fixture
def source(sandbox: SandboxServer, add_source: Callable[..., Source], sync_now: RunSync) -> Source:
    added = add_source(ACCOUNT.api_key, sandbox.url)
    sync_now(added)
    return added


def tell(database: Database, source: Source, entity: Entity, event: dict[str, Any]) -> None:
    target = WebhookTarget(source.workspace_id, source.configuration_id, source.provider, source.is_test_mode)
    keep_webhook(database, target, external_id=event["id"], kind=event["type"], entity=entity, payload=event)


def unhandled(database: Database, source: Source) -> list[str]:
    return [webhook.external_id for webhook in list_unhandled(database, source, tuple(Entity), livemode=False)]


def change_and_tell(sandbox: SandboxServer, database: Database, source: Source) -> str:
    """A customer is renamed and another deleted, which only webhooks tell. Returns the former's id."""
    truth = list(sandbox.state.truth("acct_webhooks", "customers"))
    renamed, deleted = truth[0]["id"], truth[1]
    sandbox.state.patch("acct_webhooks", renamed, {"name": "Renamed"})
    sandbox.state.delete("acct_webhooks", deleted["id"])
    now_called = next(each for each in sandbox.state.truth("acct_webhooks", "customers") if each["id"] == renamed)
    tell(database, source, Entity.CUSTOMERS, event_about(now_called, "customer.updated", event_id="evt_renamed"))
    tell(database, source, Entity.CUSTOMERS, event_about(deleted, "customer.deleted", event_id="evt_deleted"))
    return str(renamed)


@pytest.mark.parametrize("only_changes", [True, False], ids=["delta", "listing"])
def test_what_was_told_is_applied_once(
    only_changes: bool, sandbox: SandboxServer, source: Source, sync_now: RunSync, database: Database
) -> None:
    change_and_tell(sandbox, database, source)
    outcome = sync_now(source, only_changes=only_changes)
    assert outcome.status is SessionStatus.COMPLETED
    assert unhandled(database, source) == []
    assert_tables_equal_truth(database, source, sandbox.state, "acct_webhooks")
    again = sync_now(source, only_changes=True).entities[Entity.CUSTOMERS]
    assert (again.fetched, again.updated, again.deleted) == (0, 0, 0)


def test_what_could_not_be_applied_stays(
    sandbox: SandboxServer,
    source: Source,
    sync_now: RunSync,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(exchange, "LONGEST_WAIT", 0.02)
    change_and_tell(sandbox, database, source)
    sandbox.state.faults.set([Fault(kind=FaultKind.ERROR_500, path="/v1/events")])
    assert sync_now(source, only_changes=True).status is not SessionStatus.COMPLETED
    sandbox.state.faults.clear()
    assert len(unhandled(database, source)) == 2
    failed = find_inbox_event(database, source.workspace_id, "evt_renamed")
    assert (failed.state, failed.attempts, "HTTP 500" in str(failed.last_error)) == (WebhookState.FAILED, 1, True)
    assert failed.error_code == ErrorCode.PROVIDER_UNAVAILABLE
    sync_now(source, only_changes=True, conflict_strategy=ConflictStrategy.SKIP)
    assert len(unhandled(database, source)) == 2
    assert sync_now(source, only_changes=True).status is SessionStatus.COMPLETED
    assert unhandled(database, source) == []
    applied = find_inbox_event(database, source.workspace_id, "evt_renamed")
    assert (applied.state, applied.handled_by, applied.retry_at) == (WebhookState.APPLIED, "sync", None)
    assert_tables_equal_truth(database, source, sandbox.state, "acct_webhooks")


def test_a_listing_settles_also_what_was_given_up_and_what_no_events_tell(
    sandbox: SandboxServer, add_source: Callable[..., Source], sync_now: RunSync, database: Database
) -> None:
    """A key that may not read provider events would else leave its webhooks waiting for ever."""
    source = add_source(NO_EVENTS_KEY, sandbox.url)
    assert sync_now(source).status is SessionStatus.COMPLETED
    change_and_tell(sandbox, database, source)
    why = ("Not permitted.", ErrorCode.PERMISSION_MISSING)
    note_failed(database, source, [Entity.CUSTOMERS], *why, livemode=False, most=1)
    earlier = "UPDATE sync.webhook_events SET received_at = now() - interval '1 hour' WHERE workspace_id = :id"
    with database.control() as connection:
        connection.execute(text(earlier), {"id": source.workspace_id})
    assert unhandled(database, source) == []
    assert find_inbox_event(database, source.workspace_id, "evt_renamed").state is WebhookState.DEAD
    assert sync_now(source, full_sync=True).status is SessionStatus.COMPLETED
    for event_id in ("evt_renamed", "evt_deleted"):
        assert find_inbox_event(database, source.workspace_id, event_id).state is WebhookState.APPLIED


def test_what_nobody_can_read_is_named_once_and_blocks_nothing(
    sandbox: SandboxServer, source: Source, sync_now: RunSync, database: Database
) -> None:
    """Both what the front keeps for people, and odd events that were kept as they came."""
    renamed = change_and_tell(sandbox, database, source)
    target = WebhookTarget(source.workspace_id, source.configuration_id, source.provider, source.is_test_mode)
    payload = {"problem": "it is no object", "body": "[]"}
    keep_webhook(database, target, external_id="unreadable_1", kind="unreadable", entity=None, payload=payload)
    customer = {"id": renamed, "object": "customer"}
    odd = event_about(customer, "customer.updated", event_id="evt_odd")
    tell(database, source, Entity.CUSTOMERS, {**odd, "created": 10**30})
    tell(database, source, Entity.CUSTOMERS, {**odd, "id": "evt_odder", "data": {"object": {"id": []}}})
    outcome = sync_now(source, only_changes=True)
    assert outcome.status is SessionStatus.COMPLETED
    told = {
        event.event_type: event.event_message
        for event in list_events(database, source.workspace_id, outcome.session.id)
    }
    assert "unreadable_1 (it is no object)" in told["webhooks_unreadable"]
    assert "evt_odder (`data.object.id` is no usable id)" in told["provider_events_unreadable"]
    assert_tables_equal_truth(database, source, sandbox.state, "acct_webhooks")
    assert unhandled(database, source) == []
    again = sync_now(source, only_changes=True)
    events = list_events(database, source.workspace_id, again.session.id)
    assert not {event.event_type for event in events} & told.keys() - {"session_started", "session_completed"}


def test_an_older_state_that_is_told_late_changes_nothing(
    sandbox: SandboxServer, source: Source, sync_now: RunSync, database: Database
) -> None:
    customer = dict(next(iter(sandbox.state.truth("acct_webhooks", "customers"))))
    stale = event_about({**customer, "name": "Long ago"}, "customer.updated", created=1_700_000_000)
    tell(database, source, Entity.CUSTOMERS, stale)
    assert sync_now(source, only_changes=True).status is SessionStatus.COMPLETED
    assert_tables_equal_truth(database, source, sandbox.state, "acct_webhooks")


def test_what_nobody_will_send_again_is_forgotten(
    sandbox: SandboxServer, source: Source, sync_now: RunSync, database: Database
) -> None:
    change_and_tell(sandbox, database, source)
    sync_now(source, only_changes=True)
    _make_older(database, source.workspace_id)
    customer = dict(next(iter(sandbox.state.truth("acct_webhooks", "customers"))))
    tell(database, source, Entity.CUSTOMERS, event_about(customer, "customer.updated", event_id="evt_next"))
    sync_now(source, only_changes=True)
    forget_old(database, Settings().retention(), within=60)
    with database.tenant(source.workspace_id) as connection:
        left = list(connection.execute(text("SELECT external_id FROM sync.webhook_events")).scalars())
    assert left == ["evt_next"]


def _make_older(database: Database, workspace_id: UUID) -> None:
    with database.tenant(workspace_id) as connection:
        connection.execute(text("UPDATE sync.webhook_events SET handled_at = handled_at - interval '31 days'"))
