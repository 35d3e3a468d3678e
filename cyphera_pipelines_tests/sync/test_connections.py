"""A sync lives on few connections, and no part of it holds one while it waits for another."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from uuid import UUID

import pytest

from cyphera_pipelines.connection_budget import COMPARED_AT_ONCE, LOCK, SYNC
from cyphera_pipelines.model.sessions import ConflictStrategy, SessionStatus, SyncRequest
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.sandbox import SandboxAccount, SandboxOptions, SandboxServer
from cyphera_pipelines.security.encryption import Keyring
from cyphera_pipelines.settings import Settings
from cyphera_pipelines.store.database import open_database
from cyphera_pipelines.sync.engine import SyncJob, run_sync
from cyphera_pipelines.sync.progress import SyncProgress
from cyphera_pipelines.sync.request import open_session
from cyphera_pipelines.sync.verification.repair import verify_and_repair
from cyphera_pipelines.sync.verification.verify import VerificationJob
from cyphera_pipelines_tests.truth import assert_tables_equal_truth

ACCOUNT = SandboxAccount(
    api_key="sk_test_connections",
    account_id="acct_connections",
    seed=31,
    customers=120,
    products=15,
    prices=30,
    subscriptions=80,
    invoices=150,
    long_invoice_share=0.05,
)


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer([ACCOUNT], SandboxOptions(latency_ms=5)) as server:
        yield server


@pytest.mark.parametrize("connections", [LOCK + 1, SYNC])
def test_a_sync_of_any_kind_does_with_its_lock_and_one_or_two_more(
    connections: int, settings: Settings, keyring: Keyring, add_source: Callable[..., Source], sandbox: SandboxServer
) -> None:
    source = add_source(ACCOUNT.api_key, sandbox.url)
    # A thread that wants a second connection would wait for itself, and then say so.
    database = open_database(settings, pool_size=connections, patience=15)
    whole = SyncRequest(batch_size=10)
    for request in (
        whole,
        replace(whole, only_changes=True),
        replace(whole, full_sync=True, conflict_strategy=ConflictStrategy.FLAG),
        replace(whole, full_sync=True),
    ):
        session = open_session(database, source, request)
        outcome = run_sync(SyncJob(database, keyring, source, session, request))
        assert (outcome.status, outcome.error_summary) == (SessionStatus.COMPLETED, None)
    assert_tables_equal_truth(database, source, sandbox.state, ACCOUNT.account_id)
    database.close()


def test_a_verification_does_with_a_connection_for_each_comparison_and_one_more(
    settings: Settings, keyring: Keyring, add_source: Callable[..., Source], sandbox: SandboxServer
) -> None:
    source = add_source(ACCOUNT.api_key, sandbox.url)
    database = open_database(settings, pool_size=LOCK + COMPARED_AT_ONCE + 1, patience=15)
    entities = SyncRequest().entities
    report = verify_and_repair(VerificationJob(database, keyring, source, entities, SyncProgress(entities)))
    assert report.is_complete
    assert isinstance(report.session_id, UUID)
    assert_tables_equal_truth(database, source, sandbox.state, ACCOUNT.account_id)
    database.close()
