"""Postgres goes away under a running sync, which says so and is gone on with as if nothing had been."""

import signal
from collections.abc import Iterator
from contextlib import ExitStack

import psutil
import pytest

from cyphera_pipelines.model.errors import CypheraError
from cyphera_pipelines.model.sessions import SessionStatus, SyncRequest
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.sandbox import SandboxAccount, SandboxOptions, SandboxServer
from cyphera_pipelines.store.sessions import list_sessions
from cyphera_pipelines.sync.engine import SyncJob, run_sync
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
    process = start_half_a_sync(source, private_server)
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
    assert "the next sync continues" in lost.error_summary["message"]
    assert "session_abandoned" in {event.event_type for event in private_server.events_of(source)}


def test_a_server_without_a_free_connection_fails_the_sync_and_no_row(
    sandbox: SandboxServer, source: Source, private_server: PrivateServer
) -> None:
    """The listings find none when they begin, or when their connections are replaced."""
    request = SyncRequest(batch_size=10)
    session = open_session(private_server.database, source, request)
    private_server.database.engine.dispose()
    with ExitStack() as taken:

        def take_all(endpoint: str, _query: str) -> None:
            if endpoint == "GET /v1/account":
                taken.enter_context(private_server.connections_taken())

        sandbox.state.watchers.append(take_all)
        with pytest.raises(CypheraError, match="too many clients") as raised:
            run_sync(SyncJob(private_server.database, private_server.keyring, source, session, request))
    expect_one_plain_sentence(str(raised.value), source, "too many clients already")
    expect_no_row_blamed(private_server, source)
    sandbox.state.watchers.clear()
    assert private_server.sync(source).status is SessionStatus.COMPLETED
    assert_tables_equal_truth(private_server.database, source, sandbox.state, ACCOUNT.account_id)
