"""The commands that run until they are stopped: `cyphera sandbox` and `cyphera up`."""

import json
import re
import signal
import socket
import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
import requests
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from cyphera_pipelines import local
from cyphera_pipelines.cli.running.ports import free_port
from cyphera_pipelines_tests.cli.command import DEADLINE_SECONDS, Cyphera
from cyphera_pipelines_tests.cli.conftest import MakeHome


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_for_line(process: "subprocess.Popen[str]", pattern: str) -> "re.Match[str]":
    """Read the output up to a line that matches; a process that says nothing is killed after the deadline."""
    watchdog = threading.Timer(DEADLINE_SECONDS, process.kill)
    watchdog.start()
    try:
        assert process.stdout is not None
        seen = []
        for line in process.stdout:
            seen.append(line)
            if found := re.search(pattern, line):
                return found
        raise AssertionError(f"It ended without a line like {pattern!r}: {seen}")
    finally:
        watchdog.cancel()


def when_ready(ask: Callable[[], requests.Response]) -> requests.Response:
    """The first response that comes at all."""
    retrying = Retrying(
        retry=retry_if_exception_type(requests.ConnectionError),
        stop=stop_after_delay(DEADLINE_SECONDS),
        wait=wait_fixed(0.1),
        reraise=True,
    )
    return retrying(ask)


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM])
def test_the_sandbox_says_where_it_is_and_stops_cleanly(signal_number: signal.Signals, cyphera: Cyphera) -> None:
    process = cyphera.start("sandbox", "--port", "0")
    url = wait_for_line(process, r"The sandbox serves (http://127\.0\.0\.1:\d+)\.")[1]
    key = "sk_test_cyphera_demo_globex"
    answer = requests.get(f"{url}/v1/account", headers={"Authorization": f"Bearer {key}"}, timeout=120)
    assert answer.json()["id"].startswith("acct_1CypheraDemoGlobex")
    process.send_signal(signal_number)
    output, errors = process.communicate(timeout=DEADLINE_SECONDS)
    assert (process.returncode, output, errors) == (0, "", "")
    assert not listens(int(url.rpartition(":")[2]))


def test_a_sandbox_of_one_provider_has_that_ones_accounts_only(cyphera: Cyphera) -> None:
    process = cyphera.start("sandbox", "--port", "0", "--provider", "chargebee")
    told = wait_for_line(process, r"The sandbox serves (\S+)\. Chargebee's sites: (\S+) with ([^ ,]+)")
    url, site, key = told.groups()
    answer = requests.get(f"{url}/api/v2/configurations", auth=(key, ""), timeout=120)
    assert answer.json()["configurations"][0]["domain"] == site
    assert requests.get(f"{url}/v1/account", auth=("sk_test_cyphera_demo_acme", ""), timeout=120).status_code == 401
    process.terminate()
    assert process.wait(DEADLINE_SECONDS) == 0


def test_a_sandbox_on_a_port_in_use_says_so(cyphera: Cyphera) -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        assert f"Port {port}" in cyphera("sandbox", "--port", str(port)).error()


def test_up_serves_the_ui_and_the_api_and_ctrl_c_leaves_nothing_behind(make_home: MakeHome, tmp_path: Path) -> None:
    cyphera = make_home()
    port, api_port, sandbox_port = free_port(), free_port(), free_port()
    ports = {"--port": port, "--api-port": api_port, "--sandbox-port": sandbox_port}
    with (tmp_path / "errors").open("w+") as errors:
        options = [text for option, number in ports.items() for text in (option, str(number))]
        process = cyphera.start("up", "--sandbox", *options, stderr=errors.fileno())
        command = psutil.Process(process.pid)
        started: set[psutil.Process] = set()
        try:
            wait_for_line(process, rf"Dagster UI +http://127\.0\.0\.1:{port}")
            wait_for_line(process, rf"HTTP API +http://127\.0\.0\.1:{api_port}/docs")
            info = when_ready(lambda: requests.get(f"http://127.0.0.1:{port}/server_info", timeout=120))
            assert info.status_code == 200
            assert "dagster_version" in info.json()
            assert requests.get(f"http://127.0.0.1:{api_port}/healthz", timeout=120).ok
            assert requests.get(f"http://127.0.0.1:{sandbox_port}/_sandbox/health", timeout=120).ok
            started = set(command.children(recursive=True))
            assert len(started) >= 4
            assert local.is_running(cyphera.home)
            process.send_signal(signal.SIGINT)
            assert process.wait(DEADLINE_SECONDS) == 0
            _, alive = psutil.wait_procs(list(started), timeout=DEADLINE_SECONDS)
            assert alive == []
            assert not local.is_running(cyphera.home)
            assert not any(listens(number) for number in ports.values())
            errors.seek(0)
            # On a busy machine even opening the database takes a while, and says so.
            said = [json.loads(line) for line in errors if not line.startswith("Opening the database")]
            assert {"up", "sandbox", "HTTP API"} <= {line["component"] for line in said}
            assert not any("Traceback" in json.dumps(line) for line in said if line["component"] != "code server")
        finally:
            for leftover in [*started, command]:
                with suppress(psutil.NoSuchProcess):
                    leftover.kill()
            process.communicate(timeout=DEADLINE_SECONDS)
