"""What is over is forgotten in time, and nothing that is still needed."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.quotas import Retention
from cyphera_pipelines.model.sessions import Session, SessionEvent, SessionStatus, SyncRequest
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.store import retention
from cyphera_pipelines.store.configurations import get_configuration, remove_configuration
from cyphera_pipelines.store.cursors import save_unfinished
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.events import record_events
from cyphera_pipelines.store.retention import forget_old
from cyphera_pipelines.store.sessions import finish_session
from cyphera_pipelines.store.unrouted_webhooks import list_unrouted, note_unrouted
from cyphera_pipelines.store.webhooks import find_webhook_target
from cyphera_pipelines.store.workspaces import find_workspace
from cyphera_pipelines.sync.request import open_session
from cyphera_pipelines_tests.webhooks import keep_webhook

KEPT = Retention(
    sessions_days=90,
    handled_webhooks_days=30,
    waiting_webhooks_days=30,
    orphaned_webhooks_days=7,
    removed_configurations_days=365,
)


def session(database: Database, source: Source, age_days: float, *, ended: bool = True, events: int = 1) -> Session:
    made = open_session(database, source, SyncRequest())
    record_events(database, made, [SessionEvent("told", "Something happened.")] * events)
    if ended:
        finish_session(database, made, SessionStatus.PARTIAL)
    older = "UPDATE sync.payment_sync_sessions SET {0} = {0} - make_interval(secs => :age) WHERE id = :id"
    with database.control() as connection:
        for column in ("created_at", "completed_at"):
            connection.execute(text(older.format(column)), {"age": age_days * 86_400, "id": made.id})
    return made


def left(database: Database, source: Source, table: str, column: str = "id") -> set[Any]:
    with database.control() as connection:
        found = text(f"SELECT {column} FROM sync.{table} WHERE workspace_id = :workspace_id")
        return set(connection.execute(found, {"workspace_id": source.workspace_id}).scalars())


@pytest.mark.parametrize("pieces", [1, 3, 5_000])
def test_old_sessions_go_with_their_events_and_the_needed_ones_stay(
    pieces: int, database: Database, add_source: Callable[..., Source], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "ROWS_AT_ONCE", pieces)
    monkeypatch.setattr(retention, "SESSIONS_AT_ONCE", 2)
    source, idle = add_source("sk_test_retention"), add_source("sk_test_retention_idle")
    for age in (400, 300, 200):
        session(database, source, age, events=4)
    listing = session(database, source, 250)
    waits = session(database, source, 150, ended=False)
    recent = [session(database, source, age) for age in (80, 1)]
    newest_of_idle = session(database, idle, 500)
    session(database, idle, 501)
    with database.tenant(source.workspace_id) as connection:
        unfinished = {"session_id": str(listing.id)}
        save_unfinished(connection, source, Entity.PRICES, unfinished, [], livemode=False)
    assert forget_old(database, KEPT, within=60).is_all
    kept = {each.id for each in (listing, waits, *recent)}
    assert left(database, source, "payment_sync_sessions") == kept
    assert left(database, source, "payment_sync_events", "session_id") == kept
    assert left(database, idle, "payment_sync_sessions") == {newest_of_idle.id}
    assert forget_old(database, KEPT, within=60).sessions == 0


def webhook(database: Database, source: Source, name: str, *, received: float, handled: float | None = None) -> None:
    target = find_webhook_target(database, source.provider, source.configuration_id)
    assert target is not None
    keep_webhook(
        database, target, external_id=name, kind="customer.updated", entity=Entity.CUSTOMERS, payload={"id": name}
    )
    statement = text(
        "UPDATE sync.webhook_events SET received_at = now() - make_interval(secs => :received), "
        "handled_at = now() - make_interval(secs => :handled) "
        "WHERE external_id = :name AND workspace_id = :workspace_id"
    )
    ages = {"received": received * 86_400, "handled": None if handled is None else handled * 86_400}
    with database.control() as connection:
        connection.execute(statement, {"name": name, "workspace_id": source.workspace_id, **ages})


def test_webhooks_are_forgotten_by_what_became_of_them(database: Database, add_source: Callable[..., Source]) -> None:
    source, gone = add_source("sk_test_old_webhooks"), add_source("sk_test_orphaned_webhooks")
    webhook(database, source, "handled long ago", received=40, handled=31)
    webhook(database, source, "handled", received=40, handled=29)
    webhook(database, source, "waits for ever", received=31)
    webhook(database, source, "waits", received=29)
    webhook(database, gone, "orphaned", received=8)
    webhook(database, gone, "just orphaned", received=6)
    remove_configuration(database, get_configuration(database, gone.workspace_id, gone.configuration_id))
    forget_old(database, KEPT, within=60)
    assert left(database, source, "webhook_events", "external_id") == {"handled", "waits"}
    assert left(database, gone, "webhook_events", "external_id") == {"just orphaned"}


def test_of_too_many_handled_webhooks_the_newest_are_known(
    database: Database, add_source: Callable[..., Source]
) -> None:
    source = add_source("sk_test_many_webhooks")
    for number in range(5):
        webhook(database, source, f"evt_{number}", received=10, handled=number + 1)
    webhook(database, source, "waits", received=10)
    few = Retention(90, 30, 30, 7, 365, handled_webhooks=2)
    forget_old(database, few, within=60)
    assert left(database, source, "webhook_events", "external_id") == {"evt_0", "evt_1", "waits"}


def test_what_was_given_up_is_kept_from_then_on_and_what_went_nowhere_for_a_week(
    database: Database, add_source: Callable[..., Source]
) -> None:
    source = add_source("sk_test_dead_webhooks")
    for number, days in enumerate((31, 29)):
        webhook(database, source, f"dead {number}", received=40)
        given_up = "UPDATE sync.webhook_events SET dead_at = now() - make_interval(days => :days) "
        with database.control() as connection:
            which = {"days": days, "id": f"dead {number}", "workspace": source.workspace_id}
            connection.execute(text(f"{given_up} WHERE external_id = :id AND workspace_id = :workspace"), which)
    aged = "UPDATE sync.unrouted_webhook_events SET received_at = now() - make_interval(days => :days) "
    for number, days in enumerate((8, 6)):
        seen = {"external_id": f"evt_aged_{number}", "kind": "customer.updated", "account": "acct_x", "livemode": False}
        note_unrouted(database, "stripe", **seen, why="Nobody's.")  # type: ignore[arg-type]
        with database.control() as connection:
            connection.execute(text(f"{aged} WHERE external_id = :id"), {"days": days, "id": f"evt_aged_{number}"})
    forget_old(database, KEPT, within=60)
    assert left(database, source, "webhook_events", "external_id") == {"dead 1"}
    kept = {each.id for each in list_unrouted(database, limit=1_000)}
    assert ("evt_aged_0" in kept, "evt_aged_1" in kept) == (False, True)


def test_nothing_begins_after_its_time(database: Database, add_source: Callable[..., Source]) -> None:
    source = add_source("sk_test_no_time")
    old = session(database, source, 400)
    session(database, source, 1)
    assert not forget_old(database, KEPT, within=0).is_all
    assert old.id in left(database, source, "payment_sync_sessions")


def test_removed_configurations_are_bounded_by_number_and_age(
    database: Database, add_source: Callable[..., Source]
) -> None:
    source = add_source("sk_test_removed_0")
    removed: list[UUID] = []
    for number in range(1, 5):
        present = find_source_of(database, source)
        remove_configuration(database, present, keep=3)
        removed.append(present.id)
        source = add_source(f"sk_test_removed_{number}", workspace=workspace_of(database, source))
    assert left(database, source, "workspace_payment_configurations") == {*removed[-3:], source.configuration_id}
    with database.control() as connection:
        older = (
            "UPDATE sync.workspace_payment_configurations SET deleted_at = deleted_at - interval '366 days' "
            "WHERE id = :id"
        )
        connection.execute(text(older), {"id": removed[-1]})
    forget_old(database, KEPT, within=60)
    assert left(database, source, "workspace_payment_configurations") == {*removed[-3:-1], source.configuration_id}


def find_source_of(database: Database, source: Source) -> Any:
    return get_configuration(database, source.workspace_id, source.configuration_id)


def workspace_of(database: Database, source: Source) -> Any:
    return find_workspace(database, source.workspace_slug)
