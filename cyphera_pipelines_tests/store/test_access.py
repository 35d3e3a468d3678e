from collections.abc import Callable

import pytest
from sqlalchemy import insert, select, text, update
from sqlalchemy.exc import ProgrammingError

from cyphera_pipelines.model.sessions import SyncRequest
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.store.database import TENANT_ROLE, Database
from cyphera_pipelines.store.tables import metadata, payment_sync_sessions, synced_tables
from cyphera_pipelines.sync.request import open_session


def test_every_table_with_a_workspace_is_under_row_level_security(database: Database) -> None:
    statement = text(
        """
        SELECT c.relnamespace::regnamespace || '.' || c.relname AS name, c.relrowsecurity,
               (SELECT count(*) FROM pg_policy p WHERE p.polrelid = c.oid) AS policies
        FROM pg_class c WHERE c.relkind = 'r' AND c.relnamespace IN ('payments'::regnamespace, 'sync'::regnamespace)
        """
    )
    with database.control() as connection:
        secured = {row.name: row.relrowsecurity and row.policies for row in connection.execute(statement)}
    wanted = {
        table.fullname for table in metadata.tables.values() if "workspace_id" in table.c or table.name == "workspaces"
    }
    assert {name for name in wanted if not secured[name]} == {"sync.source_locks"}, "which is for us alone"


def test_a_query_without_a_filter_sees_its_own_workspace_only(
    database: Database, add_source: Callable[..., Source]
) -> None:
    one, other = add_source("sk_test_one_access"), add_source("sk_test_other_access")
    for source in (one, other):
        open_session(database, source, SyncRequest())
    with database.tenant(one.workspace_id) as connection:
        for table in metadata.tables.values():
            if table.name == "source_locks":
                continue
            column = table.c["workspace_id" if "workspace_id" in table.c else "id"]
            owners = set(connection.execute(select(column)).scalars())
            assert owners <= {one.workspace_id}, table.fullname
        assert connection.execute(select(payment_sync_sessions.c.id)).scalars().all() != []


def test_nobody_writes_into_another_workspace(database: Database, add_source: Callable[..., Source]) -> None:
    one, other = add_source("sk_test_one_writes"), add_source("sk_test_other_writes")
    session = open_session(database, other, SyncRequest())
    with database.tenant(one.workspace_id) as connection:
        changed = connection.execute(
            update(payment_sync_sessions).where(payment_sync_sessions.c.id == session.id).values(status="failed")
        )
        assert changed.rowcount == 0
    values = {"workspace_id": other.workspace_id, "provider": "stripe", "livemode": False, "id": "cus_1"}
    values |= {"created": "2026-01-01", "content_hash": b"x", "source_version": "2026-01-01"}
    with pytest.raises(ProgrammingError, match="row-level security"), database.tenant(one.workspace_id) as connection:
        connection.execute(insert(synced_tables["customers"]).values(values))


def test_the_role_alone_sees_nothing(database: Database, add_source: Callable[..., Source]) -> None:
    open_session(database, add_source("sk_test_role_alone"), SyncRequest())
    with database.control() as connection:
        connection.execute(text(f"SET LOCAL ROLE {TENANT_ROLE}"))
        assert connection.execute(select(payment_sync_sessions.c.id)).all() == []


def test_the_role_ends_with_its_transaction(database: Database, add_source: Callable[..., Source]) -> None:
    source = add_source("sk_test_role_ends")
    with database.tenant(source.workspace_id):
        pass
    for _ in range(25):
        with database.control() as connection:
            assert connection.execute(text("SELECT current_user")).scalar_one() != TENANT_ROLE
            assert connection.execute(text("SELECT current_setting('cyphera.workspace_id', true)")).scalar_one() in (
                "",
                None,
            )
