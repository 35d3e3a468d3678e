"""Who gets in, for how long, and how a sign-in ends."""

import hashlib
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update

from cyphera_pipelines.api.ops.sign_in import own_path
from cyphera_pipelines.api.ops.sign_in_attempts import OF_ONE_ADDRESS
from cyphera_pipelines.model.key_levels import KeyLevel
from cyphera_pipelines.model.workspace import Workspace
from cyphera_pipelines.security.api_keys import KeyKind, new_key
from cyphera_pipelines.store.api_keys import create_api_key, revoke_api_key
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.operator_keys import create_operator_key, revoke_operator_key
from cyphera_pipelines.store.tables import operator_keys, ops_sign_ins, workspace_api_keys
from cyphera_pipelines_tests.api.conftest import RunningApi
from cyphera_pipelines_tests.conftest import new_workspace
from cyphera_pipelines_tests.ops.conftest import Browser, OpenBrowser, text_of

COOKIE = "cyphera-ops"


def is_signed_in(browser: Browser) -> bool:
    answer = browser.get("/ops", follow_redirects=False)
    assert answer.status_code in (200, 303)
    return answer.status_code == 200


def from_address(number: int) -> dict[str, str]:
    """The header by which a proxy tells who asks: wrong keys are counted by address."""
    return {"X-Forwarded-For": f"203.0.113.{number}"}


def test_an_operator_sees_all_workspaces_and_a_workspace_itself(
    operator: Browser, open_browser: OpenBrowser, workspace: Workspace
) -> None:
    assert "all workspaces" in text_of(operator.read())
    assert workspace.slug in text_of(open_browser(workspace).read())


def test_whoever_is_not_signed_in_is_asked_to_and_then_comes_where_he_wanted(
    open_browser: OpenBrowser, database: Database
) -> None:
    browser = open_browser(level=None)
    answer = browser.get("/ops?state=late&q=a%20b", follow_redirects=False)
    assert (answer.status_code, answer.headers["Location"]) == (
        303,
        "/ops/sign-in?next=/ops%3Fstate%3Dlate%26q%3Da%2520b",
    )
    _row, key = create_operator_key(database, "next")
    shown = browser.submit("/sign-in", form_of="/sign-in?next=/ops%3Fstate%3Dlate%26q%3Da%2520b", key=key.as_text())
    assert str(shown.url).endswith("/ops?state=late&q=a%20b")
    browser.cookies.clear()
    assert browser.post("/ops/anything", data={}).status_code == 401


@pytest.mark.parametrize(
    "wanted",
    [
        "//evil.example",
        "https://evil.example/ops",
        "/\\evil.example",
        "/ops//evil.example",
        "/ops/../../evil",
        "/opsevil",
        "/docs",
        "javascript:alert(1)",
        "/ops?a\r\nSet-Cookie: x=y",
        "/ops/" + "a" * 3_000,
        "",
    ],
)
def test_a_sign_in_leads_to_own_pages_only(wanted: str) -> None:
    assert own_path(wanted) == "/ops"


def test_all_wrong_keys_are_answered_alike(open_browser: OpenBrowser, database: Database, workspace: Workspace) -> None:
    made, operator_key = create_operator_key(database, "wrong")
    revoked, revoked_key = create_operator_key(database, "revoked")
    revoke_operator_key(database, revoked.id)
    _row, own = create_api_key(database, workspace, "wrong")
    gone, gone_key = create_api_key(database, workspace, "gone")
    revoke_api_key(database, gone.id)
    texts = {
        "nothing": "",
        "no key": "' OR 1=1 --",
        "unknown": new_key(KeyKind.OPERATOR).as_text(),
        "unknown of a workspace": new_key().as_text(),
        "wrong secret": f"{operator_key.as_text()[:-5]}AAAAA",
        "wrong secret of a workspace": f"{own.as_text()[:-5]}AAAAA",
        "of the other kind": operator_key.as_text().replace("cyo_", "cyk_"),
        "of the other kind too": own.as_text().replace("cyk_", "cyo_"),
        "revoked": revoked_key.as_text(),
        "revoked of a workspace": gone_key.as_text(),
    }
    told = set()
    for number, text in enumerate(texts.values()):
        browser = open_browser(level=None, **from_address(10 + number))
        answer = browser.sign_in(text)
        assert answer.status_code == 401
        assert text == "" or text not in answer.text
        assert not is_signed_in(browser)
        told.add(text_of(answer.text))
    assert len(told) == 1
    assert "does not sign anybody in" in told.pop()
    assert made.last_used_at is None


def test_whoever_tries_too_many_keys_is_not_listened_to_and_others_are(
    open_browser: OpenBrowser, database: Database
) -> None:
    _row, right = create_operator_key(database, "right")
    stranger, operator = open_browser(level=None, **from_address(77)), open_browser(level=None, **from_address(78))
    for _ in range(OF_ONE_ADDRESS):
        assert stranger.sign_in(new_key(KeyKind.OPERATOR).as_text()).status_code == 401
    answer = stranger.sign_in(right.as_text())
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) > 0
    assert not is_signed_in(stranger)
    assert operator.sign_in(right.as_text()).status_code == 200


def test_a_key_that_has_expired_is_told_so(open_browser: OpenBrowser, database: Database) -> None:
    _row, key = create_operator_key(database, "short", expires_in=timedelta(hours=-1))
    answer = open_browser(level=None).sign_in(key.as_text())
    assert (answer.status_code, "This key expired at" in text_of(answer.text)) == (401, True)


def test_a_sign_in_ends_with_its_key(open_browser: OpenBrowser, database: Database, workspace: Workspace) -> None:
    browser, of_workspace = open_browser(), open_browser(workspace)
    assert is_signed_in(browser)
    assert is_signed_in(of_workspace)
    with database.control() as connection:
        newest = select(operator_keys.c.id).order_by(operator_keys.c.created_at.desc()).limit(1)
        key_id = connection.execute(newest).scalar_one()
        connection.execute(
            update(workspace_api_keys)
            .where(workspace_api_keys.c.workspace_id == workspace.id)
            .values(expires_at=func.now())
        )
    revoke_operator_key(database, key_id)
    assert not is_signed_in(browser)
    assert not is_signed_in(of_workspace)


@pytest.mark.parametrize("column", ["seen_at", "expires_at"])
def test_a_sign_in_ends_by_itself(column: str, open_browser: OpenBrowser, database: Database) -> None:
    browser = open_browser()
    age = timedelta(hours=2, minutes=1) if column == "seen_at" else timedelta(hours=12)
    with database.control() as connection:
        old: dict[str, Any] = {column: ops_sign_ins.c[column] - age}
        connection.execute(update(ops_sign_ins).where(ops_sign_ins.c.token_digest == digest_of(browser)).values(old))
    assert not is_signed_in(browser)


def digest_of(browser: Browser) -> bytes:
    return hashlib.sha256(browser.cookies[COOKIE].encode()).digest()


def test_signing_out_ends_it_at_the_server_too(open_browser: OpenBrowser) -> None:
    browser = open_browser(level=KeyLevel.READ)
    token = browser.cookies[COOKIE]
    assert browser.submit("/sign-out", form_of="").url.path == "/ops/sign-in"
    assert COOKIE not in browser.cookies
    browser.cookies.set(COOKIE, token, path="/ops")
    assert not is_signed_in(browser)


def test_signing_in_gives_another_token_and_ends_the_last(open_browser: OpenBrowser, database: Database) -> None:
    browser = open_browser()
    planted = browser.cookies[COOKIE]
    _row, key = create_operator_key(database, "again")
    browser.sign_in(key.as_text())
    assert browser.cookies[COOKIE] != planted
    assert is_signed_in(browser)
    other = open_browser(level=None)
    other.cookies.set(COOKIE, planted, path="/ops")
    assert not is_signed_in(other)


def test_the_cookie_is_out_of_reach(open_browser: OpenBrowser, database: Database) -> None:
    _row, key = create_operator_key(database, "cookie")
    plain = open_browser(level=None)
    answer = plain.submit("/sign-in", key=key.as_text())
    (given,) = [one.headers["Set-Cookie"] for one in answer.history if one.status_code == 303]
    assert given.startswith(f"{COOKIE}=")
    assert {"httponly", "samesite=lax", "path=/ops"} <= {part.strip().lower() for part in given.split(";")}
    secure = open_browser(level=None, **{"X-Forwarded-Proto": "https"}).get("/ops/sign-in").headers["Set-Cookie"]
    assert secure.startswith(f"__Host-{COOKIE}-form=")
    assert {"httponly", "samesite=lax", "path=/", "secure"} <= {part.strip().lower() for part in secure.split(";")}


def test_only_what_follows_from_the_token_is_kept(open_browser: OpenBrowser, database: Database) -> None:
    browser = open_browser()
    with database.control() as connection:
        rows = connection.execute(select(ops_sign_ins)).all()
    assert digest_of(browser) in {bytes(row.token_digest) for row in rows}
    assert browser.cookies[COOKIE] not in repr(rows)


def test_operators_keys_are_not_for_the_api(api: RunningApi, database: Database) -> None:
    workspace = new_workspace(database)
    _row, key = create_operator_key(database, "api")
    headers = {"X-API-Key": key.as_text(), "X-Workspace-ID": str(workspace.id)}
    assert api.plain.get("/api/v1/sync/config", headers=headers).status_code == 401
