"""A Chargebee site's objects become rows: all of them, over ugly data and bad days, and what happens afterwards too."""

import random
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cyphera_pipelines.model.sessions import SessionStatus
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.model.synced_tables import INVOICES, all_columns
from cyphera_pipelines.sandbox import ChargebeeSite, Fault, FaultKind, Oddity, SandboxServer
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.sessions import list_sessions
from cyphera_pipelines_tests.sync.conftest import RunSync
from cyphera_pipelines_tests.sync.sync_process import start_sync
from cyphera_pipelines_tests.truth import assert_tables_equal_truth, live_rows

SITE = ChargebeeSite(
    site="truth-test",
    api_key="test_truth",
    seed=41,
    customers=130,
    products=9,
    prices=36,
    subscriptions=110,
    invoices=240,
    long_invoice_share=0.04,
    large_subscription_share=0.04,
    discount_share=0.2,
    coupon_share=0.4,
    customer_discount_share=0.1,
    credit_share=0.1,
    consolidated_share=0.2,
    deleted_share=0.1,
    without_updated_share=0.1,
)


@pytest.fixture(scope="module")
def running() -> Iterator[SandboxServer]:
    with SandboxServer([]) as server:
        yield server


@pytest.fixture
def sandbox(running: SandboxServer) -> SandboxServer:
    running.state.faults.clear()
    running.state.put_account(SITE)
    return running


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"in_decimal": True, "offset_length": 1_000, "line_items_at_once": 10},
        {"odd": frozenset(Oddity), "odd_share": 0.5},
    ],
    ids=["as it is", "decimals and pages of lines", "odd"],
)
def test_a_first_sync_brings_every_object(
    changes: dict[str, Any],
    sandbox: SandboxServer,
    add_source: Callable[..., Source],
    sync_now: RunSync,
    database: Database,
) -> None:
    sandbox.state.put_account(SITE.model_copy(update=changes))
    source = add_source(SITE.api_key, sandbox.url, site=SITE.site)
    assert sync_now(source).status is SessionStatus.COMPLETED
    assert_tables_equal_truth(database, source, sandbox.state, SITE.site)


@pytest.mark.parametrize("catalog", ["v1", "mixed"])
def test_a_site_of_another_catalog_is_no_empty_site(
    catalog: str, sandbox: SandboxServer, add_source: Callable[..., Source], sync_now: RunSync
) -> None:
    sandbox.state.put_account(SITE.model_copy(update={"catalog": catalog}))
    outcome = sync_now(add_source(SITE.api_key, sandbox.url, site=SITE.site))
    assert outcome.status is SessionStatus.FAILED
    assert "Product Catalog 2.0" in str(outcome.error_summary)


def test_bad_days_cost_no_row(
    sandbox: SandboxServer, add_source: Callable[..., Source], sync_now: RunSync, database: Database
) -> None:
    kinds = (FaultKind.ERROR_502, FaultKind.DROP, FaultKind.TRUNCATE, FaultKind.CUT_JSON, FaultKind.READ_ONLY)
    for kind in kinds:
        sandbox.state.faults.add(Fault(kind=kind, account_id=SITE.site, probability=0.08, times=3))
    source = add_source(SITE.api_key, sandbox.url, site=SITE.site)
    assert sync_now(source, batch_size=10).status is SessionStatus.COMPLETED
    assert sum(sandbox.state.faults.hits) > 3
    assert_tables_equal_truth(database, source, sandbox.state, SITE.site)


@pytest.mark.parametrize("changes", [{}, {"events_doubled": 0.5, "event_jitter_seconds": 3}], ids=["one", "untidy"])
def test_what_happens_arrives_with_the_next_sync_of_changes(
    changes: dict[str, Any],
    sandbox: SandboxServer,
    add_source: Callable[..., Source],
    sync_now: RunSync,
    database: Database,
) -> None:
    sandbox.state.put_account(SITE.model_copy(update=changes))
    source = add_source(SITE.api_key, sandbox.url, site=SITE.site)
    assert sync_now(source).status is SessionStatus.COMPLETED
    some = dict.fromkeys(("customers", "products", "prices", "subscriptions", "invoices"), 4)
    for _ in range(2):
        sandbox.state.apply_changes(SITE.site, create=some, update=some, delete=some)
        outcome = sync_now(source, only_changes=True)
        assert outcome.status is SessionStatus.COMPLETED
        assert_tables_equal_truth(database, source, sandbox.state, SITE.site)


def test_invoices_without_a_date_are_neither_lost_nor_kept_for_ever(
    sandbox: SandboxServer, add_source: Callable[..., Source], sync_now: RunSync, database: Database
) -> None:
    """A list that is divided by date shows none of them."""
    invoices = [obj for obj in sandbox.state.truth(SITE.site, "invoices") if "generated_at" in obj][::20]
    undated = [str(obj["id"]) for obj in invoices]
    for object_id in undated:
        sandbox.state.patch(SITE.site, object_id, remove=["date"], with_event=False)
    source = add_source(SITE.api_key, sandbox.url, site=SITE.site)
    assert sync_now(source, batch_size=10).status is SessionStatus.COMPLETED
    rows = live_rows(database, source, "invoices")
    assert [object_id for object_id in undated if rows[object_id]["effective_at"] is not None] == []
    # One whose end nobody told: only asking for it by its id shows it.
    columns = ", ".join(name for name, _, _ in all_columns(INVOICES) if name != "id")
    with database.tenant(source.workspace_id) as connection:
        copied = f"SELECT 'gone', {columns} FROM payments.invoices WHERE id = %s"
        connection.exec_driver_sql(f"INSERT INTO payments.invoices (id, {columns}) {copied}", (undated[0],))
        # Of two syncs in two seconds, the second one may know less well what time it is at the provider.
        known_before = "SET source_version = source_version - interval '1 minute' WHERE id = 'gone'"
        connection.exec_driver_sql(f"UPDATE payments.invoices {known_before}")
    assert "gone" in live_rows(database, source, "invoices")
    assert sync_now(source, full_sync=True, batch_size=10).status is SessionStatus.COMPLETED
    kept = set(live_rows(database, source, "invoices"))
    assert kept == {str(obj["id"]) for obj in sandbox.state.truth(SITE.site, "invoices")}


DEADLINE_SECONDS = 300.0
MOST_REQUESTS = 70
"""After how many requests a sync is killed at most: a whole one makes some ninety, in pages of ten."""


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_a_sync_that_is_killed_again_and_again_ends_with_exactly_the_site_s_rows(
    seed: int, sandbox: SandboxServer, add_source: Callable[..., Source], database: Database, home: Path
) -> None:
    """In a list that is divided, in one that cannot be, or in the events; between any two attempts the site changes."""
    source, chance = add_source(SITE.api_key, sandbox.url, site=SITE.site), random.Random(seed)
    some = dict.fromkeys(("customers", "products", "prices", "subscriptions", "invoices"), 3)
    killed = 0
    for _attempt in range(8):
        process = start_sync(source, home, only_changes=chance.random() < 0.3)
        left, lock = [chance.randint(1, MOST_REQUESTS)], threading.Lock()

        def watch(
            _endpoint: str, _query: str, process: Any = process, left: list[int] = left, lock: Any = lock
        ) -> None:
            with lock:
                left[0] -= 1
                is_due = left[0] == 0
            if is_due:
                process.kill()

        sandbox.state.watchers.append(watch)
        process.join(DEADLINE_SECONDS)
        sandbox.state.watchers.clear()
        killed += process.exitcode == -signal.SIGKILL
        sandbox.state.apply_changes(SITE.site, create=some, update=some, delete=some)
    last = start_sync(source, home)
    last.join(DEADLINE_SECONDS)
    assert last.exitcode == 0
    assert killed >= 3
    newest, *earlier = [session.status for session in list_sessions(database, source.workspace_id)]
    assert newest is SessionStatus.COMPLETED
    assert set(earlier) <= {SessionStatus.FAILED, SessionStatus.COMPLETED}
    assert_tables_equal_truth(database, source, sandbox.state, SITE.site)
