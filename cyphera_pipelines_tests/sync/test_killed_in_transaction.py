"""A sync is killed in the middle of a transaction, at places that are reached for certain: other sessions hold them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection, text

from cyphera_pipelines.local.locks import wait_until
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.sandbox import SandboxAccount, SandboxOptions, SandboxServer
from cyphera_pipelines_tests.sync.checkpoint import read_checkpoint
from cyphera_pipelines_tests.sync.interruption import DEADLINE_SECONDS, go_on, start_half_a_sync
from cyphera_pipelines_tests.sync.private_server import PrivateServer

pytestmark = pytest.mark.slow

ACCOUNT = SandboxAccount(
    api_key="sk_test_killed_in_transaction",
    account_id="acct_killed_in_transaction",
    seed=24,
    customers=150,
    products=20,
    prices=40,
    subscriptions=120,
    invoices=250,
    long_invoice_share=0.05,
)
COMMIT_LOCK = 4_711


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer([ACCOUNT], SandboxOptions(latency_ms=80)) as server:
        yield server


@pytest.fixture
def source(sandbox: SandboxServer, private_server: PrivateServer) -> Source:
    return private_server.add_source(ACCOUNT.api_key, sandbox.url)


def kill_where(statement: str, hold: Callable[[Connection], object], source: Source, server: PrivateServer) -> None:
    """Kill a sync that is half done, in the statement that begins like that and waits for what `hold` takes."""
    process = start_half_a_sync(source, server)
    its_own = f"application_name = 'sync {process.pid}'"
    waits_there = f"{its_own} AND wait_event_type = 'Lock' AND starts_with(query, '{statement}')"
    with server.database.control() as connection:
        hold(connection)
        assert wait_until(lambda: server.has_connection(waits_there), DEADLINE_SECONDS)
        process.kill()
        process.join(DEADLINE_SECONDS)
    assert wait_until(lambda: not server.has_connection(its_own), DEADLINE_SECONDS)


@pytest.mark.parametrize(
    ("statement", "table"),
    [("WITH written", "payments.invoices"), ("INSERT INTO sync.sync_cursors", "sync.sync_cursors")],
    ids=["merge", "checkpoint"],
)
def test_what_was_not_committed_is_fetched_again(
    statement: str, table: str, sandbox: SandboxServer, source: Source, private_server: PrivateServer
) -> None:
    def hold(connection: Connection) -> None:
        connection.execute(text(f"LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE"))

    kill_where(statement, hold, source, private_server)
    go_on(sandbox, ACCOUNT, source, private_server)


def test_a_commit_whose_answer_nobody_heard_counts(
    sandbox: SandboxServer, source: Source, private_server: PrivateServer
) -> None:
    committed = 0

    def hold(connection: Connection) -> None:
        nonlocal committed
        connection.execute(text(f"SELECT pg_advisory_xact_lock({COMMIT_LOCK})"))
        committed = count_rows(private_server, source)

    with commits_that_wait(private_server):
        kill_where("COMMIT", hold, source, private_server)
    assert count_rows(private_server, source) > committed
    go_on(sandbox, ACCOUNT, source, private_server)


def count_rows(server: PrivateServer, source: Source) -> int:
    return sum(map(len, read_checkpoint(server.database, source).rows.values()))


@contextmanager
def commits_that_wait(server: PrivateServer) -> Iterator[None]:
    """Transactions that write a checkpoint wait within their commit while somebody holds a lock.

    Nor does Postgres look meanwhile whether their client still lives.
    """
    with server.database.control() as connection:
        connection.execute(text("ALTER DATABASE cyphera SET client_connection_check_interval = 0"))
        connection.execute(
            text(
                "CREATE FUNCTION public.wait_at_commit() RETURNS trigger LANGUAGE plpgsql AS "
                f"'BEGIN PERFORM pg_advisory_xact_lock_shared({COMMIT_LOCK}); RETURN NULL; END'"
            )
        )
        connection.execute(
            text(
                "CREATE CONSTRAINT TRIGGER wait_at_commit AFTER INSERT OR UPDATE ON sync.sync_cursors "
                "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.wait_at_commit()"
            )
        )
    try:
        yield
    finally:
        with server.database.control() as connection:
            connection.execute(text("DROP FUNCTION public.wait_at_commit() CASCADE"))
            connection.execute(text("ALTER DATABASE cyphera RESET client_connection_check_interval"))
