"""Tables that were damaged by hand, and accounts that change while they are verified."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from sqlalchemy import text

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.sessions import Session, SessionStatus, SessionType
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.sandbox import Fault, FaultKind, SandboxAccount, SandboxServer, Ugliness
from cyphera_pipelines.security.encryption import Keyring
from cyphera_pipelines.store import locks
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.events import RecordedEvent, list_events
from cyphera_pipelines.store.locks import SourceBusyError, source_lock
from cyphera_pipelines.store.sessions import finish_session, get_session, list_sessions
from cyphera_pipelines.store.tables import synced_tables
from cyphera_pipelines.sync.progress import SyncProgress
from cyphera_pipelines.sync.verification import entity as entity_verification
from cyphera_pipelines.sync.verification.repair import verify_and_repair
from cyphera_pipelines.sync.verification.report import EntityReport, VerificationReport
from cyphera_pipelines.sync.verification.verify import VerificationJob, verify
from cyphera_pipelines_tests.sync.conftest import RunSync
from cyphera_pipelines_tests.truth import ENTITIES, assert_tables_equal_truth, live_rows, read_live_rows, row_name

AddSource = Callable[..., Source]
Verify = Callable[..., VerificationReport]
Findings = dict[tuple[str, str], set[str]]

ID = "acct_verified"
ACCOUNT = SandboxAccount(
    api_key="sk_test_verified",
    account_id=ID,
    seed=9,
    customers=130,
    products=8,
    prices=24,
    subscriptions=40,
    invoices=60,
    long_invoice_share=0.08,
    large_subscription_share=0.1,
    discount_share=0.2,
    coupon_share=0.4,
    customer_discount_share=0.04,
    tax_rate_share=0.3,
    tax_id_share=0.06,
    ugly=frozenset(Ugliness),
    ugly_share=0.1,
    restricted_keys={
        "rk_test_verified_no_invoices": frozenset({"invoice"}),
        "rk_test_verified_no_events": frozenset({"event", "account"}),
    },
)


@pytest.fixture(scope="module")
def server() -> Iterator[SandboxServer]:
    with SandboxServer([]) as started:
        yield started


@pytest.fixture
def sandbox(server: SandboxServer) -> SandboxServer:
    """The account as it was in the beginning."""
    server.state.put_account(ACCOUNT)
    server.state.faults.clear()
    server.state.watchers.clear()
    server.state.counters.reset()
    return server


@pytest.fixture
def source(sandbox: SandboxServer, add_source: AddSource, sync_now: RunSync) -> Source:
    """A source whose tables equal the account."""
    added = add_source(ACCOUNT.api_key, sandbox.url)
    assert sync_now(added).status is SessionStatus.COMPLETED
    sandbox.state.counters.reset()
    return added


@pytest.fixture
def verify_now(database: Database, keyring: Keyring) -> Verify:
    def run(source: Source, *entities: Entity, repair: bool = False) -> VerificationReport:
        chosen = entities or tuple(Entity)
        job = VerificationJob(database, keyring, source, chosen, SyncProgress(chosen))
        return verify_and_repair(job) if repair else verify(job)

    return run


@pytest.fixture
def damage(database: Database) -> Callable[..., None]:
    """Run a statement on one source's rows behind everybody's back: `damage(source, sql, name=value)`."""

    def run(source: Source, sql: str, **parameters: object) -> None:
        with database.control() as connection:
            done = connection.execute(text(sql), {"workspace": source.workspace_id, **parameters})
            assert done.rowcount > 0, sql

    return run


def of(report: VerificationReport, entity: Entity) -> EntityReport:
    return next(each for each in report.entities if each.entity is entity)


def findings(report: VerificationReport) -> Findings:
    """The ids of what differs, by table and kind: all of them, for tests that damage no more than five of each."""
    found: Findings = {}
    for entity in report.entities:
        for table in entity.tables:
            for kind in ("missing", "surplus", "stale"):
                finding = getattr(table, kind)
                assert finding.count <= 5
                assert finding.count == len(finding.sample_ids)
                if finding.count:
                    found[table.table, kind] = set(finding.sample_ids)
    return found


def ids(sandbox: SandboxServer, collection: str) -> list[str]:
    """Customers with rows of other tables last: damage to a customer's own row alone is damage to those too."""
    found = list(sandbox.state.truth(ID, collection))
    found.sort(key=lambda each: collection == "customers" and bool(each.get("discount") or each.get("tax_ids")))
    return [each["id"] for each in found]


def row_versions(database: Database, source: Source) -> dict[tuple[str, ...], str]:
    """Which transaction wrote each row: a row that was not written again keeps it."""
    with database.tenant(source.workspace_id) as connection:
        return {
            (name, *row_name(name, row)): row["version"]
            for name in synced_tables
            for row in connection.execute(text(f"SELECT *, xmin::text AS version FROM payments.{name}")).mappings()
        }


def paths(sandbox: SandboxServer) -> list[str]:
    return [seen.path for seen in sandbox.state.counters.recent]


def events_of(database: Database, session: Session) -> list[RecordedEvent]:
    return list_events(database, session.workspace_id, session.id)


def test_tables_that_equal_the_provider_agree(
    sandbox: SandboxServer, source: Source, verify_now: Verify, database: Database
) -> None:
    before = row_versions(database, source)
    report = verify_now(source)
    assert (report.agrees, report.is_complete, findings(report)) == (True, True, {})
    for entity in report.entities:
        assert (entity.unmappable.count, entity.changed_meanwhile, entity.unconfirmed) == (0, 0, 0)
        for table in entity.tables:
            assert table.checked == len(read_live_rows(database, source, table.table)) > 0
    assert "/v1/events" not in paths(sandbox)
    assert not [path for path in paths(sandbox) if path.startswith("/v1/customers/") and not path.endswith("/tax_ids")]
    assert row_versions(database, source) == before
    assert len(list_sessions(database, source.workspace_id)) == 1


def test_every_kind_of_damage_is_found_and_mended(
    sandbox: SandboxServer, source: Source, verify_now: Verify, damage: Callable[..., None], database: Database
) -> None:
    expected: Findings = {}
    customers, products, prices = ids(sandbox, "customers"), ids(sandbox, "products"), ids(sandbox, "prices")

    of_workspace = "WHERE workspace_id = :workspace"
    expected["customers", "missing"] = set(customers[3:6])
    damage(source, f"DELETE FROM payments.customers {of_workspace} AND id = ANY (:ids)", ids=customers[3:6])
    expected["products", "missing"] = {products[2]}
    damage(source, f"UPDATE payments.products SET deleted_at = now() {of_workspace} AND id = :id", id=products[2])

    # Deleted at the provider long before; and invented by somebody, in a time to come.
    gone = customers[40]
    sandbox.state.delete(ID, gone, at=int(time.time()) - 3_600)
    expected["customers", "surplus"] = {gone, "cus_invented"}
    copied = _copy_of("customers", id="'cus_invented'", source_version="now() + interval '9 years'")
    damage(source, f"{copied} {of_workspace} AND id = :id", id=customers[41])

    # Changed at the provider without a word; and with a hash that says something else, in a time to come.
    sandbox.state.patch(ID, customers[50], {"name": "Renamed"}, with_event=False)
    expected["customers", "stale"] = {customers[50]}
    expected["prices", "stale"] = {prices[0]}
    damage(
        source,
        "UPDATE payments.prices SET content_hash = '\\x00', nickname = 'forged', "
        f"source_version = now() + interval '9 years' {of_workspace} AND id = :id",
        id=prices[0],
    )

    invoices = sorted(sandbox.state.truth(ID, "invoices"), key=lambda invoice: -len(invoice["lines"]["data"]))
    lines = [line["id"] for line in invoices[0]["lines"]["data"]]
    expected["invoice_line_items", "missing"] = set(lines[2:4])
    damage(source, f"DELETE FROM payments.invoice_line_items {of_workspace} AND id = ANY (:ids)", ids=lines[2:4])
    moved, kept = invoices[1]["lines"]["data"][0]["id"], invoices[1]["lines"]["data"][1]["id"]
    expected["invoice_line_items", "missing"].add(moved)
    damage(
        source,
        f"UPDATE payments.invoice_line_items SET invoice_id = :other {of_workspace} AND id = :id",
        other=invoices[2]["id"],
        id=moved,
    )
    expected["invoice_line_items", "surplus"] = {"il_surplus", "il_orphan", moved}
    for name, parent in (("il_surplus", "invoice_id"), ("il_orphan", "'in_nowhere'")):
        copied = _copy_of("invoice_line_items", id=f"'{name}'", invoice_id=parent)
        damage(source, f"{copied} {of_workspace} AND id = :id", id=kept)
    item = next(sandbox.state.truth(ID, "subscriptions"))["items"]["data"][0]["id"]
    expected["subscription_items", "stale"] = {item}
    damage(
        source,
        f"UPDATE payments.subscription_items SET content_hash = '\\x01', quantity = 77 {of_workspace} AND id = :id",
        id=item,
    )

    before = row_versions(database, source)
    report = verify_now(source)
    assert findings(report) == expected
    assert (report.agrees, report.is_complete, report.session_id) == (False, True, None)
    assert row_versions(database, source) == before

    mended = verify_now(source, repair=True)
    assert findings(mended) == expected
    assert (mended.agrees, mended.is_complete) == (True, True)
    assert all(table.mended == table.differences for entity in mended.entities for table in entity.tables)
    assert_tables_equal_truth(database, source, sandbox.state, ID)
    assert findings(verify_now(source)) == {}

    session = list_sessions(database, source.workspace_id)[0]
    assert (session.id, session.session_type) == (mended.session_id, SessionType.PARTIAL_SYNC)
    assert (session.status, session.error_summary) == (SessionStatus.COMPLETED, None)
    told = [event for event in events_of(database, session) if event.event_type == "rows_mended"]
    assert {event.entity_type for event in told} == set(ENTITIES)
    assert sum(sum(event.event_details["rows"].values()) for event in told) == sum(map(len, expected.values()))


def _copy_of(table: str, **values: str) -> str:
    """SQL that inserts a copy of a row with other values."""
    names = [column.name for column in synced_tables[table].c]
    selected = ", ".join(values.get(name, name) for name in names)
    return f"INSERT INTO payments.{table} ({', '.join(names)}) SELECT {selected} FROM payments.{table}"


def test_what_changes_during_a_verification_is_no_difference(
    sandbox: SandboxServer, source: Source, verify_now: Verify, damage: Callable[..., None]
) -> None:
    customers, invoices = ids(sandbox, "customers"), ids(sandbox, "invoices")
    changing, doomed = iter(customers[10:100]), iter(customers[100:120])

    def change(endpoint: str, _query: str) -> None:
        if endpoint in {f"GET /v1/{name}" for name in ENTITIES}:
            sandbox.state.patch(ID, next(changing), {"name": "Changed meanwhile"})
            sandbox.state.patch(ID, invoices[1], {"description": f"Changed before {endpoint}"})
            sandbox.state.delete(ID, next(doomed))
            sandbox.state.apply_changes(ID, create={"customers": 1, "subscriptions": 1, "invoices": 1})

    damage(source, "DELETE FROM payments.customers WHERE workspace_id = :workspace AND id = :id", id=customers[2])
    sandbox.state.watchers.append(change)
    report = verify_now(source)
    assert findings(report) == {("customers", "missing"): {customers[2]}}
    assert of(report, Entity.CUSTOMERS).changed_meanwhile > 0


def test_a_sync_may_run_at_the_same_time(
    sandbox: SandboxServer, source: Source, verify_now: Verify, sync_now: RunSync, database: Database
) -> None:
    """The account changes and is synced all the while: nothing is ever wrong with the tables."""
    changes = []

    def change(endpoint: str, _query: str) -> None:
        if endpoint in {f"GET /v1/{name}" for name in ENTITIES}:
            everything = {"customers": 2, "products": 1, "prices": 1, "subscriptions": 2, "invoices": 2}
            changes.extend(
                sandbox.state.apply_changes(ID, create=everything, update=everything, delete={"customers": 1})
            )

    sandbox.state.watchers.append(change)
    for _ in range(3):
        with syncing_all_the_while(lambda: sync_now(source, only_changes=True).status) as outcomes:
            report = verify_now(source)
        assert findings(report) == {}
        assert set(outcomes) == {SessionStatus.COMPLETED}
        sync_now(source, only_changes=True)
    assert len(changes) > 100
    assert_tables_equal_truth(database, source, sandbox.state, ID)


@contextmanager
def syncing_all_the_while(sync: Callable[[], SessionStatus]) -> Iterator[list[SessionStatus]]:
    """Repeat the sync in a thread while the body runs, at least once, and collect how it ended."""
    is_over, outcomes = threading.Event(), list[SessionStatus]()

    def repeat() -> None:
        outcomes.append(sync())
        while not is_over.is_set():
            outcomes.append(sync())

    with ThreadPoolExecutor(1) as threads:
        repeating = threads.submit(repeat)
        try:
            yield outcomes
        finally:
            is_over.set()
            repeating.result()


def test_without_provider_events_a_difference_may_be_a_change_and_the_report_says_so(
    sandbox: SandboxServer, add_source: AddSource, sync_now: RunSync, verify_now: Verify
) -> None:
    source = add_source("rk_test_verified_no_events", sandbox.url)
    sync_now(source)
    customers = ids(sandbox, "customers")

    def change(endpoint: str, _query: str) -> None:
        if endpoint == "GET /v1/customers":
            sandbox.state.apply_changes(ID, create={"customers": 1})
            sandbox.state.patch(ID, customers[7], {"name": "Changed meanwhile"})

    sandbox.state.watchers.append(change)
    report = verify_now(source)
    assert findings(report) == {("customers", "stale"): {customers[7]}}  # and what is new is not missing
    note = of(report, Entity.CUSTOMERS).note
    assert note is not None
    assert "rak_event_read" in note


def test_what_cannot_be_mapped_is_neither_missing_nor_surplus(
    sandbox: SandboxServer, source: Source, verify_now: Verify, damage: Callable[..., None], database: Database
) -> None:
    """A row of better days, with its lines, stays; of another one, nothing was ever there."""
    known, unknown = ids(sandbox, "invoices")[:2]
    for invoice in (known, unknown):
        sandbox.state.patch(ID, invoice, {"amount_due": "not a number"}, with_event=False)
    damage(source, "DELETE FROM payments.invoices WHERE workspace_id = :workspace AND id = :id", id=unknown)
    lines = "DELETE FROM payments.invoice_line_items WHERE workspace_id = :workspace AND invoice_id = :id"
    damage(source, lines, id=unknown)
    for repair in (False, True):
        report = verify_now(source, repair=repair)
        unmappable = of(report, Entity.INVOICES).unmappable
        assert (unmappable.count, set(unmappable.sample_ids)) == (2, {known, unknown})
        assert (report.agrees, report.is_complete, findings(report)) == (False, True, {})
    session = list_sessions(database, source.workspace_id)[0]
    assert session.status is SessionStatus.PARTIAL
    told = [event for event in events_of(database, session) if event.event_type == "row_unmappable"]
    assert {event.external_id for event in told} == {known, unknown}
    assert known in live_rows(database, source, "invoices")


def test_what_stops_being_mappable_before_the_second_look_is_no_difference(
    sandbox: SandboxServer, source: Source, verify_now: Verify, damage: Callable[..., None]
) -> None:
    customer = ids(sandbox, "customers")[5]
    damage(source, "DELETE FROM payments.customers WHERE workspace_id = :workspace AND id = :id", id=customer)

    def spoil(endpoint: str, _query: str) -> None:
        if endpoint.startswith("GET /v1/customers/"):
            sandbox.state.patch(ID, customer, {"created": "long ago"}, with_event=False)

    sandbox.state.watchers.append(spoil)
    report = verify_now(source, Entity.CUSTOMERS)
    assert findings(report) == {}
    assert of(report, Entity.CUSTOMERS).unmappable.sample_ids == (customer,)


def test_an_entity_that_cannot_be_read_does_not_keep_the_others_from_being_verified(
    sandbox: SandboxServer, add_source: AddSource, verify_now: Verify, database: Database
) -> None:
    """The tables are empty, and repaired to the full."""
    source = add_source("rk_test_verified_no_invoices", sandbox.url)
    report = verify_now(source, repair=True)
    assert (report.agrees, report.is_complete) == (False, False)
    error = of(report, Entity.INVOICES).error
    assert error is not None
    assert "rak_invoice_read" in error
    rest = ENTITIES[:-1]
    for name in rest:
        (own, *_children) = of(report, Entity(name)).tables
        assert own.missing.count == own.mended == ACCOUNT.size_of(name)
    assert_tables_equal_truth(database, source, sandbox.state, ID, entities=rest)
    session = list_sessions(database, source.workspace_id)[0]
    assert session.status is SessionStatus.PARTIAL
    assert "entity_failed" in {event.event_type for event in events_of(database, session)}


def test_of_very_many_differences_a_part_is_looked_at_again(
    sandbox: SandboxServer, add_source: AddSource, verify_now: Verify, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entity_verification, "MOST_LOOKS", 10)
    source = add_source(ACCOUNT.api_key, sandbox.url)
    report = verify_now(source, Entity.CUSTOMERS, Entity.INVOICES)
    for entity in report.entities:
        size = ACCOUNT.size_of(entity.entity.value)
        assert (entity.tables[0].missing.count, entity.unconfirmed) == (size, size - 10)
    assert (
        len([path for path in paths(sandbox) if path.startswith("/v1/customers/") and not path.endswith("/tax_ids")])
        == 10
    )


def test_a_repair_waits_for_no_sync_and_a_verification_minds_none(
    source: Source, verify_now: Verify, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "ENDING_PATIENCE_SECONDS", 0.1)
    with source_lock(database, source):
        assert verify_now(source, Entity.PRODUCTS).agrees
        with pytest.raises(SourceBusyError):
            verify_now(source, Entity.PRODUCTS, repair=True)
    assert len(list_sessions(database, source.workspace_id)) == 1


def test_a_key_that_is_revoked_ends_the_repair_and_its_session(
    sandbox: SandboxServer, add_source: AddSource, verify_now: Verify, database: Database
) -> None:
    source = add_source(ACCOUNT.api_key, sandbox.url)
    sandbox.state.faults.set([Fault(kind=FaultKind.UNAUTHORIZED, path="/v1/customers/*", after=60)])
    report = verify_now(source, repair=True)
    assert not report.is_complete
    assert "rejects the API key" in str(of(report, Entity.CUSTOMERS).error)
    session = list_sessions(database, source.workspace_id)[0]
    assert session.status is SessionStatus.FAILED
    sandbox.state.faults.clear()
    assert verify_now(source, repair=True).agrees
    assert_tables_equal_truth(database, source, sandbox.state, ID)


def test_ending_the_session_stops_the_repair(
    sandbox: SandboxServer, add_source: AddSource, verify_now: Verify, database: Database
) -> None:
    source = add_source(ACCOUNT.api_key, sandbox.url)
    sandbox.state.faults.set([Fault(kind=FaultKind.RATE_LIMIT, path="/v1/customers/*", retry_after=0.1)])

    def cancel(endpoint: str, _query: str) -> None:
        if not endpoint.startswith("GET /v1/customers/"):
            return
        session = list_sessions(database, source.workspace_id)[0]
        told = dict(session.entity_progress()).get(Entity.PRODUCTS, {})
        # On a busy machine the first customer may be asked for before the session tells of the products.
        if told.get("created") == ACCOUNT.products:
            finish_session(database, session, SessionStatus.CANCELLED)

    sandbox.state.watchers.append(cancel)
    report = verify_now(source, Entity.PRODUCTS, Entity.CUSTOMERS, repair=True)
    assert not report.is_complete
    assert "was stopped" in str(of(report, Entity.CUSTOMERS).error)
    assert of(report, Entity.PRODUCTS).agrees
    session = list_sessions(database, source.workspace_id)[0]
    assert session.status is SessionStatus.CANCELLED
    assert session.error_summary is not None
    assert session.error_summary["merged"]["products"]["created"] == ACCOUNT.products


def test_versions_of_the_future_are_stale_and_all_of_them_are_mended_without_a_look_at_each(
    sandbox: SandboxServer, source: Source, verify_now: Verify, damage: Callable[..., None], database: Database
) -> None:
    gone = ids(sandbox, "customers")[3]
    sandbox.state.delete(ID, gone)
    damage(
        source, "UPDATE payments.customers SET deleted_at = now() WHERE workspace_id = :workspace AND id = :id", id=gone
    )
    in_future = "source_version > now() + interval '10 minutes'"

    def from_the_future() -> int:
        with database.tenant(source.workspace_id) as connection:
            counts = [f"SELECT count(*) AS rows FROM payments.{name} WHERE {in_future}" for name in synced_tables]
            return int(
                connection.execute(text(f"SELECT sum(rows) FROM ({' UNION ALL '.join(counts)}) AS c")).scalar_one()
            )

    for name in synced_tables:
        damage(
            source,
            f"UPDATE payments.{name} SET source_version = now() + interval '2 days' WHERE workspace_id = :workspace",
        )
    damaged = from_the_future()
    report = verify_now(source)
    for entity in report.entities:
        for table in entity.tables:
            assert (table.missing.count, table.surplus.count) == (0, 0)
            assert table.stale.count == table.checked == len(read_live_rows(database, source, table.table))
        assert entity.unconfirmed == 0
    assert from_the_future() == damaged
    sandbox.state.counters.reset()
    mended = verify_now(source, repair=True)
    assert mended.agrees
    assert from_the_future() == 0
    assert not [path for path in paths(sandbox) if path.startswith("/v1/customers/") and not path.endswith("/tax_ids")]
    assert mended.session_id is not None
    session = get_session(database, source.workspace_id, mended.session_id)
    versions = [event for event in events_of(database, session) if event.event_type == "versions_mended"]
    assert sum(sum(event.event_details["rows"].values()) for event in versions) == damaged
    assert verify_now(source).agrees
    assert_tables_equal_truth(database, source, sandbox.state, ID)
