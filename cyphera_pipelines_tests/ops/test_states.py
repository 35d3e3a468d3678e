"""Sources in a dozen situations and one more: the page, the API and the command line say the same of each.

Where a sync is quick it is a real one, against the sandbox; what would take long is written as the engine writes it.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, insert, text, update

from cyphera_pipelines.model.key_levels import KeyLevel
from cyphera_pipelines.model.sessions import SessionStatus, SyncRequest
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.sandbox import SandboxAccount, SandboxServer
from cyphera_pipelines.security.encryption import Keyring
from cyphera_pipelines.store.api_keys import create_api_key
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.pauses import pause_source, resume_source
from cyphera_pipelines.store.schedules import SyncResult
from cyphera_pipelines.store.sessions import finish_session, start_session
from cyphera_pipelines.store.tables import payment_sync_sessions as sessions
from cyphera_pipelines.store.tables import source_schedules as schedules
from cyphera_pipelines.store.tables import verifications
from cyphera_pipelines.store.workspaces import create_workspace, find_workspace
from cyphera_pipelines.sync.engine import SyncJob, run_sync
from cyphera_pipelines.sync.request import open_session
from cyphera_pipelines_tests.api.conftest import RunningApi
from cyphera_pipelines_tests.cli.command import Cyphera
from cyphera_pipelines_tests.ops.conftest import Browser, OpenBrowser, sources_of
from cyphera_pipelines_tests.store.test_schedules import note

PREFIX = f"twelve-{os.getpid()}"
SMALL: dict[str, Any] = {"customers": 12, "products": 2, "prices": 3, "subscriptions": 4, "invoices": 10}
ACCOUNT = SandboxAccount(
    api_key="sk_test_twelve",
    account_id="acct_twelve",
    seed=2,
    restricted_keys={"rk_test_twelve_no_invoices": frozenset({"invoice"})},
    **SMALL,
)
NOTHING: dict[str, Any] = dict.fromkeys(SMALL, 0)
EMPTY = SandboxAccount(api_key="sk_test_twelve_empty", account_id="acct_twelve_empty", **NOTHING)
HUGE = 12_345_678_901
STATES = {
    "never": ("never_synced", False),
    "killed": ("never_synced", False),
    "rejected": ("paused", False),
    "partial": ("failing", False),
    "paused": ("paused", False),
    "late": ("late", False),
    "busy": ("fresh", True),
    "claimed": ("never_synced", True),
    "down": ("failing", False),
    "dead": ("fresh", False),
    "drifted": ("fresh", False),
    "empty": ("fresh", False),
    "huge": ("fresh", False),
}
"""The state of each, and whether a sync is at work on it."""


@dataclass
class Making:
    """What the situations are made with."""

    database: Database
    keyring: Keyring
    add_source: Callable[..., Source]
    url: str

    def source(self, name: str, api_key: str = ACCOUNT.api_key) -> Source:
        return self.add_source(api_key, self.url, workspace=create_workspace(self.database, f"{PREFIX}-{name}"))

    def synced(self, name: str, api_key: str = ACCOUNT.api_key) -> Source:
        source, request = self.source(name, api_key), SyncRequest()
        run_sync(SyncJob(self.database, self.keyring, source, open_session(self.database, source, request), request))
        return source

    def put(self, source: Source, **columns: Any) -> None:
        row = update(schedules).where(schedules.c.workspace_id == source.workspace_id)
        with self.database.control() as connection:
            connection.execute(row.values(columns))

    def running(self, source: Source, *, heard_of: timedelta) -> None:
        session = open_session(self.database, source, SyncRequest())
        assert start_session(self.database, session, None)
        heartbeat = update(sessions).where(sessions.c.id == session.id).values(updated_at=func.now() - heard_of)
        with self.database.control() as connection:
            connection.execute(heartbeat)


@pytest.fixture(scope="module")
def twelve(database: Database, keyring: Keyring, add_source: Callable[..., Source]) -> Iterator[dict[str, Source]]:
    with SandboxServer([ACCOUNT, EMPTY]) as sandbox:
        making = Making(database, keyring, add_source, sandbox.url)
        made = {
            "never": making.source("never"),
            "killed": making.source("killed"),
            "rejected": making.synced("rejected", "sk_test_twelve_nobody_s"),
            "partial": making.synced("partial", "rk_test_twelve_no_invoices"),
            "paused": making.synced("paused"),
            "late": making.synced("late"),
            "busy": making.synced("busy"),
            "claimed": making.source("claimed"),
            "down": making.synced("down"),
            "dead": making.synced("dead"),
            "drifted": making.synced("drifted"),
            "empty": making.synced("empty", EMPTY.api_key),
            "huge": making.source("huge"),
        }
        making.running(made["killed"], heard_of=timedelta(minutes=5))
        pause_source(database, made["paused"], "the account moves")
        making.put(made["late"], fresh_at=func.now() - timedelta(days=2))
        making.running(made["busy"], heard_of=timedelta(0))
        making.put(made["claimed"], claimed_by=func.gen_random_uuid(), lease_until=func.now() + timedelta(hours=1))
        note(database, made["down"], SyncResult.FAILED, "Stripe does not answer.")
        _let_webhooks_die(database, made["dead"])
        _let_rows_drift(database, made["drifted"])
        _let_it_be_huge(database, made["huge"])
        yield made


def _let_webhooks_die(database: Database, source: Source) -> None:
    with database.control() as connection:
        connection.execute(
            text(
                "INSERT INTO sync.webhook_events (workspace_id, provider_name, livemode, external_id, event_type, "
                "entity_type, payload, attempts, last_error, dead_at) "
                "VALUES (:id, 'stripe', false, 'evt_dead', 'customer.updated', 'customers', '{}', 10, 'No.', now())"
            ),
            {"id": source.workspace_id},
        )


def _let_rows_drift(database: Database, source: Source) -> None:
    found = {"verified_at": func.now(), "rows_checked": 31, "open_differences": 7, "unmappable": 0}
    of = {"workspace_id": source.workspace_id, "provider_name": "stripe", "livemode": False}
    with database.control() as connection:
        connection.execute(insert(verifications).values(**of, entity_type="customers", **found))


def _let_it_be_huge(database: Database, source: Source) -> None:
    session = open_session(database, source, SyncRequest())
    assert start_session(database, session, None)
    progress = {"entities": {"invoices": {"fetched": HUGE, "created": HUGE, "updated": 0, "deleted": 0, "done": True}}}
    finish_session(database, session, SessionStatus.COMPLETED, progress=progress)
    note(database, source, SyncResult.LEVEL)


def test_the_page_the_api_and_the_command_line_agree(
    twelve: dict[str, Source], operator: Browser, api: RunningApi, database: Database, home: Path
) -> None:
    on_page = sources_of(operator.read(f"?q={PREFIX}"))
    shown = {each["key"]: each for each in Cyphera(home)("schedule", "show", "--json").json()}
    told: dict[str, dict[str, tuple[str, bool]]] = {"page": {}, "api": {}, "command line": {}}
    for name, source in twelve.items():
        badges = on_page[source.key].badges
        told["page"][name] = (badges[0].replace(" ", "_"), badges[1:] == ["syncing"])
        _row, key = create_api_key(database, find_workspace(database, source.workspace_slug), "tests", KeyLevel.READ)
        headers = {"X-API-Key": key.as_text(), "X-Workspace-ID": str(source.workspace_id)}
        schedule = api.plain.get("/api/v1/sync/config/stripe", headers=headers).json()["schedule"]
        told["api"][name] = (schedule["state"], schedule["is_syncing"])
        told["command line"][name] = (shown[source.key]["state"], shown[source.key]["is_syncing"])
    for who, states in told.items():
        assert states == STATES, who


def test_what_is_counted_is_what_the_link_shows(twelve: dict[str, Source], operator: Browser) -> None:
    first = operator.read(f"?q={PREFIX}")
    for state in {state for state, _is_syncing in STATES.values()} | {"syncing"}:
        of_state = {
            source.key
            for name, source in twelve.items()
            if STATES[name][0] == state or (state == "syncing" and STATES[name][1])
        }
        filtered = operator.read(f"?q={PREFIX}&state={state}")
        assert set(sources_of(filtered)) == of_state
        for page in (first, filtered):
            assert f"<strong>{len(of_state)}</strong> {state.replace('_', ' ')}" in page


@pytest.mark.parametrize(
    ("name", "wanted", "says"),
    [
        ("dead", "webhooks_dead", "1 webhook was given up."),
        ("drifted", "drift", "7 rows differ from the provider’s, by the last verification."),
    ],
)
def test_what_may_be_wrong_in_any_state_is_counted_and_found(
    name: str, wanted: str, says: str, twelve: dict[str, Source], open_browser: OpenBrowser, database: Database
) -> None:
    source = twelve[name]
    of_workspace, of_another = (
        open_browser(find_workspace(database, each.workspace_slug)) for each in (source, twelve["never"])
    )
    for browser, address in ((open_browser(), f"?q={PREFIX}&state={wanted}"), (of_workspace, f"?state={wanted}")):
        page = browser.read(address)
        assert list(sources_of(page)) == [source.key]
        assert says in sources_of(page)[source.key].text
        link = f'<a class="{wanted}" href="/ops{address.replace("&", "&amp;")}" aria-current="true"><strong>1</strong>'
        assert link in page
    assert sources_of(of_another.read(f"?state={wanted}")) == {}
    pause_source(database, source, "looked at")
    assert list(sources_of(of_workspace.read(f"?state={wanted}"))) == [source.key], "whatever its state"
    resume_source(database, source)


def test_a_workspace_sees_the_same_of_itself(
    twelve: dict[str, Source], open_browser: OpenBrowser, database: Database
) -> None:
    for name in ("rejected", "busy"):
        source = twelve[name]
        page = open_browser(find_workspace(database, source.workspace_slug)).read()
        assert list(sources_of(page)) == [source.key]
        assert sources_of(page)[source.key].badges[0] == STATES[name][0]


def test_each_row_says_what_there_is_to_know(twelve: dict[str, Source], operator: Browser) -> None:
    rows = sources_of(operator.read(f"?q={PREFIX}"))
    said = {name: rows[source.key].text for name, source in twelve.items()}
    assert "No sync of it has come to its end" in said["never"]
    assert "No sync has ended yet" in said["killed"]
    assert "The credentials were rejected" in said["rejected"]
    assert "cyphera source update" in said["rejected"]
    assert "Not complete" in said["partial"]
    assert "invoices" in said["partial"]
    assert "the account moves" in said["paused"]
    assert "older than its schedule" in said["late"]
    assert "Stripe does not answer." in said["down"]
    assert "0 rows changed" in said["empty"]
    assert f"{HUGE:,} rows changed" in said["huge"]
    assert next(iter(rows)) in {twelve["down"].key, twelve["partial"].key}, "what fails comes first"
