"""What the contract asks of a provider's sandbox: one account that can be read, changed, and made difficult.

The suite knows nothing else of any provider. Whoever adds one says here how its sandbox does these things, in a file of
its own, and adds that to `SUBJECTS`.
"""

from dataclasses import dataclass
from typing import Protocol

from cyphera_pipelines.model.configuration import Credentials
from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.providers.base import Provider
from cyphera_pipelines.sandbox import SandboxServer


@dataclass(frozen=True)
class Delivery:
    """A webhook as the provider sends it: about `object_id` of the entity."""

    body: bytes
    headers: dict[str, str]
    secret: str
    entity: Entity
    object_id: str


class Subject(Protocol):
    """One account at a provider's sandbox, freshly made."""

    provider: Provider
    sandbox: SandboxServer
    account_id: str
    credentials: Credentials
    wrong_credentials: Credentials
    paths: str
    """A pattern, of shell style, of the paths of the provider's API."""

    def credentials_without(self, entity: Entity) -> Credentials | None:
        """Credentials that may not read the entity; None where the provider has no such thing."""
        ...

    def ids(self, entity: Entity) -> set[str]:
        """The ids of all objects of the entity that are there."""
        ...

    def create(self, entity: Entity) -> str:
        """Let an object come to be, as people at the provider do; return its id."""
        ...

    def update(self, entity: Entity) -> str:
        """Let an object change; return its id."""
        ...

    def delete(self, entity: Entity) -> str | None:
        """Let an object go; return its id. None where objects of the entity cannot be deleted."""
        ...

    def deliver(self) -> Delivery:
        """A webhook that the provider sends now, of something that has just changed."""
        ...

    def monthly_price(self) -> str:
        """The id of a price that is there: so much a month for each unit, in the account's currency."""
        ...

    def card_of(self, customer_id: str) -> str:
        """Give the customer a card that works, as the provider's own form would, and return its id."""
        ...

    def requests(self) -> int:
        """How many requests the sandbox has had, of anybody."""
        ...
