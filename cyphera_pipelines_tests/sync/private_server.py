"""An embedded Postgres that belongs to the tests that break it: stopped, full, out of connections."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import psycopg2
from pydantic import SecretStr
from sqlalchemy import text

from cyphera_pipelines import local
from cyphera_pipelines.local.account import account_for
from cyphera_pipelines.local.cluster import HomeFiles, installation
from cyphera_pipelines.local.locks import is_unlocked, wait_until
from cyphera_pipelines.model.configuration import Credentials
from cyphera_pipelines.model.sessions import SyncRequest
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.security.encryption import Keyring
from cyphera_pipelines.security.keys import load_keyring
from cyphera_pipelines.settings import Settings
from cyphera_pipelines.store.configurations import create_configuration
from cyphera_pipelines.store.database import Database, open_database
from cyphera_pipelines.store.events import RecordedEvent, list_events
from cyphera_pipelines.store.sessions import list_sessions
from cyphera_pipelines.store.sources import find_source
from cyphera_pipelines.sync.engine import SyncJob, run_sync
from cyphera_pipelines.sync.outcome import SyncOutcome
from cyphera_pipelines.sync.request import open_session
from cyphera_pipelines_tests.conftest import new_workspace

FAST, IMMEDIATE = signal.SIGINT, signal.SIGQUIT
"""Postgres' ways to shut down: every session is ended and everything is written; or as in a crash."""

DISK_BYTES = 256 * 2**20
LARGEST_FILE_BYTES = 2**20
DEADLINE_SECONDS = 300.0


@dataclass
class PrivateServer:
    """A home with a server of its own. `has_small_disk` tells whether it has a file system of its own too."""

    home: Path
    has_small_disk: bool
    _uses: list[local.EmbeddedPostgres] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._files = HomeFiles(self.home)
        self.start()
        self.stop(FAST)
        # A limit on the size of files must be able to spare the WAL: without that, Postgres ends at once.
        self._as_its_account(str(installation() / "bin" / "pg_resetwal"), "--wal-segsize=1", f"--pgdata={self.data}")
        self.start()
        settings = Settings(home=self.home)
        self.database: Database = open_database(settings, application_name="private server's test")
        self.keyring: Keyring = load_keyring(settings)

    @property
    def data(self) -> Path:
        """The data directory."""
        return self._files.data

    def add_source(self, api_key: str, base_url: str) -> Source:
        """A source in a workspace of its own."""
        workspace = new_workspace(self.database)
        create_configuration(
            self.database,
            self.keyring,
            workspace,
            "stripe",
            Credentials(api_key=SecretStr(api_key), base_url=base_url),
            is_test_mode=True,
            metadata={"rate_limits": {"account": 5_000, "endpoint": 5_000}},
        )
        return find_source(self.database, f"{workspace.slug}:stripe")

    def start(self) -> None:
        """Start the server, if it does not run, and wait until it has recovered."""
        self._uses.append(local.start(self.home))

    def stop(self, how: signal.Signals) -> None:
        """Stop the server and wait until its last process is gone."""
        self._postmaster().send_signal(how)
        assert wait_until(lambda: is_unlocked(self._files.server_lock), DEADLINE_SECONDS)

    def close(self) -> None:
        """Stop the server for good."""
        self.database.close()
        for use in self._uses:
            use.release()
        local.stop(self.home)

    def events_of(self, source: Source) -> list[RecordedEvent]:
        """The events of all the source's sessions."""
        of_source = list_sessions(self.database, source.workspace_id)
        return [event for each in of_source for event in list_events(self.database, source.workspace_id, each.id)]

    def has_connection(self, condition: str) -> bool:
        """Whether `pg_stat_activity` has a row that meets the condition; looked at anew in every transaction only."""
        with self.database.control() as connection:
            found = connection.execute(text(f"SELECT EXISTS (SELECT 1 FROM pg_stat_activity WHERE {condition})"))
            return bool(found.scalar_one())

    def sync(self, source: Source, **request: Any) -> SyncOutcome:
        """Sync the source in this process, in pages of ten objects."""
        asked = SyncRequest(**{"batch_size": 10, **request})
        session = open_session(self.database, source, asked)
        return run_sync(SyncJob(self.database, self.keyring, source, session, asked))

    @contextmanager
    def files_limited(self) -> Iterator[None]:
        """No process of the server can write beyond the first megabyte of a file."""
        self._limit_files(f"{LARGEST_FILE_BYTES}:")
        try:
            yield
        finally:
            self._limit_files("unlimited:")

    @contextmanager
    def disk_filled(self) -> Iterator[None]:
        """Not a byte is left on the disk. The WAL of the next minutes has its place already: without, Postgres ends."""
        assert self.has_small_disk, "this would fill a disk that others use"
        with self.database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("SELECT pg_logical_emit_message(true, '', repeat('x', 16000000))"))
            # The session's end is to find room where its heartbeats were.
            connection.execute(text("VACUUM sync.payment_sync_sessions"))
            connection.execute(text("CHECKPOINT"))
        ballast = self.home / "ballast"
        with ballast.open("wb") as file, suppress(OSError):
            while True:
                os.posix_fallocate(file.fileno(), file.seek(0, os.SEEK_END), shutil.disk_usage(self.home).free or 1)
        try:
            yield
        finally:
            ballast.unlink()

    @contextmanager
    def connections_taken(self) -> Iterator[None]:
        """Somebody else has all the connections that were free."""
        taken = []
        try:
            with suppress(psycopg2.OperationalError):
                while True:
                    taken.append(psycopg2.connect(self._uses[-1].psql_url()))
            yield
        finally:
            for connection in taken:
                connection.close()

    def _limit_files(self, limit: str) -> None:
        # The postmaster first: whatever it starts from now on inherits the limit.
        self._as_its_account("prlimit", f"--pid={self._postmaster().pid}", f"--fsize={limit}")
        for process in self._postmaster().children():
            try:
                self._as_its_account("prlimit", f"--pid={process.pid}", f"--fsize={limit}")
            except subprocess.CalledProcessError:
                # It has ended meanwhile, as that of a client that left.
                if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                    raise

    def _postmaster(self) -> psutil.Process:
        return psutil.Process(int((self.data / "postmaster.pid").read_text().splitlines()[0]))

    def _as_its_account(self, *command: str) -> None:
        account = account_for(self.data)
        identity = {"user": account.user_id, "group": account.group_id, "extra_groups": []} if account.switches else {}
        subprocess.run(command, cwd=self.data, check=True, capture_output=True, **identity)  # type: ignore[call-overload]
