"""What `cyphera up` starts is started again if it dies, and ends with it, whoever dies first."""

import json
import os
import sys
from pathlib import Path

import psutil
import pytest

from cyphera_pipelines.cli.running import orphans, processes
from cyphera_pipelines.cli.running.processes import Children, Command
from cyphera_pipelines.cli.running.restarts import MOST, WITHIN, Restarts
from cyphera_pipelines.local.locks import wait_until
from cyphera_pipelines.model.errors import CypheraError
from cyphera_pipelines_tests.cli.command import DEADLINE_SECONDS

SLEEPER = "import time; time.sleep(600)"
# As a code server does it: a process that starts another one, which starts the last.
PARENT = f"""
import subprocess, sys
middle = "import subprocess, sys; subprocess.run([sys.executable, '-c', {SLEEPER!r}])"
subprocess.run([sys.executable, "-c", middle])
"""


@pytest.fixture(autouse=True)
def _no_linger(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orphans, "LINGER_WITHIN", 0.5)
    monkeypatch.setattr(processes, "LOOK_EVERY", 0.01)
    monkeypatch.setattr("cyphera_pipelines.cli.running.restarts.FIRST_PAUSE", 0.01)


def command(code: str) -> Command:
    return Command("The parent", [sys.executable, "-c", code], os.environ)


def test_a_child_that_dies_is_started_again_and_leaves_nothing_behind_at_the_end() -> None:
    told: list[str] = []
    with Children() as children:
        parent = children.start(command(PARENT))
        assert wait_until(lambda: len(children.descendants()) == 2, DEADLINE_SECONDS)
        of_the_first = set(children.descendants())
        parent.kill()

        def look() -> None:
            """The second parent's children are there too."""
            if len(children.descendants()) == 4:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            children.keep_running(told.append, look)
        started = children.descendants()
        assert started > of_the_first
    assert told == ["The parent ended by itself (killed by SIGKILL). It is started again in 0 s."]
    assert psutil.wait_procs(list(started), timeout=DEADLINE_SECONDS)[1] == []


def test_a_child_that_dies_again_and_again_ends_everything() -> None:
    told: list[str] = []
    with Children() as children:
        children.start(command("raise SystemExit(3)"))
        too_often = (
            r"The parent ended by itself \(exit code 3\), for the 6th time within 10 minutes, so everything is sto"
        )
        with pytest.raises(CypheraError, match=too_often):
            children.keep_running(told.append)
    assert len(told) == MOST


def test_restarts_take_longer_each_time_and_are_forgotten() -> None:
    restarts = Restarts()
    pauses = [restarts.pause(float(second)) or 0.0 for second in range(MOST)]
    assert 0.0 < pauses[0] < pauses[-1]
    assert pauses == sorted(pauses)
    assert restarts.pause(MOST) is None
    assert restarts.pause(WITHIN + 1.5) == pauses[-2], "the first two are ten minutes ago"


def test_what_an_orphan_started_is_not_forgotten() -> None:
    with Children() as children:
        children.start(command(PARENT))
        assert wait_until(lambda: len(children.descendants()) == 2, DEADLINE_SECONDS)
        started = list(children.descendants())
        (middle,) = [each for each in started if each.children()]
        middle.kill()
        assert wait_until(lambda: len(children.descendants()) < 2, DEADLINE_SECONDS)
        (last,) = children.descendants()
        assert last.is_running()
    assert psutil.wait_procs(started, timeout=DEADLINE_SECONDS)[1] == []


def test_what_is_noted_is_found_and_nothing_else(tmp_path: Path) -> None:
    with Children(tmp_path) as children:
        parent = children.start(command(SLEEPER))
        (found,) = orphans.find_orphans(tmp_path)
        assert found.pid == parent.pid
        record = tmp_path / orphans.RECORD
        noted = json.loads(record.read_text())
        # Another process that was given the same id, and one that has ended.
        record.write_text(
            json.dumps([{**noted[0], "started": noted[0]["started"] - 1}, {"pid": 2**22 + 1, "started": 0}])
        )
        assert orphans.find_orphans(tmp_path) == []
    assert orphans.find_orphans(tmp_path) == []
