"""Postgres goes away under a running sync, which says so and is gone on with as if nothing had been."""

import logging
import re
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import psutil
import pytest

from cyphera_pipelines.model.errors import CypheraError
from cyphera_pipelines.model.sessions import SessionStatus, SyncRequest
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.model.synced_tables import SYNCED_TABLES
from cyphera_pipelines.sandbox import SandboxAccount, SandboxOptions, SandboxServer
from cyphera_pipelines.settings import Settings
from cyphera_pipelines.store import database as database_module
from cyphera_pipelines.store.database import Database, open_database
from cyphera_pipelines.store.rows import count_rows
from cyphera_pipelines.store.sessions import list_sessions
from cyphera_pipelines.sync.engine import SyncJob, run_sync
from cyphera_pipelines.sync.outcome import SyncOutcome
from cyphera_pipelines.sync.request import open_session
from cyphera_pipelines_tests.sync.interruption import (
    DEADLINE_SECONDS,
    expect_no_row_blamed,
    expect_one_plain_sentence,
    go_on,
    start_half_a_sync,
)
from cyphera_pipelines_tests.sync.private_server import FAST, IMMEDIATE, PrivateServer
from cyphera_pipelines_tests.truth import assert_tables_equal_truth

pytestmark = pytest.mark.slow

ACCOUNT = SandboxAccount(
    api_key="sk_test_lost_database",
    account_id="acct_lost_database",
    seed=21,
    customers=150,
    products=20,
    prices=40,
    subscriptions=120,
    invoices=220,
    long_invoice_share=0.05,
)


LOST = "(terminating connection|closed the connection|connection already closed)"


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer([ACCOUNT], SandboxOptions(latency_ms=80)) as server:
        yield server


@pytest.fixture
def source(sandbox: SandboxServer, private_server: PrivateServer) -> Source:
    return private_server.add_source(ACCOUNT.api_key, sandbox.url)


@pytest.mark.parametrize("how", [FAST, IMMEDIATE], ids=["fast", "immediate"])
def test_a_restarted_server_ends_the_session_and_the_next_sync_goes_on(
    how: signal.Signals, sandbox: SandboxServer, source: Source, private_server: PrivateServer
) -> None:
    process = start_half_a_sync(source, private_server)
    assert process.pid is not None
    stopped = psutil.Process(process.pid)
    stopped.suspend()  # the server is back before the sync notices anything
    private_server.stop(how)
    private_server.start()
    stopped.resume()
    process.join(DEADLINE_SECONDS)
    assert process.exitcode == 1
    (session,) = list_sessions(private_server.database, source.workspace_id)
    assert session.status is SessionStatus.FAILED
    assert session.error_summary is not None
    expect_one_plain_sentence(session.error_summary["message"], source, LOST)
    expect_no_row_blamed(private_server, source)
    go_on(sandbox, ACCOUNT, source, private_server)


@pytest.mark.parametrize("how", [FAST, IMMEDIATE], ids=["fast", "immediate"])
def test_a_session_whose_end_could_not_be_written_is_ended_by_the_next_sync(
    how: signal.Signals, sandbox: SandboxServer, source: Source, private_server: PrivateServer
) -> None:
    process = start_half_a_sync(source, private_server, as_own_server=True)
    private_server.stop(how)
    process.join(DEADLINE_SECONDS)
    assert process.exitcode == 1
    private_server.start()
    (session,) = list_sessions(private_server.database, source.workspace_id)
    assert session.status is SessionStatus.RUNNING
    go_on(sandbox, ACCOUNT, source, private_server)
    _, lost = list_sessions(private_server.database, source.workspace_id)
    assert (lost.id, lost.status) == (session.id, SessionStatus.FAILED)
    assert lost.error_summary is not None
    assert "The next sync continues" in lost.error_summary["message"]
    assert "session_abandoned" in {event.event_type for event in private_server.events_of(source)}


def test_a_sync_waits_for_a_server_without_a_free_connection_and_says_so(
    sandbox: SandboxServer, source: Source, private_server: PrivateServer
) -> None:
    """The listings find none when they begin; somebody gives some back when they have been waited for."""
    database = open_database(Settings(home=private_server.home), patience=DEADLINE_SECONDS)
    waiting = threading.Event()
    with taken_during_the_sync(sandbox, private_server) as taken:

        def give_back() -> None:
            assert waiting.wait(DEADLINE_SECONDS)
            taken.close()

        with heard(waiting), ThreadPoolExecutor(1) as threads:
            given_back = threads.submit(give_back)
            outcome = sync_with(database, private_server, source)
            given_back.result()
    database.close()
    assert (outcome.status, outcome.error_summary) == (SessionStatus.COMPLETED, None)
    assert_tables_equal_truth(private_server.database, source, sandbox.state, ACCOUNT.account_id)
    told = [event for event in private_server.events_of(source) if event.event_type == "connection_waited_for"]
    assert told
    assert all("too many clients already" in event.event_message for event in told)
    assert "cyphera db connections" in told[0].event_message


def test_a_sync_that_waited_in_vain_says_what_it_had_merged(
    sandbox: SandboxServer, source: Source, private_server: PrivateServer
) -> None:
    database = open_database(Settings(home=private_server.home), patience=0.5)
    with (
        taken_during_the_sync(sandbox, private_server),
        pytest.raises(CypheraError, match="too many clients") as raised,
    ):
        sync_with(database, private_server, source)
    database.close()
    expect_one_plain_sentence(str(raised.value), source, "got no connection to its database: .*max_connections")
    expect_told_rows(str(raised.value), private_server, source)
    (session,) = list_sessions(private_server.database, source.workspace_id)
    assert (session.status, session.error_summary) == (SessionStatus.FAILED, {"message": str(raised.value)})
    expect_no_row_blamed(private_server, source)
    sandbox.state.watchers.clear()
    assert private_server.sync(source).status is SessionStatus.COMPLETED
    assert_tables_equal_truth(private_server.database, source, sandbox.state, ACCOUNT.account_id)


def expect_told_rows(message: str, server: PrivateServer, source: Source) -> None:
    """What is said to be merged is what is in the tables."""
    rows = count_rows(server.database, source, list(SYNCED_TABLES.values()))
    told = {name: int(count.replace(",", "")) for name, count in re.findall(r"(\w+) \(([\d,]+) created", message)}
    assert told == {name: count for name, count in rows.items() if count}
    assert ("No row had been changed." in message) is (not told)


def sync_with(database: Database, server: PrivateServer, source: Source) -> SyncOutcome:
    request = SyncRequest(batch_size=10)
    session = open_session(server.database, source, request)
    server.database.engine.dispose()
    return run_sync(SyncJob(database, server.keyring, source, session, request))


@contextmanager
def taken_during_the_sync(sandbox: SandboxServer, server: PrivateServer) -> Iterator[ExitStack]:
    """Once a sync has begun, somebody takes every connection that is free."""
    with ExitStack() as taken:

        def take_all(endpoint: str, _query: str) -> None:
            if endpoint == "GET /v1/account":
                taken.enter_context(server.connections_taken())

        sandbox.state.watchers.append(take_all)
        yield taken


@contextmanager
def heard(waiting: threading.Event) -> Iterator[None]:
    """Learn from the log that somebody waits for a connection."""

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "Waiting for a connection" in record.getMessage():
                waiting.set()

    logger, listener = logging.getLogger(database_module.__name__), Listener()
    logger.addHandler(listener)
    try:
        yield
    finally:
        logger.removeHandler(listener)
