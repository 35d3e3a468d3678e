"""Two syncs of one account and writes beside them, in real processes that share 25 requests per second.

This process is the third that asks the account: it hears of the others as they hear of it, and so sees what is theirs.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from pydantic import SecretStr

from cyphera_pipelines.model.configuration import Credentials
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.model.writes import WriteState
from cyphera_pipelines.operations.asked import Asked
from cyphera_pipelines.operations.carrying_out import carry_out
from cyphera_pipelines.providers.base import CustomerRequest, ObjectKind, Operation
from cyphera_pipelines.sandbox import SandboxAccount, SandboxOptions, SandboxServer
from cyphera_pipelines.security.encryption import Keyring
from cyphera_pipelines.store.configurations import create_configuration
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.request_shares import FORGOTTEN_AFTER
from cyphera_pipelines.store.sources import find_source
from cyphera_pipelines.sync.client import shared_limits
from cyphera_pipelines.sync.limits.account import AccountLimits
from cyphera_pipelines.sync.limits.demand import Wanted
from cyphera_pipelines.sync.limits.sharing import LOOK_EVERY
from cyphera_pipelines_tests.conftest import new_workspace
from cyphera_pipelines_tests.receiver import wait_for
from cyphera_pipelines_tests.sync.sync_process import start_sync

RATE = 25.0
ENDPOINT = "GET /v1/observed"
WITHIN = 300.0
WRITES = 8
ACCOUNT = SandboxAccount(
    account_id="acct_budget", api_key="sk_test_budget", seed=17, customers=900, subscriptions=500, invoices=1_500
)
LOOKS_TO_FORGET = FORGOTTEN_AFTER / LOOK_EVERY + 2
"""Looks until who is not heard of any more is forgotten: its last word may be as young as it gets."""


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer([ACCOUNT]) as server:
        limits = {"account_rate": RATE, "endpoint_rate": RATE, "latency_ms": 20.0}
        server.state.set_options(SandboxOptions.model_validate(limits))
        yield server


@pytest.fixture
def credentials(sandbox: SandboxServer) -> Credentials:
    return Credentials(api_key=SecretStr(ACCOUNT.api_key), base_url=sandbox.url)


@pytest.fixture
def sources(database: Database, keyring: Keyring, credentials: Credentials) -> list[Source]:
    """Two workspaces' sources of the one account."""
    workspaces = [new_workspace(database) for _ in range(2)]
    for workspace in workspaces:
        create_configuration(
            database,
            keyring,
            workspace,
            "stripe",
            credentials,
            is_test_mode=True,
            metadata={"rate_limits": {"account": RATE, "endpoint": RATE}},
        )
    return [find_source(database, f"{workspace.slug}:stripe") for workspace in workspaces]


class Looks:
    """How often these limits have heard of others."""

    def __init__(self, limits: AccountLimits, patch: pytest.MonkeyPatch) -> None:
        self.count = 0
        divide = limits.divide

        def heard(others: Sequence[Mapping[str, Wanted]]) -> None:
            divide(others)
            self.count += 1

        patch.setattr(limits, "divide", heard)


@contextmanager
def wanting_to_read(limits: AccountLimits) -> Iterator[None]:
    """As many at once as a sync has waiting; none of them is ever made."""
    with ExitStack() as waiting:
        for _ in range(20):
            waiting.enter_context(limits.turn(ENDPOINT)).seconds_left()
        yield


def write(database: Database, keyring: Keyring, source: Source, number: int) -> WriteState:
    asked = Asked(ObjectKind.CUSTOMERS, Operation.CREATE, None, CustomerRequest(name=f"Customer {number}"))
    return carry_out(database, keyring, source, asked, f"budget {number}").write.state


@pytest.mark.slow
def test_processes_divide_an_account_and_who_is_killed_leaves_its_part(
    sources: list[Source],
    sandbox: SandboxServer,
    credentials: Credentials,
    database: Database,
    keyring: Keyring,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    survivor, killed = (start_sync(source, home) for source in sources)
    limits = shared_limits(database, sources[0], credentials)
    looks = Looks(limits, monkeypatch)
    with wanting_to_read(limits):
        wait_for(lambda: limits.own_rate_of(ENDPOINT) < 0.48 * RATE, within=WITHIN)
        assert {write(database, keyring, sources[0], number) for number in range(WRITES)} == {WriteState.DONE}
        assert survivor.is_alive()
        assert killed.is_alive()

        killed.kill()
        killed.join(WITHIN)
        before = looks.count
        wait_for(lambda: limits.own_rate_of(ENDPOINT) > 0.49 * RATE, within=WITHIN)
        assert looks.count - before <= LOOKS_TO_FORGET

    survivor.join(WITHIN)
    assert survivor.exitcode == 0
    counters = sandbox.state.counters
    # On a busy machine it takes a while until they have heard of each other; `test_simulated` is stricter.
    assert counters.by_status[429] <= 0.1 * counters.total
