"""A process that syncs many sources, several at once: `... first|delta AT_ONCE FILE`.

The file names a source a line. How the sessions ended, one of their errors, and what it took are printed as JSON.
"""

import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import orjson

from cyphera_pipelines.model.sessions import SyncRequest
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.security.keys import load_keyring
from cyphera_pipelines.settings import load_settings
from cyphera_pipelines.store.database import open_database
from cyphera_pipelines.store.sources import list_sources
from cyphera_pipelines.sync.engine import SyncJob, run_sync
from cyphera_pipelines.sync.outcome import SyncOutcome
from cyphera_pipelines.sync.request import open_session
from cyphera_pipelines_tests.benchmarks.consumption import measured

CONNECTIONS = 80
"""For 32 syncs at once: a lock each, and one for each that they share. The embedded server allows 200 in all."""


def main() -> None:
    """Sync all of them."""
    what, at_once, listed = sys.argv[1:]
    settings = load_settings()
    database, keyring = open_database(settings, pool_size=CONNECTIONS), load_keyring(settings)
    keys = set(Path(listed).read_text().splitlines())
    request = SyncRequest(only_changes=what == "delta")

    def sync(source: Source) -> SyncOutcome:
        session = open_session(database, source, request)
        return run_sync(SyncJob(database, keyring, source, session, request))

    with measured(settings.home) as consumption, ThreadPoolExecutor(int(at_once)) as batch:
        sources = [source for source in list_sources(database) if source.key in keys]
        outcomes = list(batch.map(sync, sources))
    errors = [outcome.error_summary["message"] for outcome in outcomes if outcome.error_summary]
    statuses = Counter(outcome.status.value for outcome in outcomes)
    result = {"statuses": statuses, "error": errors[0] if errors else None, "consumption": consumption}
    print(orjson.dumps(result).decode())


if __name__ == "__main__":
    main()
