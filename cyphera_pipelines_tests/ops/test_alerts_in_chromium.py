"""The page of alerts as people meet it: on a phone and in the dark, with everything on it that there can be."""

from collections.abc import Callable

import pytest
from axe_playwright_python.sync_playwright import Axe

from cyphera_pipelines.model.key_levels import KeyLevel
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.operator_keys import create_operator_key
from cyphera_pipelines_tests.alerts.conftest import Watch, be_fresh, fail
from cyphera_pipelines_tests.alerts.conftest import receiver as receiver
from cyphera_pipelines_tests.alerts.conftest import watch as watch
from cyphera_pipelines_tests.api.conftest import RunningApi
from cyphera_pipelines_tests.ops.browsing import chromium, find_chromium
from cyphera_pipelines_tests.receiver import Receiver

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_chromium() is None, reason="Chromium is not installed: make test-tools"),
]
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


def test_nobody_is_kept_from_reading_it(
    api: RunningApi, database: Database, watch: Watch, receiver: Receiver, add_source: Callable[..., Source]
) -> None:
    source = add_source("sk_test_alerts_chromium")
    be_fresh(database, source)
    watch.channel(receiver.url, only=[source])
    receiver.answer = lambda _received: 503
    fail(database, source, message="a" * 300)
    watch.look()
    path = find_chromium()
    assert path is not None
    with chromium(path) as browser:
        for width, scheme in ((360, "dark"), (360, "light"), (1240, "light")):
            context = browser.new_context(
                base_url=api.url,
                viewport={"width": width, "height": 800},
                color_scheme=scheme,  # type: ignore[arg-type]
            )
            page = context.new_page()
            page.goto("/ops/sign-in")
            _row, key = create_operator_key(database, "chromium", KeyLevel.SYNC)
            page.fill("#key", key.as_text())
            page.press("#key", "Enter")
            page.wait_for_url("**/ops")
            page.goto("/ops/alerts")
            for opened in page.locator("details").all():
                opened.evaluate("each => { each.open = true }")
            found = Axe().run(page, options=RULES)
            assert found.violations_count == 0, found.generate_report()
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            context.close()
