"""Who may do what in the database: every role tries everything at every column, and the matrix is compared."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID, uuid4

import pytest
from psycopg2.errors import InsufficientPrivilege
from sqlalchemy import Connection, Engine, create_engine, insert, select, text, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import DBAPIError, ProgrammingError
from sqlalchemy.pool import NullPool

from cyphera_pipelines.model.sessions import SyncRequest
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.store import migrations
from cyphera_pipelines.store.access.catalog import SCHEMAS
from cyphera_pipelines.store.access.matrix import MATRIX, ROLES_OF_A_TRANSACTION, Role
from cyphera_pipelines.store.analysts import add_analyst, list_analysts, remove_analyst
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.locks import is_being_synced, source_lock
from cyphera_pipelines.store.migrations import SchemaMismatchError
from cyphera_pipelines.store.tables import figure_tables, history_tables, metadata, payment_sync_sessions, synced_tables
from cyphera_pipelines.store.workspaces import create_workspace, find_workspace
from cyphera_pipelines.sync.request import open_session

_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]
# {column} = DEFAULT and a SELECT without rows ask for one privilege each, and change nothing.
ATTEMPTS = {
    "SELECT": "SELECT {column} FROM {table} WHERE false",
    "INSERT": "INSERT INTO {table} ({column}) SELECT NULL::{type} WHERE false",
    "UPDATE": "UPDATE {table} SET {column} = DEFAULT WHERE false",
    "DELETE": "DELETE FROM {table} WHERE false",
}


@dataclass(frozen=True)
class Analyst:
    """A login of one workspace, bound to it, and the rows that another workspace has."""

    engine: Engine
    own: Source
    other: Source


@pytest.fixture
def analyst(database: Database, add_source: Callable[..., Source]) -> Iterator[Analyst]:
    own, other = add_source("sk_test_analyst_own"), add_source("sk_test_analyst_other")
    for source in (own, other):
        open_session(database, source, SyncRequest())
        with database.tenant(source.workspace_id) as connection:
            connection.execute(insert(synced_tables["customers"]).values(customer(source.workspace_id)))
    made, password = add_analyst(database, find_workspace(database, own.workspace_slug), "jane")
    url = database.engine.url.set(username=made.role_name, password=password)
    yield Analyst(create_engine(url, poolclass=NullPool), own, other)
    remove_analyst(database, made.role_name)


def customer(workspace_id: UUID) -> dict[str, object]:
    values = {"workspace_id": workspace_id, "provider": "stripe", "livemode": False, "id": f"cus_{uuid4().hex}"}
    return values | {"created": "2026-01-01", "content_hash": b"x", "source_version": "2026-01-01"}


def test_every_table_is_declared_and_under_row_level_security(database: Database) -> None:
    statement = text(
        """
        SELECT c.relnamespace::regnamespace || '.' || c.relname AS name, c.relrowsecurity
        FROM pg_class c WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
            AND c.relnamespace IN ('payments'::regnamespace, 'sync'::regnamespace, 'figures'::regnamespace)
        """
    )
    with database.control() as connection:
        secured = {row.name: row.relrowsecurity for row in connection.execute(statement)}
    del secured[f"sync.{migrations.VERSION_TABLE}"]
    assert secured.keys() == MATRIX.keys() == {table.fullname for table in metadata.tables.values()}
    assert [name for name, is_secured in secured.items() if not is_secured] == []


def attempt_everything(connection: Connection, role: Role) -> None:
    """Whether each attempt is allowed has to be what the matrix says."""
    wrong = []
    for table in metadata.tables.values():
        grants = MATRIX[table.fullname].get(role, {})
        for kind, attempt in ATTEMPTS.items():
            for column in table.c if "{column}" in attempt else list(table.c)[:1]:
                is_granted = kind in grants and (not grants[kind] or column.name in grants[kind])
                # What is granted in a schema that the role may not enter is granted to views.
                declared = is_granted and role in SCHEMAS[str(table.schema)]
                statement = attempt.format(table=table.fullname, column=column.name, type=column.type.compile(_DIALECT))
                if is_allowed(connection, statement) is not declared:
                    wrong.append(f"{role} {kind} {table.fullname}.{column.name}: declared {declared}")
    assert wrong == []
    for table in metadata.tables.values():
        assert not is_allowed(connection, f"TRUNCATE {table.fullname} CASCADE")
        assert not is_allowed(connection, f"ALTER TABLE {table.fullname} DISABLE ROW LEVEL SECURITY")


def is_allowed(connection: Connection, statement: str) -> bool:
    try:
        with connection.begin_nested():
            connection.exec_driver_sql(statement)
    except DBAPIError as error:
        if not isinstance(error.orig, InsufficientPrivilege):
            raise
        return False
    return True


@pytest.mark.parametrize("role", ROLES_OF_A_TRANSACTION)
def test_a_transaction_s_role_may_do_what_is_declared_and_nothing_else(
    role: Role, database: Database, add_source: Callable[..., Source]
) -> None:
    with database.tenant(add_source("sk_test_every_attempt").workspace_id, role=role) as connection:
        attempt_everything(connection, role)


def test_an_analyst_s_login_may_do_what_is_declared_and_nothing_else(analyst: Analyst) -> None:
    with analyst.engine.connect() as connection, connection.begin():
        connection.execute(text("SET TRANSACTION READ WRITE"))
        attempt_everything(connection, Role.ANALYST)
        for statement in (
            "CREATE TABLE payments.mine (id int)",
            "CREATE TABLE sync.mine (id int)",
            f"SET ROLE {Role.TENANT}",
            f"SET ROLE {Role.CREDENTIALS}",
            "SET SESSION AUTHORIZATION postgres",
        ):
            assert not is_allowed(connection, statement), statement


def test_secrets_are_for_the_paths_that_need_them() -> None:
    """The matrix itself, in words: who may ever read a ciphertext or a key's hash, or write what is not a tenant's."""
    readers = {
        (table, column): {role for role, grants in MATRIX[table].items() if _may(grants, "SELECT", column)}
        for table, column in (
            ("sync.workspace_payment_configurations", "configuration"),
            ("sync.workspace_api_keys", "key_hash"),
            ("sync.source_locks", "number"),
            ("sync.workspace_analysts", "role_name"),
        )
    }
    assert list(readers.values()) == [{Role.CREDENTIALS}, {Role.AUTHENTICATION}, set(), set()]
    for table in ("sync.workspaces", "sync.source_locks", "sync.workspace_analysts"):
        assert not any({"INSERT", "UPDATE", "DELETE"} & grants.keys() for grants in MATRIX[table].values())
    assert "UPDATE" not in MATRIX["sync.payment_sync_events"][Role.TENANT]
    of_analysts = {table: roles[Role.ANALYST] for table, roles in MATRIX.items() if Role.ANALYST in roles}
    assert of_analysts.pop("sync.workspaces") == {"SELECT": ("id", "slug", "name")}
    # How complete the data is: nothing of keys, failures' words, or which objects are missing.
    source = ("workspace_id", "provider_name")
    of_sources = (*source, "is_test_mode", "is_active", "deleted_at")
    assert of_analysts.pop("sync.workspace_payment_configurations") == {"SELECT": of_sources}
    assert of_analysts.pop("sync.source_schedules") == {"SELECT": (*source, "fresh_at")}
    of_positions = (*source, "livemode", "entity_type", "watermark", "full_listing_at", "updated_at")
    assert of_analysts.pop("sync.sync_cursors") == {"SELECT": of_positions}
    of_missing = (*source, "livemode", "entity_type", "kind", "objects")
    assert of_analysts.pop("sync.missing_objects") == {"SELECT": of_missing}
    assert of_analysts.pop("sync.verifications") == {"SELECT": ()}
    readable = (*synced_tables.values(), *history_tables, *figure_tables)
    assert of_analysts == {table.fullname: {"SELECT": ()} for table in readable}


def _may(grants: object, kind: str, column: str) -> bool:
    assert isinstance(grants, dict)
    return kind in grants and (not grants[kind] or column in grants[kind])


def test_an_analyst_sees_one_workspace_s_rows_whatever_it_sets(analyst: Analyst, database: Database) -> None:
    customers = select(synced_tables["customers"].c.workspace_id)
    with analyst.engine.connect() as connection:
        assert set(connection.execute(customers).scalars()) == {analyst.own.workspace_id}
        connection.execute(text(f"SET cyphera.workspace_id = '{analyst.other.workspace_id}'"))
        connection.execute(text(f"SET ROLE {Role.ANALYST}"))
        assert set(connection.execute(customers).scalars()) == {analyst.own.workspace_id}
    (listed,) = list_analysts(database, find_workspace(database, analyst.own.workspace_slug))
    assert listed.role_name == analyst.engine.url.username


def test_a_member_of_the_analysts_that_is_bound_to_no_workspace_sees_nothing(
    analyst: Analyst, database: Database
) -> None:
    with unbound_analyst(database) as engine, engine.connect() as connection:
        connection.execute(text(f"SET cyphera.workspace_id = '{analyst.own.workspace_id}'"))
        assert connection.execute(select(synced_tables["customers"].c.id)).all() == []


@contextmanager
def unbound_analyst(database: Database) -> Iterator[Engine]:
    name = f"unbound_{uuid4().hex}"
    with database.control() as connection:
        connection.execute(text(f"CREATE ROLE {name} LOGIN IN ROLE {Role.ANALYST}"))
    yield create_engine(database.engine.url.set(username=name, password=None), poolclass=NullPool)
    with database.control() as connection:
        connection.execute(text(f"DROP ROLE {name}"))


@pytest.mark.parametrize("role", ROLES_OF_A_TRANSACTION)
def test_a_query_without_a_filter_sees_its_own_workspace_only(role: Role, database: Database, analyst: Analyst) -> None:
    seen = 0
    with database.tenant(analyst.own.workspace_id, role=role) as connection:
        for table in metadata.tables.values():
            if "SELECT" in MATRIX[table.fullname].get(role, {}):
                column = table.c["workspace_id" if "workspace_id" in table.c else "id"]
                owners = set(connection.execute(select(column)).scalars())
                assert owners <= {analyst.own.workspace_id}, table.fullname
                seen += len(owners)
    assert seen > 0


def test_nobody_writes_into_another_workspace(database: Database, add_source: Callable[..., Source]) -> None:
    one, other = add_source("sk_test_one_writes"), add_source("sk_test_other_writes")
    session = open_session(database, other, SyncRequest())
    with database.tenant(one.workspace_id) as connection:
        changed = connection.execute(
            update(payment_sync_sessions).where(payment_sync_sessions.c.id == session.id).values(status="failed")
        )
        assert changed.rowcount == 0
    with pytest.raises(ProgrammingError, match="row-level security"), database.tenant(one.workspace_id) as connection:
        connection.execute(insert(synced_tables["customers"]).values(customer(other.workspace_id)))
    event = text(
        "INSERT INTO sync.payment_sync_events (session_id, workspace_id, provider_name, event_type, event_message) "
        "VALUES (:session_id, :workspace_id, 'stripe', 'forged', 'forged')"
    )
    values = {"session_id": session.id, "workspace_id": one.workspace_id}
    with pytest.raises(DBAPIError, match="payment_sync_events_session_fkey"), database.control() as connection:
        connection.execute(event, values)


def test_foreign_keys_between_tenants_tables_carry_the_workspace() -> None:
    """A key that names a row by its id alone could name another workspace's."""
    for table in metadata.tables.values():
        for key in table.foreign_key_constraints:
            if key.referred_table.name != "workspaces":
                assert "workspace_id" in {column.name for column in key.columns}, f"{table.fullname}: {key.name}"


def test_the_role_alone_sees_nothing(database: Database, add_source: Callable[..., Source]) -> None:
    open_session(database, add_source("sk_test_role_alone"), SyncRequest())
    with database.control() as connection:
        connection.execute(text(f"SET LOCAL ROLE {Role.TENANT}"))
        assert connection.execute(select(payment_sync_sessions.c.id)).all() == []


def test_the_role_ends_with_its_transaction(database: Database, add_source: Callable[..., Source]) -> None:
    source = add_source("sk_test_role_ends")
    with database.tenant(source.workspace_id):
        pass
    for _ in range(25):
        with database.control() as connection:
            assert connection.execute(text("SELECT current_user")).scalar_one() != Role.TENANT
            assert connection.execute(text("SELECT current_setting('cyphera.workspace_id', true)")).scalar_one() in (
                "",
                None,
            )


@pytest.mark.parametrize(
    "damage",
    [
        "DO $$ DECLARE t regclass; BEGIN FOR t IN SELECT oid FROM pg_class WHERE relkind = 'r' AND relnamespace IN "
        "('sync'::regnamespace, 'payments'::regnamespace) LOOP EXECUTE format('REVOKE ALL ON %s FROM cyphera_tenant, "
        "cyphera_credentials, cyphera_authentication, cyphera_analyst', t); END LOOP; END $$",
        "DROP POLICY own_workspace ON payments.invoices",
        "ALTER TABLE payments.customers DISABLE ROW LEVEL SECURITY",
        "REVOKE USAGE ON SCHEMA payments FROM cyphera_analyst",
        "DROP FUNCTION sync.workspaces_of_analyst() CASCADE",
        "DO $$ BEGIN EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO PUBLIC', current_database()); END $$",
        "ALTER TABLE payments.customers ALTER COLUMN email SET STATISTICS 100",
        "REVOKE SELECT ON analytics.invoices FROM cyphera_analyst",
        "DROP SCHEMA analytics_test CASCADE; CREATE SCHEMA analytics_test",
        "ALTER VIEW analytics.invoices SET (security_invoker = false)",
    ],
    ids=[
        "no grants",
        "no policy",
        "no row-level security",
        "no schema",
        "no function",
        "temporary tables for all",
        "statistics of people",
        "a view for nobody",
        "no views",
        "a view with its owner's rights",
    ],
)
def test_a_restored_database_that_lacks_access_gets_it_back(damage: str, empty: Engine) -> None:
    migrations.upgrade(empty)
    with empty.begin() as connection:
        connection.execute(text(damage))
    with pytest.raises(SchemaMismatchError, match=r"lacks roles or privileges.* Run: cyphera db upgrade"):
        migrations.check(empty)
    migrations.upgrade(empty)
    migrations.check(empty)


def test_what_was_granted_beside_the_matrix_is_taken_away_by_an_upgrade(empty: Engine) -> None:
    migrations.upgrade(empty)
    with empty.begin() as connection:
        connection.exec_driver_sql(
            "GRANT SELECT ON sync.workspace_payment_configurations TO cyphera_tenant, PUBLIC;"
            "GRANT UPDATE ON sync.workspaces TO cyphera_tenant;"
            "CREATE POLICY everything ON payments.invoices USING (true);"
            "DROP POLICY own_workspace ON payments.prices; "
            "CREATE POLICY own_workspace ON payments.prices TO cyphera_tenant USING (true)"
        )
    migrations.put_access_in_place(empty)
    with Database(empty, "", empty.url).tenant(uuid4()) as connection:
        attempt_everything(connection, Role.TENANT)
    policies = text("SELECT count(*) FROM pg_policy WHERE pg_get_expr(polqual, polrelid) = 'true'")
    with empty.connect() as connection:
        assert connection.execute(policies).scalar_one() == 0


@contextmanager
def owned_by_no_superuser(empty: Engine) -> Iterator[Engine]:
    """The database as its owner sees it, who is a member of our roles and may make others."""
    name, roles = f"owner_{uuid4().hex}", ", ".join(ROLES_OF_A_TRANSACTION)
    with empty.begin() as connection:
        connection.exec_driver_sql(
            f"CREATE ROLE {name} LOGIN CREATEROLE; ALTER DATABASE {empty.url.database} OWNER TO {name};"
            f"GRANT {roles} TO {name}; GRANT {Role.ANALYST} TO {name} WITH ADMIN OPTION"
        )
    yield create_engine(empty.url.set(username=name, password=None), poolclass=NullPool)
    with empty.begin() as connection:
        connection.exec_driver_sql(f"REASSIGN OWNED BY {name} TO CURRENT_USER; DROP OWNED BY {name} CASCADE")
        connection.exec_driver_sql(f"DROP ROLE {name}")


def test_an_owner_who_is_no_superuser_is_enough(empty: Engine) -> None:
    with owned_by_no_superuser(empty) as engine:
        migrations.upgrade(engine)
        migrations.put_access_in_place(engine)
        migrations.check(engine)
        database = Database(engine, "", engine.url)
        workspace = create_workspace(database, "acme")
        made, password = add_analyst(database, workspace, "jane")
        login = create_engine(engine.url.set(username=made.role_name, password=password), poolclass=NullPool)
        with login.connect() as connection, connection.begin():
            connection.execute(text("SET TRANSACTION READ WRITE"))
            attempt_everything(connection, Role.ANALYST)
        source = Source(workspace.id, workspace.slug, "stripe", uuid4(), is_test_mode=True)
        with source_lock(database, source):
            assert is_being_synced(database, workspace.id, "stripe")
        remove_analyst(database, made.role_name)
        with database.tenant(workspace.id) as connection:
            attempt_everything(connection, Role.TENANT)
