"""Analysts' logins try to read, join, count, explain, guess and write their way out of their workspaces."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Connection, Engine, create_engine, insert, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from cyphera_pipelines.model.errors import ConflictError, InvalidInputError, NotFoundError
from cyphera_pipelines.model.synced_tables import SYNCED_TABLES
from cyphera_pipelines.model.workspace import Workspace
from cyphera_pipelines.store import migrations
from cyphera_pipelines.store.access.everybody import doors_to_close
from cyphera_pipelines.store.access.matrix import Role
from cyphera_pipelines.store.analysts import (
    create_analyst,
    grant_workspaces,
    list_analysts,
    remove_analyst,
    revoke_workspaces,
    rotate_password,
)
from cyphera_pipelines.store.audit import list_audit_entries
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.tables import synced_tables
from cyphera_pipelines.store.workspaces import create_workspace, delete_workspace
from cyphera_pipelines_tests.conftest import new_workspace

ROWS = 400
SECRET_EMAIL = "only-one@elsewhere.example"


@dataclass(frozen=True)
class Party:
    """A login of two workspaces, and a third that it has no business in."""

    engine: Engine
    role_name: str
    own: list[Workspace]
    other: Workspace


@pytest.fixture(scope="module")
def party(database: Database) -> Iterator[Party]:
    own, other = [new_workspace(database) for _ in range(2)], new_workspace(database)
    for workspace in (*own, other):
        fill(database, workspace.id)
    with database.control() as connection:
        connection.execute(
            text("UPDATE payments.customers SET email = :email WHERE workspace_id = :id AND id = 'cus_7'"),
            {"email": SECRET_EMAIL, "id": other.id},
        )
        connection.execute(text("ANALYZE payments.customers"))
    role_name = f"jane_{uuid4().hex[:12]}"
    login = create_analyst(database, role_name, own)
    engine = create_engine(database.engine.url.set(username=role_name, password=login.password), poolclass=NullPool)
    yield Party(engine, role_name, own, other)
    remove_analyst(database, role_name)


def fill(database: Database, workspace_id: UUID) -> None:
    rows = [
        {
            "workspace_id": workspace_id,
            "provider": "stripe",
            "livemode": True,
            "id": f"cus_{at}",
            "email": f"{at}@{workspace_id}",
            "balance": at,
            "created": "2026-01-01",
            "content_hash": b"x",
            "source_version": "2026-01-01",
        }
        for at in range(ROWS)
    ]
    with database.tenant(workspace_id) as connection:
        connection.execute(insert(synced_tables["customers"]), rows)


@pytest.fixture
def connection(party: Party) -> Iterator[Connection]:
    """A session of the analyst's that does without what only guards against slips."""
    with party.engine.connect() as opened, opened.begin():
        opened.execute(text("SET TRANSACTION READ WRITE"))
        opened.execute(text("SET statement_timeout = 0"))
        yield opened


def refused(connection: Connection, statement: str) -> str:
    """The server's words on why it does not do it."""
    with pytest.raises(DBAPIError) as error, connection.begin_nested():
        connection.exec_driver_sql(statement)
    return str(error.value.orig)


def explained(connection: Connection, query: str, **options: str) -> list[dict[str, Any]]:
    """Every node of the plan of a query that was executed."""
    (plan,) = connection.exec_driver_sql(f"EXPLAIN (ANALYZE, FORMAT json) {query}").scalar_one()
    nodes: list[dict[str, Any]] = []

    def walk(node: dict[str, Any]) -> None:
        nodes.append(node)
        for child in node.get("Plans", ()):
            walk(child)

    walk(plan["Plan"])
    return nodes


def test_it_reads_its_workspaces_and_joins_them(connection: Connection, party: Party) -> None:
    counted = connection.exec_driver_sql(
        "SELECT c.workspace_id, count(*) FROM payments.customers c JOIN payments.customers d USING (workspace_id, id) "
        "GROUP BY 1"
    ).all()
    assert {row[0]: row[1] for row in counted} == {workspace.id: ROWS for workspace in party.own}


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT count(*) FROM payments.customers WHERE workspace_id = '{other}'",
        "SELECT count(*) FROM payments.customers WHERE email = '{email}'",
        "SELECT count(*) FROM payments.customers c WHERE NOT EXISTS (SELECT FROM payments.customers d "
        "WHERE d.workspace_id = c.workspace_id)",
        "SELECT count(*) FROM payments.customers TABLESAMPLE system (100) WHERE workspace_id = '{other}'",
        "WITH RECURSIVE r AS (SELECT workspace_id FROM payments.customers) SELECT count(*) FROM r "
        "WHERE workspace_id = '{other}'",
        "SELECT count(*) FROM (TABLE payments.customers) t WHERE email LIKE '%elsewhere%'",
        "SELECT count(*) FROM pg_stats WHERE schemaname IN ('payments', 'sync')",
        "SELECT count(*) FROM pg_stats_ext WHERE schemaname IN ('payments', 'sync')",
        "SELECT count(*) FROM pg_stat_activity WHERE usename <> current_user AND query LIKE '%customers%'",
        "SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%sync.%'",
    ],
)
def test_nothing_of_others_is_found(statement: str, connection: Connection, party: Party) -> None:
    query = statement.format(other=party.other.id, email=SECRET_EMAIL).replace("%", "%%")
    assert connection.exec_driver_sql(query).scalar_one() == 0


@pytest.mark.parametrize(
    "setting",
    [
        "SET cyphera.workspace_id = '{other}'",
        "SELECT set_config('cyphera.workspace_id', '{other}', false)",
        f"SET ROLE {Role.ANALYST}; SET cyphera.workspace_id = '{{other}}'",
        "SET row_security = on",
        "SET search_path = pg_temp, payments, sync, public",
        "SET default_transaction_isolation = 'serializable'",
        "SET plan_cache_mode = force_generic_plan",
        "SET enable_seqscan = off; SET cpu_operator_cost = 1000000",
        "SET cpu_operator_cost = 0; SET enable_indexscan = off; SET enable_bitmapscan = off",
    ],
)
def test_no_setting_changes_what_it_sees(setting: str, connection: Connection, party: Party) -> None:
    connection.exec_driver_sql(setting.format(other=party.other.id))
    seen = connection.exec_driver_sql("SELECT DISTINCT workspace_id FROM payments.customers").scalars()
    assert set(seen) == {workspace.id for workspace in party.own}


@pytest.mark.parametrize(
    "statement",
    [
        f"SET ROLE {Role.TENANT}",
        f"SET ROLE {Role.CREDENTIALS}",
        f"SET ROLE {Role.AUTHENTICATION}",
        "SET SESSION AUTHORIZATION postgres",
        "SET ROLE postgres",
        "SET session_replication_role = replica",
        "SET row_security = off; SELECT count(*) FROM payments.customers",
        "SELECT * FROM sync.workspace_analysts",
        "SELECT * FROM sync.workspaces",
        "INSERT INTO sync.workspace_analysts (role_name, workspace_id) VALUES (session_user, '{other}')",
        "SELECT sync.workspaces_of_analyst()",
        "SELECT sync.workspace_of_transaction()",
        "CREATE TEMPORARY TABLE mine AS SELECT * FROM payments.customers",
        "SELECT * INTO TEMPORARY mine FROM payments.customers",
        "CREATE TABLE public.mine (id int)",
        "CREATE TABLE payments.mine (id int)",
        "CREATE VIEW public.mine AS SELECT * FROM payments.customers",
        "CREATE FUNCTION public.leak(text) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS "
        "'BEGIN RAISE NOTICE ''%%'', $1; RETURN true; END'",
        "CREATE FUNCTION pg_temp.leak(text) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS "
        "'BEGIN RAISE NOTICE ''%%'', $1; RETURN true; END'",
        "CREATE SCHEMA mine",
        "CREATE EXTENSION dblink",
        "CREATE POLICY mine ON payments.customers USING (true)",
        "CREATE STATISTICS mine ON email, name FROM payments.customers",
        "CREATE PUBLICATION mine FOR TABLE payments.customers",
        "CREATE RULE mine AS ON SELECT TO payments.customers DO INSTEAD NOTHING",
        "ALTER TABLE payments.customers DISABLE ROW LEVEL SECURITY",
        "ALTER ROLE current_user BYPASSRLS",
        "ALTER ROLE current_user CONNECTION LIMIT -1",
        "ALTER DEFAULT PRIVILEGES FOR ROLE postgres GRANT SELECT ON TABLES TO PUBLIC",
        "GRANT cyphera_tenant TO current_user",
        "LOCK TABLE payments.customers IN ROW EXCLUSIVE MODE",
        "SELECT * FROM payments.customers FOR UPDATE",
        "COPY payments.customers FROM STDIN",
        "COPY payments.customers TO '/tmp/mine.csv'",
        "COPY payments.customers TO PROGRAM 'cat'",
        "COPY (SELECT 1) TO PROGRAM 'cat'",
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT pg_ls_dir('.')",
        "SELECT pg_stat_file('PG_VERSION')",
        "SELECT lo_import('/etc/passwd')",
        "SELECT lo_create(0)",
        "SELECT lo_from_bytea(0, 'mine')",
        "SELECT * FROM pg_authid",
        "SELECT * FROM pg_statistic",
        "SELECT stxdmcv FROM pg_statistic_ext_data",
        "SELECT * FROM pg_largeobject",
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename <> current_user",
        "SELECT pg_reload_conf()",
        "ANALYZE VERBOSE payments.customers; TRUNCATE payments.customers",
        "VACUUM payments.customers; SELECT 1",
    ],
)
def test_it_may_not(statement: str, connection: Connection, party: Party) -> None:
    told = refused(connection, statement.format(other=party.other.id))
    refusals = ("denied", "must be", "would be affected", "not permitted", "permission", "not available", "VACUUM")
    assert any(words in told for words in refusals), told
    assert "@" not in told


@pytest.mark.parametrize(
    "condition",
    [
        "CAST(email AS integer) > 0",
        "1 / (balance - balance) > 0",
        "CAST(email AS xml) IS NOT NULL",
        "jsonb(email) ? 'a'",
    ],
)
def test_errors_tell_of_own_rows_only(condition: str, connection: Connection, party: Party) -> None:
    query = f"SELECT count(*) FROM payments.customers WHERE workspace_id = '{party.other.id}' AND {condition}"
    for settings in ("SET enable_seqscan = on", "SET enable_indexscan = off; SET enable_bitmapscan = off"):
        connection.exec_driver_sql(settings)
        assert connection.exec_driver_sql(query).scalar_one() == 0


def test_a_plan_that_was_executed_does_not_tell_whether_others_have_a_value(
    connection: Connection, party: Party
) -> None:
    """Conditions that Postgres trusts need not wait for the policy: whether it was reached would tell of their rows."""
    connection.exec_driver_sql(
        "SET enable_indexscan = off; SET enable_bitmapscan = off; SET enable_indexonlyscan = off; "
        "SET max_parallel_workers_per_gather = 0"
    )

    def shape(condition: str) -> list[tuple[Any, ...]]:
        nodes = explained(connection, f"SELECT id FROM payments.customers WHERE {condition}")
        return [(each["Node Type"], each["Actual Loops"], each.get("Rows Removed by Filter")) for each in nodes]

    of_other = f"workspace_id = '{party.other.id}'"
    for condition, without in (
        (f"email = '{SECRET_EMAIL}'", "email = 'nobody@elsewhere.example'"),
        (f"{of_other} AND email = '{SECRET_EMAIL}'", f"{of_other} AND email = 'nobody@elsewhere.example'"),
        (f"{of_other} AND id = 'cus_7'", f"{of_other} AND id = 'cus_none'"),
        (f"{of_other} AND balance > 300", f"{of_other} AND balance > 30000"),
        (of_other, f"workspace_id = '{uuid4()}'"),
    ):
        assert shape(condition) == shape(without), condition


def test_an_index_is_searched_for_own_rows_only(connection: Connection, party: Party) -> None:
    connection.exec_driver_sql("SET enable_seqscan = off")
    for condition in (f"workspace_id = '{party.other.id}'", f"workspace_id = '{party.other.id}' AND id >= 'cus_'"):
        nodes = explained(connection, f"SELECT * FROM payments.customers WHERE {condition}")
        assert {node.get("Rows Removed by Filter", 0) for node in nodes} == {0}
        assert {node.get("Rows Removed by Index Recheck", 0) for node in nodes} == {0}
        (scan,) = [node for node in nodes if "Index Cond" in node]
        assert "ANY" in scan["Index Cond"]


def test_the_policy_s_look_up_is_made_once_for_a_query(connection: Connection) -> None:
    nodes = explained(connection, "SELECT count(*) FROM payments.customers")
    look_ups = [node for node in nodes if node.get("Parent Relationship") == "InitPlan"]
    assert [node["Actual Loops"] for node in look_ups] <= [1, 1]
    assert len(look_ups) == 2


def test_what_is_expected_of_a_person_s_value_does_not_go_by_whether_it_is_there(
    database: Database, connection: Connection, party: Party
) -> None:
    """A name that every customer of another workspace has would be among the most frequent values."""
    with database.control() as owner:
        named = "UPDATE payments.customers SET name = 'Victoria Ng' WHERE workspace_id = :id"
        owner.execute(text(named), {"id": party.other.id})
        owner.execute(text("ANALYZE payments.customers"))

    def expected(name: str) -> int:
        query = f"EXPLAIN (FORMAT json) SELECT * FROM payments.customers WHERE name = '{name}'"
        return int(connection.exec_driver_sql(query).scalar_one()[0]["Plan"]["Plan Rows"])

    assert expected("Victoria Ng") == expected("Nobody At All")
    statement = text(
        "SELECT starelid::regclass || '.' || attname FROM pg_statistic JOIN pg_attribute ON attrelid = starelid "
        "AND attnum = staattnum WHERE attname = 'name' AND starelid = 'payments.customers'::regclass"
    )
    with database.control() as owner:
        assert owner.execute(statement).all() == []


def test_no_door_is_open(database: Database) -> None:
    with database.control() as connection:
        assert doors_to_close(connection) == {}


def test_a_prepared_plan_follows_the_workspaces_that_are_granted_and_revoked(database: Database, party: Party) -> None:
    own = new_workspace(database)
    other = new_workspace(database)
    for workspace in (own, other):
        fill(database, workspace.id)
    role_name = f"movable_{uuid4().hex[:12]}"
    login = create_analyst(database, role_name, [own])
    engine = create_engine(database.engine.url.set(username=role_name, password=login.password), poolclass=NullPool)
    with engine.connect() as connection:
        connection.exec_driver_sql("SET plan_cache_mode = force_generic_plan")
        connection.exec_driver_sql("PREPARE seen AS SELECT DISTINCT workspace_id FROM payments.customers")

        def seen() -> set[UUID]:
            return set(connection.exec_driver_sql("EXECUTE seen").scalars())

        assert seen() == {own.id}
        grant_workspaces(database, role_name, [other, own])
        assert seen() == {own.id, other.id}
        revoke_workspaces(database, role_name, [own])
        assert seen() == {other.id}
        with pytest.raises(InvalidInputError, match=f"cyphera analyst drop {role_name}"):
            revoke_workspaces(database, role_name, [other])
        connection.rollback()
        remove_analyst(database, role_name)
        assert "permission denied" in refused(connection, "EXECUTE seen"), "whoever is still connected sees nothing"
    actions = [entry.action for entry in list_audit_entries(database, own.id, limit=10)]
    assert actions[:2] == ["analyst.removed", "analyst.added"]


def test_a_login_ends_with_the_last_of_its_workspaces(database: Database) -> None:
    first, second = new_workspace(database), new_workspace(database)
    role_name = f"both_{uuid4().hex[:12]}"
    create_analyst(database, role_name, [first, second])
    delete_workspace(database, first)
    (left,) = list_analysts(database, second)
    assert (left.role_name, left.workspaces, left.is_on_server) == (role_name, (second.slug,), True)
    delete_workspace(database, second)
    assert role_name not in {each.role_name for each in list_analysts(database)}
    with database.control() as connection:
        assert connection.execute(text("SELECT FROM pg_roles WHERE rolname = :n"), {"n": role_name}).all() == []


def test_what_a_login_owns_goes_with_it(database: Database) -> None:
    workspace = new_workspace(database)
    role_name = f"owner_{uuid4().hex[:12]}"
    create_analyst(database, role_name, [workspace])
    with database.control() as connection:
        connection.execute(text(f"CREATE SCHEMA {role_name} AUTHORIZATION {role_name}"))
        connection.execute(text(f"GRANT SELECT ON sync.schema_version TO {role_name}"))
    assert remove_analyst(database, role_name) == ()
    with database.control() as connection:
        assert connection.execute(text("SELECT to_regnamespace(:name)"), {"name": role_name}).scalar_one() is None


def test_names_that_are_taken_or_no_names(database: Database, party: Party) -> None:
    for name in ("Jane", "jane doe", "pg_jane", "cyphera_jane", "postgres", "public", "j" * 64, "jane;drop", ""):
        with pytest.raises(InvalidInputError):
            create_analyst(database, name, party.own)
    with pytest.raises(ConflictError, match="on the server already"):
        create_analyst(database, party.role_name, party.own)
    with pytest.raises(NotFoundError, match="There is no analyst 'nobody'"):
        rotate_password(database, "nobody")


def test_a_new_login_of_an_old_name_does_not_inherit_its_workspaces(database: Database, party: Party) -> None:
    role_name = f"again_{uuid4().hex[:12]}"
    create_analyst(database, role_name, [party.other])
    with database.control() as connection:
        connection.execute(text(f"DROP ROLE {role_name}"))
    assert [each.is_on_server for each in list_analysts(database) if each.role_name == role_name] == [False]
    create_analyst(database, role_name, party.own)
    (made,) = [each for each in list_analysts(database) if each.role_name == role_name]
    assert made.workspaces == tuple(sorted(workspace.slug for workspace in party.own))
    remove_analyst(database, role_name)


def test_passwords_reach_the_server_as_verifiers_only(database: Database) -> None:
    workspace = new_workspace(database)
    role_name = f"secret_{uuid4().hex[:12]}"
    login = create_analyst(database, role_name, [workspace])
    rotated = rotate_password(database, role_name)
    assert login.password != rotated.password
    with database.control() as connection:
        verifier = connection.execute(
            text("SELECT rolpassword FROM pg_authid WHERE rolname = :name"), {"name": role_name}
        ).scalar_one()
        row = connection.execute(text("SELECT rolconnlimit FROM pg_roles WHERE rolname = :n"), {"n": role_name}).one()
    assert verifier.startswith("SCRAM-SHA-256$")
    assert row.rolconnlimit == 10
    told = json.dumps([str(entry) for entry in list_audit_entries(database, workspace.id, limit=10)])
    assert login.password not in told
    assert rotated.password not in told
    assert "analyst.password_rotated" in told
    remove_analyst(database, role_name)


def test_where_we_may_make_no_roles_the_sql_is_told(empty: Engine) -> None:
    migrations.upgrade(empty)
    name = f"plain_{uuid4().hex}"
    with empty.begin() as connection:
        connection.exec_driver_sql(
            f"CREATE ROLE {name} LOGIN; ALTER DATABASE {empty.url.database} OWNER TO {name};"
            + "".join(f"GRANT {role} TO {name};" for role in Role)
            + "DO $$ DECLARE t record; BEGIN FOR t IN SELECT oid::regclass AS n FROM pg_class WHERE relkind = 'r' AND "
            "relnamespace::regnamespace::text IN ('sync', 'payments') LOOP "
            f"EXECUTE format('ALTER TABLE %%s OWNER TO {name}', t.n); END LOOP; END $$;"
            f"ALTER SCHEMA sync OWNER TO {name}; ALTER SCHEMA payments OWNER TO {name};"
        )
    engine = create_engine(empty.url.set(username=name, password=None), poolclass=NullPool)
    database = Database(engine, "", engine.url)
    workspace = create_workspace(database, "acme")
    role_name = f"told_{uuid4().hex[:12]}"
    login = create_analyst(database, role_name, [workspace])
    assert login.statements[0].startswith(f"CREATE ROLE {role_name} LOGIN PASSWORD 'SCRAM-SHA-256$")
    assert not any(login.password in statement for statement in login.statements)
    assert [each.is_on_server for each in list_analysts(database)] == [False]
    with empty.begin() as administrator:
        for statement in login.statements:
            administrator.exec_driver_sql(statement)
    assert [each.is_on_server for each in list_analysts(database)] == [True]
    as_login = create_engine(engine.url.set(username=role_name, password=login.password), poolclass=NullPool)
    with as_login.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM payments.customers").scalar_one() == 0
    rotated = rotate_password(database, role_name)
    assert rotated.statements[0].startswith(f"ALTER ROLE {role_name} PASSWORD 'SCRAM-SHA-256$")
    left = remove_analyst(database, role_name)
    assert list_analysts(database) == []
    with empty.begin() as administrator:
        for statement in left:
            administrator.exec_driver_sql(statement)
        administrator.exec_driver_sql(f"REASSIGN OWNED BY {name} TO CURRENT_USER; DROP OWNED BY {name} CASCADE")
        administrator.exec_driver_sql(f"DROP ROLE {name}")


def test_every_synced_table_is_covered(connection: Connection, party: Party) -> None:
    ids = {workspace.id for workspace in party.own}
    for name in SYNCED_TABLES:
        seen = connection.exec_driver_sql(f"SELECT DISTINCT workspace_id FROM payments.{name}").scalars()
        assert set(seen) <= ids
