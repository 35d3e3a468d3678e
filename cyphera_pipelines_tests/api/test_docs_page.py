"""The page at /docs works where there is no internet."""

import re

from cyphera_pipelines_tests.api.conftest import RunningApi

_REFERENCE = re.compile(r"""(?:src|href)="([^"]*)"|\burl: '([^']*)'""")
_OTHER_HOST = re.compile(r"""https?:|["'(]//""")


def test_the_page_and_all_that_it_references_come_from_this_server(api: RunningApi) -> None:
    page = api.ask("GET", "/docs")
    assert page.status_code == 200
    assert "<title>Cyphera Pipelines API</title>" in page.text
    assert not _OTHER_HOST.search(page.text)
    references = {either or other for either, other in _REFERENCE.findall(page.text)} - {"data:,"}
    assert {reference.rpartition(".")[2] for reference in references} == {"js", "css", "json"}
    for reference in references:
        found = api.ask("GET", reference)
        assert found.status_code == 200, reference
        assert len(found.content) > 10_000, reference


def test_the_styles_load_nothing_from_elsewhere(api: RunningApi) -> None:
    styles = api.ask("GET", "/docs/assets/swagger-ui.css").text
    assert set(re.findall(r"url\([\"']?(\w+):", styles)) <= {"data"}
    assert "@import" not in styles


def test_what_is_no_asset_is_a_problem_document(api: RunningApi) -> None:
    for path in ("/docs/assets/nothing.js", "/docs/assets/..%2f__init__.py"):
        missing = api.ask("GET", path)
        assert missing.status_code == 404
        assert missing.headers["Content-Type"] == "application/problem+json"
