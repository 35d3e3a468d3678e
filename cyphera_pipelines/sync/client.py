"""Opening a source's account: its credentials, and the rate limits that everything shares which asks it."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace

from cyphera_pipelines.model.configuration import Credentials
from cyphera_pipelines.model.limits import RateLimits
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.providers.addresses import check_base_url
from cyphera_pipelines.providers.base import (
    AccountScope,
    ClientOptions,
    Limits,
    Notice,
    ProviderClient,
    RequestNote,
    Turn,
)
from cyphera_pipelines.providers.registry import find_provider
from cyphera_pipelines.security.encryption import Binding, Keyring
from cyphera_pipelines.settings import load_settings
from cyphera_pipelines.store.configurations import read_credentials
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.request_shares import Opening
from cyphera_pipelines.sync.limits.account import AccountLimits, account_limits
from cyphera_pipelines.sync.limits.sharing import share_limits


@dataclass(frozen=True)
class OpenedAccount:
    """A client of the account, to be closed.

    `key_digest` tells the key and the connected account that opened it from others, `scope` whose events are its own.
    `published` is what the provider allows it.
    """

    client: ProviderClient
    key_digest: bytes
    scope: AccountScope
    published: RateLimits


def open_client(
    database: Database,
    keyring: Keyring,
    source: Source,
    *,
    on_request: Callable[[], None],
    on_retry: Callable[[RequestNote], None],
    is_cancelled: Callable[[], bool],
    on_repeat: Callable[[RequestNote], None] = lambda _note: None,
    on_answer: Callable[[], None] = lambda: None,
    on_notice: Callable[[Notice], None] = lambda _notice: None,
    attempts: int = ClientOptions.attempts,
    rate_limit_patience: float = ClientOptions.rate_limit_patience,
) -> OpenedAccount:
    """Return a client of the source's account, to be closed by the caller. Makes no request.

    `on_request` hears of every attempt, `on_answer` of those that were answered; for the others see `ClientOptions`.
    Raises CypheraError for credentials that are gone, do not decrypt, do not go with the source's connected account, or
    name an address that is not allowed any more.
    """
    binding = Binding(source.workspace_id, source.configuration_id, source.provider)
    credentials = read_credentials(database, keyring, binding)
    provider = find_provider(source.provider)
    check_allowed_address(credentials)
    limits = _CountedLimits(shared_limits(database, source, credentials), on_request)
    options = ClientOptions(
        on_retry=on_retry,
        on_repeat=on_repeat,
        on_answer=on_answer,
        on_notice=on_notice,
        is_cancelled=is_cancelled,
        limits=limits,
        attempts=attempts,
        rate_limit_patience=rate_limit_patience,
    )
    client = provider.connect(credentials, options, source.connected_account_id)
    digest = key_digest(credentials, source.connected_account_id, source.provider)
    scope = provider.scope(credentials, source.connected_account_id)
    return OpenedAccount(client, digest, scope, provider.published_limits(credentials))


def shared_limits(database: Database, source: Source, credentials: Credentials) -> AccountLimits:
    """The limits that everything keeps to that calls the source's account, to read or to write, in whichever process.

    Rates that the source names are per second, whatever while the provider counts by, and replace what it publishes.
    """
    provider = find_provider(source.provider)
    limits, rates = provider.published_limits(credentials), source.rate_limits
    if rates is not None:
        while_ = limits.per_seconds
        limits = replace(limits, account=rates.account * while_, endpoint=rates.endpoint * while_)
    address = provider.address(credentials)
    shared = account_limits(_opens(credentials, source.connected_account_id), address, limits)
    digest = key_digest(credentials, source.connected_account_id, source.provider)
    share_limits(database, shared, Opening(source.workspace_id, source.provider, address, digest))
    return shared


def key_digest(credentials: Credentials, connected_account_id: str | None, provider: str) -> bytes:
    """Tells one key and the connected account that it is used for, at one address, from all others."""
    address = find_provider(provider).address(credentials)
    return hashlib.sha256(f"{address} {_opens(credentials, connected_account_id)}".encode()).digest()


def _opens(credentials: Credentials, connected_account_id: str | None) -> str:
    api_key = credentials.api_key.get_secret_value()
    return api_key if connected_account_id is None else f"{api_key} {connected_account_id}"


def check_allowed_address(credentials: Credentials) -> None:
    """Raise InvalidInputError for an address that the operator does not allow any more, though it once was entered."""
    if credentials.base_url is not None:
        check_base_url(credentials.base_url, load_settings())


class _CountedLimits:
    """Whoever makes a request takes a turn first: that is where requests can be counted."""

    def __init__(self, limits: Limits, on_request: Callable[[], None]) -> None:
        self._limits = limits
        self._on_request = on_request

    def turn(self, endpoint: str, /, *, is_write: bool = False) -> Turn:
        """See `Limits`."""
        self._on_request()
        return self._limits.turn(endpoint, is_write=is_write)
