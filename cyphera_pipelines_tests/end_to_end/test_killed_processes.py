"""`cyphera up` with its processes killed one after another: the sync that is asked for next completes all the same."""

import base64
import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from cyphera_pipelines import local
from cyphera_pipelines.cli.running.ports import free_port
from cyphera_pipelines.local.cluster import HomeFiles
from cyphera_pipelines_tests.cli.command import PROGRAM, Cyphera
from cyphera_pipelines_tests.end_to_end.conftest import wait_for as wait_for_a_minute

PATIENCE_SECONDS = 180.0
wait_for = partial(wait_for_a_minute, within=PATIENCE_SECONDS)
PROGRAMS = {
    "The code server": "api grpc",
    "The daemon": "dagster-daemon",
    "The Dagster UI": "dagster-webserver",
    "The HTTP API": "cyphera api",
    "The sandbox": "cyphera sandbox",
}


@dataclass(frozen=True)
class Up:
    """A running `cyphera up` and its output."""

    cyphera: Cyphera
    process: "subprocess.Popen[bytes]"
    ports: tuple[int, int, int]
    output: Path

    def child(self, program: str) -> psutil.Process:
        """The child that runs the program, once it is there."""

        def found() -> psutil.Process | None:
            children = psutil.Process(self.process.pid).children()
            return next((each for each in children if PROGRAMS[program] in " ".join(each.cmdline())), None)

        return wait_for(found)

    def is_ready(self) -> bool:
        assert self.process.poll() is None, self.output.read_text()
        try:
            return httpx.get(f"http://127.0.0.1:{self.ports[1]}/readyz", timeout=120).is_success
        except httpx.TransportError:
            return False

    def says(self, text: str) -> None:
        wait_for(lambda: text in self.output.read_text())


@contextmanager
def running(cyphera: Cyphera, ports: tuple[int, int, int], output: Path) -> Iterator[Up]:
    """`cyphera up`, from when everything is ready."""
    options = [f"--{name}={port}" for name, port in zip(("port", "api-port", "sandbox-port"), ports, strict=True)]
    with output.open("wb") as file:
        process = subprocess.Popen(
            [str(PROGRAM), "up", "--sandbox", *options], env=cyphera.environment, stdout=file, stderr=subprocess.STDOUT
        )
    up = Up(cyphera, process, ports, output)
    try:
        wait_for(up.is_ready)
        yield up
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(PATIENCE_SECONDS)
        finally:
            process.kill()


def add_source(up: Up) -> dict[str, str]:
    """A source at the sandbox; returns the headers that open its workspace."""
    up.cyphera("workspace", "create", "killed").done()
    sandbox = f"http://127.0.0.1:{up.ports[2]}"
    add = ("source", "add", "killed", "stripe", "--api-key-stdin", "--base-url", sandbox, "--rate", "5000")
    up.cyphera(*add, stdin="sk_test_cyphera_demo_globex").done()
    return dict(line.split(": ") for line in up.cyphera("key", "create", "killed").done().splitlines())


def sync(up: Up, headers: dict[str, str]) -> None:
    """Ask for a sync as soon as anybody takes it, and see it complete."""
    api = f"http://127.0.0.1:{up.ports[1]}/api/v1/sync"

    def ask(success: int, method: str, path: str, **body: object) -> dict[str, Any] | None:
        try:
            answer = httpx.request(
                method, f"{api}{path}", headers=headers, json={} if method == "POST" else None, timeout=60
            )
        except httpx.TransportError:
            return None
        found: dict[str, Any] = answer.json()
        assert answer.status_code in (success, 503), found
        return found if answer.status_code == success else None

    session_id = wait_for(lambda: ask(201, "POST", "/stripe/initial", json={}))["session_id"]

    def ended() -> dict[str, Any] | None:
        found = ask(200, "GET", f"/sessions/{session_id}/status")
        return found if found is not None and found["status"] not in ("pending", "running") else None

    state = wait_for(ended)
    assert (state["status"], state["error_summary"]) == ("completed", None)


@pytest.mark.slow
def test_whatever_is_killed_the_sync_that_is_asked_for_next_completes(quick_folder: Path | None) -> None:
    ports = (free_port(), free_port(), free_port())
    with tempfile.TemporaryDirectory(prefix="killed", dir=quick_folder) as folder:
        cyphera = Cyphera(Path(folder) / "home")
        try:
            with running(cyphera, ports, Path(folder) / "first") as up:
                headers = add_source(up)
                for program in PROGRAMS:
                    up.child(program).kill()
                    up.says(f"{program} ended by itself (killed by SIGKILL). It is started again in 1 s.")
                    sync(up, headers)
                os.kill(int((HomeFiles(cyphera.home).data / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
                sync(up, headers)
                wait_for(up.is_ready)
                expect_to_be_refused(up, Path(folder) / "other")

                left = psutil.Process(up.process.pid).children(recursive=True)
                up.process.kill()
                up.process.wait(PATIENCE_SECONDS)
            assert len(left) >= len(PROGRAMS)
            with running(cyphera, ports, Path(folder) / "second") as up:
                up.says("that an earlier `cyphera up` left behind when it was killed")
                assert psutil.wait_procs(left, timeout=PATIENCE_SECONDS)[1] == []
                sync(up, headers)
        finally:
            local.stop(cyphera.home)


def expect_to_be_refused(up: Up, other_home: Path) -> None:
    """A second `cyphera up` in this home, and one in another home on the same database."""
    in_home = up.cyphera("up").error()
    assert f"`cyphera up` (process {up.process.pid}, since " in in_home
    assert f"Dagster UI at port {up.ports[0]}" in in_home
    url = up.cyphera("db", "url").done().strip()
    options = [f"--{name}={free_port()}" for name in ("port", "api-port")]
    key = base64.b64encode(bytes(32)).decode()
    elsewhere = Cyphera(other_home, CYPHERA_DATABASE_URL=url, PAYMENT_SYNC_ENCRYPTION_KEY=key)
    on_database = elsewhere("up", *options).error()
    assert "`cyphera up` is at work on this database already" in on_database
    assert f"(process {up.process.pid}, ports {' '.join(map(str, up.ports))}" in on_database
