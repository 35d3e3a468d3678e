"""Discounts and tax rates at Stripe: every row equals the account's, however it came, and no request is wasted."""

from collections.abc import Callable, Iterator
from typing import Literal

import pytest

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.sessions import SessionStatus
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.sandbox import SandboxAccount, SandboxOptions, SandboxServer
from cyphera_pipelines.security.encryption import Keyring
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.events import list_events
from cyphera_pipelines.sync.at_once import Taken
from cyphera_pipelines.sync.progress import SyncProgress
from cyphera_pipelines.sync.verification.verify import VerificationJob, verify
from cyphera_pipelines_tests.sync.conftest import RunSync
from cyphera_pipelines_tests.sync.test_at_once import taker
from cyphera_pipelines_tests.truth import Json, assert_tables_equal_truth, read_live_rows

AddSource = Callable[..., Source]
ID = "acct_discounts"
ACCOUNT = SandboxAccount(
    api_key="sk_test_discounts",
    account_id=ID,
    seed=61,
    customers=150,
    products=9,
    prices=36,
    subscriptions=220,
    invoices=320,
    foreign_currency_share=0.5,
    large_subscription_share=0.05,
    long_invoice_share=0.02,
    proration_share=0.1,
    discount_share=0.2,
    coupon_share=0.5,
    customer_discount_share=0.2,
    tax_rate_share=0.3,
    restricted_keys={"rk_test_discounts_no_coupons": frozenset({"coupon"})},
)
COUPONS = "GET /v1/coupons"
ONE_COUPON = "GET /v1/coupons/:id"


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer([ACCOUNT], SandboxOptions()) as server:
        yield server


@pytest.fixture
def source(sandbox: SandboxServer, add_source: AddSource, sync_now: RunSync) -> Source:
    added = add_source(ACCOUNT.api_key, sandbox.url)
    assert sync_now(added).status is SessionStatus.COMPLETED
    return added


def asked(sandbox: SandboxServer, endpoint: str) -> int:
    return int(sandbox.state.counters.by_endpoint.get(endpoint, 0))


def notices(database: Database, source: Source, outcome: object) -> list[str]:
    events = list_events(database, source.workspace_id, outcome.session.id)  # type: ignore[attr-defined]
    return [event.event_type for event in events]


def a_subscription(sandbox: SandboxServer, *, with_discounts: bool) -> Json:
    """One that is listed whole: events tell all of it but discounts."""
    return next(
        each
        for each in sandbox.state.truth(ID, "subscriptions")
        if len(each["items"]["data"]) < 10
        and with_discounts == bool(each["discounts"] or any(item["discounts"] for item in each["items"]["data"]))
    )


def test_a_listing_brings_all_of_them_and_asks_for_coupons_once(
    sandbox: SandboxServer, source: Source, sync_now: RunSync, database: Database, keyring: Keyring
) -> None:
    assert_tables_equal_truth(database, source, sandbox.state, ID)
    assert (asked(sandbox, COUPONS), asked(sandbox, ONE_COUPON)) <= (1, 5)
    rows = {name: read_live_rows(database, source, name) for name in ("subscription_discounts", "invoice_discounts")}
    for found in rows.values():
        assert {row["kind"] for row in found} == {"percent", "amount"}
        assert {row["duration"] for row in found} == {"once", "repeating", "forever"}
        assert any(row["product_ids"] for row in found)
        assert None not in {row["coupon_name"] for row in found}
    assert any(row["subscription_item_id"] for row in rows["subscription_discounts"])
    assert len(read_live_rows(database, source, "customer_discounts")) > 10
    assert {row["inclusive"] for row in read_live_rows(database, source, "subscription_tax_rates")} == {True, False}
    again = sync_now(source, full_sync=True)
    assert {(each.created, each.updated, each.deleted) for each in again.entities.values()} == {(0, 0, 0)}
    report = verify(VerificationJob(database, keyring, source, tuple(Entity), SyncProgress(tuple(Entity))))
    assert report.agrees, report


def test_they_come_and_go_with_the_events_that_tell_of_them(
    sandbox: SandboxServer, source: Source, sync_now: RunSync, database: Database
) -> None:
    dataset = sandbox.state.dataset(ID)
    bare = a_subscription(sandbox, with_discounts=False)
    customer = next(each for each in sandbox.state.truth(ID, "customers") if each["discount"] is None)
    added = [
        (bare["id"], dataset.add_discount(bare["id"], "ONLY0")["id"]),
        (bare["id"], dataset.add_discount(bare["id"], "LESS400EUR", bare["items"]["data"][0]["id"])["id"]),
        (customer["id"], dataset.add_discount(customer["id"], "HALF3")["id"]),
    ]
    assert sync_now(source, only_changes=True).status is SessionStatus.COMPLETED
    assert_tables_equal_truth(database, source, sandbox.state, ID)
    for object_id, discount_id in added:
        dataset.end_discount(object_id, discount_id)
    assert sync_now(source, only_changes=True).status is SessionStatus.COMPLETED
    assert_tables_equal_truth(database, source, sandbox.state, ID)
    for _ in range(3):
        sandbox.state.apply_changes(ID, update={"subscriptions": 20, "invoices": 20, "customers": 10})
    assert sync_now(source, only_changes=True).status is SessionStatus.COMPLETED
    assert_tables_equal_truth(database, source, sandbox.state, ID)


def test_a_webhook_is_applied_at_once_only_where_there_are_none(
    sandbox: SandboxServer, source: Source, sync_now: RunSync, database: Database, keyring: Keyring
) -> None:
    take = taker(database, keyring, source)
    log = sandbox.state.dataset(ID).events
    for with_discounts in (False, True):
        chosen, count = a_subscription(sandbox, with_discounts=with_discounts), log.count
        sandbox.state.patch(ID, chosen["id"], {"description": "changed"})
        taken = take(*(log.whole(at) for at in range(count, log.count)))
        assert taken == [Taken.KEPT if with_discounts else Taken.APPLIED]
    assert sync_now(source, only_changes=True).status is SessionStatus.COMPLETED
    assert_tables_equal_truth(database, source, sandbox.state, ID)


def test_a_coupon_that_is_gone_is_as_its_discounts_tell_it(
    sandbox: SandboxServer, add_source: AddSource, sync_now: RunSync, database: Database
) -> None:
    """Stripe expands deleted coupons too, but for those of items: of them nothing is left but the id."""
    kept = sandbox.state.dataset(ID).kept["coupons"]
    for coupon_id in ("OFF25", "LESS500USD"):
        kept.delete(coupon_id)
    source = add_source(ACCOUNT.api_key, sandbox.url)
    outcome = sync_now(source)
    assert outcome.status is SessionStatus.COMPLETED
    gone = [row for row in read_live_rows(database, source, "subscription_discounts") if row["coupon_id"] == "OFF25"]
    of_whole = [row for row in gone if row["subscription_item_id"] is None]
    assert {str(row["percent_off"]) for row in of_whole} == {"25"}
    assert asked(sandbox, ONE_COUPON) <= 7


def test_a_key_that_may_not_read_coupons_gets_what_discounts_tell_and_says_so_once(
    sandbox: SandboxServer, add_source: AddSource, sync_now: RunSync, database: Database
) -> None:
    source = add_source("rk_test_discounts_no_coupons", sandbox.url)
    outcome = sync_now(source)
    assert (outcome.status, outcome.error_summary) == (SessionStatus.COMPLETED, None)
    assert notices(database, source, outcome).count("coupons_unreadable") == 1
    assert asked(sandbox, COUPONS) + asked(sandbox, ONE_COUPON) == 1
    rows = read_live_rows(database, source, "subscription_discounts")
    assert all(row["coupon_id"] for row in rows)
    assert all(row["duration"] for row in rows if row["subscription_item_id"] is None)
    assert not any(row["product_ids"] for row in rows)


@pytest.mark.parametrize("how", ["refused", "ignored"])
def test_a_server_that_expands_nothing_leaves_ids(
    how: Literal["refused", "ignored"],
    sandbox: SandboxServer,
    add_source: AddSource,
    sync_now: RunSync,
    database: Database,
) -> None:
    sandbox.state.put_account(ACCOUNT.model_copy(update={"discount_expansions": how}))
    source = add_source(ACCOUNT.api_key, sandbox.url)
    outcome = sync_now(source)
    assert (outcome.status, outcome.error_summary) == (SessionStatus.COMPLETED, None)
    rows = read_live_rows(database, source, "subscription_discounts")
    expected = [
        discount["id"]
        for each in sandbox.state.truth(ID, "subscriptions")
        for held in (each, *each["items"]["data"])
        for discount in held["discounts"]
    ]
    assert sorted(row["id"] for row in rows) == sorted(expected)
    assert {row["kind"] for row in rows} == {None}
    assert notices(database, source, outcome).count("expansions_refused") == (how == "refused")
