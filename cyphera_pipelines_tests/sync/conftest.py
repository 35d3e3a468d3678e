from collections.abc import Callable

import pytest

from cyphera_pipelines.model.sessions import SyncRequest
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.security.encryption import Keyring
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.sync.engine import SyncJob, run_sync
from cyphera_pipelines.sync.outcome import SyncOutcome
from cyphera_pipelines.sync.request import open_session

RunSync = Callable[..., SyncOutcome]


@pytest.fixture
def sync_now(database: Database, keyring: Keyring) -> RunSync:
    """Run a sync of a source in this process: `sync_now(source, entities=..., full_sync=...)`."""

    def run(source: Source, **request: object) -> SyncOutcome:
        asked = SyncRequest(**request)  # type: ignore[arg-type]
        return run_sync(SyncJob(database, keyring, source, open_session(database, source, asked), asked))

    return run
