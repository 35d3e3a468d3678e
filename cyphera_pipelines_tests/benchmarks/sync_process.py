"""A process that syncs one source and prints what it took: `... SOURCE [--full] [--delta]`, the result as JSON."""

import sys

import orjson

from cyphera_pipelines.model.sessions import SyncRequest
from cyphera_pipelines.security.keys import load_keyring
from cyphera_pipelines.settings import load_settings
from cyphera_pipelines.store.database import open_database
from cyphera_pipelines.store.sources import find_source
from cyphera_pipelines.sync.engine import SyncJob, run_sync
from cyphera_pipelines.sync.request import open_session
from cyphera_pipelines_tests.benchmarks.consumption import measured


def main() -> None:
    """Sync, then print the session's status and error, the consumption, and each entity's counts."""
    settings = load_settings()
    database, keyring = open_database(settings), load_keyring(settings)
    source = find_source(database, sys.argv[1])
    request = SyncRequest(full_sync="--full" in sys.argv, only_changes="--delta" in sys.argv)
    with measured(settings.home) as consumption:
        session = open_session(database, source, request)
        outcome = run_sync(SyncJob(database, keyring, source, session, request))
    result = {
        "status": outcome.status,
        "error": (outcome.error_summary or {}).get("message"),
        "consumption": consumption,
        "entities": outcome.entities,
    }
    print(orjson.dumps(result, option=orjson.OPT_NON_STR_KEYS).decode())


if __name__ == "__main__":
    main()
