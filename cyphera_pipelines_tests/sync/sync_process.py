"""A process that syncs one source with the engine alone: `sync_process.py SOURCE`. It prints how the session ended."""

import sys

from cyphera_pipelines.model.sessions import SyncRequest
from cyphera_pipelines.security.keys import load_keyring
from cyphera_pipelines.settings import load_settings
from cyphera_pipelines.store.database import open_database
from cyphera_pipelines.store.sources import find_source
from cyphera_pipelines.sync.engine import SyncJob, run_sync
from cyphera_pipelines.sync.request import open_session


def main() -> None:
    settings = load_settings()
    database = open_database(settings)
    source, request = find_source(database, sys.argv[1]), SyncRequest(batch_size=10)
    session = open_session(database, source, request)
    outcome = run_sync(SyncJob(database, load_keyring(settings), source, session, request))
    print(outcome.status.value)


if __name__ == "__main__":
    main()
