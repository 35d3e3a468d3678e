"""The page of error codes: whoever is signed in finds each under the anchor that other pages link to."""

import re

import httpx

from cyphera_pipelines.model.error_codes import ErrorCode
from cyphera_pipelines.model.key_levels import KeyLevel
from cyphera_pipelines.model.workspace import Workspace
from cyphera_pipelines_tests.api.conftest import RunningApi
from cyphera_pipelines_tests.ops.conftest import Browser, OpenBrowser, text_of


def test_every_code_is_explained_under_its_own_anchor(
    operator: Browser, open_browser: OpenBrowser, workspace: Workspace
) -> None:
    for browser in (operator, open_browser(workspace, level=KeyLevel.READ)):
        html = browser.read("/errors")
        anchors = set(re.findall(r' id="([a-z-]+)"', html))
        assert set(ErrorCode) <= anchors
        assert set(re.findall(r'href="/ops/errors#([a-z-]+)"', html)) == set(ErrorCode)
        text = text_of(html)
        for code in ErrorCode:
            assert code.meaning in text
            assert code.remedy in text
        assert 'href="/ops/errors" aria-current="page"' in html


def test_nobody_reads_it_without_signing_in(api: RunningApi) -> None:
    answer = httpx.get(f"{api.url}/ops/errors", follow_redirects=False)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/ops/sign-in?next=/ops/errors")
