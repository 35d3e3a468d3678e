"""Accounts that were synced from a sandbox, ready to be counted."""

from collections.abc import Callable

from sqlalchemy import text

from cyphera_pipelines.model.sessions import SyncRequest
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.sandbox import ChargebeeSite, SandboxAccount, SandboxServer
from cyphera_pipelines.security.encryption import Keyring
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.sync.engine import SyncJob, run_sync
from cyphera_pipelines.sync.request import open_session
from cyphera_pipelines_tests.receiver import wait_for


def synced(
    account: SandboxAccount | ChargebeeSite, database: Database, keyring: Keyring, add_source: Callable[..., Source]
) -> Source:
    """A source of that account, synced once."""
    with SandboxServer([account]) as sandbox:
        site = account.site if isinstance(account, ChargebeeSite) else None
        source = add_source(account.api_key, sandbox.url, site=site)
        session = open_session(database, source, SyncRequest())
        run_sync(SyncJob(database, keyring, source, session, SyncRequest()))
    wait_for(lambda: _held_by_now(database, source))
    return source


def _held_by_now(database: Database, source: Source) -> bool:
    """A provider's clock may be a second ahead of ours: what it holds then is counted from then on."""
    with database.tenant(source.workspace_id) as connection:
        return bool(connection.execute(_HELD_BY_NOW).scalar_one())


_HELD_BY_NOW = text("SELECT coalesce(max(held_at) < now(), true) FROM payments.subscription_history")
