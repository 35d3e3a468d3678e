"""What the log of a run and a session's progress tell while a sync goes on, and while it waits."""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from uuid import UUID

import pytest

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.sessions import SessionStatus, SyncRequest
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.model.waiting import Waiting, WaitingFor
from cyphera_pipelines.providers.base import RequestNote, RetryKind
from cyphera_pipelines.sandbox import Fault, FaultKind, SandboxAccount, SandboxOptions, SandboxServer
from cyphera_pipelines.security.encryption import Keyring
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.locks import source_lock
from cyphera_pipelines.store.sessions import get_session, start_session
from cyphera_pipelines.sync import run_log
from cyphera_pipelines.sync.engine import SyncJob, run_sync
from cyphera_pipelines.sync.progress import SyncProgress
from cyphera_pipelines.sync.request import open_session
from cyphera_pipelines.sync.turns import what_it_waits_for
from cyphera_pipelines_tests.api.conftest import until

ACCOUNT = SandboxAccount(
    api_key="sk_test_run_log",
    account_id="acct_run_log",
    name="Log Ltd.",
    seed=5,
    customers=30,
    products=3,
    prices=4,
    subscriptions=5,
    invoices=10,
)


class Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[tuple[str, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append((record.levelname, record.getMessage()))


def a_log(handler: logging.Handler) -> logging.Logger:
    log = logging.getLogger(f"of a run {id(handler)}")
    log.setLevel(logging.INFO)
    log.addHandler(handler)
    return log


def test_a_sync_that_waits_says_so_everywhere(
    database: Database, keyring: Keyring, add_source: Callable[..., Source], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_log, "TELL_EVERY", 0.5)
    fault = Fault(kind=FaultKind.RATE_LIMIT, path="/v1/customers", seconds=2)
    with SandboxServer([ACCOUNT], SandboxOptions(faults=(fault,))) as sandbox, ThreadPoolExecutor(1) as threads:
        source = add_source(ACCOUNT.api_key, sandbox.url)
        request = SyncRequest(entities=(Entity.CUSTOMERS,))
        session = open_session(database, source, request)
        lines = Lines()
        running = threads.submit(run_sync, SyncJob(database, keyring, source, session, request, log=a_log(lines)))

        def waiting() -> Waiting | None:
            return what_it_waits_for(database, get_session(database, source.workspace_id, session.id), 10)

        until(lambda: (found := waiting()) is not None and found.waits_for is WaitingFor.PROVIDER and found.until)
        until(lambda: any(text.startswith("Waiting for the provider since") for _level, text in lines.lines))
        sandbox.state.set_options(sandbox.state.options.model_copy(update={"faults": ()}))
        assert running.result(120).status is SessionStatus.COMPLETED
    assert waiting() is None
    retried = [text for level, text in lines.lines if level == "WARNING" and "Trying again" in text]
    assert len(retried) == 1, "the first of its kind, and no other"
    assert ("INFO", "customers: complete, 30 fetched; 30 created.") in lines.lines


def test_a_log_that_hangs_ends_no_sync(
    database: Database, keyring: Keyring, add_source: Callable[..., Source], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_log, "LAST_WORDS_WITHIN", 0.1)
    released = threading.Event()

    class Hanging(logging.Handler):
        def emit(self, _record: logging.LogRecord) -> None:
            released.wait(120)

    with SandboxServer([ACCOUNT]) as sandbox:
        source = add_source(ACCOUNT.api_key, sandbox.url)
        request = SyncRequest(entities=(Entity.PRODUCTS,))
        session = open_session(database, source, request)
        outcome = run_sync(SyncJob(database, keyring, source, session, request, log=a_log(Hanging())))
        assert outcome.status is SessionStatus.COMPLETED
    released.set()


def test_no_answer_is_a_wait_too_and_a_request_that_was_given_up_is_none() -> None:
    now = datetime(2026, 3, 1, tzinfo=UTC).timestamp()
    progress = SyncProgress([Entity.CUSTOMERS], lambda: now)
    now += 1
    progress.requested()
    assert progress.waiting() is None
    now += 5
    found = progress.waiting()
    assert found is not None
    assert found.reason == "The provider has not answered since."
    progress.answered()
    assert progress.waiting() is None
    progress.retried(RequestNote(RetryKind.PROVIDER_ERROR, "listing customers", "Stripe is out of order.", 8.0, 1))
    now += 4
    found = progress.waiting()
    assert found is not None
    expected = "waiting for the provider since 00:00:06 UTC, tried again at 00:00:14: Stripe is out of order."
    assert found.in_words() == expected
    assert Waiting.in_progress(progress.as_json()) == found
    now += 7
    assert progress.waiting() is None


def test_a_session_that_waits_for_its_turn_says_behind_whom(
    database: Database, add_source: Callable[..., Source]
) -> None:
    source = add_source("sk_test_turns")
    first, second = (open_session(database, source, SyncRequest()) for _ in range(2))

    def reason(runs_at_once: int | None = 10_000) -> str:
        found = what_it_waits_for(database, get_session(database, source.workspace_id, second.id), runs_at_once)
        assert found is not None
        assert (found.waits_for, found.behind) == (WaitingFor.TURN, behind)
        return found.reason

    behind: UUID | None = first.id
    assert reason() == f"Session {first.id} of the same source waits before it: one sync of a source at a time."
    start_session(database, first, None)
    assert reason() == f"Session {first.id} of the same source is running: one sync of a source at a time."
    with database.control() as connection:
        connection.exec_driver_sql(f"UPDATE sync.payment_sync_sessions SET status = 'failed' WHERE id = '{first.id}'")
    behind = None
    with source_lock(database, source):
        assert reason().startswith("A process is at work on its source")
    assert "Dagster has no run for it yet. Its sensor makes one within" in reason()
    assert "no more than 0 may at once (max_concurrent_runs)" in reason(0)
