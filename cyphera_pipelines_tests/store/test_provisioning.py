"""A server of one's own: what the upgrade makes there, what it asks an administrator for, and who else is on it."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.pool import NullPool

from cyphera_pipelines.local.cluster import installation
from cyphera_pipelines.settings import Settings
from cyphera_pipelines.store import migrations
from cyphera_pipelines.store.access.administrator import AdministratorNeededError
from cyphera_pipelines.store.connection_waits import DatabaseUnavailableError
from cyphera_pipelines.store.database import Database, open_database, upgrade_database
from cyphera_pipelines.store.inspection import State, inspect_database
from cyphera_pipelines.store.migrations import SchemaMismatchError, head_revision
from cyphera_pipelines.store.server import UnsuitableServerError, check_server
from cyphera_pipelines.store.tables import synced_tables
from cyphera_pipelines.store.workspaces import create_workspace, find_workspace
from cyphera_pipelines_tests.other_postgres import OtherServer, installations, other_server
from cyphera_pipelines_tests.store.test_access import customer

HEAD = head_revision()
POLICIES = "row-level security"


@pytest.fixture(scope="module")
def server(quick_folder: Path | None) -> Iterator[OtherServer]:
    with other_server(installations()[16], quick_folder) as started:
        yield started


def settings_of(server: OtherServer, database: str, user: str) -> Settings:
    return Settings(
        database_url=SecretStr(server.url(database, user)),
        dagster_database_url=SecretStr(server.url(f"{database}_dagster", user)),
    )


def wrong(settings: Settings) -> dict[str, str]:
    """What the inspection finds wrong, but for the keys."""

    def no_keys() -> None:
        raise DatabaseUnavailableError("these tests have none")

    findings = inspect_database(settings, no_keys)  # type: ignore[arg-type]
    return {each.name: each.found for each in findings if each.state is State.WRONG and each.name != "encryption keys"}


def test_an_administrator_is_asked_for_everything_at_once_and_another_owner_shares_the_server(
    server: OtherServer,
) -> None:
    """Two installations by two owners, neither of whom may make anything; then each tries to look at the other's."""
    opened = []
    for name in ("one", "other"):
        server.run(f"CREATE ROLE {name} LOGIN")
        settings = settings_of(server, f"{name}_shop", name)
        assert "server" in wrong(settings)
        with pytest.raises(AdministratorNeededError) as asked:
            upgrade_database(settings)
        for statement in asked.value.statements:
            server.run(statement)
        assert upgrade_database(settings) == (None, HEAD)
        assert upgrade_database(settings) == (HEAD, HEAD)
        assert wrong(settings) == {}
        opened.append(open_database(settings))
        workspace = create_workspace(opened[-1], "acme")
        with opened[-1].tenant(workspace.id) as connection:
            connection.execute(synced_tables["customers"].insert().values(customer(workspace.id)))

    # The roles are the server's, so that each owner may enter them in the other's database too.
    engine = create_engine(opened[0].engine.url.set(username="other"), poolclass=NullPool)
    stranger = Database(engine, "", engine.url)
    workspace = find_workspace(opened[0], "acme")
    count = text("SELECT count(*) FROM payments.customers")
    with stranger.tenant(workspace.id) as connection:
        assert connection.execute(count).scalar_one() == 0
    with opened[0].tenant(workspace.id) as connection:
        assert connection.execute(count).scalar_one() == 1
    for each in opened:
        each.close()


def test_with_the_rights_to_do_so_everything_is_made(server: OtherServer) -> None:
    server.run("CREATE ROLE maker LOGIN CREATEDB")
    server.run("GRANT cyphera_tenant, cyphera_credentials, cyphera_authentication, cyphera_analyst TO maker")
    settings = settings_of(server, "made shop", "maker")
    assert upgrade_database(settings) == (None, HEAD)
    assert wrong(settings) == {}


def test_databases_of_somebody_else_s_are_asked_for(server: OtherServer) -> None:
    server.run("CREATE ROLE guest LOGIN;\nCREATE DATABASE lent;\nCREATE DATABASE lent_dagster")
    with pytest.raises(AdministratorNeededError) as asked:
        upgrade_database(settings_of(server, "lent", "guest"))
    owned = [each for each in asked.value.statements if "OWNER" in each]
    assert owned == ["ALTER DATABASE lent OWNER TO guest;", "ALTER DATABASE lent_dagster OWNER TO guest;"]


@pytest.mark.parametrize("as_owner", [True, False], ids=["restored by its owner", "restored by another user"])
def test_a_dump_that_was_restored_without_roles_is_noticed_and_mended(
    as_owner: bool, empty: Engine, quick_folder: Path | None
) -> None:
    """From the embedded server to an older one that has never heard of our roles."""
    migrations.upgrade(empty)
    source = empty.url.set(drivername="postgresql").render_as_string(hide_password=False)
    command = [str(installation() / "bin" / "pg_dump"), "--inserts", "--no-owner", source]
    dump = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    # What the older server does not know, and psql's own commands.
    plain = "\n".join(line for line in dump.splitlines() if not line.startswith(("SET transaction_timeout", "\\")))
    with other_server(installations()[16], quick_folder) as fresh:
        fresh.run(
            "CREATE ROLE app LOGIN CREATEROLE;\nCREATE DATABASE shop OWNER app;\nCREATE DATABASE shop_dagster OWNER app"
        )
        restore(fresh, plain, "app" if as_owner else "postgres")
        settings = settings_of(fresh, "shop", "app")
        with pytest.raises(SchemaMismatchError, match="Run: cyphera db upgrade"):
            open_database(settings)
        found = wrong(settings)
        if not as_owner:
            assert "belong to another user than app" in found["database"]
            with pytest.raises(AdministratorNeededError) as asked:
                upgrade_database(settings)
            for statement in asked.value.statements:
                fresh.run(statement, "shop")
        else:
            assert found["roles"].startswith("missing, or not to be entered: cyphera_tenant")
        upgrade_database(settings)
        assert wrong(settings) == {}
        opened = open_database(settings)
        workspace = create_workspace(opened, "acme")
        with opened.tenant(workspace.id) as connection:
            connection.execute(synced_tables["customers"].insert().values(customer(workspace.id)))
        opened.close()


def statements_of(dump: str) -> Iterator[str]:
    """A function's body, between its dollar signs, has semicolons of its own."""
    statement = ""
    for part in dump.split(";\n"):
        statement += part
        if len(re.findall(r"\$_?\$", statement)) % 2 == 0:
            yield statement
            statement = ""
        else:
            statement += ";\n"


def restore(server: OtherServer, plain: str, user: str) -> None:
    """As `psql` does it, which goes on after errors: those about roles that are not there."""
    connection = psycopg2.connect(server.url("shop", user))
    connection.autocommit = True
    complaints = set()
    with connection.cursor() as cursor:
        for statement in statements_of(plain):
            if any(line and not line.startswith("--") for line in statement.splitlines()):
                try:
                    cursor.execute(statement)
                except psycopg2.errors.UndefinedObject as error:
                    complaints.add(str(error).splitlines()[0])
    connection.close()
    assert {line for line in complaints if not line.startswith('role "cyphera_')} == set()
    assert complaints


@pytest.mark.parametrize(
    ("damage", "name", "found"),
    [
        (
            "REVOKE SELECT ON payments.invoices FROM cyphera_analyst",
            "grants",
            "cyphera_analyst lacks SELECT on payments.invoices",
        ),
        (
            "GRANT DELETE ON payments.prices TO PUBLIC",
            "grants",
            "everybody has, beside what is declared, DELETE on payments.prices",
        ),
        (
            "REVOKE USAGE ON SCHEMA payments FROM cyphera_tenant",
            "grants",
            "cyphera_tenant may not enter schema payments",
        ),
        (
            "ALTER TABLE payments.customers DISABLE ROW LEVEL SECURITY",
            POLICIES,
            "payments.customers has no row-level security",
        ),
        (
            "DROP POLICY own_workspace ON payments.products",
            POLICIES,
            "payments.products lacks the policy own_workspace",
        ),
        (
            "ALTER POLICY own_workspace ON payments.prices USING (true)",
            POLICIES,
            "the policy own_workspace of payments.prices is not as declared",
        ),
        (
            "CREATE POLICY all_of_it ON payments.prices USING (true)",
            POLICIES,
            "payments.prices has a policy all_of_it that is not declared",
        ),
        (
            "DROP FUNCTION sync.workspace_of_transaction() CASCADE",
            POLICIES,
            "the function sync.workspace_of_transaction() is missing",
        ),
        (
            "UPDATE sync.schema_version SET version_num = '0009'",
            "schema",
            "The database's schema is older (revision 0009) than this program",
        ),
    ],
)
def test_whatever_is_not_as_declared_is_told_and_mended(
    damage: str, name: str, found: str, server: OtherServer
) -> None:
    settings = settings_of(server, "damaged", "postgres")
    upgrade_database(settings)
    server.run(damage, "damaged")
    told = wrong(settings)
    assert found in told[name], told
    server.run(f"UPDATE sync.schema_version SET version_num = '{HEAD}'", "damaged")
    upgrade_database(settings)
    assert wrong(settings) == {}


def test_a_server_that_cannot_do_is_refused_in_one_sentence(server: OtherServer) -> None:
    server.run("CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0")
    server.run("CREATE DATABASE standby")
    server.run("ALTER DATABASE standby SET default_transaction_read_only = on")
    for name, says in (("latin", "keeps text as LATIN1"), ("standby", "takes no writes")):
        for use in (upgrade_database, open_database):
            with pytest.raises(UnsuitableServerError, match=says):
                use(settings_of(server, name, "postgres"))
    engine = create_engine(Settings(database_url=SecretStr(server.url())).application_url())
    with engine.connect() as connection:
        # The last one that nobody supports any more; no machine has it.
        connection.dialect.server_version_info = (13, 22)
        with pytest.raises(UnsuitableServerError, match=r"runs PostgreSQL 13\.22; 14 to 18 are supported"):
            check_server(connection)


def test_what_cannot_be_reached_is_told_in_one_sentence(server: OtherServer) -> None:
    with pytest.raises(DatabaseUnavailableError, match=r"role \"nobody\" does not exist.*CREATE ROLE nobody LOGIN"):
        upgrade_database(settings_of(server, "shop", "nobody"))
    gone = Settings(database_url=SecretStr("postgresql://app:planted-pw@127.0.0.1:9/shop"))
    for use in (upgrade_database, open_database):
        with pytest.raises(DatabaseUnavailableError, match="Connection refused") as refused:
            use(gone)
        assert "planted-pw" not in str(refused.value)
        assert "CREATE ROLE" not in str(refused.value)


def test_the_start_up_check_is_cheap(database: Database) -> None:
    """It is made by every process at its start."""
    asked: list[str] = []
    event.listen(database.engine, "before_cursor_execute", lambda *given: asked.append(given[2]))
    migrations.check(database.engine)
    assert len(asked) <= 20
    assert not [each for each in asked if "CREATE" in each.upper().split()]
