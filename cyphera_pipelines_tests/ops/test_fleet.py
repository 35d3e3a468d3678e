"""The first page: searching, paging, and what hostile tenants put into it."""

import os
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, Table, event, update

from cyphera_pipelines.api.ops import fleet
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.model.workspace import Workspace
from cyphera_pipelines.security.encryption import Keyring
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.tables import source_schedules as schedules
from cyphera_pipelines.store.tables import workspace_payment_configurations as configurations
from cyphera_pipelines.store.tables import workspaces
from cyphera_pipelines.store.workspaces import find_workspace
from cyphera_pipelines_tests.ops.conftest import Browser, OpenBrowser, sources_of, text_of
from cyphera_pipelines_tests.ops.seeded_fleet import FLEET, Seeded, seed_fleet

SUFFIX = f"-seeded-{os.getpid()}"
MARKUP = """<script>alert(1)</script>"><img src=x onerror=alert(2)>'`{{ 7 * 7 }}${1}</title>"""


@pytest.fixture(scope="module")
def seeded(database: Database, keyring: Keyring) -> list[Source]:
    return seed_fleet(database, keyring, suffix=SUFFIX)


@pytest.fixture
def hostile(database: Database, add_source: Callable[..., Source]) -> Source:
    """A source whose every text that a stranger can set is markup."""
    source = add_source("sk_test_hostile_texts")
    texts: dict[Table, dict[str, Any]] = {
        workspaces: {"name": MARKUP},
        configurations: {"label": MARKUP},
        schedules: {"last_failure": MARKUP, "failures": 2},
    }
    with database.control() as connection:
        for table, values in texts.items():
            column = table.c.id if table is workspaces else table.c.workspace_id
            connection.execute(update(table).where(column == source.workspace_id).values(values))
    return source


@pytest.mark.parametrize("search", ["HARBOR", "harbor-books-seeded", "Harbor B", " harbor ", "books{suffix}:str"])
def test_a_source_is_found_by_any_part_of_what_it_is_called(
    search: str, seeded: list[Source], operator: Browser
) -> None:
    found = sources_of(operator.read("", params={"q": search.format(suffix=SUFFIX)}))
    assert seeded[0].key in found
    assert all("harbor" in key for key in found)


@pytest.mark.parametrize("search", ["%", "_", "\\", "' OR true --", "\x00", "a\x00b", "é" * 100, "<b>", "%00"])
def test_searches_are_texts_and_nothing_else(search: str, seeded: list[Source], operator: Browser) -> None:
    page = operator.read("", params={"q": search})
    assert "<b>" not in page
    if search not in ("_", "\x00"):
        assert not sources_of(page)


def test_what_does_not_fit_is_said(operator: Browser) -> None:
    assert "None has “nobody-at-all”" in text_of(operator.read("?q=nobody-at-all"))
    for address in ("?state=nonsense", "?after=nonsense", "?after=WyJhIl0", f"?q={'a' * 101}", "?refresh=-1"):
        assert "not acceptable" in text_of(operator.read(address, 422)), address


def test_pages_follow_one_another_and_miss_nothing(
    seeded: list[Source], operator: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet, "ROWS_OF_A_PAGE", 3)
    address, keys = f"?q={SUFFIX}", list[str]()
    for _ in range(len(FLEET)):
        page = operator.read(address)
        keys += sources_of(page)
        if 'rel="next"' not in page:
            break
        address = page.partition('rel="next" href="/ops')[2].partition('"')[0].replace("&amp;", "&")
    assert keys == [source.key for source in seeded[:7]] + [seeded[8].key, seeded[7].key, seeded[9].key]


def test_the_bar_is_told_in_words_too(seeded: list[Source], operator: Browser) -> None:
    page = operator.read("", params={"q": f"harbor-books{SUFFIX}"})
    assert 'aria-label="Its last 20 syncs: 9 completed, 11 failed; the newest is failed"' in page
    assert "Its last 20 syncs: 1 running, 19 completed" in operator.read("", params={"q": f"meridian{SUFFIX}"})


def test_another_workspace_is_not_to_be_found(
    seeded: list[Source], open_browser: OpenBrowser, database: Database
) -> None:
    own, other = seeded[0], seeded[1]
    browser = open_browser(find_workspace(database, own.workspace_slug))
    for address in ("", "?state=failing", f"?q={SUFFIX}", f"?q={other.workspace_slug}", "?q=Northwind", "?q=Stripe"):
        page = browser.read(address)
        assert set(sources_of(page)) <= {own.key}
        assert "Northwind Traders" not in page
        assert other.key not in page
        assert "<strong>1</strong> all" in page or "<strong>0</strong> all" in page


def test_who_has_no_command_line_is_told_of_no_command(
    seeded: list[Source], operator: Browser, open_browser: OpenBrowser, database: Database
) -> None:
    for source in seeded:
        own = open_browser(find_workspace(database, source.workspace_slug))
        address = f"/sources/{source.workspace_slug}/{source.provider}"
        for page in ("", address, "/alerts"):
            command = re.search(r"\bcyphera [a-z].*", text_of(own.read(page)))
            assert command is None, f"{source.key} is told of {command}"
    found = next(source for source in seeded if source.workspace_slug.startswith("harbor-books"))
    assert f"cyphera source test {found.workspace_slug} stripe" in text_of(operator.read("?q=harbor-books"))


def test_an_address_that_is_not_acceptable_is_named(operator: Browser) -> None:
    told = text_of(operator.read("?state=zzz&refresh=often", status=422))
    assert "These values are not acceptable: refresh, state." in told


def test_what_strangers_write_stays_text(
    hostile: Source, operator: Browser, open_browser: OpenBrowser, database: Database
) -> None:
    of_workspace = open_browser(find_workspace(database, hostile.workspace_slug))
    for browser in (operator, of_workspace):
        page = browser.read("", params={"q": hostile.workspace_slug})
        assert hostile.key in sources_of(page)
        assert "<script>alert" not in page
        assert "<img" not in page
        assert "{{ 7 * 7 }}" in page
        assert text_of(page).count("alert(1)") >= 3
    searched = operator.read("", params={"q": MARKUP[:100]})
    assert "<script>alert" not in searched


@pytest.fixture
def statements() -> Iterator[list[str]]:
    sent = list[str]()

    def keep(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
        sent.append(statement)

    event.listen(Engine, "before_cursor_execute", keep)
    yield sent
    event.remove(Engine, "before_cursor_execute", keep)


def test_a_page_takes_as_many_statements_however_many_sources_there_are(
    seeded: list[Source], operator: Browser, open_browser: OpenBrowser, workspace: Workspace, statements: list[str]
) -> None:
    of_workspace, counted = open_browser(workspace), list[int]()
    for browser, address in ((operator, f"?q={SUFFIX}"), (operator, f"?q=juniper{SUFFIX}"), (of_workspace, "")):
        browser.read(address)
        statements.clear()
        browser.read(address)
        counted.append(len(statements))
    assert counted[0] == counted[1]
    assert max(counted) <= 6


def test_every_page_lets_nothing_in(operator: Browser, open_browser: OpenBrowser) -> None:
    answers = [operator.get("/ops"), operator.get("/ops/nothing"), open_browser(level=None).get("/ops/sign-in")]
    for answer in answers:
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["Cache-Control"] == "no-store"
        assert " style=" not in answer.text
        assert "<style" not in answer.text
        assert " onclick=" not in answer.text
        assert answer.text.count("<script") == answer.text.count("<script src=")


def test_what_the_page_loads_is_small_and_its_own(operator: Browser) -> None:
    page = operator.read()
    loaded = {
        part.partition('"')[0] for mark in ('href="/ops/static/', 'src="/ops/static/') for part in page.split(mark)[1:]
    }
    assert loaded
    answers = [operator.get(f"/ops/static/{name}") for name in loaded]
    assert all(answer.status_code == 200 and "immutable" in answer.headers["Cache-Control"] for answer in answers)
    assert sum(len(answer.content) for answer in answers) <= 100_000
    assert operator.get("/ops/static/../__init__.py").status_code == 404
    assert operator.get("/ops/static/%2e%2e/__init__.py").status_code == 404


def test_a_seeded_source_is_as_it_was_meant(seeded: list[Source], operator: Browser) -> None:
    """What pictures and other tests build on."""
    rows = sources_of(operator.read(f"?q={SUFFIX}"))
    meant: dict[str, Seeded] = {source.key: each for source, each in zip(seeded, FLEET, strict=True)}
    assert rows.keys() == meant.keys()
    assert [row.badges[0] for row in rows.values()].count("failing") == 2
