"""What could not be loaded stays known, whatever other syncs complete, until it is loaded or gone."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cyphera_pipelines.local.locks import wait_until
from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.missing import MissingKind, MissingObjects
from cyphera_pipelines.model.rows import UnmappableObject
from cyphera_pipelines.model.sessions import ConflictStrategy, SessionStatus, SyncRequest
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.sandbox import SandboxAccount, SandboxOptions, SandboxServer
from cyphera_pipelines.security.encryption import Keyring
from cyphera_pipelines.store import missing as store
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.events import list_events
from cyphera_pipelines.store.missing import list_missing
from cyphera_pipelines.store.sessions import list_sessions
from cyphera_pipelines.store.sources import list_sources_with_state
from cyphera_pipelines.sync.engine import SyncJob, run_sync
from cyphera_pipelines.sync.outcome import SyncOutcome
from cyphera_pipelines.sync.progress import SyncProgress
from cyphera_pipelines.sync.request import open_session
from cyphera_pipelines.sync.verification.repair import verify_and_repair
from cyphera_pipelines.sync.verification.verify import VerificationJob, verify
from cyphera_pipelines_tests.sync.conftest import RunSync
from cyphera_pipelines_tests.sync.interruption import DEADLINE_SECONDS
from cyphera_pipelines_tests.sync.sync_process import start_sync
from cyphera_pipelines_tests.truth import assert_tables_equal_truth

ACCOUNT = SandboxAccount(
    api_key="sk_test_missing",
    account_id="acct_missing",
    seed=35,
    customers=40,
    products=6,
    prices=15,
    subscriptions=10,
    invoices=20,
)
ODD = {"created": "soon"}
SOUND = {"created": 1_700_000_000}


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer([ACCOUNT], SandboxOptions()) as server:
        yield server


def ids_of(sandbox: SandboxServer, collection: str) -> list[str]:
    return [str(obj["id"]) for obj in sandbox.state.truth("acct_missing", collection)]


@pytest.fixture
def odd(sandbox: SandboxServer) -> str:
    """A customer that no row can be made of."""
    customer = ids_of(sandbox, "customers")[7]
    sandbox.state.patch("acct_missing", customer, ODD, with_event=False)
    return customer


@pytest.fixture
def source(sandbox: SandboxServer, add_source: Callable[..., Source]) -> Source:
    return add_source(ACCOUNT.api_key, sandbox.url)


def missing_of(database: Database, source: Source) -> list[MissingObjects]:
    return list_missing(database, source.workspace_id, source.provider, livemode=False)


def told(database: Database, source: Source, outcome: SyncOutcome) -> list[str]:
    events = list_events(database, source.workspace_id, outcome.session.id)
    return [event.event_message for event in events if event.event_type == "rows_still_missing"]


def test_a_delta_that_completes_still_tells_of_what_is_missing_until_it_is_mended(
    odd: str, sandbox: SandboxServer, source: Source, sync_now: RunSync, database: Database, keyring: Keyring
) -> None:
    first = sync_now(source)
    assert first.status is SessionStatus.PARTIAL
    assert told(database, source, first) == []  # it has an event of its own for each

    for _ in range(2):
        sandbox.state.patch("acct_missing", ids_of(sandbox, "products")[0], {"name": "New"})
        delta = sync_now(source, only_changes=True)
        assert (delta.status, delta.error_summary) == (SessionStatus.COMPLETED, None)
        (message,) = told(database, source, delta)
        assert "1 object of customers is still missing from the tables, since " in message
        assert f"(session {first.session.id}): {odd} (" in message
    (state,) = [each for each in list_sources_with_state(database) if each.key == source.key]
    assert state.missing_objects == 1
    report = verify(VerificationJob(database, keyring, source, tuple(Entity), SyncProgress(tuple(Entity))))
    assert [(each.entity, each.objects) for each in report.still_missing] == [(Entity.CUSTOMERS, 1)]

    sandbox.state.patch("acct_missing", odd, SOUND)
    mended = sync_now(source, only_changes=True)
    assert (mended.status, told(database, source, mended)) == (SessionStatus.COMPLETED, [])
    assert missing_of(database, source) == []
    assert_tables_equal_truth(database, source, sandbox.state, "acct_missing")


@pytest.mark.parametrize("how", ["event", "listing"])
def test_an_object_that_is_gone_is_missing_no_more(
    how: str, odd: str, sandbox: SandboxServer, source: Source, sync_now: RunSync, database: Database
) -> None:
    sync_now(source)
    sandbox.state.delete("acct_missing", odd)
    outcome = sync_now(source, only_changes=how == "event", full_sync=how == "listing")
    assert (outcome.status, missing_of(database, source)) == (SessionStatus.COMPLETED, [])


def test_what_a_repair_compares_and_mends_is_missing_no_more(
    odd: str, sandbox: SandboxServer, source: Source, sync_now: RunSync, database: Database, keyring: Keyring
) -> None:
    sync_now(source)
    entities = tuple(Entity)
    still = verify_and_repair(VerificationJob(database, keyring, source, entities, SyncProgress(entities)))
    assert [each.objects for each in still.still_missing] == [1]
    sandbox.state.patch("acct_missing", odd, SOUND)
    report = verify_and_repair(VerificationJob(database, keyring, source, entities, SyncProgress(entities)))
    assert (report.still_missing, missing_of(database, source)) == ((), [])


def test_few_are_named_and_the_others_counted_honestly(
    source: Source, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "MOST_NAMED", 10)
    session = open_session(database, source, SyncRequest())
    objects = [UnmappableObject(f"cus_{number:02}", "odd", b"{}") for number in range(24)]
    objects.append(UnmappableObject(None, "no id", b'{"object": "customer"}'))

    def note(these: list[UnmappableObject], listing: float | None) -> None:
        with database.tenant(source.workspace_id) as connection:
            store.note_missing(
                connection, session, Entity.CUSTOMERS, these, MissingKind.NOT_LOADED, livemode=False, listing=listing
            )

    note(objects[:8], 1.0)
    note(objects[8:], 1.0)
    (missing,) = missing_of(database, source)
    assert (missing.objects, missing.up_to_more) == (10, 15)
    assert "10 and up to 15 more objects of customers are still missing" in missing.described()
    note(objects[:3], None)
    assert [(each.objects, each.up_to_more) for each in missing_of(database, source)] == [(10, 15)]
    with database.tenant(source.workspace_id) as connection:
        store.forget_missing(connection, source, Entity.CUSTOMERS, ["cus_00", "cus_20"], livemode=False)
    assert [(each.objects, each.up_to_more) for each in missing_of(database, source)] == [(9, 15)]
    with database.tenant(source.workspace_id) as connection:
        store.forget_missing_before(connection, source, Entity.CUSTOMERS, livemode=False, listing=2.0)
    assert missing_of(database, source) == []


def test_a_flag_sync_names_and_counts_each_differing_object_once(
    sandbox: SandboxServer, source: Source, sync_now: RunSync, database: Database
) -> None:
    """The listing meets them, and then what changed since the listing began does again."""
    sync_now(source)
    ids = ids_of(sandbox, "customers")
    changed = iter([{"name": "While it is listed"}])

    def change(endpoint: str, _query: str) -> None:
        if endpoint == "GET /v1/products" and (fields := next(changed, None)):
            for customer in ids[:3]:
                sandbox.state.patch("acct_missing", customer, fields)

    for customer in ids[:3]:
        sandbox.state.patch("acct_missing", customer, {"name": "Before it is listed"})
    sandbox.state.watchers.append(change)
    outcome = sync_now(source, conflict_strategy=ConflictStrategy.FLAG, full_sync=True)
    events = list_events(database, source.workspace_id, outcome.session.id)
    named = [event.external_id for event in events if event.event_type == "row_differs"]
    assert sorted(map(str, named)) == sorted(ids[:3])
    assert outcome.entities[Entity.CUSTOMERS].flagged == 3


def test_a_killed_flag_sync_names_and_counts_nothing_twice_when_it_goes_on(
    home: Path, sandbox: SandboxServer, source: Source, sync_now: RunSync, database: Database, keyring: Keyring
) -> None:
    sync_now(source)
    ids = ids_of(sandbox, "customers")
    for customer in ids:
        sandbox.state.patch("acct_missing", customer, {"name": "Changed"})
    sandbox.state.set_options(SandboxOptions(latency_ms=200))
    process = start_sync(source, home, conflict_strategy=ConflictStrategy.FLAG, full_sync=True, batch_size=5)

    def flagged() -> list[str]:
        session = list_sessions(database, source.workspace_id)[0]
        events = list_events(database, source.workspace_id, session.id, limit=1_000)
        return [str(event.external_id) for event in events if event.event_type == "row_differs"]

    assert wait_until(lambda: bool(flagged()), DEADLINE_SECONDS)
    process.kill()
    process.join(DEADLINE_SECONDS)
    assert 0 < len(flagged()) < len(ids)
    sandbox.state.set_options(SandboxOptions())

    session = list_sessions(database, source.workspace_id)[0]
    request = SyncRequest.from_config(session.entity_types, session.config)
    outcome = run_sync(SyncJob(database, keyring, source, session, request))
    assert outcome.status is SessionStatus.COMPLETED
    assert sorted(flagged()) == sorted(ids)
    assert outcome.entities[Entity.CUSTOMERS].flagged == len(ids)
