"""The provider cannot be reached for a while: a short time is waited out, a long one ends the session honestly."""

import os
import re
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
import requests

from cyphera_pipelines.cli.running.ports import free_port
from cyphera_pipelines.local.locks import wait_until
from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.sessions import SessionStatus
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.providers.http import exchange
from cyphera_pipelines.sandbox import Fault, FaultKind, SandboxAccount, SandboxOptions, SandboxProcess, SandboxServer
from cyphera_pipelines.sandbox.counters import SeenRequest
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.events import list_events
from cyphera_pipelines.sync.outcome import SyncOutcome
from cyphera_pipelines_tests.sync.checkpoint import Checkpoint, read_checkpoint
from cyphera_pipelines_tests.sync.conftest import RunSync
from cyphera_pipelines_tests.truth import assert_tables_equal_truth

pytestmark = pytest.mark.slow

DEADLINE_SECONDS = 300.0
ACCOUNT = SandboxAccount(
    api_key="sk_test_network_gone",
    account_id="acct_network_gone",
    seed=23,
    customers=120,
    products=20,
    prices=40,
    subscriptions=100,
    invoices=200,
    long_invoice_share=0.05,
)


class Provider:
    """The provider in a process of its own, which can be killed and is the same when it is started again."""

    def __init__(self) -> None:
        self._port = free_port()
        self.start()

    def start(self) -> None:
        self.sandbox = SandboxProcess([ACCOUNT], SandboxOptions(latency_ms=80), port=self._port).start()

    def kill(self) -> None:
        """Every connection is reset, and new ones are refused."""
        os.kill(self.sandbox.pid, signal.SIGKILL)
        self.sandbox.stop()

    def requests(self) -> list[SeenRequest]:
        """What was asked since the last start."""
        seen: list[dict[str, Any]] = requests.get(f"{self.sandbox.url}/_sandbox/requests", timeout=120).json()
        return [SeenRequest(**each) for each in seen]


@pytest.fixture
def provider() -> Iterator[Provider]:
    running = Provider()
    yield running
    running.sandbox.stop()


@pytest.fixture
def source(provider: Provider, add_source: Callable[..., Source]) -> Source:
    return add_source(ACCOUNT.api_key, provider.sandbox.url)


@pytest.fixture
def sync_in_thread(sync_now: RunSync) -> Iterator[Callable[[Source], "Future[SyncOutcome]"]]:
    with ThreadPoolExecutor(1) as threads:
        yield lambda source: threads.submit(sync_now, source, batch_size=10)


def kill_half_way(provider: Provider, source: Source, database: Database) -> Checkpoint:
    """Kill the provider when some pages are committed and others are on their way."""
    assert wait_until(lambda: bool(read_checkpoint(database, source).cursors), DEADLINE_SECONDS)
    provider.kill()
    return read_checkpoint(database, source)


def test_a_short_time_is_waited_out(
    provider: Provider,
    source: Source,
    database: Database,
    sync_in_thread: Callable[[Source], "Future[SyncOutcome]"],
) -> None:
    running = sync_in_thread(source)
    kill_half_way(provider, source, database)
    provider.start()
    outcome = running.result(DEADLINE_SECONDS)
    assert (outcome.status, outcome.error_summary) == (SessionStatus.COMPLETED, None)
    events = list_events(database, source.workspace_id, outcome.session.id)
    assert "request_connection_lost" in {event.event_type for event in events}
    assert_tables_equal_truth(database, source, provider.sandbox, ACCOUNT.account_id)


def test_after_a_long_time_the_session_says_what_to_do_and_the_next_sync_goes_on(
    provider: Provider,
    source: Source,
    database: Database,
    sync_now: RunSync,
    sync_in_thread: Callable[[Source], "Future[SyncOutcome]"],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(exchange, "LONGEST_WAIT", 0.05)
    running = sync_in_thread(source)
    kill_half_way(provider, source, database)
    outcome = running.result(DEADLINE_SECONDS)
    assert outcome.status is SessionStatus.PARTIAL
    assert outcome.error_summary is not None
    assert "refuses connections" in outcome.error_summary["message"]
    assert "Check the network and the provider's status." in outcome.error_summary["message"]
    assert sync_now(source).status is SessionStatus.FAILED  # not even the account can be reached
    provider.start()
    checkpoint = read_checkpoint(database, source)
    outcome = sync_now(source, batch_size=10)
    assert (outcome.status, outcome.error_summary) == (SessionStatus.COMPLETED, None)
    fetched = {entity: counts.fetched for entity, counts in outcome.entities.items()}
    checkpoint.assert_only_the_rest_was_listed(provider.requests(), provider.sandbox, ACCOUNT.account_id, fetched)
    assert_tables_equal_truth(database, source, provider.sandbox, ACCOUNT.account_id)


@pytest.mark.parametrize("kind", [FaultKind.ERROR_500, FaultKind.DROP, FaultKind.TRUNCATE])
def test_an_endpoint_that_stays_out_of_order_fails_its_entity_only(
    kind: FaultKind,
    add_source: Callable[..., Source],
    database: Database,
    sync_now: RunSync,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(exchange, "LONGEST_WAIT", 0.05)
    with SandboxServer([ACCOUNT], SandboxOptions(faults=(Fault(kind=kind, path="/v1/invoices"),))) as sandbox:
        source = add_source(ACCOUNT.api_key, sandbox.url)
        outcome = sync_now(source)
        assert outcome.status is SessionStatus.PARTIAL
        assert outcome.error_summary is not None
        assert set(outcome.error_summary["entities"]) == {"invoices"}
        message = outcome.error_summary["message"]
        assert message.startswith("invoices did not complete: ")
        assert re.search("Check the network|next sync", message), f"it does not say what to do: {message}"
        assert outcome.entities[Entity.INVOICES].done is False
        rest = [entity.value for entity in Entity if entity is not Entity.INVOICES]
        assert_tables_equal_truth(database, source, sandbox.state, ACCOUNT.account_id, entities=rest)
        sandbox.state.faults.clear()
        assert sync_now(source).status is SessionStatus.COMPLETED
        assert_tables_equal_truth(database, source, sandbox.state, ACCOUNT.account_id)
