"""Pages that follow a session: one look a second for all of them, however many there are, and a true end."""

import itertools
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field

import httpx
import pytest
from sqlalchemy import text

from cyphera_pipelines.api.places import LIVE_PAGES_OF_ONE_KEY
from cyphera_pipelines.model.sessions import Session, SessionEvent, SessionStatus
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.events import record_events
from cyphera_pipelines.store.sessions import finish_session, write_progress
from cyphera_pipelines_tests.api.conftest import RunningApi
from cyphera_pipelines_tests.ops.conftest import Browser, OpenBrowser, text_of
from cyphera_pipelines_tests.ops.given import AddSource, progress_of, running_session
from cyphera_pipelines_tests.ops.test_source_page import counted
from cyphera_pipelines_tests.receiver import wait_for

PAGES = 200


@pytest.fixture
def source(add_source: AddSource) -> Source:
    return add_source("sk_test_followed")


@dataclass
class Stream:
    """What an open page was sent."""

    status: int = 0
    events: list[tuple[str, str]] = field(default_factory=list)
    is_over: bool = False
    connection: socket.socket | None = None

    def named(self, name: str) -> list[str]:
        return [data for event, data in self.events if event == name]


@contextmanager
def following(browser: Browser, session: Session) -> Iterator[Stream]:
    """Open the session's stream in a thread, and close it at the end."""
    stream, opened = Stream(), threading.Event()
    client = httpx.Client(base_url=browser.base_url, cookies=browser.cookies, timeout=60.0)

    def read() -> None:
        try:
            with client.stream("GET", f"/ops/sessions/{session.id}/live") as answer:
                stream.status = answer.status_code
                stream.connection = answer.extensions["network_stream"].get_extra_info("socket")
                opened.set()
                name, data = "", list[str]()
                for line in answer.iter_lines():
                    if line.startswith("event: "):
                        name = line.removeprefix("event: ")
                    elif line.startswith("data: "):
                        data.append(line.removeprefix("data: "))
                    elif not line and name:
                        stream.events.append((name, "\n".join(data)))
                        name, data = "", []
        except (httpx.HTTPError, httpx.StreamError):
            pass
        finally:
            stream.is_over = True
            opened.set()

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    assert opened.wait(180.0)
    try:
        yield stream
    finally:
        if stream.connection is not None and not stream.is_over:
            # As when a tab is closed: to close the client alone would not end a read. It may end by itself just now.
            with suppress(OSError):
                stream.connection.shutdown(socket.SHUT_RDWR)
        thread.join(180.0)
        client.close()


def test_a_page_is_sent_what_changes_and_then_the_end(operator: Browser, source: Source, database: Database) -> None:
    session = running_session(database, source, fetched=250)
    with following(operator, session) as stream:
        wait_for(lambda: stream.named("state"))
        assert "250" in text_of(stream.named("state")[0])
        write_progress(database, session, progress_of(500))
        record_events(database, session, [SessionEvent("note", "Half of it is there.")])
        wait_for(lambda: "Half of it is there." in text_of(stream.named("state")[-1]))
        assert "50.0%" in text_of(stream.named("state")[-1])
        finish_session(database, session, SessionStatus.COMPLETED)
        wait_for(lambda: stream.is_over)
    assert stream.named("ended") == ["completed"]
    assert "It is complete." in text_of(stream.named("state")[-1])


def test_pieces_hold_nothing_of_whoever_looks(operator: Browser, source: Source, database: Database) -> None:
    session = running_session(database, source)
    with following(operator, session) as stream:
        wait_for(lambda: stream.named("state"))
    assert "csrf" not in stream.named("state")[0]
    assert "<script" not in stream.named("state")[0]
    assert "Cancel…" not in stream.named("state")[0]
    assert 'data-of="running ' in stream.named("state")[0], "what tells the page to fetch its buttons anew"


def test_a_key_has_so_many_open_and_the_next_is_told(
    operator: Browser, source: Source, database: Database, api: RunningApi
) -> None:
    session = running_session(database, source)
    with ExitStack() as pages:
        for _number in range(LIVE_PAGES_OF_ONE_KEY):
            assert pages.enter_context(following(operator, session)).status == 200
        answer = operator.get(f"/ops/sessions/{session.id}/live")
        assert answer.status_code == 429
        assert "Close some, or reload this one by hand." in answer.text
    wait_for(lambda: not api.app.state.services.live_pages.at_work)


@pytest.mark.slow
def test_two_hundred_open_pages_are_one_look_a_second(
    open_browser: OpenBrowser, source: Source, database: Database, api: RunningApi
) -> None:
    session = running_session(database, source)
    browsers = [open_browser() for _number in range(PAGES // LIVE_PAGES_OF_ONE_KEY)]
    streams = []
    contexts = [following(browsers[number % len(browsers)], session) for number in range(PAGES)]
    with ThreadPoolExecutor(16) as threads:
        streams = list(threads.map(lambda context: context.__enter__(), contexts))
    try:
        assert {stream.status for stream in streams} == {200}
        wait_for(lambda: all(stream.named("state") for stream in streams))
        own = api.app.state.services.database
        began, cpu = time.monotonic(), time.process_time()
        fetched = itertools.count(1)
        with counted(own) as statements:
            # What every page shows changes all the while.
            wait_for(
                lambda: (
                    write_progress(database, session, progress_of(next(fetched))) and time.monotonic() - began > 10.0
                ),
                within=120.0,
            )
        seconds = time.monotonic() - began
        looks = sum("payment_sync_sessions" in statement for statement in statements)
        print(f"{PAGES} pages, {seconds:.0f} s: {looks} looks, {len(statements)} statements, ", end="")
        print(f"{(time.process_time() - cpu) / seconds:.0%} of a CPU for the server and all its clients")
        assert looks <= seconds + 2
        finish_session(database, session, SessionStatus.COMPLETED)
        wait_for(lambda: all(stream.is_over for stream in streams))
        assert all(stream.named("ended") == ["completed"] for stream in streams)
    finally:
        for context in contexts:
            context.__exit__(None, None, None)


def test_a_session_that_waits_says_for_what_while_it_is_followed(
    operator: Browser, source: Source, database: Database
) -> None:
    session = running_session(database, source)
    waits = {"waits_for": "provider", "reason": "The provider limits the rate.", "since": "2026-03-01T09:30:00+00:00"}
    write_progress(database, session, {**progress_of(10), "waiting": {**waits, "until": None}})
    with following(operator, session) as stream:
        wait_for(lambda: stream.named("state"))
        assert "waiting for the provider since 09:30:00 UTC: The provider limits the rate." in text_of(
            stream.named("state")[-1]
        )


def test_nobody_follows_a_session_that_is_gone(operator: Browser, source: Source, database: Database) -> None:
    session = running_session(database, source)
    with database.control() as connection:
        connection.execute(text("DELETE FROM sync.payment_sync_events WHERE session_id = :id"), {"id": session.id})
        connection.execute(text("DELETE FROM sync.payment_sync_sessions WHERE id = :id"), {"id": session.id})
    assert operator.get(f"/ops/sessions/{session.id}/live").status_code == 404
