import time
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import select, text

from cyphera_pipelines.local.locks import wait_until
from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.sessions import ConflictStrategy, SessionStatus
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.sandbox import Fault, FaultKind, SandboxAccount, SandboxOptions, SandboxServer, Ugliness
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.events import list_events
from cyphera_pipelines.store.sessions import get_session
from cyphera_pipelines.store.tables import synced_tables
from cyphera_pipelines_tests.sync.conftest import RunSync
from cyphera_pipelines_tests.truth import assert_tables_equal_truth, row_name

AddSource = Callable[..., Source]

ACCOUNT = SandboxAccount(
    api_key="sk_test_full_sync",
    account_id="acct_full",
    seed=7,
    customers=230,
    products=30,
    prices=60,
    subscriptions=220,
    invoices=420,
    long_invoice_share=0.04,
    large_subscription_share=0.05,
    ugly=frozenset(Ugliness),
    ugly_share=0.2,
    restricted_keys={"rk_test_no_invoices": frozenset({"invoice", "account"})},
)

SMALL_ACCOUNT = SandboxAccount(
    api_key="sk_test_full_sync_small",
    account_id="acct_small",
    customers=60,
    products=10,
    prices=20,
    subscriptions=40,
    invoices=90,
    long_invoice_share=0.1,
)


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer([ACCOUNT], SandboxOptions()) as server:
        yield server


def test_every_row_equals_the_provider_s_object(
    sandbox: SandboxServer, add_source: AddSource, sync_now: RunSync, database: Database
) -> None:
    source = add_source(ACCOUNT.api_key, sandbox.url)
    outcome = sync_now(source)
    assert (outcome.status, outcome.error_summary) == (SessionStatus.COMPLETED, None)
    assert_tables_equal_truth(database, source, sandbox.state, "acct_full")
    counts = outcome.entities[Entity.INVOICES]
    assert (counts.fetched, counts.created, counts.unchanged, counts.done) == (420, 420, 0, True)
    lines = sum(len(invoice["lines"]["data"]) for invoice in sandbox.state.truth("acct_full", "invoices"))
    assert counts.children["invoice_line_items"]["created"] == lines


def test_without_raw_the_columns_are_the_same(
    sandbox: SandboxServer, add_source: AddSource, sync_now: RunSync, database: Database
) -> None:
    source = add_source(ACCOUNT.api_key, sandbox.url, raw=False)
    assert sync_now(source).status is SessionStatus.COMPLETED
    assert_tables_equal_truth(database, source, sandbox.state, "acct_full")


def test_an_unchanged_account_is_not_rewritten(
    sandbox: SandboxServer, add_source: AddSource, sync_now: RunSync, database: Database
) -> None:
    source = add_source(ACCOUNT.api_key, sandbox.url)
    sync_now(source)
    before = row_versions(database, source)
    outcome = sync_now(source)
    assert row_versions(database, source) == before
    for counts in outcome.entities.values():
        assert (counts.created, counts.updated, counts.unchanged) == (0, 0, counts.fetched)
        assert all(child["created"] == child["updated"] == 0 for child in counts.children.values())


def test_only_what_changed_is_rewritten(
    sandbox: SandboxServer, add_source: AddSource, sync_now: RunSync, database: Database
) -> None:
    source = add_source(ACCOUNT.api_key, sandbox.url)
    sync_now(source)
    before = row_versions(database, source)
    customer = next(iter(sandbox.state.truth("acct_full", "customers")))["id"]
    sandbox.state.patch("acct_full", customer, {"name": "Renamed"})
    outcome = sync_now(source)
    after = row_versions(database, source)
    assert {row for row in after if after[row] != before.get(row)} == {("customers", customer)}
    assert outcome.entities[Entity.CUSTOMERS].updated == 1
    assert_tables_equal_truth(database, source, sandbox.state, "acct_full")


def test_children_are_replaced_with_their_parent(
    sandbox: SandboxServer, add_source: AddSource, sync_now: RunSync, database: Database
) -> None:
    source = add_source(ACCOUNT.api_key, sandbox.url)
    sync_now(source)
    invoice = max(sandbox.state.truth("acct_full", "invoices"), key=lambda each: len(each["lines"]["data"]))
    kept = invoice["lines"]["data"][5:]
    sandbox.state.patch("acct_full", invoice["id"], {"lines": {**invoice["lines"], "data": kept}})
    outcome = sync_now(source)
    counts = outcome.entities[Entity.INVOICES].children["invoice_line_items"]
    assert (counts["created"], counts["updated"], counts["deleted"]) == (0, len(kept), 5)
    assert_tables_equal_truth(database, source, sandbox.state, "acct_full")


def test_what_is_gone_becomes_a_tombstone_and_may_come_back(
    sandbox: SandboxServer, add_source: AddSource, sync_now: RunSync, database: Database
) -> None:
    source = add_source(ACCOUNT.api_key, sandbox.url)
    sync_now(source)
    drafts = [invoice for invoice in sandbox.state.truth("acct_full", "invoices") if invoice["status"] == "draft"]
    customers = [customer["id"] for customer in sandbox.state.truth("acct_full", "customers")]
    doomed = [customers[0], customers[110], customers[-1], drafts[0]["id"], drafts[-1]["id"]]
    for object_id in doomed:
        sandbox.state.delete("acct_full", object_id)
    outcome = sync_now(source)
    assert outcome.status is SessionStatus.COMPLETED
    assert outcome.entities[Entity.CUSTOMERS].deleted == 3
    assert outcome.entities[Entity.INVOICES].deleted == 2
    lines = len(drafts[0]["lines"]["data"]) + len(drafts[-1]["lines"]["data"])
    assert outcome.entities[Entity.INVOICES].children["invoice_line_items"]["deleted"] == lines
    assert_tables_equal_truth(database, source, sandbox.state, "acct_full")
    # Within one second nobody could tell the deletion and the return apart: no event tells of the latter. And what
    # answers tell of the clock may be a second behind.
    deleted_in = int(time.time())
    assert wait_until(lambda: int(time.time()) > deleted_in + 1, 5.0)
    sandbox.state.put_account(ACCOUNT)  # as it was in the beginning
    assert sync_now(source).entities[Entity.CUSTOMERS].updated == 3
    assert_tables_equal_truth(database, source, sandbox.state, "acct_full")


def test_a_listing_that_failed_buries_nobody_it_did_not_look_for(
    sandbox: SandboxServer, add_source: AddSource, sync_now: RunSync, database: Database
) -> None:
    source = add_source(ACCOUNT.api_key, sandbox.url)
    sync_now(source)
    sandbox.state.faults.set([Fault(kind=FaultKind.UNAUTHORIZED, path="/v1/customers", after=1)])
    assert sync_now(source, batch_size=10).status is SessionStatus.FAILED
    sandbox.state.faults.clear()
    assert_tables_equal_truth(database, source, sandbox.state, "acct_full")


def test_two_workspaces_with_the_same_account_stay_apart(
    sandbox: SandboxServer, add_source: AddSource, sync_now: RunSync, database: Database
) -> None:
    one, other = add_source(ACCOUNT.api_key, sandbox.url), add_source(ACCOUNT.api_key, sandbox.url)
    sync_now(one)
    customer = next(iter(sandbox.state.truth("acct_full", "customers")))["id"]
    sandbox.state.patch("acct_full", customer, {"name": "Seen by the other only"})
    sync_now(other)
    assert_tables_equal_truth(database, other, sandbox.state, "acct_full")
    names = {}
    for source in (one, other):
        with database.tenant(source.workspace_id) as connection:
            table = synced_tables["customers"]
            names[source.key] = connection.execute(select(table.c.name).where(table.c.id == customer)).scalars().all()
    assert names[other.key] == ["Seen by the other only"]
    assert len(names[one.key]) == 1
    assert names[one.key] != names[other.key]


def test_a_row_that_cannot_be_mapped_is_named_and_the_rest_lands(
    sandbox: SandboxServer, add_source: AddSource, sync_now: RunSync, database: Database
) -> None:
    invoices = list(sandbox.state.truth("acct_full", "invoices"))
    bad, worse, worst = invoices[3]["id"], invoices[150]["id"], invoices[-1]["id"]
    sandbox.state.patch("acct_full", bad, {"amount_due": "not a number"})
    sandbox.state.patch("acct_full", worse, {"total": 2**70})
    sandbox.state.patch("acct_full", worst, {"due_date": 10**15})
    source = add_source(ACCOUNT.api_key, sandbox.url)
    outcome = sync_now(source)
    assert outcome.status is SessionStatus.PARTIAL
    assert outcome.entities[Entity.INVOICES].failed == 3
    assert outcome.error_summary is not None
    assert "3 of invoices" in outcome.error_summary["message"]
    events = {event.external_id: event for event in session_events(database, outcome.session) if event.external_id}
    assert set(events) == {bad, worse, worst}
    assert "`amount_due` should be a whole number" in events[bad].event_message
    assert events[bad].event_details["raw"]["id"] == bad
    assert get_session(database, source.workspace_id, outcome.session.id).status is SessionStatus.PARTIAL
    assert_tables_equal_truth(database, source, sandbox.state, "acct_full", without=[bad, worse, worst])


def test_what_postgres_refuses_is_named_too(
    sandbox: SandboxServer, add_source: AddSource, sync_now: RunSync, database: Database
) -> None:
    price = next(iter(sandbox.state.truth("acct_full", "prices")))["id"]
    sandbox.state.patch("acct_full", price, {"unit_amount_decimal": "1e9999"})
    source = add_source(ACCOUNT.api_key, sandbox.url)
    outcome = sync_now(source, entities=(Entity.PRICES,))
    assert outcome.status is SessionStatus.PARTIAL or outcome.entities[Entity.PRICES].failed == 0
    if outcome.entities[Entity.PRICES].failed:
        assert price in {event.external_id for event in session_events(database, outcome.session)}
        assert_tables_equal_truth(database, source, sandbox.state, "acct_full", entities=["prices"], without=[price])


def test_an_entity_that_the_key_may_not_read_makes_the_session_partial(
    sandbox: SandboxServer, add_source: AddSource, sync_now: RunSync, database: Database
) -> None:
    source = add_source("rk_test_no_invoices", sandbox.url)
    outcome = sync_now(source)
    assert outcome.status is SessionStatus.PARTIAL
    assert outcome.error_summary is not None
    assert set(outcome.error_summary["entities"]) == {"invoices"}
    assert "rak_invoice_read" in outcome.error_summary["message"]
    rest = [entity.value for entity in Entity if entity is not Entity.INVOICES]
    assert_tables_equal_truth(database, source, sandbox.state, "acct_full", entities=rest)


def test_a_rejected_key_fails_at_once(
    sandbox: SandboxServer, add_source: AddSource, sync_now: RunSync, database: Database
) -> None:
    source = add_source("sk_test_revoked_long_ago", sandbox.url)
    outcome = sync_now(source)
    assert outcome.status is SessionStatus.FAILED
    assert outcome.error_summary is not None
    assert "rejects the API key" in outcome.error_summary["message"]
    assert "revoked_long_ago" not in str(outcome.error_summary)
    assert sandbox.state.counters.total == 1


@pytest.mark.parametrize(
    "fault",
    [
        Fault(kind=FaultKind.ERROR_500, every=5),
        Fault(kind=FaultKind.ERROR_502, every=6, after=2),
        Fault(kind=FaultKind.DROP, every=5, after=1),
        Fault(kind=FaultKind.TRUNCATE, every=6),
        Fault(kind=FaultKind.CUT_JSON, every=6),
        Fault(kind=FaultKind.RATE_LIMIT, every=4, retry_after=0.1),
        Fault(kind=FaultKind.CUT_JSON, path="/v1/invoices", limit_over=30),
        Fault(kind=FaultKind.TRUNCATE, path="/v1/customers", limit_over=30),
    ],
    ids=lambda fault: f"{fault.kind}{'-large' if fault.limit_over else ''}",
)
def test_faults_slow_a_sync_but_lose_nothing(
    fault: Fault, sandbox: SandboxServer, add_source: AddSource, sync_now: RunSync, database: Database
) -> None:
    sandbox.state.put_account(SMALL_ACCOUNT)
    sandbox.state.set_options(SandboxOptions(faults=(fault,)))
    source = add_source(SMALL_ACCOUNT.api_key, sandbox.url)
    outcome = sync_now(source)
    assert (outcome.status, outcome.error_summary) == (SessionStatus.COMPLETED, None)
    assert_tables_equal_truth(database, source, sandbox.state, "acct_small")
    kinds = {event.event_type for event in session_events(database, outcome.session)}
    assert "requests_repeated" in kinds


def test_a_cursor_whose_object_vanished_is_gone_on_from_by_time(
    add_source: AddSource, sync_now: RunSync, database: Database
) -> None:
    account = ACCOUNT.model_copy(update={"rejects_deleted_cursors": True})
    with SandboxServer([account], SandboxOptions()) as sandbox:
        newest_first = sorted(
            sandbox.state.truth("acct_full", "customers"), key=lambda customer: customer["created"], reverse=True
        )
        deleted = newest_first[49]["id"]

        def delete_the_cursor(endpoint: str, query: str) -> None:
            if f"starting_after={deleted}" in query and deleted not in sandbox.state.deleted_ids(
                "acct_full", "customers"
            ):
                sandbox.state.delete("acct_full", deleted)

        sandbox.state.watchers.append(delete_the_cursor)
        source = add_source(account.api_key, sandbox.url)
        outcome = sync_now(source, entities=(Entity.CUSTOMERS,), batch_size=50)
        assert (outcome.status, outcome.error_summary) == (SessionStatus.COMPLETED, None)
        live = set(rows_of(database, source, "customers"))
        assert live - {deleted} == {each["id"] for each in sandbox.state.truth("acct_full", "customers")}


def test_fewer_entities_sync_only_those(
    sandbox: SandboxServer, add_source: AddSource, sync_now: RunSync, database: Database
) -> None:
    source = add_source(ACCOUNT.api_key, sandbox.url)
    outcome = sync_now(source, entities=(Entity.PRODUCTS, Entity.PRICES))
    assert set(outcome.entities) == {Entity.PRODUCTS, Entity.PRICES}
    assert_tables_equal_truth(database, source, sandbox.state, "acct_full", entities=["products", "prices"])
    assert rows_of(database, source, "customers") == []


def rows_of(database: Database, source: Source, name: str) -> list[str]:
    with database.tenant(source.workspace_id) as connection:
        return list(connection.execute(select(synced_tables[name].c.id)).scalars())


def row_versions(database: Database, source: Source) -> dict[tuple[str, ...], str]:
    """Which transaction wrote each row: a row that was not rewritten keeps it."""
    versions = {}
    with database.tenant(source.workspace_id) as connection:
        for name in synced_tables:
            for row in connection.execute(text(f"SELECT *, xmin::text AS version FROM payments.{name}")).mappings():
                versions[name, *row_name(name, row)] = row["version"]
    return versions


def session_events(database: Database, session: object) -> list:  # type: ignore[type-arg]
    return list_events(database, session.workspace_id, session.id)  # type: ignore[attr-defined]


def test_skip_inserts_what_is_missing_and_leaves_the_rest(
    sandbox: SandboxServer, add_source: AddSource, sync_now: RunSync, database: Database
) -> None:
    source = add_source(ACCOUNT.api_key, sandbox.url)
    sync_now(source)
    before = row_versions(database, source)
    sandbox.state.apply_changes("acct_full", create={"customers": 2}, update={"customers": 9, "invoices": 9})
    sandbox.state.apply_changes("acct_full", delete={"customers": 2})
    outcome = sync_now(source, conflict_strategy=ConflictStrategy.SKIP)
    assert outcome.status is SessionStatus.COMPLETED
    after = row_versions(database, source)
    assert {row: after[row] for row in before} == before
    customers = outcome.entities[Entity.CUSTOMERS]
    assert (customers.updated, customers.deleted) == (0, 0)
    assert 0 < len(after) - len(before) <= 2


def test_flag_names_what_differs_and_where(
    sandbox: SandboxServer, add_source: AddSource, sync_now: RunSync, database: Database
) -> None:
    source = add_source(ACCOUNT.api_key, sandbox.url)
    sync_now(source)
    before = row_versions(database, source)
    customers = [customer["id"] for customer in sandbox.state.truth("acct_full", "customers")]
    sandbox.state.patch("acct_full", customers[3], {"name": "Other", "balance": -77}, with_event=False)
    sandbox.state.patch("acct_full", customers[90], {"sources": {"object": "list"}}, with_event=False)
    outcome = sync_now(source, conflict_strategy=ConflictStrategy.FLAG)
    assert outcome.status is SessionStatus.COMPLETED
    assert row_versions(database, source) == before
    flagged = {
        event.external_id: set(event.event_details["columns"])
        for event in session_events(database, outcome.session)
        if event.event_type == "row_differs"
    }
    assert flagged == {customers[3]: {"name", "balance"}, customers[90]: set()}
    assert sync_now(source).entities[Entity.CUSTOMERS].updated == 2
    assert_tables_equal_truth(database, source, sandbox.state, "acct_full")
