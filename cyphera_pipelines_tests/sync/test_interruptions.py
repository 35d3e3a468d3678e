import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from cyphera_pipelines.local.locks import wait_until
from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.sessions import Session, SessionStatus, SyncRequest
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.sandbox import API_VERSION, Fault, FaultKind, SandboxAccount, SandboxOptions, SandboxServer
from cyphera_pipelines.security.encryption import Keyring
from cyphera_pipelines.store import locks
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.events import list_events
from cyphera_pipelines.store.locks import SourceBusyError, source_lock
from cyphera_pipelines.store.sessions import finish_session, get_session, list_sessions, start_session
from cyphera_pipelines.sync.engine import SessionEndedError, SyncJob, run_sync
from cyphera_pipelines.sync.request import open_session
from cyphera_pipelines_tests.sync.checkpoint import read_checkpoint
from cyphera_pipelines_tests.sync.conftest import RunSync
from cyphera_pipelines_tests.sync.sync_process import start_sync
from cyphera_pipelines_tests.truth import assert_tables_equal_truth

pytestmark = pytest.mark.slow

PROGRAM = Path(__file__).with_name("sync_process.py")
DEADLINE_SECONDS = 300.0
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


def when_asked_for_the(
    number: int, sandbox: SandboxServer, act: Callable[[], object], *, endpoint: str = "GET /v1/"
) -> None:
    """Act when the sandbox gets its so-manieth request at an endpoint that begins like that."""
    lock, seen = threading.Lock(), [0]

    def watch(asked: str, _query: str) -> None:
        with lock:
            seen[0] += asked.startswith(endpoint)
            due = seen[0] == number and asked.startswith(endpoint)
        if due:
            act()

    sandbox.state.watchers.append(watch)


LINES, EVENTS, ONE_CUSTOMER = "GET /v1/invoices/:id/lines", "GET /v1/events", "GET /v1/customers/:id"
MOST_REQUESTS = {"GET /v1/": 90, LINES: 12, EVENTS: 4, ONE_CUSTOMER: 4}
"""How many requests of a kind a sync is killed after at most."""
CHANGES = {"customers": 3, "products": 1, "prices": 1, "subscriptions": 3, "invoices": 4}


def kill_at_random(process: BaseProcess, sandbox: SandboxServer, chance: random.Random) -> bool:
    """Kill at some request: any, or while nested lists, provider events or changed objects are fetched; or just so.

    The last is any moment, in the middle of a merge or a commit too. Returns whether it was in time.
    """
    sandbox.state.watchers.clear()
    endpoint = chance.choice([*MOST_REQUESTS, None])
    if endpoint is None:
        begun = threading.Event()
        when_asked_for_the(1, sandbox, begun.set)
        assert begun.wait(DEADLINE_SECONDS)
        process.join(chance.uniform(0.02, 0.8))
        process.kill()
    else:
        number = chance.randint(1, MOST_REQUESTS[endpoint])
        when_asked_for_the(number, sandbox, process.kill, endpoint=endpoint)
    process.join(DEADLINE_SECONDS)
    sandbox.state.watchers.clear()
    return process.exitcode == -signal.SIGKILL


@pytest.mark.parametrize("event_version", [API_VERSION, "2024-06-20"], ids=["snapshots", "fetched"])
@pytest.mark.parametrize("seed", range(3))
def test_a_sync_that_is_killed_again_and_again_ends_with_exactly_the_provider_s_rows(
    seed: int,
    event_version: str,
    sandbox: SandboxServer,
    add_source: Callable[..., Source],
    database: Database,
    home: Path,
) -> None:
    """Between any two attempts the account changes. At the end every column of every row is compared."""
    sandbox.state.put_account(ACCOUNT.model_copy(update={"event_api_version": event_version}))
    source, chance = add_source(ACCOUNT.api_key, sandbox.url), random.Random(seed)
    killed = 0
    for _attempt in range(8):
        process = start_sync(source, home, only_changes=chance.random() < 0.3)
        killed += kill_at_random(process, sandbox, chance)
        sandbox.state.apply_changes(
            "acct_interruptions", create=CHANGES, update=CHANGES, delete={"customers": 1, "invoices": 1}
        )
    last = start_sync(source, home)
    last.join(DEADLINE_SECONDS)
    assert last.exitcode == 0
    assert killed >= 3
    newest, *earlier = [session.status for session in list_sessions(database, source.workspace_id)]
    assert newest is SessionStatus.COMPLETED
    assert set(earlier) <= {SessionStatus.FAILED, SessionStatus.COMPLETED}
    assert_tables_equal_truth(database, source, sandbox.state, "acct_interruptions")


def test_a_resumed_sync_asks_for_no_page_that_is_in_the_tables(
    sandbox: SandboxServer, add_source: Callable[..., Source], database: Database, sync_now: RunSync, home: Path
) -> None:
    source = add_source(ACCOUNT.api_key, sandbox.url)
    process = start_sync(source, home)
    when_asked_for_the(70, sandbox, process.kill)
    process.join(DEADLINE_SECONDS)
    sandbox.state.watchers.clear()
    checkpoint = read_checkpoint(database, source)
    sandbox.state.counters.reset()
    outcome = sync_now(source, batch_size=10)
    assert outcome.status is SessionStatus.COMPLETED
    _newest, killed = list_sessions(database, source.workspace_id)
    (told,) = [
        event.event_message
        for event in list_events(database, source.workspace_id, outcome.session.id)
        if event.event_type == "listing_continued"
    ]
    assert f": continued from session {killed.id}, which had not come to its end." in told
    fetched = {entity: counts.fetched for entity, counts in outcome.entities.items()}
    checkpoint.assert_only_the_rest_was_listed(
        sandbox.state.counters.recent, sandbox.state, "acct_interruptions", fetched
    )
    assert_tables_equal_truth(database, source, sandbox.state, "acct_interruptions")


@pytest.mark.parametrize(
    ("complete", "stalled"),
    [({Entity.PRODUCTS}, ["customers", "prices", "sub*", "invoices"]), (set(Entity), ["events"])],
    ids=["products", "everything"],
)
def test_an_entity_that_was_complete_is_not_listed_again_whatever_the_others_had(
    complete: set[Entity],
    stalled: list[str],
    sandbox: SandboxServer,
    add_source: Callable[..., Source],
    database: Database,
    sync_now: RunSync,
    home: Path,
) -> None:
    """Killed when nothing else had come yet, or when only what had changed meanwhile was not applied yet."""
    sandbox.state.faults.set([Fault(kind=FaultKind.STALL, path=f"/v1/{name}*") for name in stalled])
    source = add_source(ACCOUNT.api_key, sandbox.url)
    process = start_sync(source, home)
    assert wait_until(lambda: read_checkpoint(database, source).complete == complete, DEADLINE_SECONDS)
    changed = {entity.value: 1 for entity in complete}
    sandbox.state.apply_changes("acct_interruptions", create=changed, update=changed, delete={})
    process.kill()
    process.join(DEADLINE_SECONDS)
    sandbox.state.faults.clear()
    sandbox.state.counters.reset()
    assert sync_now(source, batch_size=10).status is SessionStatus.COMPLETED
    assert_tables_equal_truth(database, source, sandbox.state, "acct_interruptions")
    assert not any(sandbox.state.counters.by_endpoint[f"GET /v1/{entity.value}"] for entity in complete)


def test_what_was_created_between_two_attempts_is_listed_too(
    sandbox: SandboxServer, add_source: Callable[..., Source], database: Database, sync_now: RunSync, home: Path
) -> None:
    source = add_source(ACCOUNT.api_key, sandbox.url)
    process = start_sync(source, home)
    when_asked_for_the(20, sandbox, process.kill)
    process.join(DEADLINE_SECONDS)
    sandbox.state.watchers.clear()
    sandbox.state.apply_changes("acct_interruptions", create={"customers": 3, "invoices": 4})
    assert sync_now(source).status is SessionStatus.COMPLETED
    assert_tables_equal_truth(database, source, sandbox.state, "acct_interruptions")


def test_ending_the_session_stops_the_sync_between_pages_and_the_next_one_goes_on(
    sandbox: SandboxServer,
    add_source: Callable[..., Source],
    database: Database,
    keyring: Keyring,
    sync_now: RunSync,
) -> None:
    sandbox.state.set_options(SandboxOptions(latency_ms=100))
    source, request = add_source(ACCOUNT.api_key, sandbox.url), SyncRequest(batch_size=5)
    session = open_session(database, source, request)
    when_asked_for_the(12, sandbox, lambda: finish_session(database, session, SessionStatus.CANCELLED))
    outcome = run_sync(SyncJob(database, keyring, source, session, request))
    assert outcome.status is SessionStatus.CANCELLED
    assert get_session(database, source.workspace_id, session.id).status is SessionStatus.CANCELLED
    checkpoint = read_checkpoint(database, source)
    assert 0 < len(checkpoint.rows[Entity.INVOICES]) < ACCOUNT.invoices
    sandbox.state.set_options(SandboxOptions())
    sandbox.state.counters.reset()
    outcome = sync_now(source, batch_size=5)
    assert outcome.status is SessionStatus.COMPLETED
    fetched = {entity: counts.fetched for entity, counts in outcome.entities.items()}
    checkpoint.assert_only_the_rest_was_listed(
        sandbox.state.counters.recent, sandbox.state, "acct_interruptions", fetched
    )
    assert_tables_equal_truth(database, source, sandbox.state, "acct_interruptions")


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
    other = open_session(database, source, request)
    start_session(database, other, None)
    with source_lock(database, source), pytest.raises(SourceBusyError, match=source.key):
        run_sync(SyncJob(database, keyring, source, session, request))
    ended = get_session(database, source.workspace_id, session.id)
    assert ended.status is SessionStatus.FAILED
    assert ended.error_summary is not None
    assert "being synced by another process" in ended.error_summary["message"]


def test_a_process_whose_session_is_over_is_waited_for(
    sandbox: SandboxServer, add_source: Callable[..., Source], database: Database, keyring: Keyring
) -> None:
    """It has been cancelled and is about to stop."""
    source, request = add_source(ACCOUNT.api_key, sandbox.url), SyncRequest(entities=(Entity.PRODUCTS,))
    over = open_session(database, source, request)
    start_session(database, over, None)
    finish_session(database, over, SessionStatus.CANCELLED)
    with ThreadPoolExecutor(1) as threads:
        with source_lock(database, source):
            session = open_session(database, source, request)
            following = threads.submit(run_sync, SyncJob(database, keyring, source, session, request))
            with pytest.raises(TimeoutError):
                following.result(locks.PATIENCE_SECONDS + 1.0)
        assert following.result(DEADLINE_SECONDS).status is SessionStatus.COMPLETED


def test_nobody_is_said_to_be_syncing_where_no_session_runs(
    add_source: Callable[..., Source], database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "ENDING_PATIENCE_SECONDS", 0.1)
    source = add_source(ACCOUNT.api_key)
    refused = pytest.raises(SourceBusyError, match="no session of it is running")
    with source_lock(database, source), refused, source_lock(database, source):
        pass


def test_an_interrupted_process_ends_its_session(
    sandbox: SandboxServer, add_source: Callable[..., Source], database: Database
) -> None:
    sandbox.state.set_options(SandboxOptions(latency_ms=50))
    source = add_source(ACCOUNT.api_key, sandbox.url)
    process = subprocess.Popen([sys.executable, str(PROGRAM), source.key])
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
