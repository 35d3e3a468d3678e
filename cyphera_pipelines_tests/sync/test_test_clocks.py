"""Objects of test clocks, which Stripe leaves out of its lists: they are loaded, stay, and go with their clock."""

from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.sessions import ConflictStrategy, SessionStatus
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.providers.stripe import client as stripe_client
from cyphera_pipelines.sandbox import Fault, FaultKind, SandboxAccount, SandboxOptions, SandboxServer
from cyphera_pipelines.security.encryption import Keyring
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.events import list_events
from cyphera_pipelines.sync.progress import SyncProgress
from cyphera_pipelines.sync.verification import entity as entity_verification
from cyphera_pipelines.sync.verification.report import VerificationReport
from cyphera_pipelines.sync.verification.verify import VerificationJob, verify
from cyphera_pipelines_tests.sync.conftest import RunSync
from cyphera_pipelines_tests.truth import assert_tables_equal_truth, live_rows

RESTRICTED = "rk_test_clocks_restricted"
ACCOUNT = SandboxAccount(
    api_key="sk_test_clocks",
    account_id="acct_clocks",
    seed=71,
    customers=40,
    subscriptions=30,
    invoices=40,
    test_clock_share=0.3,
    restricted_keys={RESTRICTED: frozenset({"billing_clock"})},
)


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer([ACCOUNT], SandboxOptions()) as server:
        yield server


def clocks_of(database: Database, source: Source, table: str) -> dict[str, str]:
    rows = live_rows(database, source, table)
    return {row["id"]: row["test_clock_id"] for row in rows.values() if row["test_clock_id"] is not None}


def verified(database: Database, keyring: Keyring, source: Source) -> VerificationReport:
    entities = tuple(Entity)
    return verify(VerificationJob(database, keyring, source, entities, SyncProgress(entities)))


def test_a_full_sync_is_complete_with_them_and_proves_what_is_gone_with_a_clock(
    sandbox: SandboxServer, add_source: Callable[..., Source], sync_now: RunSync, database: Database, keyring: Keyring
) -> None:
    source = add_source(ACCOUNT.api_key, sandbox.url)
    for full_sync in (False, True):
        assert sync_now(source, full_sync=full_sync).status is SessionStatus.COMPLETED
        assert_tables_equal_truth(database, source, sandbox.state, "acct_clocks")
    assert verified(database, keyring, source).agrees
    clocks = set(clocks_of(database, source, "customers").values())
    assert len(clocks) == 3
    ((gone, invoices_of_gone),) = Counter(clocks_of(database, source, "invoices").values()).most_common(1)
    sandbox.state.dataset("acct_clocks").delete_test_clock(gone)
    assert sync_now(source, full_sync=True).status is SessionStatus.COMPLETED
    assert_tables_equal_truth(database, source, sandbox.state, "acct_clocks", entities=("customers", "subscriptions"))
    assert set(clocks_of(database, source, "customers").values()) == clocks - {gone}
    # Nobody tells that its invoices are gone: they are looked at one by one.
    (invoices,) = [each for each in verified(database, keyring, source).entities if each.entity is Entity.INVOICES]
    assert invoices.tables[0].surplus.count == invoices_of_gone


@pytest.mark.parametrize("trouble", ["forbidden", "no such path", "an answer without a list"])
def test_where_clocks_cannot_be_listed_rows_of_clocks_stay(
    trouble: str,
    sandbox: SandboxServer,
    add_source: Callable[..., Source],
    sync_now: RunSync,
    database: Database,
    keyring: Keyring,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = add_source(ACCOUNT.api_key, sandbox.url)
    sync_now(source)
    if trouble == "forbidden":
        sandbox.state.faults.set([Fault(kind=FaultKind.FORBIDDEN, path="/v1/test_helpers/test_clocks")])
    else:
        path = "/v1/test_helpers/nothing" if trouble == "no such path" else "/v1/account"
        monkeypatch.setattr(stripe_client, "_TEST_CLOCKS", path)
    outcome = sync_now(source, full_sync=True)
    assert outcome.status is SessionStatus.COMPLETED
    assert_tables_equal_truth(database, source, sandbox.state, "acct_clocks")
    told = list_events(database, source.workspace_id, outcome.session.id)
    assert sorted(str(event.entity_type) for event in told if event.event_type == "unlisted_unknown") == [
        "customers",
        "subscriptions",
    ]
    flagging = sync_now(source, full_sync=True, conflict_strategy=ConflictStrategy.FLAG)
    assert not [
        event
        for event in list_events(database, source.workspace_id, flagging.session.id)
        if event.event_type == "object_differs"
    ]
    assert verified(database, keyring, source).agrees
    # More than are looked at again: what nobody looked at is no difference.
    monkeypatch.setattr(entity_verification, "MOST_LOOKS", 1)
    report = verified(database, keyring, source)
    assert report.agrees
    assert [each.unconfirmed for each in report.entities] == [0] * len(report.entities)


def test_a_list_without_clocks_does_not_wipe_what_is_there(
    sandbox: SandboxServer,
    add_source: Callable[..., Source],
    sync_now: RunSync,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = add_source(ACCOUNT.api_key, sandbox.url)
    sync_now(source)
    # A list that is there, and empty, whatever it is asked for.
    monkeypatch.setattr(stripe_client, "_TEST_CLOCKS", "/v1/events")
    outcome = sync_now(source, full_sync=True)
    assert (outcome.status, outcome.error_summary) == (SessionStatus.COMPLETED, None)
    assert_tables_equal_truth(database, source, sandbox.state, "acct_clocks")
    assert sum(counts.deleted for counts in outcome.entities.values()) == 0


def test_a_key_without_access_to_clocks_says_nothing_where_there_are_none(
    sandbox: SandboxServer, add_source: Callable[..., Source], sync_now: RunSync, database: Database
) -> None:
    source = add_source(RESTRICTED, sandbox.url)
    outcome = sync_now(source, entities=(Entity.CUSTOMERS,))
    assert outcome.status is SessionStatus.COMPLETED
    told = list_events(database, source.workspace_id, outcome.session.id)
    assert "unlisted_unknown" not in {event.event_type for event in told}


def test_a_discount_changes_its_customer_and_its_subscription(
    sandbox: SandboxServer, add_source: Callable[..., Source], sync_now: RunSync, database: Database
) -> None:
    source = add_source(ACCOUNT.api_key, sandbox.url)
    sync_now(source)
    state, dataset = sandbox.state, sandbox.state.dataset("acct_clocks")
    customer, subscription, invoice = (
        next(iter(state.truth("acct_clocks", name)))["id"] for name in ("customers", "subscriptions", "invoices")
    )
    discount = {"id": "di_1", "object": "discount", "customer": customer, "subscription": subscription}
    state.patch("acct_clocks", customer, {"discount": discount}, with_event=False)
    state.patch("acct_clocks", subscription, {"discounts": ["di_1"]}, with_event=False)
    dataset.tell("customer.discount.created", discount)
    state.patch("acct_clocks", invoice, {"post_payment_credit_notes_amount": 77}, with_event=False)
    dataset.tell("credit_note.created", {"id": "cn_1", "object": "credit_note", "invoice": invoice})
    assert sync_now(source, only_changes=True).status is SessionStatus.COMPLETED
    assert_tables_equal_truth(database, source, state, "acct_clocks")
    state.patch("acct_clocks", customer, {"discount": None}, with_event=False)
    dataset.tell("customer.discount.deleted", {**discount, "deleted": True})
    sandbox.state.counters.reset()
    assert sync_now(source, only_changes=True).status is SessionStatus.COMPLETED
    assert_tables_equal_truth(database, source, state, "acct_clocks")
    assert sandbox.state.counters.by_endpoint["GET /v1/events"] == 2
