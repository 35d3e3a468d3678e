"""A process that syncs one source with the engine alone: `sync_process.py SOURCE`. It prints how the session ended.

`start_sync` forks such processes off one that has imported the engine: most of their time is that import.
"""

import multiprocessing
import os
import sys
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

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


def start_sync(source: Source, home: Path, **request: Any) -> BaseProcess:
    """Start syncing the source, which is in the embedded database of `home`, in pages of ten objects.

    The exit code is 0 if the engine came to an end of its own, 1 if it raised.
    """
    process = _forks.Process(target=_sync_of_home, args=(home, source.key, {"batch_size": 10, **request}), daemon=True)
    process.start()
    return process


def _sync_of_home(home: Path, source_key: str, request: dict[str, Any]) -> None:
    os.environ["CYPHERA_HOME"] = str(home)
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
