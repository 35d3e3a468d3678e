"""A registered implementation of a payment provider."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from cyphera_pipelines.model.configuration import Credentials
from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.limits import RateLimits
from cyphera_pipelines.providers.base.accounts import AccountScope
from cyphera_pipelines.providers.base.capabilities import Capabilities
from cyphera_pipelines.providers.base.operations import AccountOperations
from cyphera_pipelines.providers.base.options import ClientOptions
from cyphera_pipelines.providers.base.reading import MappedPage, ProviderClient
from cyphera_pipelines.providers.base.webhooks import WebhookEndpoints, WebhookEvent


class WebhookProof(StrEnum):
    """How a webhook proves that the provider sent it, and so what a configuration's `webhook_secret` is.

    SIGNATURE: the key that it is signed with. BASIC_AUTH: `user:password`, which come with it.
    """

    SIGNATURE = "signature"
    BASIC_AUTH = "basic_auth"


@dataclass(frozen=True)
class SourceOption:
    """What else than a key a source has to name, as in `site`. Options are no secrets.

    `pattern` is a regular expression that a whole value matches; `title`, `help` and `example` are for people.
    """

    name: str
    title: str
    help: str
    is_required: bool
    pattern: str
    example: str


class Provider(Protocol):
    """A registered implementation of a payment provider."""

    name: str
    """Lower case, of letters, digits, `_` and `-`: it stands in addresses, and after the colon of a partition key."""
    title: str
    default_host: str
    """The host of the provider's own API; with a dot before it, every host beneath it."""
    entities: tuple[Entity, ...]
    capabilities: Capabilities
    oldest: int
    """No object is older than this, in seconds since 1970: a moment before it is a mistake."""
    options: tuple[SourceOption, ...]
    webhook_proof: WebhookProof
    mapping_version: int
    """Raised whenever other rows are made of the same objects: everything has to be listed anew then."""
    unlisted_with: dict[Entity, str]
    """Columns of entities' own tables: what has a value there may be missing in a list, and be there all the same."""

    def is_test_mode(self, credentials: Credentials) -> bool | None:
        """Whether the credentials are for the provider's test mode; None where they do not tell."""
        ...

    def check_access(self, credentials: Credentials, connected_account_id: str | None) -> None:
        """Raise UnusableAccessError unless the credentials can be used for that connected account; None is their own.

        The options that are declared have been checked one by one before. Makes no request.
        """
        ...

    def scope(self, credentials: Credentials, connected_account_id: str | None) -> AccountScope:
        """Which provider events are of the account that these open. Makes no request."""
        ...

    def address(self, credentials: Credentials) -> str:
        """Where requests with the credentials go: `base_url` where one is given, or else a host."""
        ...

    def published_limits(self, credentials: Credentials) -> RateLimits:
        """What the provider allows an account with such credentials."""
        ...

    def open_webhook(self, body: bytes, headers: Mapping[str, str], secret: str) -> WebhookEvent:
        """Return the event in a webhook that proves, as `webhook_proof` says, that the provider sent it.

        Raises WebhookRejectedError if it proves nothing. Whatever is proven is an event, though it may be unreadable.
        """
        ...

    def webhook_endpoints(
        self, credentials: Credentials, connected_account_id: str | None = None
    ) -> WebhookEndpoints | None:
        """The account's webhook endpoints; None where the provider lets nobody make them through its API.

        Makes no request. Raises UnusableAccessError.
        """
        ...

    def map_told(
        self, credentials: Credentials, entity: Entity, objects: Sequence[Any], *, version: float
    ) -> MappedPage:
        """Turn whole objects that a provider event told into rows, as the client of those credentials would."""
        ...

    def connect(
        self, credentials: Credentials, options: ClientOptions, connected_account_id: str | None = None
    ) -> ProviderClient:
        """Return a client for the credentials, used for that connected account. Makes no request.

        Raises UnusableAccessError.
        """
        ...

    def operate(
        self, credentials: Credentials, options: ClientOptions, connected_account_id: str | None = None
    ) -> AccountOperations | None:
        """The operations of that account; None where the provider offers none here. Makes no request.

        Raises UnusableAccessError.
        """
        ...
