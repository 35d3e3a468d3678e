from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.exc import ProgrammingError

from cyphera_pipelines.model.errors import ConflictError, NotFoundError
from cyphera_pipelines.model.key_levels import KeyExpiredError, KeyLevel
from cyphera_pipelines.model.workspace import Workspace
from cyphera_pipelines.security.api_keys import new_key
from cyphera_pipelines.store.api_keys import create_api_key, find_caller, list_api_keys, revoke_api_key
from cyphera_pipelines.store.audit import list_audit_entries
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.tables import workspace_api_keys
from cyphera_pipelines_tests.conftest import new_workspace


def test_a_key_opens_its_own_workspace_only(database: Database, workspace: Workspace) -> None:
    made, key = create_api_key(database, workspace, "backend")
    caller = find_caller(database, workspace.id, key)
    assert caller is not None
    assert (caller.workspace, caller.key_id, caller.key_name) == (workspace, made.id, "backend")
    assert find_caller(database, new_workspace(database).id, key) is None
    assert find_caller(database, uuid4(), key) is None


def test_a_wrong_or_unknown_key_opens_nothing(database: Database, workspace: Workspace) -> None:
    _made, key = create_api_key(database, workspace, "backend")
    assert find_caller(database, workspace.id, replace(key, secret=new_key().secret)) is None
    assert find_caller(database, workspace.id, new_key()) is None


def test_a_revoked_key_is_worthless_at_once(database: Database, workspace: Workspace) -> None:
    made, key = create_api_key(database, workspace, "backend")
    other, other_key = create_api_key(database, workspace, "second")
    assert revoke_api_key(database, made.id).revoked_at is not None
    assert find_caller(database, workspace.id, key) is None
    assert find_caller(database, workspace.id, other_key) is not None
    with pytest.raises(ConflictError, match="was revoked already"):
        revoke_api_key(database, made.id)
    with pytest.raises(NotFoundError, match="cyphera key list"):
        revoke_api_key(database, uuid4())
    listed = list_api_keys(database, workspace)
    assert [(each.id, each.revoked_at is None) for each in listed] == [(made.id, False), (other.id, True)]


def test_the_use_of_a_key_is_noted_once_a_minute(database: Database, workspace: Workspace) -> None:
    made, key = create_api_key(database, workspace, "backend")

    def last_used_at(older_by: timedelta = timedelta(0)) -> object:
        with database.control() as connection:
            used = select(workspace_api_keys.c.last_used_at).where(workspace_api_keys.c.id == made.id)
            moment = connection.execute(used).scalar_one()
            if older_by:
                older = update(workspace_api_keys).where(workspace_api_keys.c.id == made.id)
                connection.execute(older.values(last_used_at=moment - older_by))
            return moment

    assert last_used_at() is None
    find_caller(database, workspace.id, key)
    first = last_used_at()
    assert first is not None
    find_caller(database, workspace.id, key)
    assert last_used_at(older_by=timedelta(seconds=61)) == first
    find_caller(database, workspace.id, key)
    assert last_used_at() > first  # type: ignore[operator]


def test_only_a_hash_is_kept(database: Database, workspace: Workspace) -> None:
    _made, key = create_api_key(database, workspace, "backend")
    with database.control() as connection:
        stored = connection.execute(text("SELECT k::text FROM sync.workspace_api_keys k")).scalars().all()
    assert any(str(key.id) in line for line in stored)
    assert not any(key.secret in line for line in stored)


def test_who_acts_for_a_workspace_can_neither_make_nor_revive_a_key(database: Database, workspace: Workspace) -> None:
    made, _key = create_api_key(database, workspace, "backend")
    revoke_api_key(database, made.id)
    for statement in (
        update(workspace_api_keys).values(revoked_at=None),
        workspace_api_keys.insert().values(workspace_id=workspace.id, name="mine", key_hash=b"x"),
    ):
        with pytest.raises(ProgrammingError, match="permission denied"), database.tenant(workspace.id) as connection:
            connection.execute(statement)


def test_a_key_is_of_a_level_and_for_a_time(database: Database, workspace: Workspace) -> None:
    usual, _key = create_api_key(database, workspace, "usual")
    assert (usual.level, usual.expires_at) == (KeyLevel.SYNC, None)
    made, key = create_api_key(database, workspace, "writer", KeyLevel.WRITE, expires_in=timedelta(days=90))
    caller = find_caller(database, workspace.id, key)
    assert caller is not None
    assert caller.level is KeyLevel.WRITE
    assert made.expires_at is not None
    assert made.works_at(made.expires_at - timedelta(seconds=1))
    assert not made.works_at(made.expires_at)


def test_an_expired_key_says_so_to_its_holder_only(database: Database, workspace: Workspace) -> None:
    made, key = create_api_key(database, workspace, "backend", expires_in=timedelta(minutes=1))
    with database.control() as connection:
        past = update(workspace_api_keys).where(workspace_api_keys.c.id == made.id)
        connection.execute(past.values(expires_at=text("now()")))
    with pytest.raises(KeyExpiredError, match=r"expired at 20\d\d-"):
        find_caller(database, workspace.id, key)
    assert find_caller(database, workspace.id, replace(key, secret=new_key().secret)) is None
    (entry,) = [each for each in list_audit_entries(database, workspace.id) if each.action == "key.used"]
    assert (entry.outcome, entry.details["reason"]) == ("refused", "It has expired.")


def test_each_level_may_do_what_those_before_it_may() -> None:
    assert [[level.allows(needed) for needed in KeyLevel] for level in KeyLevel] == [
        [True, False, False, False],
        [True, True, False, False],
        [True, True, True, False],
        [True, True, True, True],
    ]
