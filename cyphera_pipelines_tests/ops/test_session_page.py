"""A session's page: what the API and the command line say of it, the page says too; also of one that was killed."""

from pathlib import Path

import pytest
from sqlalchemy import text

from cyphera_pipelines.model.sessions import Session, SessionEvent, SessionStatus, SyncRequest
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.sandbox import Fault, FaultKind, SandboxAccount, SandboxOptions, SandboxServer
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.events import list_events, record_events
from cyphera_pipelines.store.sessions import get_session, list_active_sessions
from cyphera_pipelines.sync.request import open_session
from cyphera_pipelines_tests.ops.conftest import Browser, text_of
from cyphera_pipelines_tests.ops.given import AddSource, failed_session, running_session
from cyphera_pipelines_tests.receiver import wait_for
from cyphera_pipelines_tests.sync.sync_process import start_sync


@pytest.fixture
def source(add_source: AddSource) -> Source:
    return add_source("sk_test_page_of_a_session")


def test_it_says_what_a_running_session_has_done(operator: Browser, source: Source, database: Database) -> None:
    session = running_session(database, source, fetched=250)
    page = operator.read(f"/sessions/{session.id}")
    said = text_of(page)
    assert "It is running." in said
    assert '<progress max="100" value="25.0"' in page
    assert "250 of 1,000" in said
    assert f"Syncing all of {source.key}." in said
    assert "Cancel…" in said
    assert "Try again…" not in said


def test_what_waits_says_behind_whom(operator: Browser, source: Source, database: Database) -> None:
    running = running_session(database, source)
    waiting = open_session(database, source, SyncRequest())
    page = operator.read(f"/sessions/{waiting.id}")
    assert "one sync of a source at a time" in text_of(page)
    assert f'<a href="/ops/sessions/{running.id}">The session that is before it</a>' in page


def test_a_failed_session_says_why_and_can_be_tried_again(
    operator: Browser, source: Source, database: Database
) -> None:
    session = failed_session(database, source, "The provider was away.")
    page = operator.read(f"/sessions/{session.id}")
    assert "The provider was away." in text_of(page)
    assert "Try again…" in text_of(page)
    assert "data-live" not in page
    assert "live.js" not in page


def test_errors_lead_to_what_their_codes_mean(operator: Browser, source: Source, database: Database) -> None:
    session = failed_session(database, source, "The provider was away.")
    event = SessionEvent("note", "It limits the rate.", event_details={"code": "rate-limited"})
    record_events(database, session, [event])
    with database.control() as connection:
        connection.execute(
            text("UPDATE sync.payment_sync_sessions SET error_code = 'provider-unavailable' WHERE id = :id"),
            {"id": session.id},
        )
    page = operator.read(f"/sessions/{session.id}")
    assert 'href="/ops/errors#provider-unavailable"' in page
    assert 'href="/ops/errors#rate-limited"' in page


def test_all_events_are_found_page_by_page(operator: Browser, source: Source, database: Database) -> None:
    session = running_session(database, source)
    record_events(database, session, [SessionEvent("note", f"event number {number:03d}.") for number in range(120)])
    seen: list[str] = []
    path = f"/sessions/{session.id}"
    while True:
        events = operator.read(path).split('<h2 id="events">')[1].split("</section>")[0]
        seen += [f"{number:03d}" for number in range(120) if f"event number {number:03d}." in events]
        if "Earlier events" not in events:
            break
        path = events.split('">Earlier events')[0].rsplit('href="/ops', 1)[1].split("#")[0]
    assert len(seen) == 120
    assert sorted(seen) == [f"{number:03d}" for number in range(120)]
    assert len(list_events(database, source.workspace_id, session.id)) == 121


def test_without_scripts_it_reloads_if_that_is_asked_for(operator: Browser, source: Source, database: Database) -> None:
    session = running_session(database, source)
    assert "http-equiv" not in operator.read(f"/sessions/{session.id}")
    page = operator.read(f"/sessions/{session.id}?refresh=1")
    assert '<meta http-equiv="refresh" content="10">' in page
    assert "live.js" not in page


def test_a_session_that_nobody_is_heard_of_is_not_shown_as_if_it_went_on(
    operator: Browser, source: Source, database: Database
) -> None:
    session = running_session(database, source)
    with database.control() as connection:
        connection.execute(
            text("UPDATE sync.payment_sync_sessions SET updated_at = now() - interval '2 minutes' WHERE id = :id"),
            {"id": session.id},
        )
    said = text_of(operator.read(f"/sessions/{session.id}"))
    assert "its process was not heard of for more than a minute" in said
    assert "It is running." not in said


def test_a_killed_sync_comes_to_a_true_end(
    operator: Browser, add_source: AddSource, database: Database, home: Path
) -> None:
    account = SandboxAccount(api_key="sk_test_killed_while_watched", account_id="acct_killed")
    # So that it is at work until it is killed.
    stalls = SandboxOptions(faults=(Fault(kind=FaultKind.STALL, path="/v1/invoices*"),))
    with SandboxServer([account], stalls) as sandbox:
        source = add_source(account.api_key, sandbox.url)
        process = start_sync(source, home)
        try:
            wait_for(lambda: _running(database, source))
            (session,) = _running(database, source)
            assert "It is running." in text_of(operator.read(f"/sessions/{session.id}"))
        finally:
            process.kill()
            process.join()
        again = start_sync(source, home)
        try:
            wait_for(lambda: get_session(database, source.workspace_id, session.id).status.is_final)
        finally:
            again.kill()
            again.join()
    ended = get_session(database, source.workspace_id, session.id)
    said = text_of(operator.read(f"/sessions/{session.id}"))
    assert ended.status is SessionStatus.FAILED
    assert "It has failed." in said
    assert "The process that ran this sync ended before the sync did." in said
    assert (ended.error_summary or {})["message"] in said


def _running(database: Database, source: Source) -> list[Session]:
    active = list_active_sessions(database, source)
    return [each for each in active if each.status is SessionStatus.RUNNING]
