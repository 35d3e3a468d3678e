"""A whole installation in processes of its own: `cyphera up`, a sandbox, and what a test needs to look into it."""

import itertools
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import httpx
import pytest
from dagster import DagsterInstance, DagsterRun, RunsFilter
from pydantic import SecretStr
from sqlalchemy import text

from cyphera_pipelines import local
from cyphera_pipelines.api.dagster_runs import DagsterRuns
from cyphera_pipelines.cli.running.ports import free_port
from cyphera_pipelines.model.configuration import Credentials
from cyphera_pipelines.model.runs import SESSION_TAG
from cyphera_pipelines.model.sessions import Session, SessionStatus, SyncRequest
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.sandbox import SandboxAccount, SandboxOptions, SandboxProcess
from cyphera_pipelines.security.encryption import Keyring
from cyphera_pipelines.security.keys import load_keyring
from cyphera_pipelines.settings import Settings, project_root
from cyphera_pipelines.store.configurations import create_configuration
from cyphera_pipelines.store.database import Database, open_database
from cyphera_pipelines.store.sessions import claim_session, get_session
from cyphera_pipelines.store.sources import find_source
from cyphera_pipelines.store.workspaces import create_workspace, workspace_slugs
from cyphera_pipelines.sync.request import open_session
from cyphera_pipelines_tests.cli.command import PROGRAM, Cyphera

T = TypeVar("T")
PATIENCE_SECONDS = 180.0
START_SECONDS = 240.0
"""Everything is imported several times over meanwhile."""
NO_LIMITS = {"rate_limits": {"account": 5_000, "endpoint": 5_000}}
_numbers = itertools.count(1)


def wait_for(condition: Callable[[], T | None], *, within: float = PATIENCE_SECONDS) -> T:
    """The first true answer; it has to come in time."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        result = condition()
        if result:
            return result
        time.sleep(0.05)
    raise AssertionError("it did not happen in time")


@dataclass(frozen=True)
class Tenant:
    """A source and the sandbox account behind it."""

    source: Source
    account: SandboxAccount


@dataclass(frozen=True)
class Installation:
    """What `cyphera up` started, seen from outside."""

    cyphera: Cyphera
    database: Database
    keyring: Keyring
    instance: DagsterInstance
    sandbox: SandboxProcess
    dagster_url: str
    api_url: str
    runs: DagsterRuns

    def add_account(self, **account: object) -> SandboxAccount:
        """An account at the sandbox that no other test uses."""
        number = next(_numbers)
        made = SandboxAccount(
            api_key=f"sk_test_endtoend{number:06d}",
            account_id=f"acct_endtoend{number}",
            seed=number,
            **account,  # type: ignore[arg-type]
        )
        self.sandbox.put_account(made)
        return made

    def add_tenant(self, **account: object) -> Tenant:
        """A workspace with a source, whose partition Dagster need not know yet."""
        made = self.add_account(**account)
        workspace = create_workspace(self.database, f"end-to-end-{next(_numbers)}")
        credentials = Credentials(api_key=SecretStr(made.api_key), base_url=self.sandbox.url)
        create_configuration(
            self.database, self.keyring, workspace, "stripe", credentials, is_test_mode=True, metadata=NO_LIMITS
        )
        return Tenant(find_source(self.database, f"{workspace.slug}:stripe"), made)

    def submit(self, source: Source, request: SyncRequest | None = None) -> Session:
        """What the API does for a client that asks for a sync."""
        session = open_session(self.database, source, request or SyncRequest())
        run_id = self.runs.submit(session, source.key)
        assert run_id is not None
        claim_session(self.database, session, run_id)
        return self.reload(session)

    def leave(self, session: Session) -> None:
        """Make it a session whose API died, or could not reach Dagster, a while ago."""
        with self.database.control() as connection:
            earlier = text("UPDATE sync.payment_sync_sessions SET created_at = now() - interval '11 s' WHERE id = :id")
            connection.execute(earlier, {"id": session.id})

    def key_of(self, session: Session) -> str:
        """The source's partition key."""
        return f"{workspace_slugs(self.database)[session.workspace_id]}:{session.provider_name}"

    def reload(self, session: Session) -> Session:
        return get_session(self.database, session.workspace_id, session.id)

    def ended(self, session: Session) -> Session:
        """The session after its end."""
        return wait_for(lambda: found if (found := self.reload(session)).status.is_final else None)

    def under_way(self, session: Session) -> Session:
        """The session once it has fetched something."""
        return wait_for(
            lambda: (
                found
                if (found := self.reload(session)).status is SessionStatus.RUNNING
                and any(counts["fetched"] for _entity, counts in found.entity_progress())
                else None
            )
        )

    def runs_of(self, session: Session) -> list[DagsterRun]:
        """The session's runs, oldest first, once all of them have ended."""

        def found() -> list[DagsterRun] | None:
            runs = self.instance.get_runs(RunsFilter(tags={SESSION_TAG: str(session.id)}), ascending=True)
            return list(runs) if all(run.is_finished for run in runs) else None

        return wait_for(found)


@contextmanager
def slowly(installation: Installation, latency_ms: float = 100) -> Iterator[None]:
    """The provider takes its time, so that a sync lasts long enough to be interrupted."""
    installation.sandbox.set_options(SandboxOptions(latency_ms=latency_ms))
    try:
        yield
    finally:
        installation.sandbox.set_options(SandboxOptions())


@pytest.fixture(scope="package")
def installation(quick_folder: Path | None) -> Iterator[Installation]:
    """One for all tests: it takes seconds to start."""
    with tempfile.TemporaryDirectory(prefix="endtoend", dir=quick_folder) as folder, SandboxProcess([]) as sandbox:
        cyphera = Cyphera(Path(folder) / "home")
        handle = local.start(cyphera.home)
        port, api_port = free_port(), free_port()
        settings = Settings(home=cyphera.home, database_url=None, dagster_database_url=None)
        database, runs = open_database(settings), DagsterRuns(f"http://127.0.0.1:{port}")
        try:
            with _up(cyphera, port, api_port, Path(folder) / "output", runs), _instance_of(cyphera) as instance:
                yield Installation(
                    cyphera,
                    database,
                    load_keyring(settings),
                    instance,
                    sandbox,
                    f"http://127.0.0.1:{port}",
                    f"http://127.0.0.1:{api_port}",
                    runs,
                )
        finally:
            runs.close()
            database.close()
            handle.release()
            local.stop(cyphera.home)


@contextmanager
def _up(cyphera: Cyphera, port: int, api_port: int, output: Path, runs: DagsterRuns) -> Iterator[None]:
    """`cyphera up`, from when everything answers until everything has ended."""
    arguments = ("up", "--port", str(port), "--api-port", str(api_port))
    with output.open("w") as file:
        process = subprocess.Popen(
            [str(PROGRAM), *arguments], env=cyphera.environment, stdout=file, stderr=subprocess.STDOUT
        )
    try:
        health = f"http://127.0.0.1:{api_port}/healthz"
        wait_for(lambda: process.poll() is not None or _answers(health, runs), within=START_SECONDS)
        assert process.poll() is None, output.read_text()
        yield
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            raise


def _answers(url: str, runs: DagsterRuns) -> bool:
    try:
        return httpx.get(url).is_success and not any(runs.problems().values())
    except httpx.TransportError:
        return False


@contextmanager
def _instance_of(cyphera: Cyphera) -> Iterator[DagsterInstance]:
    """Dagster's own view of its runs. Its storage finds the home through the environment, when it is opened."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CYPHERA_HOME", str(cyphera.home))
        patch.setenv("DAGSTER_HOME", str(project_root()))
        opened = DagsterInstance.get()
        opened.get_runs_count()
    with opened as instance:
        yield instance
