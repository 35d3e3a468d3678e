"""Text of strangers on the pages of a source and a session: shown as text, and without the secrets that are in it."""

from html.parser import HTMLParser

import pytest
from sqlalchemy import text

from cyphera_pipelines.model.sessions import EventLevel, Session, SessionEvent, SessionStatus, SyncRequest
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.events import record_events
from cyphera_pipelines.store.pauses import pause_source
from cyphera_pipelines.store.sessions import finish_session, get_session, start_session, write_progress
from cyphera_pipelines.store.workspaces import find_workspace
from cyphera_pipelines.sync.request import open_session
from cyphera_pipelines_tests.ops.conftest import Browser, OpenBrowser, text_of
from cyphera_pipelines_tests.ops.given import AddSource, address_of, progress_of
from cyphera_pipelines_tests.ops.test_live import following
from cyphera_pipelines_tests.receiver import wait_for

HOSTILE = """'"><script>alert(1)</script><img src=x onerror=alert(2)>{{ 7919*7919 }}"""
SECRET = "sk_live_" + "4eC39HqLyjWDarjtT1zdp7dc"
OPERATORS_SECRET = "cyo_00000000000040008000000000000001_" + "A1b2C3d4" * 5


@pytest.fixture
def source(add_source: AddSource) -> Source:
    return add_source("sk_test_source_of_a_stranger")


@pytest.fixture
def sessions(source: Source, database: Database) -> list[Session]:
    """One that runs and one that failed, of a source that is hostile wherever a provider or a tenant can write."""
    said = f"{HOSTILE} {SECRET} {OPERATORS_SECRET}"
    made = []
    for status in (SessionStatus.FAILED, None):
        session = open_session(database, source, SyncRequest())
        start_session(database, session, f"run-{HOSTILE}")
        progress = progress_of(10)
        progress["entities"]["customers"]["error"] = said
        waiting = {"waits_for": "provider", "reason": said, "since": "2026-03-01T09:30:00+00:00", "until": None}
        write_progress(database, session, {**progress, "way": said, "waiting": waiting})
        event = SessionEvent("note", said, entity_type=HOSTILE, external_id=said, level=EventLevel.ERROR)
        record_events(database, session, [event])
        if status is not None:
            finish_session(database, session, status, error_summary={"message": said})
        made.append(get_session(database, source.workspace_id, session.id))
    pause_source(database, source, said)
    values = {"workspace": source.workspace_id, "provider": source.provider, "said": said}
    with database.control() as connection:
        for statement in (
            "UPDATE sync.payment_sync_sessions SET requested_by = 'api_key:7', requested_by_name = :said "
            "WHERE workspace_id = :workspace",
            "UPDATE sync.workspace_payment_configurations SET label = :said, last_webhook_refusal = :said, "
            "last_webhook_refused_at = now() WHERE workspace_id = :workspace",
            "UPDATE sync.source_schedules SET last_failure = :said, failing_since = now() "
            "WHERE workspace_id = :workspace",
            "UPDATE sync.audit_entries SET actor = 'api_key:7', actor_name = :said WHERE workspace_id = :workspace",
            "INSERT INTO sync.webhook_events (workspace_id, provider_name, livemode, external_id, event_type, "
            "entity_type, payload, attempts, last_error) VALUES (:workspace, :provider, false, :said, :said, "
            "'customers', '{}', 1, :said)",
            "INSERT INTO sync.missing_objects (workspace_id, provider_name, livemode, entity_type, object_id, kind, "
            "reason, objects, first_session_id, last_session_id) VALUES (:workspace, :provider, false, 'customers', "
            ":said, 'not_loaded', :said, 1, gen_random_uuid(), gen_random_uuid())",
        ):
            connection.execute(text(statement), values)
    return made


def test_it_is_shown_as_text_and_holds_no_secret(
    operator: Browser, open_browser: OpenBrowser, source: Source, sessions: list[Session], database: Database
) -> None:
    own = open_browser(find_workspace(database, source.workspace_slug))
    actions = ("", "sync", "pause", "resume", "verify", "repair", "replay")
    paths = [address_of(source, action) for action in actions]
    paths += [f"/sessions/{each.id}{rest}" for each in sessions for rest in ("", "/cancel", "/retry")]
    shown = 0
    for browser in (operator, own):
        for path in paths:
            page = browser.read(path)
            check(page)
            shown += HOSTILE in text_of(page)
    assert shown >= 6, "the pages that tell of it do"


def test_pieces_of_open_pages_are_no_better(operator: Browser, sessions: list[Session]) -> None:
    with following(operator, sessions[1]) as stream:
        wait_for(lambda: stream.named("state"))
    (piece, *_rest) = stream.named("state")
    check(piece)
    assert HOSTILE in text_of(piece)


def check(page: str) -> None:
    """Nothing of it became markup, and no secret is there."""
    tags = _Tags()
    tags.feed(page)
    assert "img" not in tags.found
    assert all(source and "/ops/static/" in source for source in tags.scripts), tags.scripts
    assert not [name for name in tags.attributes if name.startswith("on") or name == "style"]
    assert SECRET not in page
    assert OPERATORS_SECRET not in page
    assert "62710561" not in page, "it was worked out"


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.scripts: list[str | None] = []
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.add(tag)
        self.attributes |= {name for name, _value in attrs}
        if tag == "script":
            self.scripts.append(dict(attrs).get("src"))
