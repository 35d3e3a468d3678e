"""What keys of each level may do, and that one whose time is over says so."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from cyphera_pipelines.model.key_levels import KeyLevel
from cyphera_pipelines.model.workspace import Workspace
from cyphera_pipelines.store.api_keys import create_api_key
from cyphera_pipelines.store.database import Database
from cyphera_pipelines_tests.api.conftest import PREFIX, RunningApi, problem


def headers(database: Database, workspace: Workspace, level: KeyLevel) -> dict[str, str]:
    _made, key = create_api_key(database, workspace, level.value, level)
    return {"X-API-Key": key.as_text(), "X-Workspace-ID": str(workspace.id)}


@pytest.mark.parametrize("level", list(KeyLevel))
def test_any_key_may_ask(api: RunningApi, database: Database, workspace: Workspace, level: KeyLevel) -> None:
    assert api.ask("GET", f"{PREFIX}/sessions", headers=headers(database, workspace, level)).status_code == 200


def test_a_key_that_may_only_read_starts_and_changes_nothing(
    api: RunningApi, database: Database, workspace: Workspace
) -> None:
    reading, syncing = (headers(database, workspace, level) for level in (KeyLevel.READ, KeyLevel.SYNC))
    refused = problem(api.ask("POST", f"{PREFIX}/stripe/initial", headers=reading), 403)
    assert refused["type"] == "urn:cyphera:problem:key-level"
    assert "level sync" in refused["detail"]
    assert "cyphera key create" in refused["detail"]
    problem(api.ask("POST", f"{PREFIX}/stripe/initial", headers=syncing), 404)


def test_an_expired_key_is_told_so(api: RunningApi, database: Database, workspace: Workspace) -> None:
    made, key = create_api_key(database, workspace, "old", expires_in=timedelta(minutes=1))
    sent = {"X-API-Key": key.as_text(), "X-Workspace-ID": str(workspace.id)}
    assert api.ask("GET", f"{PREFIX}/sessions", headers=sent).status_code == 200
    with database.control() as connection:
        past = text("UPDATE sync.workspace_api_keys SET expires_at = now() WHERE id = :id")
        connection.execute(past, {"id": made.id})
    refused = problem(api.ask("GET", f"{PREFIX}/sessions", headers=sent), 401)
    assert refused["type"] == "urn:cyphera:problem:unauthenticated"
    assert "expired at" in refused["detail"]
