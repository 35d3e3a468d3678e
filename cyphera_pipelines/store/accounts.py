"""Which provider accounts a workspace calls its own, or has reached."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import and_, func, select
from sqlalchemy.dialects.postgresql import insert

from cyphera_pipelines.model.audit import Action
from cyphera_pipelines.model.quotas import Quotas
from cyphera_pipelines.model.storable import storable
from cyphera_pipelines.store.audit import record_action
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.quotas import check_accounts
from cyphera_pipelines.store.tables import workspace_provider_accounts as accounts


@dataclass(frozen=True)
class RegisteredAccount:
    """A row of `workspace_provider_accounts`."""

    provider_name: str
    account_id: str
    livemode: bool
    account_name: str | None
    first_seen_at: datetime
    last_seen_at: datetime


_SHOWN = [accounts.c[name] for name in RegisteredAccount.__dataclass_fields__]


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
        account_id=storable(account_id),
        livemode=livemode,
        account_name=storable(name),
    )
    statement = statement.on_conflict_do_update(
        index_elements=["workspace_id", "provider_name", "account_id", "livemode"],
        set_={"account_name": statement.excluded.account_name, "last_seen_at": func.now()},
    )
    with database.tenant(workspace_id) as connection:
        connection.execute(statement)


def register_account(
    database: Database,
    workspace_id: UUID,
    provider: str,
    account_id: str,
    *,
    livemode: bool,
    quotas: Quotas | None = None,
) -> RegisteredAccount:
    """Note that the account is the workspace's, by its own word. What is noted already stays as it is.

    It proves nothing, and other workspaces may say the same: whoever routes webhooks must go by the accounts that a
    connection has reached (`record_account`), never by these. Raises QuotaReachedError.
    """
    values = {
        "workspace_id": workspace_id,
        "provider_name": provider,
        "account_id": account_id,
        "livemode": livemode,
    }
    own = and_(*(accounts.c[name] == value for name, value in values.items()))
    find = select(*_SHOWN).where(own)
    with database.tenant(workspace_id, alone=quotas is not None) as connection:
        if quotas is not None and connection.execute(find).first() is None:
            check_accounts(connection, quotas)
        if connection.execute(insert(accounts).values(values).on_conflict_do_nothing()).rowcount == 1:
            details = {"provider": provider, "livemode": livemode}
            record_action(connection, workspace_id, Action.ACCOUNT_REGISTERED, account_id, details)
        row = connection.execute(find).one()
    return RegisteredAccount(**row._mapping)


def page_accounts(
    database: Database, workspace_id: UUID, *, limit: int, offset: int
) -> tuple[list[RegisteredAccount], int]:
    """A page of the workspace's accounts, oldest first, and how many there are in all."""
    order = (accounts.c.first_seen_at, accounts.c.provider_name, accounts.c.account_id, accounts.c.livemode)
    page = select(*_SHOWN).order_by(*order).limit(limit).offset(offset)
    with database.tenant(workspace_id) as connection:
        found = [RegisteredAccount(**row._mapping) for row in connection.execute(page)]
        return found, connection.execute(select(func.count()).select_from(accounts)).scalar_one()
