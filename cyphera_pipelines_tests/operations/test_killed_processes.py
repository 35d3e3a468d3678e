"""Processes that are killed while they write, connections that are cut: nothing twice, lost or left unknown."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import text

from cyphera_pipelines.model.source import Source
from cyphera_pipelines.model.writes import WriteState
from cyphera_pipelines.operations.settling import settle_overdue
from cyphera_pipelines.security.encryption import Keyring
from cyphera_pipelines.store.audit import list_audit_entries
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.provider_writes import page_writes
from cyphera_pipelines_tests.operations.ledger_server import Ledger, Misbehaviour

WITHIN = 600.0


@pytest.mark.parametrize(
    ("count", "kills"),
    [pytest.param(40, 2, id="forty"), pytest.param(1_000, 8, id="a thousand", marks=pytest.mark.slow)],
)
def test_every_write_happens_once(
    database: Database, keyring: Keyring, source: Source, ledger: Ledger, count: int, kills: int
) -> None:
    ledger.misbehaves = Misbehaviour(cut_before=0.05, cut_after=0.05, fail_after=0.05)
    dice = random.Random(count)
    for kill in range(kills):
        process = start(source, count, seed=kill)
        wait_for_requests(ledger, ledger.count("POST") + dice.randrange(1, max(2, count // kills)), process)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    process = start(source, count, seed=kills)
    assert process.communicate(timeout=WITHIN)[0].splitlines()[-1] == "over"
    settle_all(database, keyring, source)
    found, total = page_writes(database, source.workspace_id, limit=count + 1, offset=0)
    assert total == count, "every one was asked for, and is known"
    assert {write.state for write in found} == {WriteState.DONE}
    assert set(ledger.made.values()) == {1}, "none was made twice"
    assert {write.object_id for write in found} == set(ledger.customers), "and none but these"
    told = list_audit_entries(database, source.workspace_id, limit=count * 2)
    assert sum(each.action == "object.written" for each in told) == count


def start(source: Source, count: int, *, seed: int) -> "subprocess.Popen[str]":
    module = "cyphera_pipelines_tests.operations.writing_process"
    command = [sys.executable, "-m", module, source.key, "0", str(count), str(seed)]
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def wait_for_requests(ledger: Ledger, wanted: int, process: "subprocess.Popen[str]") -> None:
    """Until so many writes have come, or the process has nothing more to send."""
    deadline = time.monotonic() + WITHIN
    while ledger.count("POST") < wanted and process.poll() is None:
        assert time.monotonic() < deadline
        # An event, and not a sleep: each request that comes wakes us.
        ledger.arrived.acquire(timeout=0.2)


def settle_all(database: Database, keyring: Keyring, source: Source) -> None:
    """As the sensor does, until nothing is left; whoever was killed counts as gone from now on."""
    with database.control() as connection:
        connection.execute(text("UPDATE sync.provider_writes SET busy_until = NULL WHERE settled_at IS NULL"))

    def is_any_left() -> bool:
        counts = [
            page_writes(database, source.workspace_id, state=state, limit=1, offset=0)[1]
            for state in (WriteState.SENT, WriteState.UNKNOWN)
        ]
        return any(counts)

    deadline = time.monotonic() + WITHIN
    while is_any_left():
        assert time.monotonic() < deadline
        settle_overdue(database, keyring, within=60.0, quiet_for=0.0, workspace_id=source.workspace_id)
