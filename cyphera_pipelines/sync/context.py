"""What every part of one sync shares."""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection

from cyphera_pipelines.model.limits import RateLimits
from cyphera_pipelines.model.sessions import Session, SyncRequest
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.providers.base import AccountScope, ProviderClient
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.sync.progress import SyncProgress


@dataclass(frozen=True)
class SyncContext:
    """One sync: of which source, with what, and for which session.

    `key_digest` tells one key from another, `scope` which provider events are of the source's own account.
    `published` is what the provider allows the account.
    `is_cancelled` is asked between pages; `cancel` makes it true for everybody. `check_lock` raises an error if the
    source's lock or claim is lost: then what is done on the connection may not be committed.
    """

    database: Database
    client: ProviderClient
    key_digest: bytes
    scope: AccountScope
    published: RateLimits
    source: Source
    session: Session
    request: SyncRequest
    livemode: bool
    progress: SyncProgress
    is_cancelled: Callable[[], bool]
    cancel: Callable[[], None]
    check_lock: Callable[[Connection], None]
