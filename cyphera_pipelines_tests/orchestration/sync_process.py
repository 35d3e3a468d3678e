"""`cyphera sync` without the command line: carries out a session given by source key and id, for tests that interrupt.

Usage: python -m cyphera_pipelines_tests.orchestration.sync_process SOURCE_KEY SESSION_ID BATCH_SIZE
"""

import sys
from uuid import UUID

from cyphera_pipelines.model.sessions import SyncRequest
from cyphera_pipelines.orchestration.run import run_source_sync
from cyphera_pipelines.settings import load_settings
from cyphera_pipelines.store.database import open_database
from cyphera_pipelines.store.sessions import get_session
from cyphera_pipelines.store.sources import find_source


def main(key: str, session_id: str, batch_size: str) -> None:
    database = open_database(load_settings())
    source = find_source(database, key)
    session = get_session(database, source.workspace_id, UUID(session_id))
    run_source_sync(database, source, session, SyncRequest(batch_size=int(batch_size)))


if __name__ == "__main__":
    main(*sys.argv[1:])
