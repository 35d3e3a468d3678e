"""A look at a source that is due: is there anything to sync? It costs a request or two, and writes nothing."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.sessions import SyncRequest
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.providers.base import (
    Change,
    CredentialsRejectedError,
    ProviderError,
    ProviderUnavailableError,
    RequestAbandonedError,
)
from cyphera_pipelines.providers.registry import find_provider
from cyphera_pipelines.security.encryption import Keyring
from cyphera_pipelines.store.cursors import SyncPosition, read_positions
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.known_rows import KnownRow, find_rows
from cyphera_pipelines.store.synced_accounts import SyncedAccount, read_synced_account
from cyphera_pipelines.store.webhooks import count_waiting
from cyphera_pipelines.sync.client import OpenedAccount, open_client
from cyphera_pipelines.sync.obstacles import obstacles_to_changes
from cyphera_pipelines.sync.watermarks import watermark_at

ATTEMPTS = 3
"""Of each request: others are due, and the source comes up again."""
RATE_LIMIT_PATIENCE = 20.0


@dataclass(frozen=True)
class Needed:
    """The sync that a source needs. `lists_all`: it lists everything, or may have to, which can take long."""

    request: SyncRequest
    lists_all: bool


@dataclass(frozen=True)
class Nothing:
    """The provider told of no change from `since` until `until` that the tables lack.

    `key_digest` tells of which account; `positions` are those of the entities at that.
    """

    since: datetime
    until: datetime
    key_digest: bytes
    positions: Mapping[Entity, SyncPosition]


def look(
    database: Database,
    keyring: Keyring,
    source: Source,
    *,
    is_listing_due: bool,
    is_session_wanted: bool,
    is_cancelled: Callable[[], bool],
) -> Needed | Nothing:
    """The sync that the source needs, or what is known if it needs none.

    Everything is listed where that is due, or where it never was; what else there is to do is a sync of changes, which
    itself lists where changes do not suffice, and says why. `is_session_wanted`: a sync is to show how the source is,
    though nothing be new. Raises ProviderError's kinds, CypheraError for unusable credentials, or a database error.
    """
    livemode, entities = not source.is_test_mode, find_provider(source.provider).entities
    positions = read_positions(database, source, livemode=livemode)
    is_listed = any(position.full_listing_at is not None for position in positions.values())
    if is_listing_due or not is_listed:
        # Goes on with what an earlier listing left undone.
        return Needed(SyncRequest(entities), lists_all=True)
    changes = SyncRequest(entities, only_changes=True)
    opened = open_client(
        database,
        keyring,
        source,
        on_request=lambda: None,
        on_retry=lambda _note: None,
        is_cancelled=is_cancelled,
        attempts=ATTEMPTS,
        rate_limit_patience=RATE_LIMIT_PATIENCE,
    )
    try:
        account = read_synced_account(database, source, livemode=livemode)
        obstacles = obstacles_to_changes(source.provider, entities, positions, opened.client.now())
        if account is None or account.key_digest != opened.key_digest or obstacles:
            return Needed(changes, lists_all=True)
        if is_session_wanted or _is_anything_left(database, source, positions):
            return Needed(changes, lists_all=False)
        return _ask(database, source, opened, account, positions) or Needed(changes, lists_all=False)
    except (CredentialsRejectedError, ProviderUnavailableError, RequestAbandonedError):
        raise
    except ProviderError:
        # The key may not read the provider's events, or there are none: the sync says so.
        return Needed(changes, lists_all=True)
    finally:
        opened.client.close()


def _is_anything_left(database: Database, source: Source, positions: Mapping[Entity, SyncPosition]) -> bool:
    """Whether something waits that is known already: objects that are owed, or what webhooks told."""
    is_owed = any(position.owed for position in positions.values())
    # What was tried just now, and failed, is no reason for a sync by itself.
    return is_owed or count_waiting(database, source) > 0


def _ask(
    database: Database,
    source: Source,
    opened: OpenedAccount,
    account: SyncedAccount,
    positions: Mapping[Entity, SyncPosition],
) -> Nothing | None:
    """Ask for the changes since the earliest watermark. None as soon as there is one that the tables do not know."""
    entities = find_provider(source.provider).entities
    watermarks = [position.watermark for position in positions.values() if position.watermark is not None]
    since, began = min(watermarks), time.monotonic()
    for told in opened.client.changes(entities, int(since.timestamp())):
        own = [each for each in told if not opened.scope.is_foreign(each.account, account.id, was_sent=False)]
        if not _are_known(database, source, own):
            return None
    # The provider's clock is known for certain only from its answers: what it showed when the first was asked for.
    asked_at = opened.client.now() - (time.monotonic() - began)
    return Nothing(since, max(since, watermark_at(asked_at)), opened.key_digest, positions)


def _are_known(database: Database, source: Source, changes: Iterable[Change]) -> bool:
    by_entity: dict[Entity, list[Change]] = {}
    for change in changes:
        by_entity.setdefault(change.entity, []).append(change)
    livemode = not source.is_test_mode
    for entity, of_entity in by_entity.items():
        with database.tenant(source.workspace_id) as connection:
            ids = [change.object_id for change in of_entity]
            rows = find_rows(connection, source, entity, ids, livemodes=[livemode])
        if not all(is_known(change, rows.get((livemode, change.object_id))) for change in of_entity):
            return False
    return True


def is_known(change: Change, row: KnownRow | None) -> bool:
    """Whether the row is of the change, or of what came after it.

    What has to be fetched, or of which the newest event does not tell everything, is known only by what is later.
    """
    if row is None or not row.is_version_known:
        return False
    tells_all = row.is_deleted if change.is_deleted else change.snapshot is not None and not row.is_deleted
    return row.version > change.version or (tells_all and row.version == change.version)
