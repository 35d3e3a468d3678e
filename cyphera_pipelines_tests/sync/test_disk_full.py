"""The database's disk is full for a moment: the sync says so, blames no row, and the next one goes on."""

import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from uuid import uuid4

import psutil
import pytest

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.errors import CypheraError
from cyphera_pipelines.model.sessions import SessionStatus
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.sandbox import SandboxAccount, SandboxOptions, SandboxServer
from cyphera_pipelines.store.sessions import fail_abandoned_sessions, list_sessions
from cyphera_pipelines_tests.sync.interruption import (
    DEADLINE_SECONDS,
    expect_no_row_blamed,
    expect_one_plain_sentence,
    go_on,
    start_half_a_sync,
)
from cyphera_pipelines_tests.sync.private_server import PrivateServer
from cyphera_pipelines_tests.truth import assert_tables_equal_truth

pytestmark = pytest.mark.slow

# Its larger tables grow beyond the limit of the file size, with rows to spare.
ACCOUNT = SandboxAccount(
    api_key="sk_test_disk_full",
    account_id="acct_disk_full",
    seed=22,
    customers=150,
    products=20,
    prices=40,
    subscriptions=120,
    invoices=450,
)

# Postgres has words of its own for a page of which half found room.
NO_SPACE = r"(No space left on device|wrote only 4096 of 8192 bytes at block \d+)"


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer([ACCOUNT], SandboxOptions(latency_ms=80)) as server:
        yield server


@pytest.fixture
def source(sandbox: SandboxServer, private_server: PrivateServer) -> Source:
    return private_server.add_source(ACCOUNT.api_key, sandbox.url)


def fail_while(
    disk_is_full: Callable[[], AbstractContextManager[None]], cause: str, source: Source, server: PrivateServer
) -> None:
    """A sync fails for that cause, and says so."""
    process = start_half_a_sync(source, server)
    stopped = psutil.Process(process.pid)
    stopped.suspend()  # it must not be done before the disk is full
    with disk_is_full():
        stopped.resume()
        process.join(DEADLINE_SECONDS)
    assert process.exitcode == 1
    (session,) = list_sessions(server.database, source.workspace_id)
    if session.status is SessionStatus.RUNNING:
        # Not even its end found room. Whoever syncs next sees that nobody is behind it.
        assert fail_abandoned_sessions(server.database, source, keep=uuid4()) == [session.id]
        return
    assert session.status is SessionStatus.FAILED
    assert session.error_summary is not None
    expect_one_plain_sentence(session.error_summary["message"], source, cause)
    expect_no_row_blamed(server, source)


def test_files_that_cannot_grow_fail_the_sync_and_the_next_one_goes_on(
    sandbox: SandboxServer, source: Source, private_server: PrivateServer
) -> None:
    fail_while(private_server.files_limited, "could not extend file .*: File too large", source, private_server)
    go_on(sandbox, ACCOUNT, source, private_server)


def test_rows_that_find_no_room_on_their_way_in_fail_the_sync_too(
    sandbox: SandboxServer, source: Source, private_server: PrivateServer
) -> None:
    """More than a megabyte in one page: it cannot even be staged."""
    chance = random.Random(1)
    for product in list(sandbox.state.truth(ACCOUNT.account_id, "products")):
        sandbox.state.patch(ACCOUNT.account_id, product["id"], {"description": chance.randbytes(200_000).hex()})
    private_server.database.engine.dispose()
    with private_server.files_limited(), pytest.raises(CypheraError) as raised:
        private_server.sync(source, entities=(Entity.PRODUCTS,))
    expect_one_plain_sentence(str(raised.value), source, "could not extend file .*: File too large")
    expect_no_row_blamed(private_server, source)
    assert private_server.sync(source).status is SessionStatus.COMPLETED
    assert_tables_equal_truth(private_server.database, source, sandbox.state, ACCOUNT.account_id)


def test_a_full_disk_fails_the_sync_and_the_next_one_goes_on(
    sandbox: SandboxServer, source: Source, private_server: PrivateServer
) -> None:
    if not private_server.has_small_disk:
        pytest.skip("A disk to be filled has to be mounted, which is not allowed here; files were limited instead.")
    fail_while(private_server.disk_filled, f"could not extend file .*: {NO_SPACE}", source, private_server)
    go_on(sandbox, ACCOUNT, source, private_server)
