"""The operations page over real HTTP, and browsers of a kind: they keep cookies, and send forms as they were given."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

import httpx
import pytest

from cyphera_pipelines.api.app import create_app
from cyphera_pipelines.connection_budget import API_PROCESS
from cyphera_pipelines.model.key_levels import KeyLevel
from cyphera_pipelines.model.workspace import Workspace
from cyphera_pipelines.security.encryption import Keyring
from cyphera_pipelines.settings import Settings
from cyphera_pipelines.store.api_keys import create_api_key
from cyphera_pipelines.store.database import Database, open_database
from cyphera_pipelines.store.operator_keys import create_operator_key
from cyphera_pipelines_tests.api.conftest import DEADLINE_SECONDS, KEPT, RunningApi, serving


@pytest.fixture(scope="package")
def api(settings: Settings, keyring: Keyring, database: Database) -> Iterator[RunningApi]:
    """The API on the tests' database, with a pool of the size that it has in production. It knows no Dagster."""
    own = open_database(settings, application_name="cyphera api", pool_size=API_PROCESS)
    with serving(create_app(own, keyring, settings, None)) as running:
        yield running
    own.close()


class Browser(httpx.Client):
    """A browser at the page: paths are those below /ops, and redirects are followed unless that is turned off."""

    def read(self, path: str = "", status: int = 200, **request: Any) -> str:
        """The page's HTML."""
        answer = self.get(f"/ops{path}", **request)
        assert answer.status_code == status, answer.text
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        return answer.text

    def submit(self, path: str, form_of: str | None = None, **fields: str) -> httpx.Response:
        """Send a form with the hidden fields that it has on the page at `form_of`: by default the one at `path`."""
        shown = self.read(path if form_of is None else form_of)
        hidden = next(form.hidden for form in forms_of(shown) if form.action.endswith(f"/ops{path}"))
        return self.post(f"/ops{path}", data={**hidden, **fields})

    def sign_in(self, key: str, **fields: str) -> httpx.Response:
        """Show a key."""
        return self.submit("/sign-in", key=key, **fields)


class Form:
    """A form of a page: where it goes, and its hidden fields."""

    def __init__(self, action: str, method: str) -> None:
        self.action, self.method = action, method
        self.hidden: dict[str, str] = {}


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[Form] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.found.append(Form(given.get("action", ""), given.get("method", "get")))
        elif tag == "input" and given.get("type") == "hidden":
            self.found[-1].hidden[given["name"]] = given.get("value", "")


def forms_of(html: str) -> list[Form]:
    """The forms of a page."""
    parser = _Forms()
    parser.feed(html)
    return parser.found


@dataclass
class ShownSource:
    """A source as the first page shows it: its badges, and all of its words."""

    badges: list[str] = field(default_factory=list)
    words: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """All that is said of it."""
        return re.sub(r"\s+", " ", " ".join(self.words)).strip()


class _Sources(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, ShownSource] = {}
        self._is_badge = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if "data-source" in given:
            self.found[given["data-source"]] = ShownSource()
        self._is_badge = tag == "span" and given.get("class", "").startswith("badge ")

    def handle_data(self, data: str) -> None:
        if self.found:
            shown = self.found[next(reversed(self.found))]
            shown.words.append(data)
            if self._is_badge and data.strip():
                shown.badges.append(data.strip())


def sources_of(html: str) -> dict[str, ShownSource]:
    """The sources that a page lists, by their keys, in order."""
    parser = _Sources()
    parser.feed(html)
    return parser.found


class _Words(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []

    def handle_data(self, data: str) -> None:
        self.said.append(data)


def text_of(html: str) -> str:
    """What a page says, without its markup."""
    parser = _Words()
    parser.feed(html)
    return re.sub(r"\s+", " ", " ".join(parser.said)).strip()


OpenBrowser = Callable[..., Browser]


@pytest.fixture
def open_browser(api: RunningApi, database: Database) -> Iterator[OpenBrowser]:
    """Open a browser: signed in as an operator, or with a key of a workspace's; with `level` None it is signed out."""
    opened: list[Browser] = []

    def open_one(workspace: Workspace | None = None, level: KeyLevel | None = KeyLevel.SYNC, **headers: str) -> Browser:
        browser = Browser(
            base_url=api.url, timeout=DEADLINE_SECONDS, follow_redirects=True, headers=headers, limits=KEPT
        )
        opened.append(browser)
        if level is not None:
            if workspace is None:
                _row, key = create_operator_key(database, "tests", level)
            else:
                _key, key = create_api_key(database, workspace, "tests", level)
            assert browser.sign_in(key.as_text()).status_code == 200
        return browser

    yield open_one
    for browser in opened:
        browser.close()


@pytest.fixture
def operator(open_browser: OpenBrowser) -> Browser:
    """The browser of an operator who may start and stop syncs."""
    return open_browser()
