"""The database through the command line: the embedded one, and one of the user's own."""

import base64
import os
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import psycopg2
import pytest
from sqlalchemy import text

from cyphera_pipelines import local
from cyphera_pipelines.local.cluster import installation
from cyphera_pipelines.sandbox import SandboxAccount, SandboxServer
from cyphera_pipelines.settings import Settings
from cyphera_pipelines.store.database import open_database
from cyphera_pipelines.store.sources import find_source
from cyphera_pipelines_tests.cli.command import DEADLINE_SECONDS, Cyphera, ForkedCyphera
from cyphera_pipelines_tests.cli.conftest import AddSource, MakeHome
from cyphera_pipelines_tests.truth import assert_tables_equal_truth


def query(url: str, sql: str) -> list[tuple[Any, ...]]:
    connection = psycopg2.connect(url)
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchall() if cursor.description else []
    finally:
        connection.close()


@pytest.mark.slow
def test_several_homes_at_once_do_not_disturb_each_other_and_stop_by_themselves(make_home: MakeHome) -> None:
    """Four commands start at once in two new homes: each home gets one server, and keeps its own rows."""
    one, other = make_home(), make_home()
    commands = [(one, "one"), (other, "other"), (one, "first"), (other, "second")]
    with ThreadPoolExecutor(len(commands)) as threads:
        for outcome in threads.map(lambda each: each[0]("workspace", "create", each[1]), commands):
            outcome.done()
    assert not local.is_running(one.home)
    assert not local.is_running(other.home)
    slugs = [{each["slug"] for each in command("workspace", "list", "--json").json()} for command in (one, other)]
    assert slugs == [{"one", "first"}, {"other", "second"}]
    assert not local.is_running(one.home)


def test_the_url_is_one_that_psql_takes_and_the_server_stays_until_it_is_stopped(
    make_home: MakeHome, forked: ForkedCyphera
) -> None:
    cyphera = make_home()
    url = cyphera("db", "url").done().strip()
    assert local.is_running(cyphera.home)
    assert query(url, "SELECT count(*) FROM sync.workspaces") == [(0,)]
    psql = installation() / "bin" / "psql"
    if psql.exists():
        told = subprocess.run([psql, url, "-Atc", "SELECT 6 * 7"], capture_output=True, text=True, check=True)
        assert told.stdout.strip() == "42"
    again = forked.elsewhere(cyphera.home)
    again("workspace", "create", "kept").done()
    assert local.is_running(cyphera.home), "a command that used the server stopped it"
    assert "The schema is up to date (revision " in again("db", "upgrade").done()
    assert cyphera("db", "stop").done() == "Stopped the embedded Postgres.\n"
    assert not local.is_running(cyphera.home)
    assert again("db", "stop").done() == "The embedded Postgres was not running.\n"


def test_ctrl_c_leaves_no_server_behind(make_home: MakeHome, forked: ForkedCyphera, account: SandboxAccount) -> None:
    """The command is interrupted in the middle of a sync; it alone used the server, so it stops it."""
    cyphera = make_home()
    with SandboxServer([account]) as sandbox:
        quick = forked.elsewhere(cyphera.home)
        quick("workspace", "create", "acme").done()
        add = ("source", "add", "acme", "stripe", "--api-key-stdin", "--base-url", sandbox.url)
        quick(*add, stdin=account.api_key).done()
        process = cyphera.start("sync", "acme", "stripe", "--batch-size", "2")

        def interrupt(_endpoint: str, _query: str) -> None:
            if sandbox.state.counters.total == 5:
                process.send_signal(signal.SIGINT)

        sandbox.state.watchers.append(interrupt)
        _, errors = process.communicate(timeout=DEADLINE_SECONDS)
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert not local.is_running(cyphera.home)


def test_a_server_that_was_killed_is_started_by_whoever_needs_it(make_home: MakeHome) -> None:
    home = make_home().home
    database = open_database(Settings(home=home))
    workspaces = text("SELECT count(*) FROM sync.workspaces")
    with database.engine.connect() as connection:
        connection.execute(workspaces)
    postmaster = psutil.Process(int((home / "postgres" / "postmaster.pid").read_text().split()[0]))
    postmaster.kill()
    postmaster.wait(DEADLINE_SECONDS)
    with database.engine.connect() as connection:
        assert connection.execute(workspaces).scalar_one() == 0
    database.close()


@pytest.fixture(scope="module")
def own_url(cyphera: Cyphera) -> str:
    """A database of the user's own, with one for Dagster beside it."""
    handle = local.start(cyphera.home)
    query(handle.psql_url("postgres"), "CREATE DATABASE own")
    url = handle.psql_url("own")
    handle.release()
    return url


@pytest.fixture
def external(forked: ForkedCyphera, own_url: str, tmp_path: Path) -> ForkedCyphera:
    key = base64.b64encode(os.urandom(32)).decode()
    return forked.elsewhere(tmp_path / "home", CYPHERA_DATABASE_URL=own_url, PAYMENT_SYNC_ENCRYPTION_KEY=key)


def test_a_database_of_one_s_own_is_upgraded_by_hand_and_then_serves_everything(
    external: ForkedCyphera, own_url: str, add_source: AddSource, sandbox: SandboxServer, account: SandboxAccount
) -> None:
    assert external("workspace", "list").error() == "The database has no Cyphera schema yet. Run: cyphera db upgrade"
    assert "Upgraded the schema from nothing to revision " in external("db", "upgrade").done()
    assert "The schema is up to date" in external("db", "upgrade").done()
    assert query(external("db", "url").done().strip(), "SELECT current_database()") == [("own",)]
    # Whether it may be sent to another address than the provider's is the operator's decision here.
    allowing = external.elsewhere(external.home, **{**external.environment, "CYPHERA_PROVIDER_HOSTS": "127.0.0.1"})
    slug = add_source(command=allowing)
    assert allowing("sync", slug, "stripe").code == 0
    database = open_database(Settings(home=external.home, database_url=own_url))  # type: ignore[arg-type]
    source = find_source(database, f"{slug}:stripe")
    assert_tables_equal_truth(database, source, sandbox.state, account.account_id)
    database.close()
    assert not (external.home / "postgres").exists()
    assert not (external.home / "encryption.key").exists()
    stop = external("db", "stop").error()
    assert stop == "CYPHERA_DATABASE_URL names a server of your own: it is not ours to stop."


def test_without_an_encryption_key_no_credentials_are_taken(external: ForkedCyphera) -> None:
    external("db", "upgrade").done()
    external("workspace", "create", "keyless").done()
    add = ("source", "add", "keyless", "stripe", "--api-key-stdin")
    keyless = external.elsewhere(external.home, CYPHERA_DATABASE_URL=external.environment["CYPHERA_DATABASE_URL"])
    line = keyless(*add, stdin="sk_test_0123456789").error()
    assert line.startswith("PAYMENT_SYNC_ENCRYPTION_KEY is not set")
    line = external(*add, stdin="sk_test_0123456789", PAYMENT_SYNC_ENCRYPTION_KEY="c2hvcnQ=").error()
    assert line.startswith("PAYMENT_SYNC_ENCRYPTION_KEY must be base64 of 32 bytes")


def test_a_newer_schema_is_refused_and_left_alone(external: ForkedCyphera, own_url: str) -> None:
    external("db", "upgrade").done()
    ((revision,),) = query(own_url, "SELECT version_num FROM sync.schema_version")
    query(own_url, "UPDATE sync.schema_version SET version_num = '9999'")
    try:
        for command in (("workspace", "list"), ("db", "upgrade")):
            line = external(*command).error()
            assert line.startswith(
                f"The database's schema (revision 9999) is newer than this program (revision {revision})"
            )
        assert query(own_url, "SELECT version_num FROM sync.schema_version") == [("9999",)]
    finally:
        query(own_url, f"UPDATE sync.schema_version SET version_num = '{revision}'")
