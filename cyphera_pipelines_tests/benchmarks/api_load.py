"""How the API answers many clients while a sync writes: requests per second, p50, p99, errors.

Example: python -m cyphera_pipelines_tests.benchmarks.api_load --clients 200 --seconds 15 --workers 2
"""

import http.client
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from pydantic import SecretStr
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from cyphera_pipelines import local
from cyphera_pipelines.cli.running.ports import free_port
from cyphera_pipelines.model.configuration import Credentials
from cyphera_pipelines.model.sessions import SyncRequest
from cyphera_pipelines.sandbox import SandboxAccount, SandboxProcess
from cyphera_pipelines.security.keys import load_keyring
from cyphera_pipelines.settings import load_settings
from cyphera_pipelines.store.api_keys import create_api_key
from cyphera_pipelines.store.configurations import create_configuration
from cyphera_pipelines.store.database import Database, open_database
from cyphera_pipelines.store.sessions import list_sessions
from cyphera_pipelines.store.sources import find_source
from cyphera_pipelines.store.workspaces import create_workspace
from cyphera_pipelines.sync.request import open_session

PREFIX = "/api/v1/sync"
READY_WITHIN = 180.0
CLIENT_PROCESSES = 2
ACCOUNT = SandboxAccount(
    api_key="sk_test_api_load",
    account_id="acct_api_load",
    customers=10_000,
    products=50,
    prices=200,
    subscriptions=5_000,
    invoices=40_000,
)
NO_LIMITS = {"rate_limits": {"account": 10_000, "endpoint": 10_000}}


@dataclass(frozen=True)
class Load:
    """What one process of clients does: the paths in turn, for so many seconds."""

    port: int
    headers: dict[str, str]
    paths: tuple[str, ...]
    clients: int
    seconds: float


@dataclass(frozen=True)
class Answers:
    """The seconds that each answer took, and how many there were of each status; status 0 is a lost connection."""

    seconds: list[float]
    statuses: Counter[int]


def main(
    clients: Annotated[int, typer.Option(min=1, help="Clients that ask at once.")] = 200,
    seconds: Annotated[float, typer.Option(min=1, help="How long.")] = 15.0,
    workers: Annotated[int, typer.Option(min=1, help="The API's processes.")] = 1,
    with_sync: Annotated[bool, typer.Option("--sync/--no-sync", help="Whether a sync writes meanwhile.")] = True,
) -> None:
    """Measure the API under load; see above."""
    with tempfile.TemporaryDirectory(prefix="apiload") as folder, SandboxProcess([ACCOUNT]) as sandbox:
        os.environ["CYPHERA_HOME"] = folder
        settings = load_settings()
        handle = local.start(settings.home)
        database = open_database(settings)
        try:
            headers, paths, source_key = _prepare(database, sandbox.url)
            with running_api(workers) as port, _syncing(source_key, wanted=with_sync) as syncs:
                answers = _ask(Load(port, headers, paths, clients // CLIENT_PROCESSES, seconds))
            completed = [session.status.value for session in list_sessions(database) if session.started_at is not None]
        finally:
            database.close()
            handle.release()
            # Also if a process that used it was stopped before it could say that it is done.
            local.stop(settings.home)
    _report(answers, seconds, f"{clients} clients, {workers} API processes, {syncs[0]} syncs meanwhile: {completed}")


def _prepare(database: Database, base_url: str) -> tuple[dict[str, str], tuple[str, ...], str]:
    workspace = create_workspace(database, "load")
    credentials = Credentials(api_key=SecretStr(ACCOUNT.api_key), base_url=base_url)
    keyring = load_keyring(load_settings())
    create_configuration(database, keyring, workspace, "stripe", credentials, is_test_mode=True, metadata=NO_LIMITS)
    source = find_source(database, "load:stripe")
    sessions = [open_session(database, source, SyncRequest()) for _ in range(50)]
    _row, key = create_api_key(database, workspace, "load")
    paths = (*(f"{PREFIX}/sessions/{session.id}/status" for session in sessions[:4]), f"{PREFIX}/sessions?limit=20")
    return {"X-API-Key": key.as_text(), "X-Workspace-ID": str(workspace.id)}, paths, source.key


@contextmanager
def running_api(workers: int) -> Iterator[int]:
    """The API in processes of its own, as its port."""
    port = free_port()
    program = str(Path(sys.executable).with_name("cyphera"))
    arguments = [program, "api", "--port", str(port), "--workers", str(workers)]
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        patience = Retrying(
            retry=retry_if_exception_type(OSError), stop=stop_after_delay(READY_WITHIN), wait=wait_fixed(0.1)
        )
        patience(lambda: _get(http.client.HTTPConnection("127.0.0.1", port), "/healthz", {}))
        yield port
    finally:
        process.terminate()
        process.wait()


@contextmanager
def _syncing(source_key: str, *, wanted: bool) -> Iterator[list[int]]:
    """Sync over and over, in processes of their own, until the context is left; yields how many times in a list."""
    done, stop = [0], threading.Event()
    command = [sys.executable, "-m", "cyphera_pipelines_tests.benchmarks.sync_process", source_key, "--full"]

    def run() -> None:
        while wanted and not stop.is_set():
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            done[0] += 1

    thread = threading.Thread(target=run)
    thread.start()
    yield done
    stop.set()
    thread.join()


def _ask(load: Load) -> Answers:
    with ProcessPoolExecutor(CLIENT_PROCESSES, mp_context=multiprocessing.get_context("spawn")) as processes:
        parts = list(processes.map(_ask_with_threads, [load] * CLIENT_PROCESSES))
    return Answers(
        sorted(seconds for part in parts for seconds in part.seconds), sum((part.statuses for part in parts), Counter())
    )


def _ask_with_threads(load: Load) -> Answers:
    seconds: list[float] = []
    statuses: Counter[int] = Counter()

    def run(number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", load.port, timeout=60)
        until, asked = time.monotonic() + load.seconds, number
        while (began := time.monotonic()) < until:
            try:
                status = _get(connection, load.paths[asked % len(load.paths)], load.headers)
            except OSError:
                connection.close()
                status = 0
            seconds.append(time.monotonic() - began)
            statuses[status] += 1
            asked += 1

    with ThreadPoolExecutor(load.clients) as threads:
        list(threads.map(run, range(load.clients)))
    return Answers(seconds, statuses)


def _get(connection: http.client.HTTPConnection, path: str, headers: dict[str, str]) -> int:
    connection.request("GET", path, headers=headers)
    response = connection.getresponse()
    response.read()
    return response.status


def _report(answers: Answers, seconds: float, conditions: str) -> None:
    percentiles = statistics.quantiles(answers.seconds, n=100)
    errors = sum(count for status, count in answers.statuses.items() if status != http.HTTPStatus.OK)
    print(conditions)
    print(f"requests/s   {len(answers.seconds) / seconds:,.0f}")
    print(f"p50          {percentiles[49] * 1000:,.0f} ms")
    print(f"p99          {percentiles[98] * 1000:,.0f} ms")
    print(f"errors       {errors} of {len(answers.seconds)} {dict(answers.statuses)}")


if __name__ == "__main__":
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command(help=__doc__)(main)
    app()
