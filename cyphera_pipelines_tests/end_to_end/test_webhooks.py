"""The whole way of a webhook, over real processes: a change at the provider, its endpoint there, a row here."""

import os
from typing import Any

import pytest

from cyphera_pipelines.model.sessions import SessionStatus, SyncRequest
from cyphera_pipelines.store.sessions import list_sessions
from cyphera_pipelines.sync.engine import SyncJob, run_sync
from cyphera_pipelines.sync.request import open_session
from cyphera_pipelines.sync.webhook_endpoint import create_endpoint, webhook_url
from cyphera_pipelines_tests.end_to_end.conftest import Installation, Tenant, slowly, wait_for
from cyphera_pipelines_tests.truth import assert_tables_equal_truth

SOURCES = 20
EVENTS = int(os.environ.get("CYPHERA_TEST_EVENTS", "1000"))
"""About so many: 10000 take some minutes."""
BURST_WITHIN = 300.0


def sync_here(installation: Installation, tenant: Tenant, request: SyncRequest) -> None:
    """A sync in this process: what is tried here is what comes before it and beside it."""
    session = open_session(installation.database, tenant.source, request)
    outcome = run_sync(SyncJob(installation.database, installation.keyring, tenant.source, session, request))
    assert outcome.status is SessionStatus.COMPLETED


def sessions_of(installation: Installation, tenant: Tenant) -> int:
    return len(list_sessions(installation.database, tenant.source.workspace_id))


def is_equal(installation: Installation, tenant: Tenant) -> bool:
    try:
        assert_tables_equal_truth(installation.database, tenant.source, installation.sandbox, tenant.account.account_id)
    except AssertionError:
        return False
    return True


def test_what_changes_at_the_provider_is_in_the_tables_without_a_sync(installation: Installation) -> None:
    tenant = installation.add_tenant(customers=30, invoices=40, long_invoice_share=0.0, large_subscription_share=0.0)
    sync_here(installation, tenant, SyncRequest())
    slug = tenant.source.workspace_slug
    installation.cyphera("webhook", "create", slug, "stripe", "--url", installation.api_url).done()
    before = sessions_of(installation, tenant)
    changes = installation.sandbox.apply_changes(
        tenant.account.account_id,
        create={"customers": 3, "products": 1, "invoices": 2},
        update={"customers": 2, "subscriptions": 2, "invoices": 3},
        delete={"customers": 1, "subscriptions": 1},
    )
    assert len({change.object_id for change in changes}) > 10
    wait_for(lambda: is_equal(installation, tenant))
    assert sessions_of(installation, tenant) == before
    told = installation.cyphera("webhook", "show", slug, "stripe", "--json").json()
    assert (told["waiting"], told["failed"]) == (0, 0)
    shown = installation.sandbox.webhook_statistics()["endpoints"]
    counts = next(each["statistics"] for each in shown if each["account"] == tenant.account.account_id)
    assert counts["answered"] == {"200": len(changes)}


@pytest.mark.slow
def test_a_burst_that_is_doubled_reordered_and_partly_lost_ends_in_equal_tables(installation: Installation) -> None:
    """One of the sources is listed anew meanwhile. What was lost takes one sync of changes, and nothing takes more."""
    tenants = [installation.add_tenant(customers=40, products=6, prices=12, invoices=60) for _ in range(SOURCES)]
    for tenant in tenants:
        sync_here(installation, tenant, SyncRequest())
        url = webhook_url(installation.api_url, "stripe", tenant.source.configuration_id)
        create_endpoint(installation.database, installation.keyring, tenant.source, url)
    before = [sessions_of(installation, tenant) for tenant in tenants]
    try:
        with slowly(installation):
            installation.sandbox.change_webhooks(
                lost=0.1, doubled=0.5, reordered=0.8, reordered_by=50, delay_seconds=0.5
            )
            listing = installation.submit(tenants[0].source, SyncRequest(full_sync=True, batch_size=10))
            installation.under_way(listing)
            told = burst(installation, tenants)
            wait_for(lambda: all_answered(installation), within=BURST_WITHIN)
        assert installation.ended(listing).status is SessionStatus.COMPLETED
    finally:
        installation.sandbox.change_webhooks(lost=0.0, doubled=0.0, reordered=0.0)
    counted = statistics(installation)
    assert sum(counts["happened"] for counts in counted) == told
    assert sum(counts["lost"] for counts in counted) > 0
    assert all(set(counts["answered"]) == {"200"} for counts in counted)
    for tenant, count in zip(tenants, before, strict=True):
        wait_for(lambda tenant=tenant: not any_waits(installation, tenant), within=BURST_WITHIN)  # type: ignore[misc]
        # A burst takes two syncs of changes at most, and the listing was asked for.
        assert sessions_of(installation, tenant) - count <= (3 if tenant is tenants[0] else 2)
        sync_here(installation, tenant, SyncRequest(only_changes=True))
        assert_tables_equal_truth(installation.database, tenant.source, installation.sandbox, tenant.account.account_id)


def burst(installation: Installation, tenants: list[Tenant]) -> int:
    """Let so much happen at all accounts; return how many events tell of it."""
    told = 0
    for _round in range(EVENTS // (SOURCES * 10)):
        for tenant in tenants:
            changes = installation.sandbox.apply_changes(
                tenant.account.account_id,
                create={"customers": 1, "invoices": 1},
                update={"customers": 2, "subscriptions": 2, "invoices": 2, "prices": 1},
                delete={"subscriptions": 1},
            )
            told += len(changes)
    return told


def statistics(installation: Installation) -> list[dict[str, Any]]:
    shown = installation.sandbox.webhook_statistics()["endpoints"]
    return [each["statistics"] for each in shown if each["statistics"]]


def all_answered(installation: Installation) -> bool:
    return not any(counts["waiting"] for counts in statistics(installation))


def any_waits(installation: Installation, tenant: Tenant) -> bool:
    """Whether events wait for a sync of the source, or one is under way."""
    sessions = list_sessions(installation.database, tenant.source.workspace_id)
    if any(not session.status.is_final for session in sessions):
        return True
    with installation.database.tenant(tenant.source.workspace_id) as connection:
        waiting = "SELECT count(*) FROM sync.webhook_events WHERE handled_at IS NULL AND dead_at IS NULL"
        return bool(connection.exec_driver_sql(waiting).scalar_one())
