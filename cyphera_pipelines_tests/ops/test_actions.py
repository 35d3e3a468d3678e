"""What can be done on the page: each once, with an entry of the audit trail, and a conflict that is explained."""

from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import text

from cyphera_pipelines.model.actor import Actor, acting_as
from cyphera_pipelines.model.key_levels import KeyLevel
from cyphera_pipelines.model.sessions import Session, SessionStatus, SessionTrigger
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.store.audit import list_audit_entries
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.inbox import count_inbox
from cyphera_pipelines.store.pauses import find_pause, pause_source
from cyphera_pipelines.store.sessions import get_session, list_sessions
from cyphera_pipelines.store.workspaces import find_workspace
from cyphera_pipelines_tests.ops.conftest import Browser, OpenBrowser, forms_of, text_of
from cyphera_pipelines_tests.ops.given import AddSource, address_of, failed_session, running_session


@pytest.fixture
def source(add_source: AddSource) -> Source:
    return add_source("sk_test_acted_on")


def test_each_form_names_its_object_and_says_what_will_happen(operator: Browser, source: Source) -> None:
    for action in ("sync", "pause", "resume", "verify", "repair", "replay"):
        page = text_of(operator.read(address_of(source, action)))
        assert source.key in page, action
    assert operator.get(f"/ops{address_of(source, 'explode')}").status_code == 404


def test_a_sync_is_asked_for_and_its_session_says_why_and_by_whom(
    operator: Browser, source: Source, database: Database
) -> None:
    answer = operator.submit(address_of(source, "sync"), extent="anew", entities="customers")
    assert answer.status_code == 200
    (session,) = _sessions(database, source)
    assert f"A sync of {source.key} was asked for." in text_of(answer.text)
    assert f"/ops/sessions/{session.id}" in answer.text
    assert (session.config["full_sync"], session.entity_types) == (True, ("customers",))
    assert session.trigger is SessionTrigger.REQUEST
    assert (session.requested_by or "").startswith("operator_key:")
    page = text_of(operator.read(f"/sessions/{session.id}"))
    assert "To list customers anew." in page
    assert "Somebody asked for it." in page
    assert "an operator, with the key “tests”" in page
    assert _audited(database, source) == ["sync.requested"]


def test_a_second_sync_is_refused_with_a_link_to_the_first(
    operator: Browser, source: Source, database: Database
) -> None:
    session = running_session(database, source)
    answer = operator.submit(address_of(source, "sync"))
    assert answer.status_code == 409
    assert f"Session {session.id} of {source.key} is running already." in text_of(answer.text)
    assert f'href="/ops/sessions/{session.id}"' in answer.text
    assert _audited(database, source) == []


def test_a_form_that_is_sent_twice_is_carried_out_once(operator: Browser, source: Source, database: Database) -> None:
    form = forms_of(operator.read(address_of(source, "sync")))[-1]
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda _number: _post(operator, form.action, form.hidden), range(4)))
    assert [answer.status_code for answer in answers] == [303] * 4
    assert len({answer.headers["Location"] for answer in answers}) == 1
    assert len(_sessions(database, source)) == 1
    assert _audited(database, source) == ["sync.requested"]


def test_a_form_that_was_refused_may_be_sent_again(operator: Browser, source: Source, database: Database) -> None:
    session = running_session(database, source)
    form = forms_of(operator.read(address_of(source, "sync")))[-1]
    assert _post(operator, form.action, form.hidden).status_code == 409
    operator.submit(f"/sessions/{session.id}/cancel")
    assert _post(operator, form.action, form.hidden).status_code == 303


def test_pausing_and_resuming_are_told_and_audited(operator: Browser, source: Source, database: Database) -> None:
    running = running_session(database, source)
    answer = operator.submit(address_of(source, "pause"), reason="moving", cancels="true")
    assert "is paused: no sync of it starts until it is resumed. 1 session was cancelled." in text_of(answer.text)
    pause = find_pause(database, source.workspace_id, source.provider)
    assert pause is not None
    assert pause.paused_reason == "moving"
    cancelled = get_session(database, source.workspace_id, running.id)
    assert cancelled.status is SessionStatus.CANCELLED
    assert "on the operations page with the key 'tests'" in (cancelled.error_summary or {})["message"]
    refused = operator.submit(address_of(source, "sync"))
    assert refused.status_code == 409
    assert "paused since" in text_of(refused.text)
    answer = operator.submit(address_of(source, "resume"))
    assert "goes on" in text_of(answer.text)
    assert find_pause(database, source.workspace_id, source.provider) is None
    assert "was not paused: nothing was changed" in text_of(operator.submit(address_of(source, "resume")).text)
    assert _audited(database, source) == ["source.paused", "source.resumed"]


def test_what_an_operator_paused_no_workspace_resumes(
    open_browser: OpenBrowser, source: Source, database: Database
) -> None:
    with acting_as(Actor(f"operator_key:{uuid4()}", "on call")):
        pause_source(database, source, None)
    own = open_browser(find_workspace(database, source.workspace_slug))
    assert "Resume…" not in text_of(own.read(address_of(source)))
    refused = own.submit(address_of(source, "resume"))
    assert refused.status_code == 409
    assert "An operator resumes it." in text_of(refused.text)
    assert find_pause(database, source.workspace_id, source.provider) is not None


def test_a_failed_session_is_tried_again(operator: Browser, source: Source, database: Database) -> None:
    failed = failed_session(database, source, "The provider was away.")
    answer = operator.submit(f"/sessions/{failed.id}/retry")
    assert answer.status_code == 200
    newest = _sessions(database, source)[0]
    assert (newest.trigger, newest.retry_of) == (SessionTrigger.RETRY, failed.id)
    assert (newest.config, newest.session_type) == (failed.config, failed.session_type)
    assert answer.url.path == f"/ops/sessions/{newest.id}"
    assert f"tries again what session {failed.id} was asked for" in text_of(answer.text)
    again = operator.submit(f"/sessions/{failed.id}/retry")
    assert again.status_code == 409
    assert f"/ops/sessions/{newest.id}" in again.text


def test_cancelling_is_told_whatever_the_session_has_come_to(
    operator: Browser, source: Source, database: Database
) -> None:
    running = running_session(database, source)
    assert "The session is cancelled." in text_of(operator.submit(f"/sessions/{running.id}/cancel").text)
    assert "was cancelled already" in text_of(operator.submit(f"/sessions/{running.id}/cancel").text)
    failed = failed_session(database, source, "The provider was away.")
    refused = operator.submit(f"/sessions/{failed.id}/cancel")
    assert refused.status_code == 409
    assert "is failed already: there is nothing to cancel" in text_of(refused.text)
    assert _audited(database, source) == ["sync.cancelled"]


@pytest.mark.parametrize("verification", ["compare", "repair"])
def test_a_verification_is_a_session(operator: Browser, source: Source, database: Database, verification: str) -> None:
    operator.submit(address_of(source, "verify" if verification == "compare" else "repair"))
    (session,) = _sessions(database, source)
    assert session.config["verification"] == verification
    assert "To compare everything with the provider" in text_of(operator.read(f"/sessions/{session.id}"))
    assert _audited(database, source) == ["verification.requested"]


def test_webhooks_that_failed_are_replayed(operator: Browser, source: Source, database: Database) -> None:
    with database.control() as connection:
        connection.execute(
            text(
                "INSERT INTO sync.webhook_events (workspace_id, provider_name, livemode, external_id, event_type, "
                "entity_type, payload, attempts, last_error, dead_at) VALUES (:workspace, :provider, false, 'evt_1', "
                "'customer.updated', 'customers', '{}', 10, 'No such customer.', now())"
            ),
            {"workspace": source.workspace_id, "provider": source.provider},
        )
    assert "No such customer." in text_of(operator.read(address_of(source)))
    answer = operator.submit(address_of(source, "replay"), state="")
    assert "1 webhook is tried again" in text_of(answer.text)
    assert count_inbox(database, source).waiting == 1
    assert "nothing was changed" in text_of(operator.submit(address_of(source, "replay")).text)
    assert _audited(database, source) == ["webhook.replayed"]


def test_nothing_is_done_without_the_pages_own_form(
    operator: Browser, open_browser: OpenBrowser, source: Source, database: Database
) -> None:
    session = running_session(database, source)
    for path in (address_of(source, "pause"), f"/sessions/{session.id}/cancel"):
        form = forms_of(operator.read(path))[-1]
        token = form.hidden["token"]
        assert _post(operator, form.action, {"token": token}).status_code == 403
        assert _post(operator, form.action, {**form.hidden, "csrf_token": "f" * 64}).status_code == 403
        foreign = {"Origin": "https://elsewhere.example"}
        assert operator.post(form.action, data=form.hidden, headers=foreign).status_code == 403
        stranger = open_browser(level=None)
        assert _post(stranger, form.action, form.hidden).status_code == 401
        reader = open_browser(level=KeyLevel.READ)
        own = {**form.hidden, "csrf_token": forms_of(reader.read(path))[-1].hidden["csrf_token"]}
        assert _post(reader, form.action, own).status_code == 403
        assert "Your key may only look." in text_of(reader.read(path))
    assert find_pause(database, source.workspace_id, source.provider) is None
    assert get_session(database, source.workspace_id, session.id).status is SessionStatus.RUNNING
    assert _audited(database, source) == []


def test_another_workspaces_things_are_not_acted_on(
    open_browser: OpenBrowser, source: Source, add_source: AddSource, database: Database
) -> None:
    session = running_session(database, source)
    own_source = add_source("sk_test_of_the_stranger")
    stranger = open_browser(find_workspace(database, own_source.workspace_slug))
    own = forms_of(stranger.read(address_of(own_source, "pause")))[-1].hidden
    for action in ("sync", "pause", "resume", "verify", "repair", "replay"):
        theirs = _post(stranger, f"/ops{address_of(source, action)}", own)
        nobodys = _post(stranger, f"/ops/sources/nobody/stripe/{action}", own)
        assert (theirs.status_code, text_of(theirs.text)) == (404, text_of(nobodys.text)), action
    for action in ("cancel", "retry"):
        theirs = _post(stranger, f"/ops/sessions/{session.id}/{action}", own)
        nobodys = _post(stranger, f"/ops/sessions/{uuid4()}/{action}", own)
        assert (theirs.status_code, text_of(theirs.text)) == (404, text_of(nobodys.text)), action
    assert get_session(database, source.workspace_id, session.id).status is SessionStatus.RUNNING
    assert _audited(database, source) == []


def _post(browser: Browser, address: str, fields: dict[str, str]) -> httpx.Response:
    return browser.post(address, data=fields, follow_redirects=False)


def _sessions(database: Database, source: Source) -> list[Session]:
    return list_sessions(database, source.workspace_id)


def _audited(database: Database, source: Source) -> list[str]:
    """What was done to the source's workspace since the source was connected, oldest first."""
    entries = list_audit_entries(database, source.workspace_id)
    made = ("workspace.created", "configuration.created", "key.created")
    return [entry.action for entry in reversed(entries) if entry.action not in made]
