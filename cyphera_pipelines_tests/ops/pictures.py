"""Draw the operations page, as Chromium shows it: sources of a small fleet, one of them, and a session of it.

Run by `make ops-pictures`, which writes them into docs/.
"""

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser
from pydantic import SecretStr

from cyphera_pipelines import local
from cyphera_pipelines.api.in_thread import serving
from cyphera_pipelines.figures.build import build_figures
from cyphera_pipelines.model.configuration import Credentials
from cyphera_pipelines.model.sessions import SyncRequest
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.sandbox import SandboxAccount, SandboxServer
from cyphera_pipelines.security.encryption import Keyring
from cyphera_pipelines.security.keys import load_keyring
from cyphera_pipelines.settings import Settings
from cyphera_pipelines.store.configurations import create_configuration
from cyphera_pipelines.store.database import Database, open_database
from cyphera_pipelines.store.operator_keys import create_operator_key
from cyphera_pipelines.store.sessions import write_progress
from cyphera_pipelines.store.sources import find_source
from cyphera_pipelines.store.workspaces import create_workspace
from cyphera_pipelines.sync.engine import SyncJob, run_sync
from cyphera_pipelines.sync.request import open_session
from cyphera_pipelines_tests.ops.browsing import chromium, find_chromium
from cyphera_pipelines_tests.ops.given import address_of, progress_of, running_session
from cyphera_pipelines_tests.ops.seeded_fleet import seed_fleet

WIDTH, HEIGHT = 1240, 900
PHONE_WIDTH, PHONE_HEIGHT = 360, 740
HALF_WAY = {
    "customers": (903, 903),
    "products": (5, 5),
    "prices": (12, 12),
    "subscriptions": (230, 400),
    "invoices": (780, 2_600),
}
"""How many objects were fetched, and of how many."""


def draw(folder: Path, more: Path | None = None) -> None:
    """Take the pictures; and with another folder, all of the pages: on a phone, in the dark, and before signing in."""
    browser = find_chromium()
    if browser is None:
        sys.exit("A browser is needed. On Debian: apt-get install chromium")
    with tempfile.TemporaryDirectory(prefix="picture") as home:
        settings = Settings(home=Path(home) / "home")
        try:
            database, keyring = open_database(settings), load_keyring(settings)
            source = _synced_source(database, keyring)
            session = running_session(database, source)
            write_progress(database, session, _half_way())
            seed_fleet(database, keyring)
            _row, key = create_operator_key(database, "Jane")
            pages = {"page": "", "source": address_of(source), "session": f"/sessions/{session.id}"}
            with serving(settings, keyring) as url, chromium(browser) as opened:
                for name, address in pages.items():
                    _take(opened, f"{url}/ops", address, key.as_text(), folder / f"operations-{name}.png")
                if more is not None:
                    _take_more(opened, f"{url}/ops", {**pages, "alerts": "/alerts"}, key.as_text(), more)
            database.close()
        finally:
            local.stop(settings.home)


def _synced_source(database: Database, keyring: Keyring) -> Source:
    """A source with a history: listed, changed, compared with the provider, and with figures."""
    account = SandboxAccount(
        api_key="sk_live_pictured",
        account_id="acct_pictured",
        name="Lighthouse Media",
        seed=4,
        customers=900,
        subscriptions=400,
        invoices=2_600,
        newest_created=int(time.time()),
    )
    workspace = create_workspace(database, "lighthouse", "Lighthouse Media")
    with SandboxServer([account]) as sandbox:
        credentials = Credentials(api_key=SecretStr(account.api_key), base_url=sandbox.url)
        create_configuration(database, keyring, workspace, "stripe", credentials, is_test_mode=False)
        source = find_source(database, "lighthouse:stripe")

        def sync(request: SyncRequest) -> None:
            run_sync(SyncJob(database, keyring, source, open_session(database, source, request), request))

        sync(SyncRequest())
        changed = {"invoices": 11, "subscriptions": 4}
        sandbox.state.apply_changes(f"{account.account_id}/live", create={"customers": 3}, update=changed)
        sync(SyncRequest(only_changes=True))
        build_figures(database, source, livemode=True)
    return source


def _half_way() -> dict[str, Any]:
    """A `progress` column of a sync that has listed what there are few of."""
    told = progress_of(900)
    for entity, (fetched, of) in HALF_WAY.items():
        counts = {"estimated": of, "fetched": fetched, "unchanged": fetched, "created": 0, "done": fetched == of}
        told["entities"][entity] |= counts
    return told | {"percent": 49.2, "rows_per_second": 212.4, "eta_seconds": 9.6, "requests": 24}


def _take_more(browser: Browser, url: str, pages: dict[str, str], key: str, folder: Path) -> None:
    _take(browser, url, "/sign-in", None, folder / "sign-in.png")
    for name, address in pages.items():
        _take(browser, url, address, key, folder / f"{name}-whole.png", is_whole=True)
        _take(browser, url, address, key, folder / f"{name}-dark.png", scheme="dark", is_whole=True)
        _take(browser, url, address, key, folder / f"{name}-phone.png", PHONE_WIDTH, PHONE_HEIGHT, is_whole=True)


def _take(
    browser: Browser,
    url: str,
    address: str,
    key: str | None,
    target: Path,
    width: int = WIDTH,
    height: int = HEIGHT,
    *,
    scheme: str = "light",
    is_whole: bool = False,
) -> None:
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)  # type: ignore[arg-type]
    page.goto(url)
    if key is not None:
        page.fill("#key", key)
        page.click("main button")
        page.wait_for_selector("#sources")
        page.goto(f"{url}{address}")
    page.screenshot(path=target, full_page=is_whole)
    page.close()


if __name__ == "__main__":
    draw(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
