"""A process that syncs one source with the engine alone: `sync_process.py SOURCE`. It prints how the session ended.

`start_sync` forks such processes off one that has imported the engine: most of their time is that import.
"""

import multiprocessing
import os
import sys
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from cyphera_pipelines import local
from cyphera_pipelines.model.sessions import SyncRequest
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.security.keys import load_keyring
from cyphera_pipelines.settings import load_settings
from cyphera_pipelines.store.database import open_database
from cyphera_pipelines.store.sources import find_source
from cyphera_pipelines.sync.engine import SyncJob, run_sync
from cyphera_pipelines.sync.request import open_session

_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(["__main__", __name__])


def start_sync(source: Source, home: Path, *, as_own_server: bool = False, **request: Any) -> BaseProcess:
    """Start syncing the source, which is in the embedded database of `home`, in pages of ten objects.

    `as_own_server`: as if it were the operator's own, which nobody but him starts again when it has ended. The exit
    code is 0 if the engine came to an end of its own, 1 if it raised.
    """
    arguments = (home, as_own_server, source.key, {"batch_size": 10, **request})
    process = _forks.Process(target=_sync_of_home, args=arguments, daemon=True)
    process.start()
    return process


def _sync_of_home(home: Path, as_own_server: bool, source_key: str, request: dict[str, Any]) -> None:
    os.environ["CYPHERA_HOME"] = str(home)
    if as_own_server:
        os.environ["CYPHERA_DATABASE_URL"] = local.start(home).psql_url()
        os.environ["PAYMENT_SYNC_ENCRYPTION_KEY"] = (home / "encryption.key").read_text()
        os.environ["CYPHERA_PROVIDER_HOSTS"] = "127.0.0.1"
    sync(source_key, SyncRequest(**request))


def sync(source_key: str, request: SyncRequest) -> str:
    settings = load_settings()
    database = open_database(settings, application_name="sync")
    source = find_source(database, source_key)
    session = open_session(database, source, request)
    outcome = run_sync(SyncJob(database, load_keyring(settings), source, session, request))
    return outcome.status.value


if __name__ == "__main__":
    print(sync(sys.argv[1], SyncRequest(batch_size=10)))
