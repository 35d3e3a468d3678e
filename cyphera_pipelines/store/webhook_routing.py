"""To whom an event is given that came to the platform's one address: by the account that it names."""

from dataclasses import dataclass

from sqlalchemy import text

from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.platform_accounts import OWN
from cyphera_pipelines.store.webhooks import WebhookTarget

NEVER_REACHED = (
    "No workspace's connection has reached this account. Once a source reaches it, its first sync brings what this "
    "told."
)
NOT_READ = (
    "The workspace that reached this account has no active source that was synced from it in this mode. Its next "
    "source lists everything at first, and with it what this told."
)
OWN_ACCOUNT_NOT_READ = (
    "It names no account, so that it is of the platform's own, which no source reads with the platform's key. If that "
    "is to be synced: cyphera source add SLUG PROVIDER --platform-key"
)
UNREADABLE = "Nobody can tell what it says, nor of which account it is"


@dataclass(frozen=True)
class Route:
    """Where an event goes, or `why` nowhere. If `is_own`, it is for a source with the platform's key only."""

    target: WebhookTarget | None
    why: str = ""
    is_own: bool = False


def find_route(database: Database, provider: str, account: str | None, *, livemode: bool) -> Route:
    """The one source whose own account that is; None is the platform's own.

    An account is a workspace's if a connection of it has reached the account, and no other's has before; what is only
    registered counts for nothing. The source has to be active, and the account the one that it is synced from.
    """
    parameters = {"provider": provider, "account": account, "livemode": livemode, "own": OWN}
    with database.control() as connection:
        row = connection.execute(_OF_PLATFORM if account is None else _OF_ACCOUNT, parameters).one_or_none()
    if row is None:
        return Route(None, OWN_ACCOUNT_NOT_READ if account is None else NEVER_REACHED)
    if row.id is None:
        return Route(None, OWN_ACCOUNT_NOT_READ if account is None else NOT_READ)
    target = WebhookTarget(
        row.workspace_id,
        row.id,
        provider,
        not livemode,
        connected_account_id=row.connected_account_id,
        updated_at=row.updated_at,
    )
    return Route(target, is_own=account is None)


# One row at most: of one account one workspace's row is active, and of its configurations one.
_OF_ACCOUNT = text(
    """
    SELECT account.workspace_id, configuration.id, configuration.connected_account_id,
        configuration.updated_at
    FROM sync.workspace_provider_accounts AS account
    LEFT JOIN sync.synced_accounts AS synced
        ON synced.workspace_id = account.workspace_id AND synced.provider_name = account.provider_name
        AND synced.livemode = account.livemode
    LEFT JOIN sync.workspace_payment_configurations AS configuration
        ON configuration.workspace_id = account.workspace_id AND configuration.provider_name = account.provider_name
        AND configuration.is_test_mode <> account.livemode
        AND configuration.is_active AND configuration.deleted_at IS NULL
        AND coalesce(substring(configuration.connected_account_id FROM '[^/]+$'), synced.account_id)
            = account.account_id
    WHERE account.provider_name = :provider AND account.account_id = :account AND account.livemode = :livemode
    AND account.is_active AND account.reached_at IS NOT NULL
    """
)
_OF_PLATFORM = text(
    """
    SELECT tied.workspace_id, configuration.id, configuration.connected_account_id,
        configuration.updated_at
    FROM sync.platform_accounts AS tied
    LEFT JOIN sync.workspace_payment_configurations AS configuration
        ON configuration.workspace_id = tied.workspace_id AND configuration.provider_name = tied.provider_name
        AND configuration.is_test_mode <> tied.livemode AND configuration.connected_account_id IS NULL
        AND configuration.is_active AND configuration.deleted_at IS NULL
    WHERE tied.provider_name = :provider AND tied.account_id = :own AND tied.livemode = :livemode
    """
)
