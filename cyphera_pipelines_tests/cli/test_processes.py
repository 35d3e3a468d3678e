"""What `cyphera up` starts ends with it, whoever dies first."""

import os
import sys

import psutil
import pytest

from cyphera_pipelines.cli import processes
from cyphera_pipelines.cli.processes import Children, Command
from cyphera_pipelines.local.locks import wait_until
from cyphera_pipelines.model.errors import CypheraError
from cyphera_pipelines_tests.cli.command import DEADLINE_SECONDS

SLEEPER = "import time; time.sleep(600)"
# As `dagster dev` does it: a process that starts another one, which starts the last.
PARENT = f"""
import subprocess, sys
middle = "import subprocess, sys; subprocess.run([sys.executable, '-c', {SLEEPER!r}])"
subprocess.run([sys.executable, "-c", middle])
"""


@pytest.fixture(autouse=True)
def _short_linger(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "LINGER_WITHIN", 0.5)


def test_a_child_that_is_killed_leaves_nothing_behind() -> None:
    with Children() as children:
        parent = children.start(Command("The parent", [sys.executable, "-c", PARENT], os.environ))
        assert wait_until(lambda: len(children.descendants()) == 2, DEADLINE_SECONDS)
        started = list(children.descendants())
        parent.kill()
        with pytest.raises(
            CypheraError, match=r"The parent ended by itself \(exit code -9\), so everything is stopped"
        ):
            children.wait_for_any_to_end()
    assert psutil.wait_procs(started, timeout=DEADLINE_SECONDS)[1] == []


def test_what_an_orphan_started_is_not_forgotten() -> None:
    with Children() as children:
        children.start(Command("The parent", [sys.executable, "-c", PARENT], os.environ))
        assert wait_until(lambda: len(children.descendants()) == 2, DEADLINE_SECONDS)
        started = list(children.descendants())
        (middle,) = [each for each in started if each.children()]
        middle.kill()
        assert wait_until(lambda: len(children.descendants()) < 2, DEADLINE_SECONDS)
        (last,) = children.descendants()
        assert last.is_running()
    assert psutil.wait_procs(started, timeout=DEADLINE_SECONDS)[1] == []
