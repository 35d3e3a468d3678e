"""Opening a source's account: its credentials, and the rate limits that everything in the process shares."""

from collections.abc import Callable

from cyphera_pipelines.model.source import Source
from cyphera_pipelines.providers.base import ClientOptions, ProviderClient, RequestNote
from cyphera_pipelines.providers.registry import find_provider
from cyphera_pipelines.security.encryption import Binding, Keyring
from cyphera_pipelines.store.configurations import read_credentials
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.sync.limits import account_limits


def open_client(
    database: Database,
    keyring: Keyring,
    source: Source,
    *,
    on_retry: Callable[[RequestNote], None],
    is_cancelled: Callable[[], bool],
) -> ProviderClient:
    """Return a client of the source's account, to be closed by the caller. Makes no request.

    Raises CypheraError for credentials that are gone or do not decrypt.
    """
    binding = Binding(source.workspace_id, source.configuration_id, source.provider)
    credentials = read_credentials(database, keyring, binding)
    provider, api_key = find_provider(source.provider), credentials.api_key.get_secret_value()
    published = source.rate_limits or provider.published_limits(api_key)
    limits = account_limits(api_key, credentials.base_url or provider.default_host, published)
    return provider.connect(credentials, ClientOptions(on_retry=on_retry, is_cancelled=is_cancelled, limits=limits))
