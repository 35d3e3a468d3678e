"""Opening a source's account: its credentials, and the rate limits that everything in the process shares."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from cyphera_pipelines.model.configuration import Credentials
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.providers.addresses import check_base_url
from cyphera_pipelines.providers.base import ClientOptions, Limits, LimitScope, ProviderClient, RequestNote
from cyphera_pipelines.providers.registry import find_provider
from cyphera_pipelines.security.encryption import Binding, Keyring
from cyphera_pipelines.settings import load_settings
from cyphera_pipelines.store.configurations import read_credentials
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.sync.limits import account_limits


@dataclass(frozen=True)
class OpenedAccount:
    """A client of the account, to be closed, and what tells the key that opened it from others."""

    client: ProviderClient
    key_digest: bytes


def open_client(
    database: Database,
    keyring: Keyring,
    source: Source,
    *,
    on_request: Callable[[], None],
    on_retry: Callable[[RequestNote], None],
    is_cancelled: Callable[[], bool],
) -> OpenedAccount:
    """Return a client of the source's account, to be closed by the caller. Makes no request.

    `on_request` hears of every attempt. Raises CypheraError for credentials that are gone, do not decrypt, or name an
    address that is not allowed any more.
    """
    binding = Binding(source.workspace_id, source.configuration_id, source.provider)
    credentials = read_credentials(database, keyring, binding)
    provider, api_key = find_provider(source.provider), credentials.api_key.get_secret_value()
    check_allowed_address(credentials)
    address = credentials.base_url or provider.default_host
    published = source.rate_limits or provider.published_limits(api_key)
    limits = _CountedLimits(account_limits(api_key, address, published), on_request)
    client = provider.connect(credentials, ClientOptions(on_retry=on_retry, is_cancelled=is_cancelled, limits=limits))
    return OpenedAccount(client, hashlib.sha256(f"{address} {api_key}".encode()).digest())


def check_allowed_address(credentials: Credentials) -> None:
    """Raise InvalidInputError for an address that the operator does not allow any more, though it once was entered."""
    if credentials.base_url is not None:
        check_base_url(credentials.base_url, load_settings())


class _CountedLimits:
    """Whoever makes a request takes a turn first: that is where requests can be counted."""

    def __init__(self, limits: Limits, on_request: Callable[[], None]) -> None:
        self._limits = limits
        self._on_request = on_request

    def seconds_to_wait(self, endpoint: str) -> float:
        """See `Limits`."""
        self._on_request()
        return self._limits.seconds_to_wait(endpoint)

    def slow_down(self, endpoint: str, scope: LimitScope, pause: float) -> None:
        """See `Limits`."""
        self._limits.slow_down(endpoint, scope, pause)
