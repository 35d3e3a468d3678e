"""What each bad end of a sync is called: the same word in its session, its events, its source, and over HTTP."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import pytest

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.error_codes import ErrorCode
from cyphera_pipelines.model.errors import CypheraError
from cyphera_pipelines.model.sessions import Session, SessionStatus, SessionType, SyncRequest
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.providers.base import ClientOptions
from cyphera_pipelines.sandbox import Fault, FaultKind, SandboxAccount, SandboxOptions, SandboxServer
from cyphera_pipelines.security.encryption import EncryptionKey, Keyring
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.events import list_events
from cyphera_pipelines.store.locks import SourceBusyError, source_lock
from cyphera_pipelines.store.schedules import ScheduleState, read_schedule
from cyphera_pipelines.store.sessions import create_session, get_session, start_session
from cyphera_pipelines.sync import client as sync_client
from cyphera_pipelines.sync import engine
from cyphera_pipelines.sync.cancellation import Cancellation, cancel_session
from cyphera_pipelines.sync.engine import SyncJob, run_sync
from cyphera_pipelines.sync.request import open_session
from cyphera_pipelines_tests.api.conftest import Client, MakeClient, problem
from cyphera_pipelines_tests.conftest import new_workspace

LACKS_INVOICES = "rk_test_codes_no_invoices"
ACCOUNT = SandboxAccount(
    api_key="sk_test_error_codes",
    account_id="acct_error_codes",
    seed=6,
    customers=30,
    products=3,
    prices=4,
    subscriptions=6,
    invoices=10,
    restricted_keys={LACKS_INVOICES: frozenset({"invoice"})},
)
FAULTS = {
    ErrorCode.PROVIDER_UNAVAILABLE: Fault(kind=FaultKind.ERROR_500),
    ErrorCode.PROVIDER_UNREACHABLE: Fault(kind=FaultKind.DROP),
    ErrorCode.RATE_LIMITED: Fault(kind=FaultKind.RATE_LIMIT, retry_after=5),
    ErrorCode.TIMED_OUT: Fault(kind=FaultKind.STALL, seconds=60),
    ErrorCode.ANSWER_UNREADABLE: Fault(kind=FaultKind.CUT_JSON),
    ErrorCode.CREDENTIALS_REJECTED: Fault(kind=FaultKind.UNAUTHORIZED, after=3),
}


class Told:
    """What is told of a source's last session, wherever one looks."""

    def __init__(self, database: Database, client: Client, source: Source, session: Session) -> None:
        self.session = get_session(database, source.workspace_id, session.id)
        self.events = list_events(database, source.workspace_id, session.id)
        self.shown: dict[str, Any] = client.get(f"/sessions/{session.id}").json()
        self.shown_status: dict[str, Any] = client.get(f"/sessions/{session.id}/status").json()
        self.shown_events: list[dict[str, Any]] = client.get(f"/sessions/{session.id}/events").json()["events"]
        self.configuration: dict[str, Any] = client.get(f"/config/id/{source.configuration_id}").json()
        schedule = read_schedule(database, source.workspace_id, source.provider)
        assert schedule is not None
        self.schedule: ScheduleState = schedule

    def codes(self) -> set[str | None]:
        """What the session is said to have ended with: its row, the event that tells of its end, and the API."""
        end = f"session_{self.session.status.value}"
        assert end in {event["event_type"] for event in self.shown_events}
        return {
            self.session.error_code,
            *(event.error_code for event in self.events if event.event_type == end),
            *(event["error_code"] for event in self.shown_events if event["event_type"] == end),
            self.shown["error_code"],
            self.shown_status["error_code"],
        }


Try = Callable[..., Told]


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer([ACCOUNT], SandboxOptions()) as server:
        yield server


@pytest.fixture
def try_sync(
    database: Database, keyring: Keyring, make_client: MakeClient, sandbox: SandboxServer, add_source: Any
) -> Try:
    """Sync a new source, whatever comes of it, and look at what is told: `try_sync(meanwhile=...)`."""

    def sync(
        api_key: str = ACCOUNT.api_key,
        *,
        before: Callable[[Source, Session], object] = lambda _source, _session: None,
        expected: tuple[type[BaseException], ...] = (),
        with_keys: Keyring | None = None,
        entities: tuple[Entity, ...] = tuple(Entity),
    ) -> Told:
        workspace = new_workspace(database)
        source = add_source(api_key, sandbox.url, workspace=workspace)
        request = SyncRequest(entities)
        session = open_session(database, source, request)
        before(source, session)
        with suppress(*expected):
            run_sync(SyncJob(database, with_keys or keyring, source, session, request))
        return Told(database, make_client(workspace), source, session)

    return sync


@pytest.fixture
def in_haste(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that these tests wait for is meant to fail."""
    monkeypatch.setattr(engine, "open_client", partial(sync_client.open_client, attempts=2, rate_limit_patience=0.5))
    monkeypatch.setattr(sync_client, "ClientOptions", partial(ClientOptions, answer_within=1.0))


@pytest.mark.parametrize("code", FAULTS)
@pytest.mark.usefixtures("in_haste")
def test_what_a_provider_does_to_all_of_a_sync(code: ErrorCode, sandbox: SandboxServer, try_sync: Try) -> None:
    sandbox.state.set_options(SandboxOptions(faults=(FAULTS[code],)))
    told = try_sync()
    assert told.session.status is SessionStatus.FAILED
    assert told.codes() == {code}
    assert told.schedule.last_failure_code == code
    assert told.configuration["schedule"]["last_failure_code"] == code
    loud = [event for event in told.events if event.event_details["level"] != "info"]
    assert loud
    assert {event.error_code for event in loud} == {code}
    if code is ErrorCode.CREDENTIALS_REJECTED:
        assert told.schedule.pause is not None
        assert told.schedule.pause.paused_code == code
        assert told.configuration["pause"]["paused_code"] == code


def test_an_entity_that_may_not_be_read_has_its_code(try_sync: Try) -> None:
    told = try_sync(LACKS_INVOICES)
    assert told.session.status is SessionStatus.PARTIAL
    assert told.codes() == {ErrorCode.PERMISSION_MISSING}
    entities = told.shown["progress"]["entities"]
    assert entities["invoices"]["error_code"] == ErrorCode.PERMISSION_MISSING
    assert entities["customers"]["error_code"] is None
    assert told.shown["error_summary"]["entities"]["invoices"]["error_code"] == ErrorCode.PERMISSION_MISSING
    assert told.schedule.last_failure_code == ErrorCode.PERMISSION_MISSING


def test_an_object_that_was_not_loaded_and_two_causes_at_once(sandbox: SandboxServer, try_sync: Try) -> None:
    customer = next(iter(sandbox.state.truth(ACCOUNT.account_id, "customers")))["id"]
    sandbox.state.patch(ACCOUNT.account_id, customer, {"created": "not a number"})
    told = try_sync()
    assert (told.session.status, told.codes()) == (SessionStatus.PARTIAL, {ErrorCode.OBJECT_NOT_LOADED})
    (event,) = [event for event in told.events if event.external_id == customer]
    assert event.error_code == ErrorCode.OBJECT_NOT_LOADED
    told = try_sync(LACKS_INVOICES)
    assert (told.session.status, told.codes()) == (SessionStatus.PARTIAL, {ErrorCode.SEVERAL_CAUSES})
    by_entity = {name: each["error_code"] for name, each in told.shown["error_summary"]["entities"].items()}
    assert by_entity == {"customers": ErrorCode.OBJECT_NOT_LOADED, "invoices": ErrorCode.PERMISSION_MISSING}


def test_a_sync_that_somebody_cancels(sandbox: SandboxServer, try_sync: Try, database: Database) -> None:
    cancelled: list[UUID] = []

    def when_asked_to(_source: Source, session: Session) -> None:
        def watch(endpoint: str, _query: str) -> None:
            if endpoint == "GET /v1/customers" and not cancelled:
                cancelled.append(session.id)
                cancel_session(database, session, Cancellation.with_command("Cancelled", "a test"))

        sandbox.state.watchers.append(watch)

    told = try_sync(before=when_asked_to)
    assert (told.session.status, told.codes()) == (SessionStatus.CANCELLED, {ErrorCode.CANCELLED})
    assert told.schedule.last_failure_code is None


def test_a_sync_that_is_interrupted(try_sync: Try, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_context: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(engine, "bring_up_to_date", interrupt)
    told = try_sync(expected=(KeyboardInterrupt,))
    assert (told.session.status, told.codes()) == (SessionStatus.CANCELLED, {ErrorCode.INTERRUPTED})


def test_an_error_of_ours(try_sync: Try, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_context: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(engine, "bring_up_to_date", fail)
    told = try_sync(expected=(ZeroDivisionError,))
    assert (told.session.status, told.codes()) == (SessionStatus.FAILED, {ErrorCode.UNEXPECTED})
    assert told.schedule.last_failure_code == ErrorCode.UNEXPECTED


def test_a_source_that_another_process_syncs(try_sync: Try, database: Database) -> None:
    held: list[Any] = []

    def hold(source: Source, _session: Session) -> None:
        other = create_session(database, source, SessionType.DELTA_SYNC, SyncRequest())
        assert start_session(database, other, None)
        held.append(source_lock(database, source))
        held[0].__enter__()

    try:
        told = try_sync(before=hold, expected=(SourceBusyError,))
    finally:
        held[0].__exit__(None, None, None)
    assert (told.session.status, told.codes()) == (SessionStatus.FAILED, {ErrorCode.SOURCE_BUSY})


def test_a_session_whose_process_died(try_sync: Try, database: Database, make_client: MakeClient) -> None:
    """As a killed process leaves it: it says that it runs, and nobody holds the source's lock."""
    dead: list[tuple[Source, Session]] = []

    def die(source: Source, _session: Session) -> None:
        other = create_session(database, source, SessionType.INITIAL_SYNC, SyncRequest())
        assert start_session(database, other, None)
        dead.append((source, other))

    next_one = try_sync(before=die)
    assert (next_one.session.status, next_one.codes()) == (SessionStatus.COMPLETED, {None})
    (abandoned,) = [event for event in next_one.events if event.event_type == "session_abandoned"]
    assert abandoned.error_code == ErrorCode.SESSION_DIED
    source, session = dead[0]
    assert get_session(database, source.workspace_id, session.id).error_code == ErrorCode.SESSION_DIED


def test_credentials_that_do_not_open(try_sync: Try) -> None:
    told = try_sync(expected=(CypheraError,), with_keys=Keyring(EncryptionKey.generate()))
    assert (told.session.status, told.codes()) == (SessionStatus.FAILED, {ErrorCode.CREDENTIALS_UNREADABLE})


def test_problems_have_a_code_that_may_be_more_exact_than_their_kind(client: Client) -> None:
    missing = problem(client.get(f"/sessions/{uuid4()}"), 404)
    assert (missing["type"], missing["error_code"]) == ("urn:cyphera:problem:not-found", ErrorCode.NOT_FOUND)
    unknown = problem(client.post("/paypal/initial", json={}), 422)
    assert unknown["error_code"] in (ErrorCode.PROVIDER_UNKNOWN, ErrorCode.INVALID_REQUEST)
    assert "code" not in missing
