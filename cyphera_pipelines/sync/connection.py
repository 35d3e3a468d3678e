"""Testing a source's credentials: whether they work, and what they may read."""

from dataclasses import dataclass, field

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.providers.base import (
    ClientOptions,
    CredentialsRejectedError,
    PermissionDeniedError,
    ProviderAccount,
    ProviderError,
    ProviderUnavailableError,
)
from cyphera_pipelines.providers.registry import find_provider
from cyphera_pipelines.security.encryption import Binding, Keyring
from cyphera_pipelines.store.accounts import record_account
from cyphera_pipelines.store.configurations import read_credentials
from cyphera_pipelines.store.database import Database

# A person is waiting: fail soon, a sync will be more patient.
ATTEMPTS = 2
RATE_LIMIT_PATIENCE = 10.0


@dataclass(frozen=True)
class ConnectionReport:
    """What a connection test found.

    `account` is None if the key may not read it; `unreadable` maps entities to the reason.
    """

    account: ProviderAccount | None
    readable: tuple[Entity, ...] = ()
    unreadable: dict[Entity, str] = field(default_factory=dict)


def check_connection(database: Database, keyring: Keyring, source: Source) -> ConnectionReport:
    """Try the source's credentials on the account and on every entity.

    Raises CredentialsRejectedError for a wrong key and ProviderUnavailableError for a network or provider failure.
    """
    provider = find_provider(source.provider)
    binding = Binding(source.workspace_id, source.configuration_id, source.provider)
    options = ClientOptions(attempts=ATTEMPTS, rate_limit_patience=RATE_LIMIT_PATIENCE)
    client = provider.connect(read_credentials(database, keyring, binding), options)
    readable, unreadable = [], {}
    try:
        account = None
        try:
            account = client.account()
        except (CredentialsRejectedError, ProviderUnavailableError):
            raise
        except ProviderError:
            # Restricted keys seldom may read the account, and need not.
            account = None
        for entity in provider.entities:
            try:
                client.check_readable(entity)
                readable.append(entity)
            except PermissionDeniedError as error:
                unreadable[entity] = str(error)
    finally:
        client.close()
    if account is not None:
        record_account(
            database, source.workspace_id, source.provider, account.id, account.name, livemode=account.livemode
        )
    return ConnectionReport(account, tuple(readable), unreadable)
