"""The services as systemd runs them: the units' own commands, with the variables of their own files."""

import base64
import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import httpx
import psutil
import psycopg2
import pytest

from cyphera_pipelines import local
from cyphera_pipelines.cli.running.ports import free_port
from cyphera_pipelines.sandbox import SandboxAccount, SandboxOptions, SandboxProcess
from cyphera_pipelines_tests.cli.command import PROGRAM, Cyphera
from cyphera_pipelines_tests.deploy.files import SECRETS, read_unit
from cyphera_pipelines_tests.end_to_end.conftest import wait_for as wait_for_a_minute

PATIENCE_SECONDS = 180.0
wait_for = partial(wait_for_a_minute, within=PATIENCE_SECONDS)
ACCOUNT = SandboxAccount(api_key="sk_test_services01", account_id="acct_services", invoices=300)


@pytest.fixture
def environment(quick_folder: Path | None) -> Iterator[dict[str, str]]:
    """What the files in /etc/cyphera and the units hold, for a server with databases of our own."""
    with tempfile.TemporaryDirectory(prefix="services", dir=quick_folder) as folder:
        server = local.start(Path(folder) / "server")
        connection = psycopg2.connect(server.psql_url("postgres"))
        connection.autocommit = True
        for name in ("own", "owndagster"):
            connection.cursor().execute(f"CREATE DATABASE {name}")
        connection.close()
        yield {
            "CYPHERA_HOME": str(Path(folder) / "home"),
            "CYPHERA_DATABASE_URL": server.psql_url("own"),
            "CYPHERA_DAGSTER_DATABASE_URL": server.psql_url("owndagster"),
            "CYPHERA_PROVIDER_HOSTS": "127.0.0.1",
            "PAYMENT_SYNC_ENCRYPTION_KEY": base64.b64encode(os.urandom(32)).decode(),
        }
        server.release()


@contextmanager
def running(
    name: str, ports: dict[str, str], environment: dict[str, str], log: Path
) -> "Iterator[subprocess.Popen[bytes]]":
    """A unit's command with the variables of its own file, at free ports."""
    unit = read_unit(name)
    given = {*unit.variables, "CYPHERA_HOME"} | ({"CYPHERA_PROVIDER_HOSTS"} if unit.variables & SECRETS else set())
    arguments = unit.arguments
    for port, free in ports.items():
        arguments = tuple(argument.replace(port, free) for argument in arguments)
    inherited = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "TMPDIR", "LANG")}
    own = {name: value for name, value in environment.items() if name in given}
    with log.open("ab") as output:
        process = subprocess.Popen([str(PROGRAM), *arguments], env=inherited | own, stdout=output, stderr=output)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
        try:
            process.wait(PATIENCE_SECONDS)
        finally:
            process.kill()


@pytest.mark.slow
def test_the_units_serve_a_sync_let_it_end_and_end(environment: dict[str, str], tmp_path: Path) -> None:
    ports = {port: str(free_port()) for port in ("3000", "4000", "8000")}
    environment["CYPHERA_DAGSTER_URL"] = f"http://127.0.0.1:{ports['3000']}"
    api = f"http://127.0.0.1:{ports['8000']}"
    cyphera = Cyphera(Path(environment["CYPHERA_HOME"]), **environment)
    cyphera("db", "upgrade").done()
    with ExitStack() as stack:
        sandbox = stack.enter_context(SandboxProcess([ACCOUNT]))
        services = {
            name: stack.enter_context(running(name, ports, environment, tmp_path / name))
            for name in ("api", "ui", "daemon", "code-server")
        }
        wait_for(lambda: all(each.poll() is None for each in services.values()) and answers(f"{api}/readyz"))
        cyphera("workspace", "create", "acme").done()
        add = ("source", "add", "acme", "stripe", "--api-key-stdin", "--base-url", sandbox.url, "--rate", "5000")
        cyphera(*add, stdin=ACCOUNT.api_key).done()
        headers = dict(line.split(": ") for line in cyphera("key", "create", "acme").done().splitlines())
        for name in ("ui", "daemon"):
            process = psutil.Process(services[name].pid)
            assert not SECRETS & process.environ().keys(), name
            assert environment["PAYMENT_SYNC_ENCRYPTION_KEY"] not in " ".join(process.cmdline())

        with httpx.Client(base_url=f"{api}/api/v1/sync", headers=headers, timeout=60) as client:
            sandbox.set_options(SandboxOptions(latency_ms=100))
            session_id = client.post("/stripe/initial", json={"batch_size": 5}).raise_for_status().json()["session_id"]
            status = f"/sessions/{session_id}/status"
            wait_for(lambda: client.get(status).json()["status"] == "running")
            # As the page on services says: nobody begins a run any more, and what is at work ends first.
            stop(services["daemon"])
            services["code-server"].send_signal(signal.SIGTERM)
            state = wait_for(lambda: found if (found := client.get(status).json())["status"] == "completed" else None)
            assert state["error_summary"] is None
            services["code-server"].wait(PATIENCE_SECONDS)
        for name in ("ui", "api"):
            stop(services[name])
        ended = {name: process.returncode for name, process in services.items()}
        assert ended == dict.fromkeys(services, 0), [path.read_text()[-2_000:] for path in tmp_path.iterdir()]


def stop(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    process.wait(PATIENCE_SECONDS)


def answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=120).is_success
    except httpx.TransportError:
        return False
