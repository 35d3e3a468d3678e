"""What a provider sends by itself, and the addresses that it sends it to."""

from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import SecretStr

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.providers.base.reading import Change


@dataclass(frozen=True)
class WebhookEvent:
    """A provider event that was sent to us.

    `entity` is what it is about; None if it is of no interest. `account` is the account that it names, if any.
    `problem` says why nobody can tell what it says, where that is so: then `id` is one of ours, `livemode` is None, and
    `payload` holds its beginning. `changes` are what it says of objects.
    """

    id: str
    kind: str
    livemode: bool | None
    entity: Entity | None
    payload: dict[str, Any]
    account: str | None = None
    problem: str | None = None
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True)
class WebhookEndpoint:
    """An address that a provider sends events to, as the provider knows it.

    `secret`, with which it signs them, is told only as the endpoint is made. `api_version` is None where it follows the
    account's default.
    """

    id: str
    url: str
    is_enabled: bool
    api_version: str | None
    event_types: tuple[str, ...]
    secret: SecretStr | None = None


class WebhookEndpoints(Protocol):
    """The webhook endpoints of one account. The methods raise ProviderError's kinds, after retries."""

    event_types: tuple[str, ...]
    """The types of events that are asked for: just those that are of use."""
    api_version: str
    """The version of the provider's API that they are asked for in."""

    def find_all(self) -> list[WebhookEndpoint]:
        """All endpoints of the account, whoever made them."""
        ...

    def create(self, url: str) -> WebhookEndpoint:
        """Make one for our event types, in our version of the provider's API. Returns it with its secret."""
        ...

    def delete(self, endpoint_id: str) -> None:
        """Delete one: nothing more is sent to it."""
        ...
