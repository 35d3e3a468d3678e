"""The page as people meet it: on a phone, in the dark, by keyboard, and while it keeps itself up to date."""

import os
from collections.abc import Callable, Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import func, update

from cyphera_pipelines.api.ops import fleet
from cyphera_pipelines.model.key_levels import KeyLevel
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.security.encryption import Keyring
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.operator_keys import create_operator_key
from cyphera_pipelines.store.tables import source_schedules as schedules
from cyphera_pipelines_tests.api.conftest import RunningApi
from cyphera_pipelines_tests.ops.browsing import chromium, find_chromium
from cyphera_pipelines_tests.ops.seeded_fleet import seed_fleet

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_chromium() is None, reason="Chromium is not installed: make test-tools"),
    pytest.mark.usefixtures("seeded"),
]

SUFFIX = f"-seen-{os.getpid()}"
PHONE, DESK = {"width": 360, "height": 740}, {"width": 1240, "height": 900}
PATIENCE_MS = 120_000
OpenPage = Callable[..., Page]


@pytest.fixture(scope="module")
def seeded(database: Database, keyring: Keyring) -> list[Source]:
    return seed_fleet(database, keyring, suffix=SUFFIX)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = find_chromium()
    assert path is not None
    with chromium(path) as opened:
        yield opened


@pytest.fixture
def open_page(browser: Browser, api: RunningApi, database: Database) -> Iterator[OpenPage]:
    """Open a page in a browser window of its own: `open_page("?state=late", size=PHONE, scheme="dark")`."""
    contexts = []

    def open_one(
        address: str = f"?q={SUFFIX}",
        *,
        size: dict[str, int] = DESK,
        scheme: str = "light",
        is_signed_in: bool = True,
        level: KeyLevel = KeyLevel.READ,
        scripts: bool = True,
    ) -> Page:
        context = browser.new_context(
            base_url=api.url,
            viewport=size,  # type: ignore[arg-type]
            color_scheme=scheme,  # type: ignore[arg-type]
            java_script_enabled=scripts,
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        expect.set_options(timeout=PATIENCE_MS)
        page.goto("/ops/sign-in")
        if is_signed_in:
            _row, key = create_operator_key(database, "chromium", level)
            page.fill("#key", key.as_text())
            page.press("#key", "Enter")
            page.wait_for_url("**/ops")
            page.goto(f"/ops{address}")
        return page

    yield open_one
    for context in contexts:
        context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_nobody_is_kept_from_reading_it(size: dict[str, int], scheme: str, open_page: OpenPage) -> None:
    """What axe-core finds, by WCAG 2.2 A and AA; and nothing sticks out sideways."""
    page = open_page(size=size, scheme=scheme)
    signed_out = open_page(size=size, scheme=scheme, is_signed_in=False)
    rules = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
    for shown, addresses in ((page, (f"?q={SUFFIX}", "?q=nobody", "/nothing")), (signed_out, ("/sign-in",))):
        for address in addresses:
            shown.goto(f"/ops{address}")
            found = Axe().run(shown, options=rules)
            assert found.violations_count == 0, found.generate_report()
            width = shown.evaluate("document.documentElement.scrollWidth")
            assert width <= size["width"], f"{address} is {width} wide"


def test_it_can_be_used_by_keyboard_alone(open_page: OpenPage) -> None:
    page = open_page()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    assert page.evaluate("document.activeElement.getBoundingClientRect().left") >= 0, "it can be seen"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"
    seen = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement === document.body"):
            break
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none", page.evaluate("document.activeElement.outerHTML")
        seen.add(page.evaluate("document.activeElement.textContent").strip())
    assert {"Pause updates", "Find"} <= seen


def test_nothing_is_reported_on_the_console(open_page: OpenPage) -> None:
    page, told = open_page(), list[str]()
    page.on("console", lambda message: told.append(message.text))
    page.on("pageerror", lambda error: told.append(str(error)))
    page.reload(wait_until="networkidle")
    assert told == []


def test_everything_works_without_scripts(open_page: OpenPage) -> None:
    page = open_page(scripts=False)
    page.fill("#q", f"kestrel{SUFFIX}")
    page.press("#q", "Enter")
    page.wait_for_url("**kestrel**")
    assert page.locator("[data-source]").count() == 1
    page.click("text=Load it anew every 30 seconds")
    assert page.locator('meta[http-equiv="refresh"]').get_attribute("content") == "30"
    page.click("text=Stop that")
    expect(page.locator('meta[http-equiv="refresh"]')).to_have_count(0)


def keys_on(page: Page) -> list[str]:
    found: list[str] = page.evaluate("[...document.querySelectorAll('[data-source]')].map(row => row.dataset.source)")
    return found


def pause(database: Database, source: Source) -> None:
    paused = {"paused_at": func.now(), "paused_kind": "person", "paused_reason": "looked at in Chromium"}
    with database.control() as connection:
        connection.execute(
            update(schedules).where(schedules.c.workspace_id == source.workspace_id).values(**paused, last_failure=None)
        )


def test_it_keeps_up_without_moving_a_row(
    open_page: OpenPage, seeded: list[Source], database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet, "UPDATED_EVERY", 1)
    page, first = open_page(), seeded[0]
    before = keys_on(page)
    row = page.locator(f'[data-source="{first.key}"]')
    other = page.locator(f'[data-source="{seeded[1].key}"]')
    row.hover()
    pause(database, first)
    pause(database, seeded[1])
    expect(other.locator(".badge")).to_have_text("paused")
    expect(row.locator(".badge")).to_have_text("failing")
    assert keys_on(page) == before, "nothing moved, though both belong elsewhere now"
    expect(page.locator("#updated a")).to_be_visible()
    page.mouse.move(0, 0)
    expect(row.locator(".badge")).to_have_text("paused")
    with page.expect_navigation():
        page.click("#updated a")
    assert keys_on(page) != before


def test_it_says_so_while_the_server_does_not_answer(open_page: OpenPage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet, "UPDATED_EVERY", 1)
    page = open_page("?q=nobody")
    page.route("**/ops?q=nobody", lambda _route: None)
    expect(page.locator("#updated")).to_have_text("This is not up to date: the server does not answer.")
    page.unroute("**/ops?q=nobody")
    expect(page.locator("#updated")).to_contain_text("As of ")


def test_it_asks_nothing_while_it_is_hidden_or_paused(open_page: OpenPage) -> None:
    page = open_page("?q=nobody")
    page.clock.install()
    page.reload()
    asked = list[str]()
    page.on("request", lambda request: asked.append(request.url))
    page.evaluate("Object.defineProperty(document, 'hidden', {value: true, configurable: true})")
    page.clock.run_for(120_000)
    assert asked == []
    page.evaluate("Object.defineProperty(document, 'hidden', {value: false, configurable: true})")
    with page.expect_response("**/ops?q=nobody"):
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    page.click("text=Pause updates")
    asked.clear()
    page.clock.run_for(120_000)
    assert asked == []
    with page.expect_response("**/ops?q=nobody"):
        page.click("text=Go on updating")
