"""Sources whose provider's package was removed: they fail with what to do, and hold up nobody else."""

from collections.abc import Callable, Iterator
from uuid import uuid4

import pytest

from cyphera_pipelines.model.error_codes import ErrorCode
from cyphera_pipelines.model.freshness import Freshness
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.providers.registry import PROVIDERS
from cyphera_pipelines.security.encryption import Keyring
from cyphera_pipelines.settings import Settings
from cyphera_pipelines.store.claims import WORKER_NAME
from cyphera_pipelines.store.database import Database, open_database
from cyphera_pipelines.store.freshness import list_least_fresh
from cyphera_pipelines.sync.batch import Batch, BatchOptions
from cyphera_pipelines_tests.due_sources import make_due, put_aside


@pytest.fixture(autouse=True)
def only_ours(database: Database) -> Iterator[None]:
    put_aside(database)
    yield
    put_aside(database)


def test_a_source_without_its_provider_is_shown_as_failing_with_what_to_do(
    settings: Settings,
    database: Database,
    keyring: Keyring,
    add_source: Callable[..., Source],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = make_due(database, add_source("sk_test_without_package", "http://127.0.0.1:1"))
    monkeypatch.delitem(PROVIDERS, source.provider)
    worker = uuid4()
    own = open_database(settings, application_name=f"{WORKER_NAME} {worker}", pool_size=8)
    try:
        counts = Batch(own, keyring, worker, BatchOptions(longest_pause=0.0)).run()
    finally:
        own.close()
    assert counts.not_completed == 1
    (shown,) = list_least_fresh(database, source.workspace_id, limit=10)
    assert (shown.key, shown.state) == (source.key, Freshness.FAILING)
    assert shown.last_failure is not None
    assert (
        "no provider 'stripe' here: its package is not installed, or cannot be used. Install it" in shown.last_failure
    )
    assert f"cyphera source remove {source.workspace_slug} stripe" in shown.last_failure
    assert shown.code == ErrorCode.PROVIDER_UNKNOWN
    assert shown.failures == 1
    assert not shown.is_syncing, "it is claimed no more"
