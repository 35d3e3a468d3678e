"""Which account a source's rows and positions are of."""

from dataclasses import dataclass

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from cyphera_pipelines.model.source import Source
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.tables import missing_objects, sync_cursors, synced_accounts, webhook_events
from cyphera_pipelines.store.webhooks import WebhookTarget


@dataclass(frozen=True)
class SyncedAccount:
    """An account as it was last synced. `id` is None where the key may not read it."""

    id: str | None
    key_digest: bytes


def read_synced_account(database: Database, source: Source | WebhookTarget, *, livemode: bool) -> SyncedAccount | None:
    """The account that the source was synced from last; None before its first sync."""
    statement = select(synced_accounts.c.account_id, synced_accounts.c.key_digest).where(
        synced_accounts.c.workspace_id == source.workspace_id,
        synced_accounts.c.provider_name == source.provider,
        synced_accounts.c.livemode == livemode,
    )
    with database.tenant(source.workspace_id) as connection:
        row = connection.execute(statement).one_or_none()
    return None if row is None else SyncedAccount(row.account_id, bytes(row.key_digest))


def save_synced_account(
    database: Database, source: Source, account: SyncedAccount, *, livemode: bool, forgets_positions: bool
) -> None:
    """Note the account that is synced from now on.

    Where it is another one, the positions of the last are forgotten, and so is what webhooks told of that.
    """
    values = {"account_id": account.id, "key_digest": account.key_digest}
    key = {"workspace_id": source.workspace_id, "provider_name": source.provider, "livemode": livemode}
    statement = insert(synced_accounts).values(**key, **values)
    statement = statement.on_conflict_do_update(index_elements=list(key), set_=values | {"updated_at": func.now()})
    with database.tenant(source.workspace_id) as connection:
        connection.execute(statement)
        if forgets_positions:
            connection.execute(
                update(sync_cursors)
                .where(
                    sync_cursors.c.workspace_id == source.workspace_id,
                    sync_cursors.c.provider_name == source.provider,
                    sync_cursors.c.livemode == livemode,
                )
                .values(watermark=None, unfinished=None, full_listing_at=None, owed=[], updated_at=func.now())
            )
            connection.execute(
                delete(missing_objects).where(
                    missing_objects.c.workspace_id == source.workspace_id,
                    missing_objects.c.provider_name == source.provider,
                    missing_objects.c.livemode == livemode,
                )
            )
            connection.execute(
                update(webhook_events)
                .where(
                    webhook_events.c.workspace_id == source.workspace_id,
                    webhook_events.c.provider_name == source.provider,
                    webhook_events.c.livemode == livemode,
                    webhook_events.c.handled_at.is_(None),
                )
                .values(handled_at=func.now())
            )
