import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cyphera_pipelines.model.sessions import SyncRequest
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.security.encryption import Keyring
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.sync.engine import SyncJob, run_sync
from cyphera_pipelines.sync.outcome import SyncOutcome
from cyphera_pipelines.sync.request import open_session
from cyphera_pipelines_tests.sync.private_server import DISK_BYTES, PrivateServer

RunSync = Callable[..., SyncOutcome]


@pytest.fixture
def sync_now(database: Database, keyring: Keyring) -> RunSync:
    """Run a sync of a source in this process: `sync_now(source, entities=..., full_sync=...)`."""

    def run(source: Source, **request: object) -> SyncOutcome:
        asked = SyncRequest(**request)  # type: ignore[arg-type]
        return run_sync(SyncJob(database, keyring, source, open_session(database, source, asked), asked))

    return run


@pytest.fixture(scope="session")
def private_server(quick_folder: Path | None) -> Iterator[PrivateServer]:
    """A server that may be broken; where mounting is allowed, on a small disk of its own."""
    with tempfile.TemporaryDirectory(prefix="cyphera", dir=quick_folder) as folder:
        mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "small-disk", folder]
        is_mounted = os.geteuid() == 0 and subprocess.run(mount, capture_output=True, check=False).returncode == 0
        try:
            server = PrivateServer(Path(folder) / "home", is_mounted)
            try:
                yield server
            finally:
                server.close()
        finally:
            if is_mounted:
                # Lazily: this process holds a lock file there to its end.
                subprocess.run(["umount", "--lazy", folder], check=True)
