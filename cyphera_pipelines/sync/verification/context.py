"""What every part of one verification shares."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from sqlalchemy import Connection

from cyphera_pipelines.model.limits import RateLimits
from cyphera_pipelines.model.sessions import Session
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.providers.base import AccountScope, ProviderClient
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.sync.listing import ListingStart
from cyphera_pipelines.sync.progress import SyncProgress


@dataclass(frozen=True)
class VerificationContext:
    """One verification: of which source, with what, and since when.

    `scope` tells which provider events are of the source's own account, `published` what the provider allows it.
    `session` is the session that mends what differs; None if nothing is to be written. `is_cancelled` is asked between
    pages; `cancel` makes it true for everybody.
    """

    database: Database
    client: ProviderClient
    scope: AccountScope
    published: RateLimits
    source: Source
    start: ListingStart
    session: Session | None
    progress: SyncProgress
    is_cancelled: Callable[[], bool]
    cancel: Callable[[], None]

    @property
    def livemode(self) -> bool:
        """The mode of the account's objects."""
        return not self.source.is_test_mode

    def tenant(self, connection: Connection) -> AbstractContextManager[Connection]:
        """A transaction of the source's workspace on the connection."""
        return self.database.tenant(self.source.workspace_id, connection)
