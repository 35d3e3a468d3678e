"""Breaking off a sync half-way on a server of its own, and what must be true of it and of the next one."""

import re
from multiprocessing.process import BaseProcess

from cyphera_pipelines.local.locks import wait_until
from cyphera_pipelines.model.sessions import SessionStatus
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.sandbox import SandboxAccount, SandboxOptions, SandboxServer
from cyphera_pipelines.sync.outcome import SyncOutcome
from cyphera_pipelines_tests.sync.checkpoint import read_checkpoint
from cyphera_pipelines_tests.sync.private_server import PrivateServer
from cyphera_pipelines_tests.sync.sync_process import start_sync
from cyphera_pipelines_tests.truth import assert_tables_equal_truth

DEADLINE_SECONDS = 300.0


def start_half_a_sync(source: Source, server: PrivateServer, *, as_own_server: bool = False) -> BaseProcess:
    """A sync that has committed some of its pages and has others on their way; see `start_sync`."""
    process = start_sync(source, server.home, as_own_server=as_own_server)
    assert wait_until(lambda: bool(read_checkpoint(server.database, source).cursors), DEADLINE_SECONDS)
    return process


def go_on(sandbox: SandboxServer, account: SandboxAccount, source: Source, server: PrivateServer) -> SyncOutcome:
    """The next sync completes, lists only what is left, and every row is right."""
    sandbox.state.set_options(SandboxOptions())
    checkpoint = read_checkpoint(server.database, source)
    sandbox.state.counters.reset()
    outcome = server.sync(source)
    assert (outcome.status, outcome.error_summary) == (SessionStatus.COMPLETED, None)
    fetched = {entity: counts.fetched for entity, counts in outcome.entities.items()}
    checkpoint.assert_only_the_rest_was_listed(
        sandbox.state.counters.recent, sandbox.state, account.account_id, fetched
    )
    assert_tables_equal_truth(server.database, source, sandbox.state, account.account_id)
    return outcome


def expect_one_plain_sentence(message: str, source: Source, cause: str) -> None:
    """It tells which source, what happened, what next; nothing of the program's inside, and nothing of a row's."""
    assert re.fullmatch(f"The sync of {source.key} .*{cause}.* The next sync continues from there\\.", message), message
    for inside in ("psycopg2", "Error", "SELECT", "INSERT", "COPY", "CONTEXT", "error of ours"):
        assert inside not in message


def expect_no_row_blamed(server: PrivateServer, source: Source) -> None:
    assert "row_unmappable" not in {event.event_type for event in server.events_of(source)}
