"""Batches whose process is killed or stopped: others go on where they were, once, and nothing of theirs is lost."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from uuid import uuid4

import pytest
from sqlalchemy import text

from cyphera_pipelines.model.sessions import SessionStatus
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.sandbox import SandboxAccount, SandboxOptions, SandboxServer
from cyphera_pipelines.security.encryption import Keyring
from cyphera_pipelines.settings import Settings
from cyphera_pipelines.store.claims import WORKER_NAME
from cyphera_pipelines.store.database import Database, open_database
from cyphera_pipelines.store.pauses import pause_source, resume_source
from cyphera_pipelines.store.sessions import list_sessions
from cyphera_pipelines.sync.batch import Batch, BatchCounts, BatchOptions
from cyphera_pipelines.sync.cancellation import Cancellation, cancel_session
from cyphera_pipelines_tests.due_sources import make_due, put_aside
from cyphera_pipelines_tests.receiver import wait_for
from cyphera_pipelines_tests.truth import assert_tables_equal_truth

pytestmark = pytest.mark.slow

ACCOUNTS = [
    SandboxAccount(
        api_key=f"sk_test_batch{number:04d}", account_id=f"acct_batch{number}", seed=number, customers=600, invoices=300
    )
    for number in range(4)
]


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer(ACCOUNTS, SandboxOptions(latency_ms=300)) as server:
        yield server


@pytest.fixture
def sources(database: Database, sandbox: SandboxServer, add_source: Callable[..., Source]) -> Iterator[list[Source]]:
    put_aside(database)
    yield [make_due(database, add_source(account.api_key, sandbox.url)) for account in ACCOUNTS]
    put_aside(database)


@contextmanager
def batch_process() -> Iterator["subprocess.Popen[bytes]"]:
    command = [sys.executable, "-m", "cyphera_pipelines_tests.sync.batch_process", "60"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        try:
            yield process
        finally:
            process.kill()


def run_batch(settings: Settings, keyring: Keyring) -> BatchCounts:
    worker = uuid4()
    own = open_database(settings, application_name=f"{WORKER_NAME} {worker}", pool_size=8)
    try:
        return Batch(own, keyring, worker, BatchOptions(longest_pause=0.0)).run()
    finally:
        own.close()


def merged_rows(database: Database, source: Source) -> int:
    with database.tenant(source.workspace_id) as connection:
        return int(connection.execute(text("SELECT count(*) FROM payments.customers")).scalar_one())


def let_leases_end(database: Database) -> None:
    """As if a minute had passed in which nobody was heard of."""
    with database.control() as connection:
        connection.execute(
            text("UPDATE sync.source_schedules SET lease_until = now() - interval '1 s' WHERE claimed_by IS NOT NULL")
        )
        connection.execute(
            text(
                "UPDATE sync.payment_sync_sessions SET updated_at = updated_at - interval '1 minute' "
                "WHERE status = 'running'"
            )
        )


def assert_all_is_well(
    database: Database, sandbox: SandboxServer, sources: list[Source], interrupted: list[Source]
) -> None:
    sandbox.state.set_options(SandboxOptions())
    for source, account in zip(sources, ACCOUNTS, strict=True):
        assert_tables_equal_truth(database, source, sandbox.state, account.account_id)
        statuses = sorted(session.status.value for session in list_sessions(database, source.workspace_id))
        expected = ["completed", "failed"] if source in interrupted else ["completed"]
        assert statuses == expected
    with database.control() as connection:
        held = "SELECT count(*) FROM sync.source_schedules WHERE claimed_by IS NOT NULL"
        assert connection.execute(text(held)).scalar_one() == 0


def interrupted_of(database: Database, sources: list[Source]) -> list[Source]:
    return [
        source
        for source in sources
        if any(each.status is SessionStatus.RUNNING for each in list_sessions(database, source.workspace_id))
    ]


def test_what_a_killed_batch_was_at_is_continued_once(
    database: Database, settings: Settings, keyring: Keyring, sandbox: SandboxServer, sources: list[Source]
) -> None:
    with batch_process() as process:
        wait_for(lambda: any(merged_rows(database, source) for source in sources))
        process.kill()
        process.wait()
    interrupted = interrupted_of(database, sources)
    assert interrupted
    assert run_batch(settings, keyring).waits == []  # the leases are not over
    let_leases_end(database)
    run_batch(settings, keyring)
    assert_all_is_well(database, sandbox, sources, interrupted)


def test_a_batch_that_was_stopped_for_longer_than_its_lease_writes_nothing_more(
    database: Database, settings: Settings, keyring: Keyring, sandbox: SandboxServer, sources: list[Source]
) -> None:
    with batch_process() as process:
        wait_for(lambda: any(merged_rows(database, source) for source in sources))
        os.kill(process.pid, signal.SIGSTOP)
        interrupted = interrupted_of(database, sources)
        assert interrupted
        let_leases_end(database)
        run_batch(settings, keyring)
        assert_all_is_well(database, sandbox, sources, interrupted)
        os.kill(process.pid, signal.SIGCONT)
        deadline = time.monotonic() + 120
        while process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.1)
        assert process.poll() is not None
    assert_all_is_well(database, sandbox, sources, interrupted)


def test_a_batch_that_is_told_to_stop_gives_everything_back(
    database: Database, settings: Settings, keyring: Keyring, sandbox: SandboxServer, sources: list[Source]
) -> None:
    """Within seconds: what was merged stays, the sources are due, and the next batch goes on."""
    worker = uuid4()
    own = open_database(settings, application_name=f"{WORKER_NAME} {worker}", pool_size=8)
    batch = Batch(own, keyring, worker, BatchOptions())
    with own_thread(batch):
        wait_for(lambda: any(merged_rows(database, source) for source in sources))
        batch.stop("It was told to stop.")
    own.close()
    with database.control() as connection:
        due = "SELECT count(*) FROM sync.source_schedules WHERE claimed_by IS NULL AND due_at <= now()"
        assert connection.execute(text(due)).scalar_one() == len(sources)
    sandbox.state.set_options(SandboxOptions())
    run_batch(settings, keyring)
    for source, account in zip(sources, ACCOUNTS, strict=True):
        assert_tables_equal_truth(database, source, sandbox.state, account.account_id)
        sessions = list_sessions(database, source.workspace_id)
        assert sessions[0].status is SessionStatus.COMPLETED
        assert {session.status for session in sessions[1:]} <= {SessionStatus.CANCELLED}


def test_who_cancels_one_sync_and_pauses_another_source_stops_no_others(
    database: Database, settings: Settings, keyring: Keyring, sandbox: SandboxServer, sources: list[Source]
) -> None:
    worker = uuid4()
    own = open_database(settings, application_name=f"{WORKER_NAME} {worker}", pool_size=8)
    batch = Batch(own, keyring, worker, BatchOptions(longest_pause=0.0))
    with own_thread(batch):
        wait_for(lambda: any(merged_rows(database, source) for source in sources))
        (cancelled,) = interrupted_of(database, sources)
        paused = next(source for source in sources if not list_sessions(database, source.workspace_id))
        pause_source(database, paused, "for the night")
        (session,) = list_sessions(database, cancelled.workspace_id)
        cancel_session(database, session, Cancellation("Somebody cancelled it.", {}))
        sandbox.state.set_options(SandboxOptions())
    own.close()
    statuses = {
        source.key: [session.status.value for session in list_sessions(database, source.workspace_id)]
        for source in sources
    }
    assert statuses.pop(cancelled.key) == ["cancelled"]
    assert statuses.pop(paused.key) == []
    assert list(statuses.values()) == [["completed"]] * 2
    # Both go on where they are, when somebody lets them.
    resume_source(database, paused)
    for source in (cancelled, paused):
        make_due(database, source)
    run_batch(settings, keyring)
    for source, account in zip(sources, ACCOUNTS, strict=True):
        assert_tables_equal_truth(database, source, sandbox.state, account.account_id)


@contextmanager
def own_thread(batch: Batch) -> Iterator[None]:
    thread = threading.Thread(target=batch.run, name="batch", daemon=True)
    thread.start()
    yield
    thread.join(60)
    assert not thread.is_alive()
