"""Opening an account for its operations, within the limits that everything shares which asks it."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from cyphera_pipelines.model.configuration import Credentials
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.providers.base import (
    AccountOperations,
    Change,
    ClientOptions,
    MappedPage,
    ObjectKind,
    Operation,
    Provider,
    ProviderClient,
    UnsupportedError,
)
from cyphera_pipelines.providers.registry import find_provider
from cyphera_pipelines.security.encryption import Binding, Keyring
from cyphera_pipelines.store.configurations import read_credentials
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.sync.client import check_allowed_address, key_digest, shared_limits

ATTEMPTS = 3
ANSWER_WITHIN = 25.0
"""Seconds: a caller waits."""


@dataclass(frozen=True)
class OpenedOperations:
    """An account's operations, and what opened them. `key_digest`: see `sync.client.OpenedAccount`."""

    provider: Provider
    account: AccountOperations
    credentials: Credentials
    key_digest: bytes
    read_objects: Callable[[], ProviderClient]
    """Makes a client that reads the account as a sync does, to be closed."""

    def fetch(self, change: Change) -> MappedPage:
        """The changed object as it is now, whole and as rows; an empty page if it is gone. Raises ProviderError."""
        client = self.read_objects()
        try:
            page = client.fetch(change)
            client.complete(page)
            return client.map_page(page)
        finally:
            client.close()


@contextmanager
def open_operations(
    database: Database,
    keyring: Keyring,
    source: Source,
    kind: ObjectKind,
    operation: Operation,
    *,
    within: float,
) -> Iterator[OpenedOperations]:
    """The source's account for an operation, until the context is left. Makes no request.

    No request is begun, and no wait goes on, after `within` seconds. Raises UnsupportedError where the provider has no
    operations, and CypheraError for credentials that cannot be used: see `sync.client.open_client`.
    """
    binding = Binding(source.workspace_id, source.configuration_id, source.provider)
    credentials = read_credentials(database, keyring, binding)
    check_allowed_address(credentials)
    until = time.monotonic() + within
    options = ClientOptions(
        limits=shared_limits(database, source, credentials),
        is_cancelled=lambda: time.monotonic() > until,
        attempts=ATTEMPTS,
        rate_limit_patience=within,
        answer_within=min(ANSWER_WITHIN, within),
    )
    provider = find_provider(source.provider)
    account = provider.operate(credentials, options, source.connected_account_id)
    if account is None:
        raise UnsupportedError(provider.name, kind, operation)
    try:
        yield OpenedOperations(
            provider,
            account,
            credentials,
            key_digest(credentials, source.connected_account_id, source.provider),
            lambda: provider.connect(credentials, options, source.connected_account_id),
        )
    finally:
        account.close()
