"""Webhooks that came in: each source that was told something gets a sync of its changes."""

import logging

from dagster import RunRequest

from cyphera_pipelines.model.errors import CypheraError, NotFoundError
from cyphera_pipelines.model.sessions import SyncRequest
from cyphera_pipelines.orchestration.outbox import run_request
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.sessions import SourceActiveError
from cyphera_pipelines.store.sources import find_source
from cyphera_pipelines.store.webhooks import list_sources_with_webhooks
from cyphera_pipelines.sync.request import open_only_session

_log = logging.getLogger(__name__)
SOURCES_PER_TICK = 20
"""However many webhooks come in, a source has one sync at a time, and so many sources begin at once."""


def look_into_inbox(database: Database) -> list[RunRequest]:
    """Open a session for every source with webhooks that nobody applies yet, and ask for its run.

    If the run is never made, the session is pending without one: the outbox sees to it.
    """
    runs = []
    for key in list_sources_with_webhooks(database, limit=SOURCES_PER_TICK):
        try:
            session = open_only_session(database, find_source(database, key), SyncRequest(only_changes=True))
        except (NotFoundError, SourceActiveError):
            # Somebody was faster: the source is gone, or being synced.
            continue
        except CypheraError as error:
            # One workspace's trouble is not the others'.
            _log.warning("No sync was started for the webhooks of %s: %s", key, error)
            continue
        runs.append(run_request(session, key))
    return runs
