"""Who did what is told in the transaction that does it, once, and without secrets."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from cyphera_pipelines.model.actor import acting_as, api_key_actor, command_line_actor, current_actor
from cyphera_pipelines.model.audit import Action, AuditEntry
from cyphera_pipelines.model.configuration import Credentials
from cyphera_pipelines.model.errors import ConflictError, InvalidInputError
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.model.workspace import Workspace
from cyphera_pipelines.security.encryption import Keyring
from cyphera_pipelines.store import audit, retention
from cyphera_pipelines.store.analysts import add_analyst, remove_analyst
from cyphera_pipelines.store.api_keys import create_api_key, find_caller, revoke_api_key
from cyphera_pipelines.store.audit import list_audit_entries, record_action
from cyphera_pipelines.store.configurations import (
    ConfigurationChange,
    change_configuration,
    create_configuration,
    get_configuration,
    remove_configuration,
)
from cyphera_pipelines.store.database import Database
from cyphera_pipelines_tests.conftest import new_workspace
from cyphera_pipelines_tests.store.test_retention import KEPT

SECRET = "sk_test_audited0123456789abcd"
NEW_SECRET = "sk_test_audited9876543210wxyz"


def trail(database: Database, workspace: Workspace) -> list[AuditEntry]:
    """Oldest first."""
    return list_audit_entries(database, workspace.id)[::-1]


def change_key(
    database: Database, keyring: Keyring, source: Source, columns: dict[str, object], key: str | None = None
) -> None:
    credentials = Credentials(api_key=SecretStr(key)) if key else None
    change = ConfigurationChange(columns, credentials)
    change_configuration(database, keyring, source.workspace_id, source.configuration_id, lambda _now, _open: change)


def test_every_change_names_who_made_it(
    database: Database, keyring: Keyring, workspace: Workspace, add_source: Callable[..., Source]
) -> None:
    with acting_as(command_line_actor()):
        key, _secret = create_api_key(database, workspace, "backend")
    with acting_as(api_key_actor(key.id, key.name)):
        source = add_source(SECRET, workspace=workspace)
        change_key(database, keyring, source, {"is_test_mode": True, "metadata": {"plan": "growth"}}, NEW_SECRET)
    revoke_api_key(database, key.id)
    analyst, _password = add_analyst(database, workspace, "jane")
    remove_analyst(database, analyst.role_name)
    configuration = get_configuration(database, workspace.id, source.configuration_id)
    for _twice in range(2):
        remove_configuration(database, configuration)
    made = trail(database, workspace)
    assert [entry.action for entry in made] == [
        "workspace.created",
        "key.created",
        "configuration.created",
        "configuration.changed",
        "key.revoked",
        "analyst.added",
        "analyst.removed",
        "configuration.removed",
    ]
    assert {entry.outcome for entry in made} == {"done"}
    assert made[1].actor.startswith("cli:")
    assert "@" in made[1].actor
    assert made[0].actor.startswith("process:"), "nobody was named"
    assert (made[2].actor, made[2].actor_name) == (f"api_key:{key.id}", "backend")
    assert made[2].subject_id == str(source.configuration_id)
    assert made[2].details["key"] == "...abcd"
    assert made[3].details == {
        "provider": "stripe",
        "changed": ["metadata", "configuration.api_key"],
        "key": "...wxyz",
    }, "what was given and is as before did not change"
    assert not any(secret in str(made) for secret in (SECRET, NEW_SECRET))
    assert current_actor().id.startswith("process:")


def test_what_is_refused_is_told_but_not_for_ever(
    database: Database,
    keyring: Keyring,
    workspace: Workspace,
    add_source: Callable[..., Source],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(audit, "MOST_REFUSALS_PER_HOUR", 3)
    source = add_source(SECRET, workspace=workspace)

    def refuse(_now: object, _open: object) -> ConfigurationChange:
        raise InvalidInputError(f"The key {NEW_SECRET} is of another mode.")

    with pytest.raises(InvalidInputError):
        change_configuration(database, keyring, workspace.id, source.configuration_id, refuse)
    for _attempt in range(4):
        credentials = Credentials(api_key=SecretStr(SECRET))
        with pytest.raises(ConflictError, match="has an active stripe source already"):
            create_configuration(database, keyring, workspace, "stripe", credentials, is_test_mode=True)
    refused = [entry for entry in trail(database, workspace) if entry.outcome == "refused"]
    assert [entry.action for entry in refused] == ["configuration.changed"] + 2 * ["configuration.created"]
    assert refused[0].details == {"reason": "The key sk_test_*** is of another mode."}


def test_a_wrong_key_is_told_once_an_hour(database: Database, workspace: Workspace) -> None:
    row, key = create_api_key(database, workspace, "backend")
    for _attempt in range(3):
        assert find_caller(database, workspace.id, replace(key, secret="A" * len(key.secret))) is None
    assert find_caller(database, workspace.id, key) is not None
    assert find_caller(database, new_workspace(database).id, key) is None
    refused = [entry for entry in trail(database, workspace) if entry.outcome == "refused"]
    assert [(entry.action, entry.subject_id, entry.details) for entry in refused] == [
        ("key.used", str(row.id), {"reason": "Its secret is wrong."})
    ]


def test_a_change_that_is_not_made_is_not_told(database: Database, workspace: Workspace) -> None:
    before = trail(database, workspace)
    with database.tenant(workspace.id) as connection:
        record_action(connection, workspace.id, Action.KEY_CREATED, "nothing")
        connection.get_transaction().rollback()  # type: ignore[union-attr]
    assert trail(database, workspace) == before


@pytest.mark.parametrize("statement", ["DELETE FROM sync.audit_entries", "UPDATE sync.audit_entries SET actor = 'me'"])
def test_nobody_who_acts_for_a_workspace_rewrites_the_trail(
    statement: str, database: Database, workspace: Workspace
) -> None:
    with pytest.raises(ProgrammingError, match="permission denied"), database.tenant(workspace.id) as connection:
        connection.execute(text(statement))


def test_the_trail_is_forgotten_when_it_is_old_or_long(database: Database, workspace: Workspace) -> None:
    with database.tenant(workspace.id) as connection:
        for number in range(6):
            record_action(connection, workspace.id, Action.KEY_CREATED, f"key {number}")
    with database.control() as connection:
        older = text(
            "UPDATE sync.audit_entries SET occurred_at = now() - make_interval(days => :age) "
            "WHERE workspace_id = :workspace_id AND subject_id = :subject"
        )
        for number in range(6):
            values = {"age": 800 if number == 0 else 10 - number, "subject": f"key {number}"}
            connection.execute(older, values | {"workspace_id": workspace.id})
    kept = replace(KEPT, audit_entries=4)
    assert retention.forget_old(database, kept, within=60).audit_entries >= 3
    assert [entry.subject_id for entry in trail(database, workspace)] == ["key 3", "key 4", "key 5", workspace.slug]
