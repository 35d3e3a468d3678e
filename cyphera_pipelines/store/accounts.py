"""Which provider account belongs to which workspace."""

from uuid import UUID

from sqlalchemy import func
from sqlalchemy.dialects.postgresql import insert

from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.tables import workspace_provider_accounts as accounts


def record_account(
    database: Database,
    workspace_id: UUID,
    provider: str,
    account_id: str,
    name: str | None,
    *,
    livemode: bool,
) -> None:
    """Note that the workspace's credentials reached this account just now."""
    statement = insert(accounts).values(
        workspace_id=workspace_id,
        provider_name=provider,
        account_id=account_id,
        livemode=livemode,
        account_name=name,
    )
    statement = statement.on_conflict_do_update(
        index_elements=["workspace_id", "provider_name", "account_id", "livemode"],
        set_={"account_name": name, "last_seen_at": func.now()},
    )
    with database.tenant(workspace_id) as connection:
        connection.execute(statement)
