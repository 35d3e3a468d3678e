import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.sessions import Session, SessionStatus, SyncRequest
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.sandbox import SandboxAccount, SandboxOptions, SandboxServer
from cyphera_pipelines.security.encryption import Keyring
from cyphera_pipelines.store.cursors import SyncPosition, read_positions
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.locks import SourceBusyError, source_lock
from cyphera_pipelines.store.sessions import finish_session, get_session, list_sessions
from cyphera_pipelines.sync.engine import SessionEndedError, SyncJob, run_sync
from cyphera_pipelines.sync.request import open_session
from cyphera_pipelines_tests.sync.conftest import RunSync
from cyphera_pipelines_tests.truth import assert_tables_equal_truth, live_rows

PROGRAM = Path(__file__).with_name("sync_process.py")
DEADLINE_SECONDS = 60.0
ACCOUNT = SandboxAccount(
    api_key="sk_test_interruptions",
    account_id="acct_interruptions",
    seed=11,
    customers=200,
    products=25,
    prices=50,
    subscriptions=160,
    invoices=320,
    long_invoice_share=0.05,
)


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer([ACCOUNT], SandboxOptions()) as server:
        yield server


def start_sync(source: Source) -> "subprocess.Popen[str]":
    return subprocess.Popen([sys.executable, str(PROGRAM), source.key], stdout=subprocess.PIPE, text=True)


def when_asked_for_the(number: int, sandbox: SandboxServer, act: Callable[[], object]) -> None:
    """Act when the sandbox gets its so-manieth request."""
    lock, seen = threading.Lock(), [0]

    def watch(_endpoint: str, _query: str) -> None:
        with lock:
            seen[0] += 1
            due = seen[0] == number
        if due:
            act()

    sandbox.state.watchers.append(watch)


@pytest.mark.parametrize("seed", range(3))
def test_a_killed_sync_goes_on_where_it_was(
    seed: int,
    sandbox: SandboxServer,
    add_source: Callable[..., Source],
    database: Database,
) -> None:
    """Kill again and again, at other requests each time, until a run gets through; then compare every row."""
    source, chance = add_source(ACCOUNT.api_key, sandbox.url), random.Random(seed)
    killed = 0
    for _attempt in range(5):
        process = start_sync(source)
        sandbox.state.watchers.clear()
        when_asked_for_the(chance.randrange(2, 90), sandbox, process.kill)
        process.wait(DEADLINE_SECONDS)
        killed += process.returncode == -signal.SIGKILL
    sandbox.state.watchers.clear()
    last = start_sync(source)
    output, _ = last.communicate(timeout=DEADLINE_SECONDS)
    assert output.strip() == "completed"
    assert killed >= 1
    assert_tables_equal_truth(database, source, sandbox.state, "acct_interruptions")
    statuses = [session.status for session in list_sessions(database, source.workspace_id)]
    assert statuses.count(SessionStatus.FAILED) >= killed - 1
    assert SessionStatus.RUNNING not in statuses


def test_a_resumed_sync_asks_for_no_page_that_is_in_the_tables(
    sandbox: SandboxServer, add_source: Callable[..., Source], database: Database, sync_now: RunSync
) -> None:
    source = add_source(ACCOUNT.api_key, sandbox.url)
    process = start_sync(source)
    when_asked_for_the(70, sandbox, process.kill)
    process.wait(DEADLINE_SECONDS)
    sandbox.state.watchers.clear()
    committed = {entity: set(live_rows(database, source, entity.value)) for entity in Entity}
    positions = read_positions(database, source, livemode=False)
    cursors = {
        part["cursor"]
        for position in positions.values()
        if position.unfinished
        for part in position.unfinished["slices"]
    }
    assert cursors - {None}, "it was killed too early or too late to leave something half done"
    sandbox.state.counters.reset()
    outcome = sync_now(source, batch_size=10)
    assert outcome.status is SessionStatus.COMPLETED
    asked = {
        given for seen in sandbox.state.counters.recent for given in parse_qs(seen.query).get("starting_after", [])
    }
    assert cursors - {None} <= asked
    assert not asked & (set().union(*committed.values()) - cursors)
    for entity, counts in outcome.entities.items():
        if positions.get(entity, SyncPosition()).unfinished:
            total = len(list(sandbox.state.truth("acct_interruptions", entity.value)))
            assert counts.fetched == total - len(committed[entity])
    assert_tables_equal_truth(database, source, sandbox.state, "acct_interruptions")


def test_what_was_created_between_two_attempts_is_listed_too(
    sandbox: SandboxServer, add_source: Callable[..., Source], database: Database, sync_now: RunSync
) -> None:
    source = add_source(ACCOUNT.api_key, sandbox.url)
    process = start_sync(source)
    when_asked_for_the(20, sandbox, process.kill)
    process.wait(DEADLINE_SECONDS)
    sandbox.state.watchers.clear()
    sandbox.state.apply_changes("acct_interruptions", create={"customers": 3, "invoices": 4})
    assert sync_now(source).status is SessionStatus.COMPLETED
    assert_tables_equal_truth(database, source, sandbox.state, "acct_interruptions")


def test_ending_the_session_stops_the_sync_between_pages(
    sandbox: SandboxServer, add_source: Callable[..., Source], database: Database, keyring: Keyring
) -> None:
    sandbox.state.set_options(SandboxOptions(latency_ms=100))
    source, request = add_source(ACCOUNT.api_key, sandbox.url), SyncRequest(batch_size=5)
    session = open_session(database, source, request)
    when_asked_for_the(12, sandbox, lambda: finish_session(database, session, SessionStatus.CANCELLED))
    outcome = run_sync(SyncJob(database, keyring, source, session, request))
    assert outcome.status is SessionStatus.CANCELLED
    assert get_session(database, source.workspace_id, session.id).status is SessionStatus.CANCELLED
    assert 0 < len(live_rows(database, source, "invoices")) < ACCOUNT.invoices


def test_a_session_that_was_cancelled_while_it_waited_does_not_begin(
    sandbox: SandboxServer, add_source: Callable[..., Source], database: Database, keyring: Keyring
) -> None:
    source, request = add_source(ACCOUNT.api_key, sandbox.url), SyncRequest()
    session = open_session(database, source, request)
    finish_session(database, session, SessionStatus.CANCELLED)
    with pytest.raises(SessionEndedError):
        run_sync(SyncJob(database, keyring, source, session, request))
    assert sandbox.state.counters.total == 0


def test_a_source_is_synced_by_one_process_at_a_time(
    sandbox: SandboxServer, add_source: Callable[..., Source], database: Database, keyring: Keyring
) -> None:
    source, request = add_source(ACCOUNT.api_key, sandbox.url), SyncRequest()
    session: Session = open_session(database, source, request)
    with source_lock(database, source), pytest.raises(SourceBusyError, match=source.key):
        run_sync(SyncJob(database, keyring, source, session, request))
    ended = get_session(database, source.workspace_id, session.id)
    assert ended.status is SessionStatus.FAILED
    assert ended.error_summary is not None
    assert "being synced by another process" in ended.error_summary["message"]


def test_an_interrupted_process_ends_its_session(
    sandbox: SandboxServer, add_source: Callable[..., Source], database: Database
) -> None:
    sandbox.state.set_options(SandboxOptions(latency_ms=50))
    source = add_source(ACCOUNT.api_key, sandbox.url)
    process = start_sync(source)
    when_asked_for_the(15, sandbox, lambda: process.send_signal(signal.SIGINT))
    process.wait(DEADLINE_SECONDS)
    (session,) = list_sessions(database, source.workspace_id)
    assert session.status is SessionStatus.CANCELLED
    assert session.error_summary is not None
    assert "interrupted" in session.error_summary["message"]


def test_one_sync_may_follow_another_at_once(
    sandbox: SandboxServer, add_source: Callable[..., Source], sync_now: RunSync
) -> None:
    sandbox.state.put_account(ACCOUNT.model_copy(update={"customers": 1, "invoices": 1, "subscriptions": 1}))
    source = add_source(ACCOUNT.api_key, sandbox.url)
    assert {sync_now(source).status for _ in range(10)} == {SessionStatus.COMPLETED}
