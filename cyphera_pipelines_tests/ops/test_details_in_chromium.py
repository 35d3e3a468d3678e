"""The pages of a source and a session as people meet them: on a phone, in the dark, and while a session goes on."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from cyphera_pipelines.model.key_levels import KeyLevel
from cyphera_pipelines.model.sessions import SessionEvent, SessionStatus, SyncRequest
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.events import record_events
from cyphera_pipelines.store.sessions import finish_session, start_session, write_progress
from cyphera_pipelines.sync.request import open_session
from cyphera_pipelines_tests.ops.browsing import find_chromium
from cyphera_pipelines_tests.ops.given import AddSource, address_of, failed_session, progress_of, running_session
from cyphera_pipelines_tests.ops.test_in_chromium import DESK, PHONE, OpenPage, browser, open_page

__all__ = ["browser", "open_page"]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_chromium() is None, reason="Chromium is not installed: make test-tools"),
]
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


@pytest.fixture
def source(add_source: AddSource) -> Source:
    return add_source("sk_test_source_in_chromium")


@pytest.mark.parametrize(("size", "scheme"), [(PHONE, "light"), (DESK, "dark"), (DESK, "light")])
def test_nobody_is_kept_from_reading_them(
    size: dict[str, int], scheme: str, open_page: OpenPage, source: Source, database: Database
) -> None:
    failed = failed_session(database, source, "invoices did not complete: the key may not list them.")
    running = running_session(database, source)
    page = open_page("/nothing", size=size, scheme=scheme)
    paths = [address_of(source, action) for action in ("", "sync", "pause", "replay")]
    for path in (*paths, f"/sessions/{failed.id}", f"/sessions/{running.id}"):
        page.goto(f"/ops{path}")
        found = Axe().run(page, options=RULES)
        assert found.violations_count == 0, found.generate_report()
        width = page.evaluate("document.documentElement.scrollWidth")
        assert width <= size["width"], f"{path} is {width} wide"


def test_an_open_page_follows_its_session_to_the_end_and_moves_no_focus(
    open_page: OpenPage, source: Source, database: Database
) -> None:
    session = running_session(database, source)
    page, told = open_page(f"/sessions/{session.id}"), list[str]()
    page.on("console", lambda message: told.append(message.text))
    page.on("pageerror", lambda error: told.append(str(error)))
    expect(page.locator("[data-live-note]")).to_have_text("This page follows the session by itself.")
    page.focus("text=Reload every 10 seconds")
    write_progress(database, session, progress_of(500))
    record_events(database, session, [SessionEvent("note", "Half of it is there.")])
    expect(page.locator('[data-part="progress"]')).to_contain_text("50.0%")
    expect(page.locator('[data-part="events"]')).to_contain_text("Half of it is there.")
    finish_session(database, session, SessionStatus.COMPLETED)
    expect(page.locator('[data-part="status"]')).to_contain_text("It is complete.")
    expect(page.locator("[data-live-note]")).to_contain_text("The session has ended.")
    assert page.evaluate("document.activeElement.textContent") == "Reload every 10 seconds"
    assert told == []


def test_what_stands_around_it_follows_a_session_that_was_still_to_begin(
    open_page: OpenPage, source: Source, database: Database
) -> None:
    session = open_session(database, source, SyncRequest())
    page = open_page(f"/sessions/{session.id}", level=KeyLevel.SYNC)
    expect(page.locator("[data-live-note]")).to_have_text("This page follows the session by itself.")
    expect(page.locator('[data-around="facts"]')).to_contain_text("none yet")
    assert start_session(database, session, "run-that-was-made-later")
    expect(page.locator('[data-around="facts"]')).to_contain_text("run-that-was-made-later")
    expect(page.locator("text=Cancel…")).to_be_visible()
    page.focus("text=Cancel…")
    finish_session(database, session, SessionStatus.PARTIAL)
    expect(page.locator('[data-part="status"]')).to_contain_text("something did not make it")
    expect(page.locator("text=Cancel…")).to_be_focused()
    page.evaluate("document.activeElement.blur()")
    expect(page.locator("text=Try again…")).to_be_visible()
    expect(page.locator("text=Cancel…")).to_have_count(0)


def test_a_hidden_page_asks_for_nothing(open_page: OpenPage, source: Source, database: Database) -> None:
    session = running_session(database, source)
    page = open_page(f"/sessions/{session.id}")
    expect(page.locator("[data-live-note]")).to_have_text("This page follows the session by itself.")
    hide = "Object.defineProperty(document, 'hidden', {value: %s, configurable: true});"
    tell = "document.dispatchEvent(new Event('visibilitychange'))"
    page.evaluate(hide % "true" + tell)
    write_progress(database, session, progress_of(700))
    finish_session(database, session, SessionStatus.COMPLETED)
    expect(page.locator('[data-part="status"]')).to_contain_text("It is running.")
    page.evaluate(hide % "false" + tell)
    expect(page.locator('[data-part="status"]')).to_contain_text("It is complete.")
