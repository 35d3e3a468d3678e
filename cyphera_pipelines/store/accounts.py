"""Which provider accounts a workspace calls its own, or has reached."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import and_, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError

from cyphera_pipelines.model.audit import Action
from cyphera_pipelines.model.error_codes import ErrorCode
from cyphera_pipelines.model.errors import ConflictError
from cyphera_pipelines.model.quotas import Quotas
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.model.storable import storable
from cyphera_pipelines.store.audit import record_action
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.quotas import check_accounts
from cyphera_pipelines.store.tables import synced_accounts
from cyphera_pipelines.store.tables import workspace_provider_accounts as accounts


@dataclass(frozen=True)
class RegisteredAccount:
    """A row of `workspace_provider_accounts`. `reached_at` is None where there is only the workspace's own word."""

    id: UUID
    workspace_id: UUID
    provider_name: str
    account_id: str
    livemode: bool
    account_type: str | None
    environment: str | None
    display_name: str | None
    account_name: str | None
    is_active: bool
    metadata: dict[str, Any]
    first_seen_at: datetime
    last_seen_at: datetime
    reached_at: datetime | None
    updated_at: datetime


@dataclass(frozen=True)
class AccountClaim:
    """What a workspace says of an account. None leaves what was said before; not `is_active` claims nothing."""

    account_id: str
    livemode: bool
    is_active: bool = True
    account_type: str | None = None
    environment: str | None = None
    display_name: str | None = None
    metadata: dict[str, Any] | None = None


class AccountTakenError(ConflictError):
    """The account is another workspace's. The message does not say whose."""

    code = ErrorCode.ACCOUNT_TAKEN

    def __init__(self, account_id: str) -> None:
        super().__init__(
            f"Account {account_id} is another workspace's: an account belongs to one workspace. If that one has only "
            "registered it, it becomes yours as soon as a connection test or a sync of yours reaches it."
        )


_SHOWN = [accounts.c[name] for name in RegisteredAccount.__dataclass_fields__]
_KEY = ("workspace_id", "provider_name", "account_id", "livemode")


def record_account(
    database: Database, workspace_id: UUID, provider: str, account_id: str, name: str | None, *, livemode: bool
) -> None:
    """Note that the workspace's credentials reached this account just now.

    It is this workspace's from then on unless another one has reached it before. What others have only registered gives
    way.
    """
    key = (workspace_id, provider, storable(account_id), livemode)
    try:
        _note_reached(database, key, name, is_active=True)
    except IntegrityError:
        _take_back_claims_of_others(database, key)
        try:
            _note_reached(database, key, name, is_active=True)
        except IntegrityError:
            _note_reached(database, key, name, is_active=False)


def register_account(
    database: Database, workspace_id: UUID, provider: str, claim: AccountClaim, *, quotas: Quotas | None = None
) -> RegisteredAccount:
    """Note that the account is the workspace's, by its own word.

    It proves nothing: whoever routes webhooks must go by the accounts that a connection has reached
    (`record_account`), never by these. Raises AccountTakenError and QuotaReachedError.
    """
    key = dict(zip(_KEY, (workspace_id, provider, claim.account_id, claim.livemode), strict=True))
    said = {name: value for name, value in asdict(claim).items() if value is not None and name not in _KEY}
    statement = insert(accounts).values(key | said)
    statement = statement.on_conflict_do_update(
        index_elements=_KEY,
        set_={**{name: statement.excluded[name] for name in said}, "updated_at": func.now()},
        where=or_(*(accounts.c[name].is_distinct_from(statement.excluded[name]) for name in said)),
    )
    find = select(*_SHOWN).where(*(accounts.c[name] == value for name, value in key.items()))
    try:
        with database.tenant(workspace_id, alone=quotas is not None) as connection:
            if quotas is not None and connection.execute(find).first() is None:
                check_accounts(connection, quotas)
            if connection.execute(statement).rowcount == 1:
                details = {"provider": provider, "livemode": claim.livemode}
                record_action(connection, workspace_id, Action.ACCOUNT_REGISTERED, claim.account_id, details)
            row = connection.execute(find).one()
    except IntegrityError:
        raise AccountTakenError(claim.account_id) from None
    return RegisteredAccount(**row._mapping)


@dataclass(frozen=True)
class ReachedAccount:
    """The account that a source was synced from last; its name is None where the provider tells none."""

    id: str
    name: str | None


def find_reached_account(database: Database, source: Source) -> ReachedAccount | None:
    """The source's account, or None before its first sync and where the key may not read it."""
    livemode = not source.is_test_mode
    statement = (
        select(synced_accounts.c.account_id, accounts.c.account_name)
        .outerjoin(
            accounts,
            and_(
                accounts.c.workspace_id == synced_accounts.c.workspace_id,
                accounts.c.provider_name == synced_accounts.c.provider_name,
                accounts.c.livemode == synced_accounts.c.livemode,
                accounts.c.account_id == synced_accounts.c.account_id,
            ),
        )
        .where(
            synced_accounts.c.workspace_id == source.workspace_id,
            synced_accounts.c.provider_name == source.provider,
            synced_accounts.c.livemode == livemode,
            synced_accounts.c.account_id.is_not(None),
        )
    )
    with database.tenant(source.workspace_id) as connection:
        row = connection.execute(statement).one_or_none()
    return None if row is None else ReachedAccount(row.account_id, row.account_name)


def page_accounts(
    database: Database, workspace_id: UUID, *, limit: int, offset: int
) -> tuple[list[RegisteredAccount], int]:
    """A page of the workspace's accounts, oldest first, and how many there are in all."""
    order = (accounts.c.first_seen_at, accounts.c.provider_name, accounts.c.account_id, accounts.c.livemode)
    page = select(*_SHOWN).order_by(*order).limit(limit).offset(offset)
    with database.tenant(workspace_id) as connection:
        found = [RegisteredAccount(**row._mapping) for row in connection.execute(page)]
        return found, connection.execute(select(func.count()).select_from(accounts)).scalar_one()


_Key = tuple[UUID, str, str | None, bool]


def _note_reached(database: Database, key: _Key, name: str | None, *, is_active: bool) -> None:
    """Raises IntegrityError if the account is to be this workspace's and is another one's."""
    statement = insert(accounts).values(
        **dict(zip(_KEY, key, strict=True)), account_name=storable(name), is_active=is_active, reached_at=func.now()
    )
    statement = statement.on_conflict_do_update(
        index_elements=_KEY,
        set_={
            "account_name": statement.excluded.account_name,
            "last_seen_at": func.now(),
            "reached_at": func.now(),
        },
    )
    with database.tenant(key[0]) as connection:
        connection.execute(statement)


def _take_back_claims_of_others(database: Database, key: _Key) -> None:
    workspace_id, provider, account_id, livemode = key
    statement = (
        update(accounts)
        .where(
            accounts.c.provider_name == provider,
            accounts.c.account_id == account_id,
            accounts.c.livemode == livemode,
            accounts.c.workspace_id != workspace_id,
            accounts.c.is_active,
            accounts.c.reached_at.is_(None),
        )
        .values(is_active=False, updated_at=func.now())
    )
    with database.control() as connection:
        connection.execute(statement)
