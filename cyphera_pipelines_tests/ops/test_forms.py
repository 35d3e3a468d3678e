"""What is sent counts only if it is a form of this browser's own, of a key that may do things."""

import pytest

from cyphera_pipelines.model.key_levels import KeyLevel
from cyphera_pipelines.model.workspace import Workspace
from cyphera_pipelines_tests.ops.conftest import Browser, OpenBrowser, forms_of, text_of

NOWHERE = "/ops/nothing/to/do"
"""Every form is checked before its address is looked at."""


def token_of(browser: Browser) -> str:
    return next(form.hidden["csrf_token"] for form in forms_of(browser.read()) if form.method == "post")


def send(browser: Browser, token: str | None, **headers: str) -> tuple[int, str]:
    data = {} if token is None else {"csrf_token": token}
    answer = browser.post(NOWHERE, data=data, headers={"Content-Type": "application/x-www-form-urlencoded", **headers})
    return answer.status_code, text_of(answer.text)


def test_a_form_needs_the_token_of_this_very_sign_in(open_browser: OpenBrowser, operator: Browser) -> None:
    other = token_of(open_browser())
    own = token_of(operator)
    assert other != own
    for token in (None, "", "wrong", own[:-1], own.upper(), other):
        status, told = send(operator, token)
        assert (status, "Nothing was done" in told) == (403, True), token
    assert send(operator, own)[0] == 404, "it was let through, and there is nothing"


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://[no-address"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_another_site_s_form_is_refused_whatever_it_holds(headers: dict[str, str], operator: Browser) -> None:
    assert send(operator, token_of(operator), **headers)[0] == 403


def test_a_browser_s_own_headers_are_no_hindrance(operator: Browser) -> None:
    own = {"Origin": str(operator.base_url).rstrip("/"), "Sec-Fetch-Site": "same-origin"}
    assert send(operator, token_of(operator), **own)[0] == 404


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "multipart/form-data; boundary=x"])
def test_other_bodies_are_no_forms(kind: str, operator: Browser) -> None:
    assert send(operator, token_of(operator), **{"Content-Type": kind})[0] == 415


def test_a_key_that_may_only_look_does_nothing(open_browser: OpenBrowser, workspace: Workspace) -> None:
    for browser in (open_browser(level=KeyLevel.READ), open_browser(workspace, level=KeyLevel.READ)):
        assert "read only" in text_of(browser.read())
        status, told = send(browser, token_of(browser))
        assert (status, "may only look" in told) == (403, True)


def test_signing_in_takes_a_form_too(open_browser: OpenBrowser) -> None:
    browser = open_browser(level=None)
    answer = browser.post("/ops/sign-in", data={"key": "x"})
    assert "no cookie of this page" in text_of(answer.text)
    browser.read("/sign-in")
    assert browser.post("/ops/sign-in", data={"key": "x"}).status_code == 403


def test_every_form_that_is_sent_has_a_token(operator: Browser, open_browser: OpenBrowser) -> None:
    for page in (operator.read(), operator.read("/nowhere", 404), open_browser(level=None).read("/sign-in")):
        forms = [form for form in forms_of(page) if form.method == "post"]
        assert forms
        assert all(form.hidden.get("csrf_token") for form in forms)
