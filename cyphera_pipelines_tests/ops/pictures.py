"""Draw docs/operations-page.png: the first page of a small fleet, as Chromium shows it. Run by `make ops-pictures`."""

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser

from cyphera_pipelines import local
from cyphera_pipelines.api.in_thread import serving
from cyphera_pipelines.security.keys import load_keyring
from cyphera_pipelines.settings import Settings
from cyphera_pipelines.store.database import open_database
from cyphera_pipelines.store.operator_keys import create_operator_key
from cyphera_pipelines_tests.ops.browsing import chromium, find_chromium
from cyphera_pipelines_tests.ops.seeded_fleet import seed_fleet

WIDTH, HEIGHT = 1240, 900
PHONE_WIDTH, PHONE_HEIGHT = 360, 740


def draw(target: Path, more: Path | None = None) -> None:
    """Take the picture; and with a folder, more of them: on a phone, in the dark, and before signing in."""
    browser = find_chromium()
    if browser is None:
        sys.exit("A browser is needed. On Debian: apt-get install chromium")
    with tempfile.TemporaryDirectory(prefix="picture") as folder:
        settings = Settings(home=Path(folder) / "home")
        try:
            database, keyring = open_database(settings), load_keyring(settings)
            seed_fleet(database, keyring)
            _row, key = create_operator_key(database, "Jane")
            with serving(settings, keyring) as url, chromium(browser) as opened:
                _take(opened, url, key.as_text(), target)
                if more is not None:
                    _take(opened, url, key.as_text(), more / "dark.png", scheme="dark")
                    _take(opened, url, key.as_text(), more / "phone.png", PHONE_WIDTH, PHONE_HEIGHT)
                    _take(opened, url, None, more / "sign-in.png")
            database.close()
        finally:
            local.stop(settings.home)


def _take(
    browser: Browser,
    url: str,
    key: str | None,
    target: Path,
    width: int = WIDTH,
    height: int = HEIGHT,
    *,
    scheme: str = "light",
) -> None:
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)  # type: ignore[arg-type]
    page.goto(f"{url}/ops")
    if key is not None:
        page.fill("#key", key)
        page.click("main button")
        page.wait_for_selector("#sources")
    page.screenshot(path=target, full_page=width == PHONE_WIDTH)
    page.close()


if __name__ == "__main__":
    draw(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
