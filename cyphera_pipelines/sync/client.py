"""Opening a source's account: its credentials, and the rate limits that everything in the process shares."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from cyphera_pipelines.model.configuration import Credentials
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
from cyphera_pipelines.sync.limits.account import account_limits


@dataclass(frozen=True)
class OpenedAccount:
    """A client of the account, to be closed.

    `key_digest` tells the key and the connected account that opened it from others, `scope` whose events are its own.
    """

    client: ProviderClient
    key_digest: bytes
    scope: AccountScope


def open_client(
    database: Database,
    keyring: Keyring,
    source: Source,
    *,
    on_request: Callable[[], None],
    on_retry: Callable[[RequestNote], None],
    is_cancelled: Callable[[], bool],
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
    provider, api_key = find_provider(source.provider), credentials.api_key.get_secret_value()
    check_allowed_address(credentials)
    address = credentials.base_url or provider.default_host
    published = source.rate_limits or provider.published_limits(api_key)
    opens = _opens(credentials, source.connected_account_id)
    limits = _CountedLimits(account_limits(opens, address, published), on_request)
    options = ClientOptions(
        on_retry=on_retry,
        on_answer=on_answer,
        on_notice=on_notice,
        is_cancelled=is_cancelled,
        limits=limits,
        attempts=attempts,
        rate_limit_patience=rate_limit_patience,
    )
    client = provider.connect(credentials, options, source.connected_account_id)
    digest = key_digest(credentials, source.connected_account_id, source.provider)
    return OpenedAccount(client, digest, provider.scope(api_key, source.connected_account_id))


def key_digest(credentials: Credentials, connected_account_id: str | None, provider: str) -> bytes:
    """Tells one key and the connected account that it is used for, at one address, from all others."""
    address = credentials.base_url or find_provider(provider).default_host
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

    def turn(self, endpoint: str, /) -> Turn:
        """See `Limits`."""
        self._on_request()
        return self._limits.turn(endpoint)
