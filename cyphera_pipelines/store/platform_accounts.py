"""Which accounts a workspace may read with the platform's key.

The platform's key opens the account of every tenant. So a workspace's word does not suffice, nor does it that the key
reaches the account: an operator ties each account to one workspace, and nobody else can.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, delete, select
from sqlalchemy.dialects.postgresql import insert

from cyphera_pipelines.model.actor import current_actor
from cyphera_pipelines.model.audit import Action
from cyphera_pipelines.model.error_codes import ErrorCode
from cyphera_pipelines.model.errors import ConflictError, NotFoundError
from cyphera_pipelines.model.workspace import Workspace
from cyphera_pipelines.store.audit import record_action
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.tables import platform_accounts, workspaces
from cyphera_pipelines.store.tables import workspace_provider_accounts as accounts

OWN = ""
"""Stands for the platform's own account, which events do not name."""


@dataclass(frozen=True)
class PlatformAccount:
    """An account that the workspace of that slug may read with the platform's key."""

    workspace: str
    provider_name: str
    account_id: str
    livemode: bool
    allowed_by: str
    created_at: datetime


class AccountNotAllowedError(ConflictError):
    """The workspace may not read that account with the platform's key."""

    code = ErrorCode.ACCOUNT_NOT_ALLOWED

    def __init__(self, account_id: str | None) -> None:
        named = "the platform's own account" if account_id is None else f"account {account_id}"
        super().__init__(
            f"The workspace may not read {named} with the platform's key: an operator has to tie it to the workspace, "
            "with: cyphera workspace allow-account SLUG PROVIDER ACCOUNT. Or give the configuration a key of its own."
        )


def allow_account(
    database: Database, workspace: Workspace, provider: str, account_id: str | None, *, livemode: bool
) -> None:
    """Tie the account to the workspace; None is the platform's own. Tied already, it stays so.

    Raises ConflictError if it is tied to another workspace, or another one has reached it with a key of its own.
    """
    named = OWN if account_id is None else account_id
    key = {"provider_name": provider, "account_id": named, "livemode": livemode}
    tied = insert(platform_accounts).values(**key, workspace_id=workspace.id, allowed_by=current_actor().id)
    with database.control() as connection:
        is_new = connection.execute(tied.on_conflict_do_nothing()).rowcount == 1
        owner = select(platform_accounts.c.workspace_id).filter_by(**key)
        is_of_other = connection.execute(owner).scalar_one() != workspace.id
        # An organization's key takes a path to the account, whose last part is its id.
        reached = select(accounts.c.workspace_id).filter_by(**key | {"account_id": named.rpartition("/")[2]})
        reached = reached.where(accounts.c.is_active)
        reached = reached.where(accounts.c.reached_at.is_not(None), accounts.c.workspace_id != workspace.id)
        if is_of_other or connection.execute(reached).first() is not None:
            raise ConflictError(
                f"{account_id or 'The own account of the platform'} is another workspace's: an account belongs to one. "
                "See: cyphera workspace allowed-accounts, and cyphera source list.",
                code=ErrorCode.ACCOUNT_TAKEN,
            )
        if is_new:
            details = {"provider": provider, "livemode": livemode}
            record_action(connection, workspace.id, Action.ACCOUNT_ALLOWED, named or "own", details)


def disallow_account(
    database: Database, workspace: Workspace, provider: str, account_id: str | None, *, livemode: bool
) -> None:
    """Take it back: the platform's key is no longer used for it. Raises NotFoundError if it is not tied so."""
    named = OWN if account_id is None else account_id
    mine = delete(platform_accounts).filter_by(
        workspace_id=workspace.id, provider_name=provider, account_id=named, livemode=livemode
    )
    with database.control() as connection:
        if connection.execute(mine).rowcount == 0:
            raise NotFoundError(
                f"{account_id or 'The own account of the platform'} is not tied to workspace {workspace.slug!r} in "
                f"{'live' if livemode else 'test'} mode. See: cyphera workspace allowed-accounts"
            )
        details = {"provider": provider, "livemode": livemode}
        record_action(connection, workspace.id, Action.ACCOUNT_DISALLOWED, named or "own", details)


def list_allowed_accounts(database: Database) -> list[PlatformAccount]:
    """All of them, by workspace."""
    columns = [platform_accounts.c[name] for name in PlatformAccount.__dataclass_fields__ if name != "workspace"]
    statement = select(workspaces.c.slug.label("workspace"), *columns)
    statement = statement.join(workspaces, workspaces.c.id == platform_accounts.c.workspace_id)
    order = (workspaces.c.slug, platform_accounts.c.provider_name, platform_accounts.c.account_id)
    with database.control() as connection:
        return [PlatformAccount(**row._mapping) for row in connection.execute(statement.order_by(*order))]


def check_allowed(
    connection: Connection, workspace_id: UUID, provider: str, account_id: str | None, *, livemode: bool
) -> None:
    """Raise AccountNotAllowedError unless the account is tied to the workspace; in a transaction of that."""
    tied = select(platform_accounts.c.workspace_id).where(
        platform_accounts.c.workspace_id == workspace_id,
        platform_accounts.c.provider_name == provider,
        platform_accounts.c.account_id == (OWN if account_id is None else account_id),
        platform_accounts.c.livemode == livemode,
    )
    if connection.execute(tied).first() is None:
        raise AccountNotAllowedError(account_id)
