"""Listings that take hours, in a batch: others are listed meanwhile, and whoever ends or pauses one ends no others."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from uuid import uuid4

import pytest
from sqlalchemy import text

from cyphera_pipelines.model.sessions import Session, SessionStatus
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.sandbox import Fault, FaultKind, SandboxAccount, SandboxOptions, SandboxServer
from cyphera_pipelines.security.encryption import Keyring
from cyphera_pipelines.settings import Settings
from cyphera_pipelines.store.claims import WORKER_NAME, is_claimed
from cyphera_pipelines.store.database import Database, open_database
from cyphera_pipelines.store.pauses import pause_source, resume_source
from cyphera_pipelines.store.schedules import read_schedule
from cyphera_pipelines.store.sessions import list_sessions
from cyphera_pipelines.sync.batch import GIVES_WAY, Batch, BatchOptions
from cyphera_pipelines.sync.cancellation import Cancellation, cancel_sessions_of_source
from cyphera_pipelines_tests.due_sources import make_due, put_aside
from cyphera_pipelines_tests.receiver import wait_for
from cyphera_pipelines_tests.truth import assert_tables_equal_truth

pytestmark = pytest.mark.slow

LONG, *OTHERS = (
    SandboxAccount(
        api_key=f"sk_test_listed{number:04d}", account_id=f"acct_listed{number}", seed=number, customers=4, invoices=4
    )
    for number in range(3)
)
ENDLESS = SandboxOptions(faults=(Fault(kind=FaultKind.STALL, path="/v1/invoices*", account_id=LONG.account_id),))
PATIENCE = 120.0


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer([LONG, *OTHERS], ENDLESS) as server:
        yield server


@pytest.fixture
def sources(database: Database, sandbox: SandboxServer, add_source: Callable[..., Source]) -> Iterator[list[Source]]:
    """The one whose listing comes to no end, and two others, which are not due yet."""
    made = [add_source(account.api_key, sandbox.url) for account in (LONG, *OTHERS)]
    put_aside(database)
    make_due(database, made[0])
    yield made
    put_aside(database)


@contextmanager
def working(settings: Settings, keyring: Keyring, options: BatchOptions) -> Iterator[Batch]:
    """A batch in a thread of its own, which is stopped at the end if it has not ended."""
    worker = uuid4()
    database = open_database(settings, application_name=f"{WORKER_NAME} {worker}", pool_size=8)
    batch = Batch(database, keyring, worker, options)
    thread = threading.Thread(target=batch.run, name="batch", daemon=True)
    thread.start()
    try:
        yield batch
    finally:
        batch.stop("The test is over.")
        thread.join(PATIENCE)
        database.close()
    assert not thread.is_alive()


def let_others_be_due(database: Database, long: Source, others: list[Source]) -> None:
    """Let the others be due once the first one's listing goes on."""
    wait_for(lambda: is_running(database, long), within=PATIENCE)
    for other in others:
        make_due(database, other)


def let_others_wait(database: Database, long: Source, others: list[Source]) -> None:
    """Let the others be due once the first one's listing goes on, and wait for it in the batch."""
    let_others_be_due(database, long, others)
    wait_for(lambda: all(is_claimed(database, other.workspace_id, "stripe") for other in others), within=PATIENCE)


def sessions_of(database: Database, source: Source) -> list[Session]:
    """The oldest first."""
    return list_sessions(database, source.workspace_id)[::-1]


def is_running(database: Database, source: Source) -> bool:
    return any(session.status is SessionStatus.RUNNING for session in sessions_of(database, source))


def is_completed(database: Database, source: Source) -> bool:
    return any(session.status is SessionStatus.COMPLETED for session in sessions_of(database, source))


def assert_level(database: Database, sandbox: SandboxServer, source: Source, account: SandboxAccount) -> None:
    sandbox.state.set_options(SandboxOptions())
    assert_tables_equal_truth(database, source, sandbox.state, account.account_id)


def test_what_waits_for_a_long_listing_is_listed_by_the_next_batch_while_that_goes_on(
    database: Database, settings: Settings, keyring: Keyring, sources: list[Source]
) -> None:
    long, *others = sources
    may_end = threading.Event()
    with working(settings, keyring, BatchOptions(seconds=3_600.0, listing_patience=0.1, may_end=may_end.is_set)):
        let_others_wait(database, long, others)
        may_end.set()
        # The batch ends early, and keeps nothing but what it lists.
        wait_for(
            lambda: not any(is_claimed(database, other.workspace_id, "stripe") for other in others), within=PATIENCE
        )
        assert [sessions_of(database, other) for other in others] == [[], []]
        with working(settings, keyring, BatchOptions(longest_pause=0.0)):
            wait_for(lambda: all(is_completed(database, other) for other in others), within=PATIENCE)
        assert is_running(database, long)
        assert is_claimed(database, long.workspace_id, "stripe")
    assert [session.status for session in sessions_of(database, long)] == [SessionStatus.CANCELLED]


def test_a_long_listing_gives_way_where_no_other_batch_may_begin_and_goes_on_later(
    database: Database, settings: Settings, keyring: Keyring, sandbox: SandboxServer, sources: list[Source]
) -> None:
    long, *others = sources
    options = BatchOptions(seconds=10.0, may_end=lambda: False)
    with working(settings, keyring, options):
        let_others_be_due(database, long, others)
        wait_for(lambda: all(is_completed(database, other) for other in others), within=PATIENCE)
    sandbox.state.set_options(SandboxOptions())
    with working(settings, keyring, BatchOptions()):
        wait_for(lambda: is_completed(database, long), within=PATIENCE)
    first, *_, last = sessions_of(database, long)
    assert first.status is SessionStatus.CANCELLED
    assert first.error_summary is not None
    assert first.error_summary["reason"] == GIVES_WAY
    assert last.status is SessionStatus.COMPLETED
    assert_level(database, sandbox, long, LONG)


def test_who_pauses_a_source_in_the_middle_and_ends_its_sync_ends_no_others(
    database: Database, settings: Settings, keyring: Keyring, sandbox: SandboxServer, sources: list[Source]
) -> None:
    long, *others = sources
    with working(settings, keyring, BatchOptions(seconds=3_600.0, listing_patience=3_600.0)):
        let_others_wait(database, long, others)
        pause_source(database, long, "for the night")
        cancel_sessions_of_source(database, long, Cancellation("It was paused.", {}))
        wait_for(lambda: all(is_completed(database, other) for other in others), within=PATIENCE)
        wait_for(lambda: not is_claimed(database, long.workspace_id, "stripe"), within=PATIENCE)
        # Due or not: what is paused is taken by no batch.
        make_due(database, long)
        make_due(database, others[0])
        wait_for(lambda: _checked_after_it_was_due(database, others[0]), within=PATIENCE)
    (session,) = sessions_of(database, long)
    assert session.status is SessionStatus.CANCELLED
    assert session.error_summary is not None
    assert str(session.error_summary["message"]).startswith("It was paused.")
    schedule = read_schedule(database, long.workspace_id, "stripe")
    assert schedule is not None
    assert schedule.pause is not None
    assert (schedule.failures, schedule.last_failure) == (0, None)
    resume_source(database, long)
    make_due(database, long)
    sandbox.state.set_options(SandboxOptions())
    with working(settings, keyring, BatchOptions()):
        wait_for(lambda: is_completed(database, long), within=PATIENCE)
    assert_level(database, sandbox, long, LONG)


def _checked_after_it_was_due(database: Database, source: Source) -> bool:
    with database.control() as connection:
        statement = "SELECT claimed_by IS NULL AND due_at > now() FROM sync.source_schedules WHERE workspace_id = :id"
        return bool(connection.execute(text(statement), {"id": source.workspace_id}).scalar_one())
