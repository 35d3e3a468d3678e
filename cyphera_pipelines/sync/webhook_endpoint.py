"""Having a source's provider send its events to us: the endpoint there, and its secret here."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

from pydantic import SecretStr

from cyphera_pipelines.model.audit import Action
from cyphera_pipelines.model.configuration import Configuration, Credentials
from cyphera_pipelines.model.error_codes import ErrorCode
from cyphera_pipelines.model.errors import ConflictError, InvalidInputError
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.providers.addresses import is_loopback
from cyphera_pipelines.providers.base import ProviderError, WebhookEndpoint, WebhookEndpoints
from cyphera_pipelines.providers.registry import find_provider
from cyphera_pipelines.security.encryption import Binding, Keyring
from cyphera_pipelines.settings import in_brackets, load_settings
from cyphera_pipelines.store.configurations import (
    ConfigurationChange,
    change_configuration,
    read_credentials,
)
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.sync.client import check_allowed_address
from cyphera_pipelines.sync.configuration import check_webhook_secret

PATH = "/api/v1/sync/webhooks"
LONGEST_URL = 2_048


class EndpointExistsError(ConflictError):
    """There is an endpoint with that address at the provider already, whose secret nobody can read."""

    code = ErrorCode.ENDPOINT_EXISTS

    def __init__(self, found: WebhookEndpoint, source: Source) -> None:
        state = "enabled" if found.is_enabled else "disabled"
        command = f"cyphera webhook secret set {source.workspace_slug} {source.provider}"
        super().__init__(
            f"The provider sends to {found.url} already, by endpoint {found.id} ({state}, {len(found.event_types)} "
            f"event types, API version {found.api_version or 'of the account'}); nothing was made. If you have its "
            f"signing secret: {command}. If not, let a new one take its place: this command again, with --replace."
        )


@dataclass(frozen=True)
class EndpointMade:
    """The new endpoint and those whose place it took. `left` could not be deleted; with what the provider said."""

    endpoint: WebhookEndpoint
    replaced: tuple[str, ...] = ()
    left: tuple[tuple[str, str], ...] = ()


def webhook_path(provider: str, configuration_id: object) -> str:
    """The path of a configuration's own address at our API."""
    return f"{PATH}/{provider}/{configuration_id}"


def webhook_url(base: str, provider: str, configuration_id: object) -> str:
    """The address to enter at the provider: the public address of our API, with the path unless it is there already.

    Raises InvalidInputError for what a provider cannot send to: it has to be https, but on this very machine.
    """
    base, path = base.strip(), webhook_path(provider, configuration_id)
    try:
        parts = urlsplit(base)
        host, _port = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.scheme not in ("http", "https") or not base.isprintable() or " " in base:
        raise InvalidInputError("The address is no web address; it should look like https://pay.example.com")
    if any(character in base for character in "@?#"):
        raise InvalidInputError("The address must not hold a user name, a query or a fragment.")
    if parts.scheme == "http" and not is_loopback(host):
        raise InvalidInputError("The address has to be https: providers send webhooks nowhere else.")
    whole = base if base.endswith(path) else f"{base.rstrip('/')}{path}"
    if len(whole) > LONGEST_URL:
        raise InvalidInputError(f"The address is longer than {LONGEST_URL} characters.")
    return whole


def create_endpoint(
    database: Database, keyring: Keyring, source: Source, url: str, *, replaces: bool = False
) -> EndpointMade:
    """Make the source's webhook endpoint at its provider, and keep its secret and address with the configuration.

    The secret that the configuration had stays valid for a day: what an older endpoint still sends again is signed with
    it. Raises EndpointExistsError unless it `replaces` endpoints of that address, ConflictError where the provider or
    the source has no endpoint of its own, and ProviderError, also if the key may not.
    """
    endpoints = _endpoints_of(database, keyring, source)
    before = [each for each in endpoints.find_all() if each.url == url]
    if before and not replaces:
        raise EndpointExistsError(before[0], source)
    made = endpoints.create(url)
    assert made.secret is not None, "an endpoint that was just made has one"
    try:
        _keep(database, keyring, source, made.secret, made)
    except BaseException:
        # Nobody would know its secret.
        with suppress(ProviderError):
            endpoints.delete(made.id)
        raise
    left = []
    for each in before:
        try:
            endpoints.delete(each.id)
        except ProviderError as error:
            left.append((each.id, str(error)))
    gone = tuple(each.id for each in before if each.id not in dict(left))
    return EndpointMade(made, gone, tuple(left))


def set_webhook_secret(database: Database, keyring: Keyring, source: Source, secret: SecretStr) -> Credentials:
    """Keep a new signing secret; the one before it stays valid for a day, and the address is the same.

    Returns the credentials as they were. Raises RefusedValueError for what is no secret.
    """
    return _keep(
        database, keyring, source, check_webhook_secret(find_provider(source.provider), "webhook_secret", secret), None
    )


def _keep(
    database: Database, keyring: Keyring, source: Source, secret: SecretStr, made: WebhookEndpoint | None
) -> Credentials:
    before: list[Credentials] = []

    def decide(_present: Configuration, read_present: Callable[[], Credentials]) -> ConfigurationChange:
        before.append(read_present())
        credentials = before[0].with_webhook_secret(secret)
        if made is None:
            return ConfigurationChange({}, credentials, action=Action.WEBHOOK_SECRET_CHANGED)
        details = {"endpoint": made.id, "url": made.url}
        columns = {"webhook_endpoint_url": made.url}
        return ConfigurationChange(columns, credentials, action=Action.WEBHOOK_ENDPOINT_CREATED, details=details)

    change_configuration(database, keyring, source.workspace_id, source.configuration_id, decide)
    return before[0]


def _endpoints_of(database: Database, keyring: Keyring, source: Source) -> WebhookEndpoints:
    binding = Binding(source.workspace_id, source.configuration_id, source.provider)
    credentials = read_credentials(database, keyring, binding)
    check_allowed_address(credentials)
    provider = find_provider(source.provider)
    account = source.connected_account_id
    endpoints = provider.webhook_endpoints(credentials, account)
    if endpoints is None:
        raise ConflictError(f"{provider.title} lets nobody make webhook endpoints through its API. See its dashboard.")
    if provider.scope(credentials, account).webhooks_name_account or credentials.uses_platform_key:
        place = in_brackets(load_settings().deployed_webhook_secret(source.provider))
        raise ConflictError(
            f"{source.key} is read with a platform's key, and a platform has one endpoint for all its accounts: make "
            f"that one in the dashboard, listening to connected accounts, with the address {PATH}/{source.provider} "
            f"of this API, and give its signing secret to the operator{place}."
        )
    return endpoints
