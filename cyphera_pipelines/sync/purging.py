"""Purges: ending what still goes on of a source before anything of it is deleted."""

from cyphera_pipelines.model.purges import Purge
from cyphera_pipelines.providers.registry import PROVIDERS
from cyphera_pipelines.store.claims import is_claimed
from cyphera_pipelines.store.configurations import list_providers
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.locks import is_being_synced
from cyphera_pipelines.store.sessions import list_unfinished_sessions
from cyphera_pipelines.sync.cancellation import Cancellation, cancel_sessions


def source_keys_of(database: Database, purge: Purge) -> list[str]:
    """The keys of the sources that the purge is for, whether they still exist or ever did.

    A provider that is not installed any more is known by its configurations only, until those are deleted.
    """
    if purge.provider_name is None:
        providers = sorted({*PROVIDERS, *list_providers(database, purge.workspace_id)})
    else:
        providers = [purge.provider_name]
    return [f"{purge.workspace_slug}:{provider}" for provider in providers]


def end_syncs_of(database: Database, purge: Purge) -> str | None:
    """Cancel whatever of the purge's sources waits or runs, and return what is still to be waited for, if anything.

    No session can be made any more, so that nothing begins once nothing goes on.
    """
    cancellation = Cancellation(f"The {purge.what} is purged.", {"purge_id": str(purge.id)})
    cancel_sessions(database, list_unfinished_sessions(database, purge.workspace_id, purge.provider_name), cancellation)
    for key in source_keys_of(database, purge):
        if is_being_synced(database, purge.workspace_id, key.partition(":")[2]):
            return f"the sync of {key}, which is cancelled, to stop"
        if is_claimed(database, purge.workspace_id, key.partition(":")[2]):
            # It may yet show in Dagster what its sync came to.
            return f"the batch that is at work on {key} to leave it"
    return None
