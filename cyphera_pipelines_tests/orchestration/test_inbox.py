"""Webhooks that wait: the sensor starts one sync per source, and tries a failing one seldom."""

from collections.abc import Callable

import pytest
from dagster import DagsterInstance, RunRequest
from sqlalchemy import text

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.runs import SESSION_TAG, SOURCES_PARTITIONS
from cyphera_pipelines.model.sessions import SessionStatus, SessionType
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.pauses import pause_source, resume_source
from cyphera_pipelines.store.sessions import finish_session, list_sessions
from cyphera_pipelines.store.webhooks import WebhookTarget, keep_webhook
from cyphera_pipelines_tests.orchestration.conftest import evaluate


@pytest.fixture
def source(add_source: Callable[..., Source], database: Database) -> Source:
    """A source that was listed once."""
    added = add_source("sk_test_inbox_0001")
    listed = text(
        "INSERT INTO sync.sync_cursors (workspace_id, provider_name, livemode, entity_type, full_listing_at) "
        "VALUES (:workspace_id, 'stripe', false, 'customers', now())"
    )
    with database.tenant(added.workspace_id) as connection:
        connection.execute(listed, {"workspace_id": added.workspace_id})
    return added


def tell(database: Database, source: Source, event_id: str) -> None:
    target = WebhookTarget(source.workspace_id, source.configuration_id, source.provider, source.is_test_mode)
    keep_webhook(database, target, external_id=event_id, kind="customer.updated", entity=Entity.CUSTOMERS, payload={})


def requests_for(source: Source, instance: DagsterInstance) -> list[RunRequest]:
    requests = evaluate(instance, "received_webhooks").run_requests or []
    return [request for request in requests if request.partition_key == source.key]


def end_session(database: Database, source: Source) -> None:
    finish_session(database, list_sessions(database, source.workspace_id)[0], SessionStatus.FAILED)


def test_however_many_webhooks_come_in_one_sync_of_changes_is_started(
    database: Database, instance: DagsterInstance, source: Source
) -> None:
    assert requests_for(source, instance) == []
    for number in range(3):
        tell(database, source, f"evt_{number}")
    (request,) = requests_for(source, instance)
    (session,) = list_sessions(database, source.workspace_id)
    assert (session.session_type, session.status) == (SessionType.DELTA_SYNC, SessionStatus.PENDING)
    assert (request.run_key, request.tags[SESSION_TAG]) == (str(session.id), str(session.id))
    assert requests_for(source, instance) == []  # it waits already


def test_a_source_that_failed_is_tried_again_when_more_is_told_or_later(
    database: Database, instance: DagsterInstance, source: Source
) -> None:
    tell(database, source, "evt_1")
    assert len(requests_for(source, instance)) == 1
    end_session(database, source)
    assert requests_for(source, instance) == []
    tell(database, source, "evt_2")
    assert len(requests_for(source, instance)) == 1
    end_session(database, source)
    with database.control() as connection:
        for table, column, age in (
            ("payment_sync_sessions", "created_at", "11 minutes"),
            ("webhook_events", "received_at", "12 minutes"),
        ):
            earlier = f"UPDATE sync.{table} SET {column} = now() - interval '{age}' WHERE workspace_id = :workspace_id"
            connection.execute(text(earlier), {"workspace_id": source.workspace_id})
    assert len(requests_for(source, instance)) == 1


def test_a_source_that_was_never_listed_waits_for_its_first_sync(
    database: Database, instance: DagsterInstance, add_source: Callable[..., Source]
) -> None:
    source = add_source("sk_test_inbox_0002")
    tell(database, source, "evt_1")
    assert requests_for(source, instance) == []


def test_a_missing_partition_is_added_with_the_run(
    database: Database, instance: DagsterInstance, source: Source
) -> None:
    tell(database, source, "evt_1")
    assert not instance.has_dynamic_partition(SOURCES_PARTITIONS, source.key)
    additions = evaluate(instance, "received_webhooks").dynamic_partitions_requests or []
    assert source.key in {key for addition in additions for key in addition.partition_keys}


def test_what_a_paused_source_is_told_waits_for_its_resumption(
    database: Database, instance: DagsterInstance, source: Source
) -> None:
    pause_source(database, source)
    tell(database, source, "evt_1")
    assert requests_for(source, instance) == []
    assert list_sessions(database, source.workspace_id) == []
    resume_source(database, source)
    assert len(requests_for(source, instance)) == 1
