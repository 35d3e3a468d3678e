"""The sensor that forgets what is over, as the daemon evaluates it."""

from collections.abc import Callable

import pytest
from dagster import DagsterInstance
from sqlalchemy import text

from cyphera_pipelines.model.sessions import SessionStatus, SyncRequest
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.sessions import finish_session, list_sessions
from cyphera_pipelines.sync.request import open_session
from cyphera_pipelines_tests.orchestration.conftest import evaluate


def test_old_sessions_are_forgotten_by_themselves_and_by_the_setting(
    database: Database, instance: DagsterInstance, add_source: Callable[..., Source], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = add_source("sk_test_retention_sensor")
    old, new = (open_session(database, source, SyncRequest()) for _ in range(2))
    for session in (old, new):
        finish_session(database, session, SessionStatus.COMPLETED)
    with database.control() as connection:
        older = "UPDATE sync.payment_sync_sessions SET completed_at = now() - interval '50 days' WHERE id = :id"
        connection.execute(text(older), {"id": old.id})
    assert "Deleted " in (evaluate(instance, "retention").skip_message or "")
    assert len(list_sessions(database, source.workspace_id)) == 2, "kept for 90 days"
    monkeypatch.setenv("CYPHERA_KEEP_SESSIONS_DAYS", "40")
    evaluate(instance, "retention")
    assert [each.id for each in list_sessions(database, source.workspace_id)] == [new.id]
